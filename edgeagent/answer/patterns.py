"""What the device shows without a word: which pattern belongs to which step, and how each looks. Pure.

The names are the same on every board; whether it is a ring, one lamp or a screen is the board's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from edgeagent.messages import Answer, Command, Outcome, Question, Rejection, Step, Woken

Pattern = Literal["idle", "listening", "thinking", "done", "failed", "question", "muted", "offline"]
Motion = Literal["off", "steady", "pulse", "blink", "spin"]
Color = tuple[int, int, int]
"""Red, green and blue, each 0..255."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a pattern looks: one `motion` takes `period_s`; after `lasts_s` it is over, None: until the next one."""

    color: Color
    motion: Motion
    period_s: float = 1.0
    lasts_s: float | None = None


LOOKS: Mapping[Pattern, Look] = {
    "idle": Look((0, 0, 0), "off"),
    "listening": Look((0, 90, 255), "steady", lasts_s=8.0),
    "thinking": Look((0, 90, 255), "spin", 0.8, 6.0),
    "done": Look((0, 200, 40), "steady", lasts_s=0.8),
    "failed": Look((255, 30, 0), "blink", 0.4, 2.0),
    "question": Look((255, 160, 0), "pulse", 1.0, 10.0),
    "muted": Look((255, 0, 0), "steady"),
    "offline": Look((255, 0, 200), "blink", 2.0),
}
"""Told apart by motion as well as by colour: not everybody sees red and green."""


class Sign(Protocol):
    """Something that shows patterns; it never waits."""

    def show(self, pattern: Pattern) -> None:
        """Show a pattern from now on."""
        ...


def pattern_of(step: Step) -> Pattern | None:
    """Return what a step is shown by; None where it changes nothing."""
    match step:
        case Woken():
            return "listening"
        case Command():
            return "thinking"
        case Question():
            return "question"
        case Outcome(status=status):
            return "done" if status == "done" else "failed"
        case Rejection(reason=reason):
            return None if reason in {"no-words", "not-speech-we-know", "not-a-command", "nothing-meant"} else "failed"
        case Answer(is_trouble=is_trouble):
            return "failed" if is_trouble else None
    return None
