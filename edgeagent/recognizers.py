"""The recognizer that the settings name, ready to listen, and what it needs to hear more than the grammar."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

from edgeagent.act.plan import can_be_later
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.automaton import Parse
from edgeagent.grammar.spoken import Phrase
from edgeagent.grammar.tails import JOINTS, tails
from edgeagent.hear import own_pronunciations
from edgeagent.hear.free_speech import Wordings, language_model
from edgeagent.hear.model_store import MODELS, find
from edgeagent.hear.own_pronunciations import PRONUNCIATIONS
from edgeagent.hear.pocketsphinx import Effort, PocketsphinxRecognizer
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.hear.recognizer import Recognizer
from edgeagent.hear.vosk import VoskRecognizer
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter

GRAMMAR_SENTENCES = 4_000
EXTENDED_SENTENCES = 3_000
NAMED_SENTENCES = 500
JOINED = 0.7
PHRASES = 10_000
"""Of the model's wordings; with all 30,000 of them the language model takes three times as long to make."""


def searched(interpreter: Interpreter) -> Acyclic:
    """Return the sentences that a recognizer searches for an interpreter: of the grammar, and orders with tails."""
    automaton = interpreter.automaton
    return automaton.flat_with_tails(tails(), _orders(interpreter))


def _orders(interpreter: Interpreter) -> frozenset[str]:
    return frozenset(intent for intent in interpreter.automaton.intents if can_be_later(intent))


def recognizer_of(settings: AgentSettings, sentences: Acyclic) -> Recognizer:
    """Load the recognizer for these sentences. Raise ModelError if it cannot be, or if a word cannot be pronounced."""
    hearing = settings.hearing
    if hearing.recognizer == "vosk":
        folder = Path(hearing.model).expanduser()
        if not folder.is_dir():
            folder = find(settings.device.state_dir / MODELS, hearing.model).folder
        return VoskRecognizer(folder, sentences)
    return PocketsphinxRecognizer(sentences, _pronunciations(settings), hearing.effort)


def pronounce_anew(recognizer: Recognizer, settings: AgentSettings) -> None:
    """Have a recognizer that is told how words are said learn what the owner has corrected since.

    Raise EdgeAgentError, with everything as before, if the owner's file is wrong.
    """
    if isinstance(recognizer, PocketsphinxRecognizer):
        recognizer.pronounce_by(_pronunciations(settings))


def _pronunciations(settings: AgentSettings) -> Pronunciations:
    files = (*settings.hearing.pronunciation_files, settings.device.state_dir / PRONUNCIATIONS)
    return Pronunciations(owners={word: ways for file in files for word, ways in own_pronunciations.load(file).items()})


def wordings_of(interpreter: Interpreter) -> Wordings | None:
    """Return what may be said to this interpreter; None if nothing is known beyond its grammar."""
    tolerance = interpreter.tolerance
    phrases = [] if tolerance is None else tolerance.model.phrases()
    if tolerance is None or not phrases:
        return None
    draw = random.Random(1)  # noqa: S311  # a sample
    grammar = [interpreter.automaton.generate(draw) for _ in range(GRAMMAR_SENTENCES)]
    extended = list(_extended(interpreter, grammar, draw))
    return Wordings(phrases[:: -(-len(phrases) // PHRASES)], tolerance.names, [*grammar, *extended])


def _extended(interpreter: Interpreter, grammar: Sequence[Phrase], draw: random.Random) -> Iterator[Phrase]:
    """Yield orders joined to one another, or with a time."""
    orders = _orders(interpreter)
    readings = [(said, interpreter.automaton.parse(said)[0]) for said in grammar]
    usable = [said for said, reading in readings if reading.intent in orders]
    named = [(said, reading.slots[-1].text) for said, reading in readings if _ends(said, reading)]
    names = sorted({name for _, name in named})
    for said, _ in named[:NAMED_SENTENCES]:
        yield (*said, "and", "the", *draw.choice(names).split())
    times = {word: rest for word, rest in tails().items() if word not in JOINTS}
    for first in usable[:EXTENDED_SENTENCES]:
        if draw.random() < JOINED:
            joint = draw.choice((("and",), ("and", "then"), ("then",)))
            yield (*first, *joint, *draw.choice(usable))
        else:
            word = draw.choice(sorted(times))
            when = (word, *_walk(times[word], draw))
            yield (*first, *when) if draw.random() < JOINED else (*when, *first)


def _ends(said: Phrase, reading: Parse) -> bool:
    """Tell whether a sentence ends with the name of a device."""
    if not reading.slots:
        return False
    last = reading.slots[-1]
    words = tuple(last.text.split())
    return last.name == "name" and bool(words) and said[-len(words) :] == words


def _walk(words: Acyclic, draw: random.Random) -> Iterator[str]:
    state = 0
    while words.arcs[state] and (state not in words.final or draw.random() < JOINED):
        word, state = draw.choice(sorted(words.arcs[state].items()))
        yield word


def wants_free_speech(recognizer: Recognizer, effort: Effort) -> TypeGuard[PocketsphinxRecognizer]:
    """Tell whether a recognizer must be taught free speech: not with an open vocabulary, nor where time is short."""
    return effort == "accurate" and isinstance(recognizer, PocketsphinxRecognizer)


def learn_free_speech(recognizer: Recognizer, effort: Effort, interpreter: Interpreter) -> None:
    """Teach a recognizer that wants it what may be said beyond the interpreter's grammar; it takes seconds.

    Raise ModelError if what was made is no model.
    """
    if wants_free_speech(recognizer, effort) and (wordings := wordings_of(interpreter)) is not None:
        use_free_speech(recognizer, language_model(wordings))


def use_free_speech(recognizer: PocketsphinxRecognizer, model: str) -> None:
    """Have a recognizer use a language model (ARPA). Raise ModelError if it is none."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "free.arpa"
        file.write_text(model, "utf-8")
        recognizer.use_free_speech(file)
