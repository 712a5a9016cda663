"""Hermes payloads: what others may ask of us, checked; their wishes; what we make of transcripts and commands. Pure.

The forms are those of rhasspy-hermes (rhasspyhermes/asr.py, nlu.py, intent.py, dialogue.py, tts.py, wake.py): JSON
objects with names in camel case, in which what is not known is null; a siteId that is left out is "default".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from edgeagent.messages import Command, Slot, Transcript

MOST_TOKENS = 100
LONGEST_TEXT = 400
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Id = Annotated[str, Field(max_length=128)]
Custom = Annotated[str, Field(max_length=1000)]
Names = Annotated[list[Id], Field(max_length=100)]


class Form(BaseModel):
    """What comes in; unknown fields are ignored, so that both sides may learn new ones."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, alias_generator=to_camel)

    site_id: Id | None = None
    session_id: Id | None = None


class Toggle(Form):
    """hermes/hotword/toggleOn and toggleOff, hermes/asr/startListening and stopListening: no field more is heeded."""


class QueryForm(Form):
    """hermes/nlu/query."""

    input: Text
    id: Id | None = None
    intent_filter: Names | None = None


class SayForm(Form):
    """hermes/tts/say."""

    text: Annotated[Text, Field(min_length=1)]
    id: Id | None = None


class Init(BaseModel):
    """How a session begins."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, alias_generator=to_camel)

    type: Literal["action", "notification"] = "action"
    text: Text | None = None
    send_intent_not_recognized: bool = False


class StartForm(Form):
    """hermes/dialogueManager/startSession."""

    init: Init
    custom_data: Custom | None = None


class EndForm(Form):
    """hermes/dialogueManager/endSession."""

    session_id: Id
    text: Text | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A dialogue; `is_ours` where we began it, and say when it begins and ends."""

    id: str | None
    is_ours: bool = False
    custom: str | None = None
    tells_unrecognized: bool = False


@dataclass(frozen=True, slots=True)
class Listen:
    """Say `text`, if any, then listen to what is said next."""

    session: Session
    text: str = ""


@dataclass(frozen=True, slots=True)
class StopListening:
    """Listen no more, until called; say `text`, if any. `is_end` where a session of ours is to end."""

    session: str | None
    text: str = ""
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class Mute:
    """Close the microphone, or open it."""

    on: bool


@dataclass(frozen=True, slots=True)
class Query:
    """Understand a text, and do nothing for it; with `only`, as one of these intents."""

    text: str
    id: str | None
    session: str | None
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SayAloud:
    """Say a text; with `is_session` as a dialogue of its own that nobody need answer."""

    text: str
    id: str | None
    session: Session


Wish = Listen | StopListening | Mute | Query | SayAloud


def captured(heard: Transcript) -> dict[str, Any]:
    """Return what hermes/asr/textCaptured says of a transcript, less site and session."""
    return {
        "text": heard.text,
        "likelihood": round(heard.confidence, 4),
        "seconds": round(heard.heard_s, 3),
        "asrTokens": [_tokens(heard)],
        "lang": None,
    }


def understood(command: Command, heard: Transcript | None) -> dict[str, Any]:
    """Return what hermes/intent/<intentName> says of a command, less site and session."""
    return {
        "input": command.text,
        "rawInput": command.text,
        "intent": {"intentName": command.intent, "confidenceScore": round(command.confidence, 4)},
        "slots": [_slot(slot, command) for slot in command.slots],
        "asrTokens": None if heard is None else [_tokens(heard)],
        "asrConfidence": None if heard is None else round(heard.confidence, 4),
        "lang": None,
    }


def _slot(slot: Slot, command: Command) -> Mapping[str, Any]:
    """Return a slot; `range` is where its words stand in the input, null where they do not stand there as they are."""
    start = command.text.find(slot.text) if slot.text else -1
    end = start + len(slot.text)
    span = None if start < 0 else {"start": start, "end": end, "rawStart": start, "rawEnd": end}
    kind = "Custom" if isinstance(slot.value, str) else "Number"
    return {
        "entity": slot.name,
        "slotName": slot.name,
        "rawValue": slot.text,
        "value": {"kind": kind, "value": slot.value},
        "confidence": round(command.confidence, 4),
        "range": span,
    }


def _tokens(heard: Transcript) -> list[Mapping[str, Any]]:
    tokens: list[Mapping[str, Any]] = []
    start = 0
    for word in heard.words[:MOST_TOKENS]:
        end = start + len(word.text)
        time = {"start": round(word.start_s, 3), "end": round(word.end_s, 3)}
        confidence = round(word.confidence, 4)
        tokens.append(
            {"value": word.text, "confidence": confidence, "rangeStart": start, "rangeEnd": end, "time": time}
        )
        start = end + 1
    return tokens
