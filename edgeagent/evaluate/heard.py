"""What is lost between the mouth and the command: sentences are spoken by flite, heard as the daemon hears, and judged.

The home of `evaluate understanding` is listened to with its whole grammar and with free speech, in silence. Every row
is judged twice: as its text, and as it was heard.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from edgeagent.edits import edits
from edgeagent.errors import SettingsError
from edgeagent.evaluate.flite import VOICES, frames_of, spoken
from edgeagent.evaluate.judging import Judge
from edgeagent.evaluate.understanding import VERDICTS, row_of, verdict_of
from edgeagent.grammar.spoken import spell_out
from edgeagent.hear.files import followed_by_silence
from edgeagent.hear.pocketsphinx import speech_detector
from edgeagent.pipeline import Heard, perceive
from edgeagent.recognizers import learn_free_speech, recognizer_of, searched
from edgeagent.settings import AgentSettings
from edgeagent.understanding import load_model

SILENCE_FRAMES = 60
EXPECTATIONS = ("act", "ask", "refuse")
_GRAVEST = ("wrong", "asked-wrong", "asked-which", "asked-right", "right", "refused")
"""What counts where one sentence is heard as several; nobody is asked twice, and what is done cannot be taken back."""


def heard(settings: AgentSettings, files: Sequence[Path], count: int, seed: int) -> dict[str, Any]:
    """Judge at most `count` rows for the home, drawn from each of the files (as of `evaluate understanding`).

    Raise SettingsError if a row is wrong, EdgeAgentError if flite is not installed.
    """
    judge = Judge("home", load_model(settings.understanding), settings.hearing.unsure_below)
    recognizer = recognizer_of(settings, searched(judge.interpreter))
    learn_free_speech(recognizer, settings.hearing.effort, judge.interpreter)
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    mistakes: list[dict[str, str]] = []
    errors = words = 0
    for file in files:
        for number, row in enumerate(_drawn(file, count, seed)):
            sound = followed_by_silence(frames_of(spoken(row["text"], VOICES[number % len(VOICES)])), SILENCE_FRAMES)
            detector = speech_detector(settings.hearing.vad_mode)
            found = list(perceive(sound, detector, recognizer, lambda: judge.interpreter, settings.hearing))
            verdict = _gravest([verdict_of(judge, row, judge.outcome(one.interpretation)) for one in found])
            if verdict == "wrong":
                mistakes.append({"said": row["text"], "heard": " | ".join(one.transcript.text for one in found)})
            as_text = verdict_of(judge, row, judge(row["text"]))
            for way, got in (("text", as_text), ("heard", verdict)):
                counts.setdefault((file.stem, row["expect"], way), Counter())[got] += 1
            if row["expect"] != "refuse":
                said = spell_out(row["text"])
                errors += edits(said, _words(found))
                words += len(said)
    rows = [
        {"file": name, "expect": expect, "as": way, "n": found.total(), **{one: found[one] for one in VERDICTS}}
        for (name, expect, way), found in counts.items()
    ]
    return {"word_error_rate": round(errors / max(1, words), 4), "rows": rows, "mistakes": mistakes}


def _drawn(file: Path, count: int, seed: int) -> list[dict[str, Any]]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as error:
        remedy = "Name a file of JSON lines: text, place, expect, intent, slots."
        raise SettingsError(f"{file}: {error.strerror}", remedy=remedy) from error
    rows = [row_of(line, f"{file}:{number}") for number, line in enumerate(lines, start=1)]
    rows = [row for row in rows if row["place"] == "home"]
    return Random(seed).sample(rows, min(count, len(rows)))  # a sample


def _gravest(verdicts: Sequence[str]) -> str:
    return next((one for one in _GRAVEST if one in verdicts), "refused")


def _words(found: Sequence[Heard]) -> tuple[str, ...]:
    return tuple(word.text for one in found for word in one.transcript.words)
