"""Patterns and time to the colours of lamps, one or a ring. Pure.

Rules:
    - A pattern that is over gives way to what rests: a closed microphone, a broker that is away, or nothing.
    - Motions are told apart without colours: a pulse swells, a blink goes on and off, a spin travels round a ring; one
      lamp alone flashes twice for it.
    - A lamp that has neither colours nor shades has a rhythm for each pattern.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeagent.answer.patterns import LOOKS, Color, Look, Pattern

Picture = tuple[Color, ...]
"""The colour of each lamp, in the order in which they are wired."""

FRAME_S = 0.04
"""How long a picture of a pattern in motion stays: the eye sees no steps."""
LEAST_S = 0.005
"""No picture changes sooner than this, whatever rounding says."""
OFF: Color = (0, 0, 0)
RHYTHMS: Mapping[Pattern, tuple[float, ...]] = {
    "idle": (),
    "listening": (1.0,),
    "thinking": (0.1, 0.1, 0.1, 0.5),
    "done": (0.8,),
    "failed": (0.2, 0.2),
    "question": (0.75, 0.25),
    "muted": (0.1, 2.9),
    "offline": (1.0, 1.0),
}
"""Seconds on, off, on, off: for one lamp that can do no more."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown last, and when on the monotonic clock."""

    pattern: Pattern = "idle"
    since_s: float = 0.0


def present(shown: Shown, now_s: float, resting: Pattern) -> Shown:
    """Return what is to be seen now: what was shown last, or what rests where that is over or was itself at rest."""
    lasts_s = LOOKS[shown.pattern].lasts_s
    if lasts_s is None:
        return Shown(resting, shown.since_s)
    over_s = shown.since_s + lasts_s
    return shown if now_s < over_s else Shown(resting, over_s)


def picture(look: Look, elapsed_s: float, count: int, brightness: float = 1.0) -> Picture:
    """Return the colours of `count` lamps so long after a look has begun; `brightness` is 0..1."""
    return tuple(_dimmed(look.color, level * brightness) for level in levels(look, elapsed_s, count))


def levels(look: Look, elapsed_s: float, count: int) -> Sequence[float]:
    """Return how bright each of `count` lamps is, 0..1."""
    turn = elapsed_s / look.period_s % 1.0
    match look.motion:
        case "off":
            return (0.0,) * count
        case "steady":
            return (1.0,) * count
        case "pulse":
            return ((1 - math.cos(2 * math.pi * turn)) / 2,) * count
        case "blink":
            return (1.0 if turn < 0.5 else 0.0,) * count  # noqa: PLR2004  # half a turn
        case "spin":
            return _spin(turn, count)


def changes_in(look: Look, elapsed_s: float) -> float | None:
    """Return after how many seconds the next picture is due; None if this one stays as long as the pattern does."""
    match look.motion:
        case "off" | "steady":
            return None
        case "blink":
            half_s = look.period_s / 2
            return max(LEAST_S, half_s - elapsed_s % half_s)
        case "pulse" | "spin":
            return FRAME_S


def rhythm(pattern: Pattern, elapsed_s: float) -> tuple[bool, float | None]:
    """Return whether the one lamp is on so long after a pattern has begun, and after how many seconds that changes."""
    spans = RHYTHMS[pattern]
    if len(spans) < 2:  # noqa: PLR2004  # there is no off in it
        return bool(spans), None
    rest_s = elapsed_s % sum(spans)
    for number, span_s in enumerate(spans):
        if rest_s < span_s:
            return number % 2 == 0, max(LEAST_S, span_s - rest_s)
        rest_s -= span_s
    return True, LEAST_S  # by rounding, a hair before the next turn


def _spin(turn: float, count: int) -> Sequence[float]:
    """Return a head with a tail of half the ring behind it; for one lamp two flashes in the first half of a turn."""
    if count == 1:
        return (1.0 if turn < 0.125 or 0.25 <= turn < 0.375 else 0.0,)  # noqa: PLR2004  # eighths of a turn
    tail = count / 2
    return tuple(max(0.0, 1 - (turn * count - lamp) % count / tail) for lamp in range(count))


def _dimmed(color: Color, level: float) -> Color:
    """Return a darker colour, which stays the same colour: what shines at all is not rounded to nothing."""
    red, green, blue = (min(255, math.ceil(part * level)) for part in color)
    return red, green, blue
