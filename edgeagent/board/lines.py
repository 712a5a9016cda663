"""What can be done with the lines of a header, whoever drives them: the kernel's, or a test's that are none."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from edgeagent.board.errors import BoardError

LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835", "tegra234-gpio", "tegra-gpio")
"""Chips of the headers that we know, for boards without a profile: Raspberry Pi 5, 4, and before; Jetson."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line by its offset on the chip: on a Raspberry Pi the BCM number. It is active when high, or when low."""

    offset: int
    is_active_low: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """A line has become active, or has ceased to be; when, on the monotonic clock."""

    at_s: float
    is_active: bool


class InputLine(Protocol):
    """A line that others drive."""

    def fileno(self) -> int:
        """Return the file that can be read from when there are edges."""
        ...

    def is_active(self) -> bool:
        """Tell what it is now. Raise BoardError if that cannot be seen any more."""
        ...

    def edges(self) -> Sequence[Edge]:
        """Return what has happened, which must have; it waits otherwise. Raise BoardError as above."""
        ...


class OutputLines(Protocol):
    """Lines that we drive."""

    def drive(self, values: Sequence[bool]) -> None:
        """Make each line active or not, all at once. Raise BoardError if that cannot be done any more."""
        ...


class Lines(Protocol):
    """The lines of a header."""

    def input(self, line: Line) -> AbstractContextManager[InputLine]:
        """Have a line to ourselves that others drive. Raise BoardError if it is absent, busy, or not for us."""
        ...

    def outputs(self, lines: Sequence[Line]) -> AbstractContextManager[OutputLines]:
        """Have lines to ourselves, none of them active yet. Raise BoardError as above."""
        ...


def header(labels: Sequence[str] = LABELS) -> Lines:
    """Return the lines of the first chip that has one of these labels. Raise BoardError where gpiod is missing."""
    try:
        from edgeagent.board.gpio import Header  # noqa: PLC0415  # who has neither lamps nor buttons needs no gpiod
    except ImportError as error:
        raise BoardError("lines need gpiod, which is not installed", remedy='pip install "edgeagent[board]"') from error
    return Header(tuple(labels))
