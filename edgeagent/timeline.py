"""What happens to an utterance, step by step, as flat objects and as JSON lines."""

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO, assert_never

from edgeagent.messages import Answer, Command, Outcome, Published, Question, Rejection, Step, Transcript, When, Woken


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
