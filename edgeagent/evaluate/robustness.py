"""Generated commands, perturbed: how many are still done right, asked about, refused, or done wrong."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from edgeagent.evaluate.judging import ANSWERS, Judge, Outcome, Place
from edgeagent.evaluate.peer import Hassil
from edgeagent.evaluate.perturb import perturbations
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.grammar.commands import CommandSet
from edgeagent.grammar.spoken import Phrase
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.nearest import nearest

TRIES = 30
_LEFT_OUT = ANSWERS | {"help"}
_RESULTS = ("right", "asked", "refused", "wrong")
Advance = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A generated command and what it does."""

    place: Place
    words: Phrase
    outcome: Outcome


def robustness(model: CommandModel | None, *, count: int, seed: int, advance: Advance) -> dict[str, Any]:
    """Judge `count` commands of each place under every perturbation, beside hassil on the same sentences.

    A perturbation that makes another sentence (but for a word such as "the") is drawn again: nobody could know.
    """
    random_ = random.Random(seed)
    totals: dict[str, Counter[str]] = {}
    peers: dict[str, Counter[str]] = {}
    guarded: dict[str, Counter[str]] = {}
    mistakes: list[dict[str, str]] = []
    for place in get_args(Place):
        judge = Judge(place, model)
        peer = Hassil(judge.home)
        strict = Judge(place, None)
        commands = list(_commands(judge, strict, count, random_))
        for name, perturb in perturbations(judge.interpreter.automaton).items():
            advance(f"{place}: {name}")
            for one in commands:
                said = _perturbed(one, perturb, strict, random_)
                if said is None:
                    continue
                text = " ".join(said)
                result = _result(judge(text), one.outcome)
                totals.setdefault(name, Counter())[result] += 1
                if one.outcome.is_guarded:
                    guarded.setdefault(name, Counter())[result] += 1
                peers.setdefault(name, Counter())[_peer_result(judge, peer, text, one.outcome)] += 1
                if result == "wrong":
                    mistakes.append({"perturbation": name, "said": text, "was": " ".join(one.words)})
    return {
        "seed": seed,
        "rows": [{"perturbation": name, **_shares(counts)} for name, counts in totals.items()],
        "guarded": [{"perturbation": name, **_shares(counts)} for name, counts in guarded.items()],
        "hassil": [{"perturbation": name, **_shares(counts)} for name, counts in peers.items()],
        "mistakes": mistakes,
    }


def _commands(judge: Judge, strict: Judge, count: int, random_: random.Random) -> Iterator[Spoken]:
    """Yield commands that are understood as they stand and do something, intent by intent."""
    by_intent = _automata(judge)
    made = 0
    while made < count:
        automaton = random_.choice(by_intent)
        words = automaton.generate(random_)
        outcome = strict(" ".join(words))
        if outcome.kind == "obeyed" and outcome.meaning is not None:
            made += 1
            yield Spoken(judge.place, words, outcome)


def _automata(judge: Judge) -> Sequence[Automaton]:
    named = judge.commands.with_names(judge.home.lists)
    found = []
    for intent in sorted({one.intent for one in named.templates} - _LEFT_OUT):
        templates = tuple(one for one in named.templates if one.intent == intent)
        automaton = compile_commands(CommandSet(templates, named.lists, named.rules))
        if automaton.words:
            found.append(automaton)
    return found


def _perturbed(one: Spoken, perturb: Any, strict: Judge, random_: random.Random) -> Phrase | None:
    for _ in range(TRIES):
        said: Phrase | None = perturb(one.words, random_)
        if said is None:
            return None
        if not _means_another(said, one, strict):
            return said
    return None


def _means_another(said: Phrase, one: Spoken, strict: Judge) -> bool:
    """Tell whether this is a sentence of its own that does something else, but for a small word such as "the"."""
    near = [found.words for found in nearest(strict.interpreter.automaton, said) if found.is_small]
    meanings = {strict(" ".join(words)).meaning for words in (said, *near)}
    return not meanings <= {one.outcome.meaning, None}


def _result(outcome: Outcome, expected: Outcome) -> str:
    if outcome.kind == "refused":
        return "refused"
    if outcome.kind == "asked":
        return "asked"
    return "right" if outcome.meaning == expected.meaning else "wrong"


def _peer_result(judge: Judge, peer: Hassil, text: str, expected: Outcome) -> str:
    command = peer(text)
    if command is None:
        return "refused"
    return _result(judge.outcome(command), expected)


def _shares(counts: Counter[str]) -> dict[str, float | int]:
    count = counts.total()
    return {"n": count, **{name: round(counts[name] / count, 4) for name in _RESULTS}}
