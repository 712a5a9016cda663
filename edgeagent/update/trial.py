"""The child process in which a candidate is opened and tried: `python -m edgeagent.update.trial …`, by `self_test.py`.

Arguments: the kind of release, the candidate's folder, the current one's or nothing, a function that plays recordings
or nothing, the agent's settings as JSON, seconds of processor time, MB of memory beyond those of the program itself,
and the descriptor that the report goes to. The function is named `module:name`, takes a release's folder and the
settings, and returns how many recordings it has played and the names of those that come out worse than they should.
"""

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeagent.errors import EdgeAgentError, ModelError
from edgeagent.hear import own_pronunciations
from edgeagent.listening import wake_words
from edgeagent.onlooking import house_without_names, interpreter_in
from edgeagent.settings import AgentSettings, WakingSettings
from edgeagent.understand.model.bundle import Bundle, open_bundle
from edgeagent.understand.model.gazetteer import Gazetteer, Marks
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.model.self_test import disagreements
from edgeagent.understanding import segments_of
from edgeagent.update.self_test import OUT_OF_MEMORY, Report, limit, peak_memory_mb

ROUNDS = 4
"""Times that every golden sentence is decided to measure; the first round warms up."""
MOST_TOLD = 20
_LONGEST_TOLD = 200

Mark = Callable[[Sequence[str]], Marks]


def try_model(candidate: Path, current: Path | None, settings: AgentSettings) -> Report:
    """Open a command model, judge its golden sentences, and time its decisions beside those of the current one.

    Raise ModelError if it cannot be opened.
    """
    runtime = settings.understanding.runtime
    bundle = open_bundle(candidate)
    segments = segments_of(bundle, runtime)
    count, wrong = disagreements(bundle, segments)
    sentences, mark = _golden(bundle)
    models = {"candidate": CommandModel(bundle, segments)}
    if current is not None:
        try:
            before = open_bundle(current)
            models["current"] = CommandModel(before, segments_of(before, runtime))
        except ModelError:
            pass  # one that is damaged is no measure
    times = _times_ms(models, sentences, mark)
    return Report(
        golden=count,
        golden_wrong=tuple(one[:_LONGEST_TOLD] for one in wrong[:MOST_TOLD]),
        decision_ms=times["candidate"],
        current_ms=times.get("current", 0.0),
    )


def _golden(bundle: Bundle) -> tuple[list[list[str]], Mark]:
    golden: dict[str, Any] = json.loads(bundle.read(bundle.manifest.golden or ""))
    mark = Gazetteer({name: [(one[0], one[1]) for one in entries] for name, entries in golden["lists"].items()})
    return [one["text"].split() for one in golden["sentences"]], mark


def _times_ms(models: Mapping[str, CommandModel], sentences: Sequence[list[str]], mark: Mark) -> dict[str, float]:
    """Return the median time of a decision by each model, sentence by sentence in turn: the machine is the same."""
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS):
        for words in sentences:
            for name, model in models.items():
                start = time.perf_counter()
                list(model.opinions(words, mark(words)))
                if number:
                    times[name].append((time.perf_counter() - start) * 1_000)
    return {name: statistics.median(found) for name, found in times.items() if found}


def try_commands(candidate: Path, _current: Path | None, settings: AgentSettings) -> Report:
    """Compile command files with all others that the agent has. Raise SettingsError naming the line that is wrong."""
    paths = tuple(sorted(candidate.rglob("*.yaml")))
    if not paths:
        raise ModelError(f"{candidate}: no command file, *.yaml")
    acting = settings.acting.model_copy(update={"command_files": (*settings.acting.command_files, *paths)})
    house = house_without_names("no names are needed to see whether it compiles")
    interpreter_in(house, settings.model_copy(update={"acting": acting}), None)
    return Report(golden=len(paths))


def try_wake_words(candidate: Path, _current: Path | None, _settings: AgentSettings) -> Report:
    """Load wake words. Raise ModelError if one is damaged, or if the library is not installed."""
    paths = [str(path) for path in sorted(candidate.glob("*.json"))]
    if not paths:
        raise ModelError(f"{candidate}: no wake word, *.json")
    wake_words(WakingSettings(words=tuple(paths)))
    return Report(golden=len(paths))


def try_pronunciations(candidate: Path, _current: Path | None, _settings: AgentSettings) -> Report:
    """Read pronunciations. Raise SettingsError naming the line that is wrong."""
    found = own_pronunciations.load(candidate / own_pronunciations.PRONUNCIATIONS)
    if not found:
        raise ModelError(f"{candidate}: no pronunciation")
    return Report(golden=len(found))


TRIALS: Mapping[str, Callable[[Path, Path | None, AgentSettings], Report]] = {
    "model": try_model,
    "commands": try_commands,
    "wake": try_wake_words,
    "pronunciations": try_pronunciations,
}


def play(clips: str, candidate: Path, told: str) -> tuple[int, tuple[str, ...]]:
    """Play recordings to a candidate by the function that is named; nothing where none is."""
    if not clips:
        return 0, ()
    module, _, name = clips.partition(":")
    count, worse = getattr(importlib.import_module(module), name)(candidate, told)
    return count, tuple(one[:_LONGEST_TOLD] for one in worse[:MOST_TOLD])


def main(arguments: Sequence[str]) -> int:
    """Try a candidate, report, and return the exit status."""
    kind, candidate, current, clips, told, cpu_s, memory_mb, descriptor = arguments
    limit(int(cpu_s), int(memory_mb))
    try:
        settings = AgentSettings.model_validate_json(told)
        report = TRIALS[kind](Path(candidate), Path(current) if current else None, settings)
        count, worse = play(clips, Path(candidate), told)
        peak_mb = peak_memory_mb()
        report = report.model_copy(update={"clips": count, "clips_wrong": worse, "peak_mb": peak_mb})
    except EdgeAgentError as error:
        report = Report(refused=str(error)[:500])
    except MemoryError:
        return OUT_OF_MEMORY
    with os.fdopen(int(descriptor), "w", encoding="utf-8") as pipe:
        pipe.write(report.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
