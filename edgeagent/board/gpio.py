"""Lines of the kernel, by the label of their chip and their offset on it; the only importer of gpiod.

Chips are never named by number: it changes from kernel to kernel.
"""

import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import gpiod
from gpiod.line import Bias, Clock, Direction, Value
from gpiod.line import Edge as Detection

from edgeagent.board.errors import BoardError
from edgeagent.board.lines import Edge, InputLine, Line, OutputLines

DEV = Path("/dev")
CONSUMER = "edgeagent"
"""Whom `gpioinfo` shows as the user of our lines."""
MOST_EDGES = 64
"""Edges that the kernel keeps for us; when there are more, the oldest are lost, and the level is asked for anyway."""


@dataclass(frozen=True, slots=True)
class Header:
    """The lines of the first chip that has one of these labels, best first."""

    labels: tuple[str, ...]
    folder: Path = DEV

    @contextmanager
    def input(self, line: Line) -> Iterator[InputLine]:
        """Have a line to ourselves that others drive, pulled to where it is not active."""
        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Detection.BOTH,
            bias=Bias.PULL_UP if line.is_active_low else Bias.PULL_DOWN,
            active_low=line.is_active_low,
            event_clock=Clock.MONOTONIC,
        )
        with self._requested({line.offset: settings}) as request:
            yield _Input(request, line.offset)

    @contextmanager
    def outputs(self, lines: Sequence[Line]) -> Iterator[OutputLines]:
        """Have lines to ourselves, none of them active yet."""
        settings = {
            line.offset: gpiod.LineSettings(direction=Direction.OUTPUT, active_low=line.is_active_low) for line in lines
        }
        with self._requested(settings) as request:
            yield _Outputs(request, tuple(line.offset for line in lines))

    @contextmanager
    def _requested(self, settings: Mapping[int, gpiod.LineSettings]) -> Iterator[gpiod.LineRequest]:
        try:
            with gpiod.Chip(str(chip_of(self.labels, self.folder))) as chip:
                request = _request(chip, settings)
        except OSError as error:
            raise absent(self.labels, (), [error]) from error
        with request:
            yield request


class _Input:
    """A line of the kernel that others drive."""

    def __init__(self, request: gpiod.LineRequest, offset: int) -> None:
        self._request = request
        self._offset = offset

    def fileno(self) -> int:
        return self._request.fd

    def is_active(self) -> bool:
        try:
            return bool(self._request.get_value(self._offset))
        except OSError as error:
            raise gone((self._offset,), error) from error

    def edges(self) -> Sequence[Edge]:
        try:
            events = self._request.read_edge_events(MOST_EDGES)
        except OSError as error:
            raise gone((self._offset,), error) from error
        # "rising (inactive to active)": linux/gpio.h, GPIO_V2_LINE_FLAG_EDGE_RISING
        return [Edge(one.timestamp_ns / 1e9, one.event_type is one.Type.RISING_EDGE) for one in events]


class _Outputs:
    """Lines of the kernel that we drive."""

    def __init__(self, request: gpiod.LineRequest, offsets: tuple[int, ...]) -> None:
        self._request = request
        self._offsets = offsets

    def drive(self, values: Sequence[bool]) -> None:
        wanted: dict[int | str, Value] = {
            offset: Value.ACTIVE if value else Value.INACTIVE
            for offset, value in zip(self._offsets, values, strict=True)
        }
        try:
            self._request.set_values(wanted)
        except OSError as error:
            raise gone(self._offsets, error) from error


def chip_of(labels: Sequence[str], folder: Path = DEV) -> Path:
    """Return the chip with the first of these labels that there is. Raise BoardError if there is none."""
    found: dict[str, Path] = {}
    refused: list[OSError] = []
    for path in sorted(folder.glob("gpiochip*")):
        if not gpiod.is_gpiochip_device(str(path)):
            continue
        try:
            with gpiod.Chip(str(path)) as chip:
                found.setdefault(chip.get_info().label, path)
        except OSError as error:
            refused.append(error)
    path_of = next((found[label] for label in labels if label in found), None)
    if path_of is None:
        raise absent(labels, tuple(found), refused)
    return path_of


def _request(chip: gpiod.Chip, settings: Mapping[int, gpiod.LineSettings]) -> gpiod.LineRequest:
    """Have lines to ourselves. Raise BoardError if one is absent, busy, or cannot do this."""
    info = chip.get_info()
    if beyond := [offset for offset in settings if offset >= info.num_lines]:
        raise no_such_line(info.label, info.num_lines, beyond[0])
    try:
        return chip.request_lines(dict(settings.items()), CONSUMER, MOST_EDGES)
    except OSError as error:
        lines = [chip.get_line_info(offset) for offset in settings]
        raise refused_line(
            info.label, {one.offset: one.consumer for one in lines if one.used}, settings, error
        ) from error


def absent(labels: Sequence[str], found: Sequence[str], refused: Sequence[OSError]) -> BoardError:
    """Return that there is no chip of these labels: what was found, and what could not be opened."""
    wanted = f"no GPIO chip is labelled {' or '.join(labels)}"
    if any(error.errno in {errno.EACCES, errno.EPERM} for error in refused):
        return BoardError(
            f"{wanted} among those that may be opened; of {len(refused)} the kernel says: Permission denied",
            remedy="Put the agent's user into the group gpio: sudo usermod -aG gpio edgeagent, then start it anew.",
        )
    there = f"there is {', '.join(found)}" if found else "there is none at all"
    return BoardError(f"{wanted}; {there}", remedy="Name the label that `gpiodetect` shows in brackets: [board] chip.")


def no_such_line(label: str, count: int, offset: int) -> BoardError:
    """Return that a chip has no such line."""
    return BoardError(
        f"{label} has {count} lines, 0 to {count - 1}, and none of the number {offset}",
        remedy="Number a line as `gpioinfo` does: on a Raspberry Pi by its BCM number.",
    )


def refused_line(label: str, holders: Mapping[int, str | None], wanted: Iterable[int], error: OSError) -> BoardError:
    """Return why the kernel does not give lines; it does not say which of them is the one, so the holders are named."""
    named = f"{label}, line {' and '.join(map(str, wanted))}"
    if error.errno == errno.EBUSY:
        held = ", ".join(f"{offset} by {holder or 'the kernel'}" for offset, holder in holders.items())
        return BoardError(
            f"{named}: in use{held and f': {held}'}",
            remedy="End the program that holds it, or take the overlay that does out of config.txt: gpioinfo shows it.",
        )
    return BoardError(f"{named}: {error.strerror or error}", remedy="`gpioinfo` shows what the line is used for.")


def gone(offsets: Sequence[int], error: OSError) -> BoardError:
    """Return that lines that we had cannot be used any more."""
    named = " and ".join(map(str, offsets))
    return BoardError(f"line {named}: {error.strerror or error}", remedy="The chip went away: dmesg says when and why.")
