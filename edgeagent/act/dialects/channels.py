"""The readers and writers that dialects of text payloads are put together from."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from edgeagent.act.dialects.dialect import NOTHING, Reader, Values, Writer
from edgeagent.act.dialects.templates import Template, decode
from edgeagent.act.names import words_of
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Kind, Message, Value

PERCENT: tuple[float, float] = (0, 100)
BRIGHTNESS: tuple[float, float] = (1, 100)
"""Percent; nothing less than one, for no light at all is an order to switch off."""
MOST_OPTIONS = 64
LONGEST_OPTION = 64
"""Characters; nobody says more."""
Option = TypeVar("Option", bound=str | bool | float)
UNKNOWN = frozenset({"", "None", "unknown", "unavailable"})
"""What Home Assistant's devices say when they do not know."""


@dataclass(frozen=True, slots=True)
class Channels:
    """What a component amounts to: its kind, and how each capability is read and written.

    `left_out` says what of it has no voice, and why.
    """

    kind: Kind
    readers: tuple[Reader, ...] = ()
    writers: tuple[Writer, ...] = ()
    ranges: Mapping[Capability, tuple[float, float]] = field(default_factory=dict)
    units: Mapping[Capability, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def text_reader(
    topic: str | None,
    template: Template | None,
    meaning: Callable[[str], Values],
    *capabilities: Capability,
) -> tuple[Reader, ...]:
    """Return the reader of a text payload, or none without a topic."""
    if topic is None:
        return ()

    def read(payload: bytes) -> Values:
        text = decode(payload).strip() if template is None else template.read(payload)
        return NOTHING if text is None else meaning(text)

    return (Reader(topic, capabilities, read),)


def words_reader(
    topic: str | None, template: Template | None, capability: Capability, words: Mapping[str, str]
) -> tuple[Reader, ...]:
    """Read one of the words; the mapping goes from payload to value."""
    return text_reader(topic, template, lambda text: _word(capability, words, text), capability)


def number_reader(
    topic: str | None,
    template: Template | None,
    capability: Capability,
    scale: Callable[[float], float] = lambda number: number,
) -> tuple[Reader, ...]:
    """Read a number; `scale` takes it from the device's scale to ours."""

    def meaning(text: str) -> Values:
        return NOTHING if text in UNKNOWN else {capability: scale(number(text))}

    return text_reader(topic, template, meaning, capability)


def words_writer(
    topic: str | None, template: Template | None, capability: Capability, payloads: Mapping[str, str | None]
) -> tuple[Writer, ...]:
    """Write the payload of a word; the mapping goes from value to payload, None where there is none."""
    known = {word: payload for word, payload in payloads.items() if payload is not None}
    if topic is None or not known:
        return ()
    return (Writer(capability, lambda value: (say(topic, template, known[str(value)]),), tuple(known)),)


def number_writer(
    topic: str | None,
    template: Template | None,
    capability: Capability,
    scale: Callable[[float], float] = lambda value: value,
    back: Callable[[float], float] = lambda number: number,
) -> tuple[Writer, ...]:
    """Write a number; `scale` takes it from our scale to the device's, `back` from there to what we shall read."""
    if topic is None:
        return ()
    return (
        Writer(
            capability,
            lambda value: (say(topic, template, plain(scale(float(value)))),),
            settle=lambda value: back(scale(value)),
        ),
    )


def say(topic: str, template: Template | None, value: str | float, **variables: Any) -> Message:
    """Make the message: the template's text, or the value as it is. Raise PayloadError if the template fails."""
    text = str(value) if template is None else template.render(value=value, **variables)
    if text is None:
        raise PayloadError(f"command template needs what it is not given: {template.source if template else '':.60}")
    return Message(topic, text.encode())


def opened(percent: float, *, has_state: bool) -> Values:
    """Return the position and what follows from it: always at the ends, in between only if nothing else tells."""
    if percent in PERCENT:
        return {"position": percent, "opening": "open" if percent else "closed"}
    return {"position": percent} if has_state else {"position": percent, "opening": "open"}


def percent_of(most: float) -> Callable[[float], float]:
    """Return how a level from 0 to `most` becomes whole percent."""
    return lambda raw: float(min(max(round(raw * 100 / most), 0), 100))


def raw_of(most: float) -> Callable[[float], float]:
    """Return how percent become a whole level from 1 to `most`: no light at all is another order."""
    return lambda percent: max(1, round(percent / 100 * most))


def options_of(told: Sequence[Option]) -> Mapping[str, Option]:
    """Return a device's options by what they are called: as words of speech, or in lower case where two sound alike.

    Raise PayloadError if there are too many, or two are called the same.
    """
    if not 0 < len(told) <= MOST_OPTIONS:
        raise PayloadError(f"options: {len(told)}, expected 1 to {MOST_OPTIONS}")
    plain_words = [" ".join(str(option).lower().split()) for option in told]
    said = Counter(words_of(word) for word in plain_words)
    called: dict[str, Option] = {}
    for option, spelled in zip(told, plain_words, strict=True):
        if not spelled or len(spelled) > LONGEST_OPTION or not spelled.isprintable():
            raise PayloadError(f"options: expected 1 to {LONGEST_OPTION} characters, found {option!a:.40}")
        word = words_of(spelled)
        word = word if word and said[word] == 1 else spelled
        if word in called:
            raise PayloadError(f"options: {word!a:.40} stands twice")
        called[word] = option
    return called


def number(text: str) -> float:
    """Return a finite number. Raise PayloadError if the text is none."""
    try:
        value = float(text)
    except ValueError:
        raise PayloadError(f"expected a number, found {text!r:.40}") from None
    if not -1e15 < value < 1e15:  # noqa: PLR2004 - false for NaN; no device measures beyond
        raise PayloadError(f"number out of bounds: {text!r:.40}")
    return value


def plain(value: float) -> float:
    """Return a whole number as an int, so that it is written without `.0`."""
    return int(value) if value == int(value) else round(value, 3)


def _word(capability: Capability, words: Mapping[str, str], text: str) -> Values:
    word: Value | None = words.get(text)
    if word is not None:
        return {capability: word}
    if text in UNKNOWN:
        return NOTHING
    raise PayloadError(f"expected one of {', '.join(words)}, found {text!r:.40}")
