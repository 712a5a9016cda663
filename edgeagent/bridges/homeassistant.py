"""Our device in Home Assistant: steps to its events and states, and what comes from there to wishes. Pure.

Rules:
- nothing said leaves the device: an event has the intent, the values of its slots, and what came of it, never the
  words; talk that was for nobody is no event at all;
- the last answer is what the device said of devices, states and timers. A question or a refusal may repeat what was
  said: a question is told by its choices alone, a refusal by the sentence for its reason. The broker does not keep it;
- an event is for now: it is sent once, not kept, and not sent later;
- a wish that is retained, too long, or not exactly what we announced is dropped and counted.
"""

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from edgeagent import __version__, topics
from edgeagent.answer.sentences import of_rejection
from edgeagent.bridges.announcement import MOST_SENSITIVE, OFF, ON, PRESS, Shown, announcement
from edgeagent.bridges.following import Accepted, Answered, Asked, Finished, Following, Happening, Refused
from edgeagent.messages import Answer, Command, Message, Rejection, Step, Transcript, Woken
from edgeagent.settings import AgentSettings

RINGER = "home assistant"
"""Who rang, where the listen button was pressed."""
LONGEST_STATE = 255
"""Home Assistant takes no longer state."""
LONGEST_VALUE = 200
MOST_SLOTS = 16
LARGEST_WISH_BYTES = 32
"""The longest is a number of 17 digits."""
MOST_TIMED = 16
_STATUS = "homeassistant/status"
"""Where Home Assistant says that it has started, whatever its discovery prefix is, unless that is changed too."""
_NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,17})?")
_FOR_NOBODY = frozenset({"no-words", "not-speech-we-know"})
"""Refusals of what was no speech, or the television's ..."""
_PERHAPS_FOR_NOBODY = frozenset({"not-a-command"})
"""... and of what was said to somebody else, where the device listens without having been called."""


@dataclass(frozen=True, slots=True)
class MuteWish:
    """Close the microphone, or open it."""

    on: bool


@dataclass(frozen=True, slots=True)
class ListenWish:
    """Listen to what is said next."""


@dataclass(frozen=True, slots=True)
class ThresholdWish:
    """Refuse transcripts that are less sure than this, in 0..1."""

    unsure_below: float


@dataclass(frozen=True, slots=True)
class SensitivityWish:
    """Take a wake word for said from this probability on, in 0.01..1."""

    cutoff: float


@dataclass(frozen=True, slots=True)
class AnnounceAgain:
    """Home Assistant has started: announce the device and tell all states anew."""


Wish = MuteWish | ListenWish | ThresholdWish | SensitivityWish | AnnounceAgain


@dataclass(frozen=True, slots=True)
class Condition:
    """How the agent is: devices known, thresholds in force (`cutoff` None: each wake word's own), whether it hears."""

    devices: int
    unsure_below: float
    cutoff: float | None
    hears: bool


class InHomeAssistant:
    """Home Assistant's side of this device."""

    def __init__(
        self,
        settings: AgentSettings,
        address: topics.Address,
        model: str,
        model_version: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Begin with nothing told. `model` is empty where none is used; `wall` gives seconds since 1970."""
        self._shown = Shown(address, settings.device.area, bool(settings.waking.words), bool(model))
        self._model = {"installed_version": model_version, "latest_version": model_version, "title": model}
        self._prefix = settings.broker.discovery_prefix
        self._clock = clock
        self._started = datetime.fromtimestamp(wall(), UTC).isoformat(timespec="seconds")
        self._following = Following()
        is_called = settings.waking.words or settings.waking.push_to_talk
        self._not_for_us = _FOR_NOBODY if is_called else _FOR_NOBODY | _PERHAPS_FOR_NOBODY
        self._heard: dict[str, tuple[float, float]] = {}
        self._decision_ms: int | None = None
        self._condition: Condition | None = None
        self._answer = ""
        self.unread = 0
        """Wishes that were dropped."""

    @property
    def filters(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return tuple(dict.fromkeys((f"{self._shown.orders}/+", f"{self._prefix}/status", _STATUS)))

    def announcement(self) -> Message:
        """Return what makes the device appear; kept by the broker."""
        return Message(self._topic, _encode(announcement(self._shown)), qos=1, retain=True)

    def withdrawal(self) -> Message:
        """Return what makes it disappear, where its owner wants it announced no more."""
        return Message(self._topic, b"", qos=1, retain=True)

    def states(self, condition: Condition) -> tuple[Message, ...]:
        """Return all states anew, for a new connection and for a Home Assistant that has just started."""
        self._condition = condition
        told = [self._of_condition(condition)]
        if self._model["title"]:
            told.append(Message(f"{self._shown.told}/model", _encode(self._model), qos=1, retain=True))
        if self._answer:
            told.append(self._of_answer(self._answer))
        return tuple(told)

    def state(self, condition: Condition) -> tuple[Message, ...]:
        """Return what has changed since it was told last: nothing, or how the agent is now."""
        return () if condition == self._condition else (self._of_condition(condition),)

    def of_step(self, step: Step) -> tuple[Message, ...]:
        """Return what Home Assistant is told of a step. For one thread."""
        match step:
            case Woken(word=word):
                return (self._event("wake", {"word": word}),)
            case Transcript(is_final=True):
                self._time(step)
        return tuple(message for happening in self._following(step) for message in self._of(happening))

    def wish(self, topic: str, payload: bytes, *, retained: bool) -> Wish | None:
        """Return what is wanted of the device; None, and counted, for whatever is not exactly as announced."""
        if topic in {f"{self._prefix}/status", _STATUS}:  # "offline" and what is retained say nothing new
            return AnnounceAgain() if payload == b"online" and not retained else None
        found = None if retained or len(payload) > LARGEST_WISH_BYTES else self._read(topic, payload)
        self.unread += found is None
        return found

    def _read(self, topic: str, payload: bytes) -> Wish | None:
        where, _, what = topic.rpartition("/")
        text = payload.decode("ascii", "replace")
        match what if where == self._shown.orders else "":
            case "mute" if text in {ON, OFF}:
                return MuteWish(text == ON)
            case "listen" if text == PRESS:
                return ListenWish()
            case "threshold" if (value := _number(text)) is not None and value <= 1:
                return ThresholdWish(value)
            case "sensitivity" if self._shown.has_wake_words:
                value = _number(text)
                return None if value is None or value > MOST_SENSITIVE else SensitivityWish(round(1 - value, 4))
        return None

    def _of(self, happening: Happening) -> tuple[Message, ...]:
        match happening:
            case Accepted(command=command):
                told = self._decided(command.utterance)
                return (self._event("command", _meaning(command)), *told)
            case Finished(command=command, outcomes=outcomes) if outcomes:
                failures = [outcome for outcome in outcomes if outcome.status == "failed"]
                fields = {"intent": command.intent, "devices": len(outcomes)}
                if failures:
                    fields |= {"failed_devices": len(failures), "reason": failures[0].reason}
                return (self._event("failed" if failures else "done", fields),)
            case Asked(question=question, command=command):
                fields = {"kind": question.kind, "choices": [*question.choices[:MOST_SLOTS]]}
                return (self._event("ambiguous", fields | _meaning(command)),)
            case Refused(rejection=rejection, command=command):
                return self._refused(rejection, command)
            case Answered(answer=answer):
                return self._answered(answer)
        return ()

    def _refused(self, rejection: Rejection, command: Command | None) -> tuple[Message, ...]:
        if command is None and rejection.reason in self._not_for_us:
            return ()
        event = self._event("rejected", {"reason": rejection.reason} | _meaning(command))
        sentence = of_rejection(Rejection(rejection.utterance, rejection.reason))
        return (event,) if sentence is None else (event, *self._answered(sentence))

    def _answered(self, answer: Answer) -> tuple[Message, ...]:
        self._answer = answer.text
        return (self._of_answer(answer.text),)

    def _of_answer(self, text: str) -> Message:
        short = text if len(text) <= LONGEST_STATE else f"{text[: LONGEST_STATE - 1]}…"
        return Message(f"{self._shown.told}/answer", short.encode("utf-8", "replace"))

    def _of_condition(self, condition: Condition) -> Message:
        self._condition = condition
        sensitivity = None if condition.cutoff is None else round(min(1 - condition.cutoff, MOST_SENSITIVE), 4)
        fields = {
            "threshold": condition.unsure_below,
            "sensitivity": sensitivity,
            "devices": condition.devices,
            "hears": condition.hears,
            "decision_ms": self._decision_ms,
            "version": __version__,
            "started": self._started,
        }
        return Message(f"{self._shown.told}/condition", _encode(fields), qos=1, retain=True)

    def _event(self, kind: str, fields: Mapping[str, Any]) -> Message:
        area = {} if self._shown.area is None else {"area": self._shown.area}
        return Message(f"{self._shown.told}/event", _encode({"event_type": kind, **area, **fields}))

    def _time(self, heard: Transcript) -> None:
        """Note when an utterance had been understood, and how long after its last word."""
        pause_s = heard.heard_s - heard.words[-1].end_s if heard.words else 0.0
        self._heard[heard.utterance] = self._clock(), max(0.0, pause_s)
        while len(self._heard) > MOST_TIMED:
            del self._heard[next(iter(self._heard))]

    def _decided(self, utterance: str) -> tuple[Message, ...]:
        """Tell the time from the last word to the order: the pause in the sound, and the computing after it."""
        if (heard := self._heard.pop(utterance, None)) is None or self._condition is None:
            return ()
        at_s, pause_s = heard
        self._decision_ms = round(1000 * (pause_s + max(0.0, self._clock() - at_s)))
        return (self._of_condition(self._condition),)

    @property
    def _topic(self) -> str:
        return f"{self._prefix}/device/{self._shown.object_id}/config"


def _meaning(command: Command | None) -> dict[str, Any]:
    """Return what was understood, flat, without the words: `slot_…` for each slot, `when_…` for later orders."""
    if command is None:
        return {}
    slots = {f"slot_{slot.name[:64]}": slot.value for slot in command.slots[:MOST_SLOTS]}
    when = (
        {} if command.when is None else {f"when_{name}": value for name, value in asdict(command.when).items() if value}
    )
    known = {"intent": command.intent, "confidence": round(command.confidence, 4), "exit": command.exit}
    return {**known, **slots, **when}


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _encode(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(_within(fields), separators=(",", ":"), allow_nan=False).encode("ascii")


def _within(value: Any) -> Any:
    """Return a value with every text bounded, and without what Home Assistant's parser refuses: half signs, NaN."""
    match value:
        case str():
            return value[:LONGEST_VALUE].encode("utf-8", "replace").decode()
        case Mapping():
            return {_within(key): _within(inner) for key, inner in value.items()}
        case list():
            return [_within(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
    return value
