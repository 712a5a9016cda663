"""The recognizer that the settings name, ready to listen, and what it needs to hear more than the grammar."""

import random
import tempfile
from pathlib import Path

from edgeagent.grammar.acyclic import Acyclic
from edgeagent.hear.free_speech import language_model
from edgeagent.hear.model_store import MODELS, find
from edgeagent.hear.pocketsphinx import Effort, PocketsphinxRecognizer
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.hear.recognizer import Recognizer
from edgeagent.hear.vosk import VoskRecognizer
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter

GRAMMAR_SENTENCES = 4_000
PHRASES = 10_000
"""Of the model's wordings; with all 30,000 of them the language model takes three times as long to make."""


def recognizer_of(settings: AgentSettings, sentences: Acyclic) -> Recognizer:
    """Load the recognizer for these sentences. Raise ModelError if it cannot be, or if a word cannot be pronounced."""
    hearing = settings.hearing
    if hearing.recognizer == "vosk":
        folder = Path(hearing.model).expanduser()
        if not folder.is_dir():
            folder = find(settings.device.state_dir / MODELS, hearing.model).folder
        return VoskRecognizer(folder, sentences)
    return PocketsphinxRecognizer(sentences, Pronunciations(), hearing.effort)


def language_model_of(interpreter: Interpreter) -> str | None:
    """Return what may be said beyond the interpreter's grammar as a language model; None if nothing is known of it."""
    tolerance = interpreter.tolerance
    phrases = [] if tolerance is None else tolerance.model.phrases()
    if tolerance is None or not phrases:
        return None
    draw = random.Random(1)  # noqa: S311  # a sample
    grammar = [interpreter.automaton.generate(draw) for _ in range(GRAMMAR_SENTENCES)]
    return language_model(phrases[:: -(-len(phrases) // PHRASES)], tolerance.names, grammar)


def learn_free_speech(recognizer: Recognizer, effort: Effort, interpreter: Interpreter) -> None:
    """Have a recognizer that needs it know what may be said beyond the interpreter's grammar.

    It takes seconds, so it is done beside the listening, which goes on with what is known already. A recognizer with an
    open vocabulary of its own needs nothing, and where time is short the grammar is alone. Raise ModelError where what
    was made is no model.
    """
    if effort == "light" or not isinstance(recognizer, PocketsphinxRecognizer):
        return
    model = language_model_of(interpreter)
    if model is None:
        return
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "free.arpa"
        file.write_text(model, "utf-8")
        recognizer.use_free_speech(file)
