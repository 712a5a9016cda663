"""What happens to an utterance, step by step: as lines that a person enjoys, or as JSON lines."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, TextIO, assert_never

from rich.console import Console
from rich.text import Text

from edgeagent.logs import printable
from edgeagent.messages import Answer, Command, Outcome, Published, Question, Rejection, Step, Transcript, When, Woken

_STYLES: Mapping[str, str] = {
    "woken": "bold cyan",
    "hearing": "dim",
    "heard": "bold",
    "understood": "green",
    "question": "yellow",
    "rejected": "yellow",
    "because": "dim",
    "published": "cyan",
    "done": "green",
    "failed": "red",
    "answered": "bold magenta",
}
_FIRST_EXIT = 0


def as_row(step: Step) -> dict[str, Any]:
    """Return a step as a flat object; `step` names its sort, `utterance` says which utterance it belongs to."""
    match step:
        case Woken():
            return {"utterance": "", "step": "woken", "text": step.word}
        case Transcript():
            return _transcript_row(step)
        case Command():
            return {
                "utterance": step.utterance,
                "step": "understood",
                "intent": step.intent,
                "slots": {slot.name: slot.value for slot in step.slots},
                "exit": step.exit,
                "confidence": round(step.confidence, 4),
                "doubt": step.doubt,
                "why": list(step.why),
                **({} if step.when is None else {"when": _when(step.when)}),
            }
        case Question():
            return {
                "utterance": step.utterance,
                "step": "question",
                "kind": step.kind,
                "choices": list(step.choices),
                "why": list(step.why),
            }
        case Rejection():
            return {
                "utterance": step.utterance,
                "step": "rejected",
                "reason": step.reason,
                "detail": step.detail,
                "why": list(step.why),
            }
        case Published():
            return {
                "utterance": step.action.utterance,
                "step": "published",
                "topic": step.message.topic,
                "payload": step.message.payload.decode("utf-8", "replace"),
                "allowed_by": step.action.allowed_by,
            }
        case Outcome():
            return {
                "utterance": step.action.utterance,
                "step": step.status,
                "device": step.action.device.name,
                "capability": step.action.capability,
                "value": step.action.value,
                "took_ms": round(1000 * step.took_s, 1),
                "reason": step.reason,
                "allowed_by": step.action.allowed_by,
            }
        case Answer():
            return {"utterance": step.utterance, "step": "answered", "text": step.text}
    assert_never(step)


def _when(when: When) -> dict[str, Any]:
    told = {"delay_s": when.delay_s, "clock": when.clock, "days": when.days or None, "lasts_s": when.lasts_s}
    return {name: value for name, value in told.items() if value is not None}


def _transcript_row(transcript: Transcript) -> dict[str, Any]:
    row: dict[str, Any] = {
        "utterance": transcript.utterance,
        "step": "heard" if transcript.is_final else "hearing",
        "text": transcript.text,
    }
    if transcript.ended_by == "text":
        return row | {"ended_by": "text"}
    row |= {"at_s": round(transcript.began_s + transcript.heard_s, 2)}
    if transcript.is_final:
        waited_s = transcript.heard_s - transcript.words[-1].end_s if transcript.words else None
        row |= {
            "ended_by": transcript.ended_by,
            "confidence": round(transcript.confidence, 4),
            "sound_s": round(transcript.heard_s, 2),
            "after_last_word_ms": None if waited_s is None else round(1000 * waited_s),
        }
    return row


class JsonTimeline:
    """Writes a JSON line per step."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, by default standard output."""
        self._stream = stream or sys.stdout

    def __call__(self, step: Step) -> None:
        """Write one step."""
        self.note(as_row(step))

    def note(self, row: Mapping[str, Any]) -> None:
        """Write any object as a line."""
        self._stream.write(json.dumps(row) + "\n")
        self._stream.flush()


class PrintedTimeline:
    """Prints a coloured line per step, with the time since the step before it."""

    def __init__(
        self,
        console: Console | None = None,
        clock: Callable[[], float] = time.perf_counter,
        *,
        explains: bool = False,
    ) -> None:
        """Print to `console`, by default standard output; with `explains` also how each sentence was understood."""
        self._explains = explains
        self.console = console or Console(highlight=False)
        self._clock = clock
        self._last_at = clock()
        self._partials: list[str] = []

    def __call__(self, step: Step) -> None:
        """Print one step."""
        now = self._clock()
        took_s, self._last_at = now - self._last_at, now
        if isinstance(step, Transcript) and not step.is_final:
            self._partials.append(step.text)
            return
        if isinstance(step, Transcript):
            self._print_partials(step)
        row = as_row(step)
        text, note = _words(row)
        if row["step"] not in {"heard", "hearing"}:
            note = f"{note}  +{1000 * took_s:.1f} ms".strip()
        reasons = (*row.get("why", ()), *filter(None, [row.get("allowed_by") if row["step"] == "published" else ""]))
        for reason in reasons if self._explains else ():
            self._line("because", reason, "")
        self._line(row["step"], text, note)

    def _print_partials(self, final: Transcript) -> None:
        """Show how the sentence grew while it was spoken: what each partial transcript added to the one before."""
        whole = final.text.split()
        counts = {len(words) for text in self._partials if (words := text.split()) == whole[: len(words)]}
        self._partials.clear()
        if len(counts) > 1:
            ends = sorted(counts)
            parts = [" ".join(whole[start:end]) for start, end in pairwise([0, *ends])]
            self._line("hearing", " … ".join(part for part in parts if part), "")

    def _line(self, name: str, text: str, note: str) -> None:
        style = _STYLES.get(name, "")
        line = Text.assemble(("  " + name.ljust(12), style), (printable(text), "" if name != "hearing" else "dim"))
        if note:
            line.append(f"   {printable(note)}", "dim")
        self.console.print(line, soft_wrap=True)


def _words(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return a row's main text and its remark."""
    match row["step"]:
        case "heard" if row["ended_by"] == "text":
            return row["text"], "typed"
        case "heard":
            waited_ms = row["after_last_word_ms"]
            waited = "" if waited_ms is None else f" {waited_ms} ms after the last word"
            return row["text"] or "(no words)", f"{row['sound_s']} s of sound, ended by {row['ended_by']}{waited}"
        case "understood":
            slots = "  ".join(f"{name}={_short(value)}" for name, value in row["slots"].items())
            by = "exit 0, the grammar" if row["exit"] == _FIRST_EXIT else f"exit {row['exit']}, the model"
            doubt = f"; {row['doubt']}" if row["doubt"] else ""
            when = "  ".join(f"{name}={_short(value)}" for name, value in row.get("when", {}).items())
            return f"{row['intent']}  {slots}  {when}".rstrip(), f"by {by}, {row['confidence']:.0%} sure{doubt}"
        case "question":
            return f"{row['kind']}: {', '.join(row['choices'])}", ""
        case "rejected":
            return f"{row['reason']}: {row['detail']}" if row["detail"] else row["reason"], ""
        case "published":
            return f"{row['topic']}  {row['payload']}", ""
        case "done":
            done = f"{row['device']}: {row['capability']} is {_short(row['value'])}"
            return done, f"acknowledged after {row['took_ms']} ms"
        case "failed":
            return f"{row['device']}: {row['reason']}", ""
        case _:
            return str(row.get("text", "")), ""


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
