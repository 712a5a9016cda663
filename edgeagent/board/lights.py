"""Lamps that show patterns, and lines that say that the microphone is closed: each in a thread of its own.

Rules:
    - Who shows a pattern never waits: it is put down, and the thread woken.
    - Lamps are written to only when they change, and are dark once nobody uses them.
    - Lamps that are slow are written to half of the time at most: they are a chain on two lines of a small board.
    - Lamps that fail are said so once and tried again every half a minute; nothing else suffers from it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

from edgeagent.answer.patterns import LOOKS, Pattern
from edgeagent.board.apa102 import APA102_HZ, WS2812_HZ, Write, apa102, spi, ws2812
from edgeagent.board.errors import BoardError
from edgeagent.board.lines import Line, Lines, OutputLines
from edgeagent.board.showing import OFF, Picture, Shown, changes_in, picture, present, rhythm
from edgeagent.settings import LightSettings, OutputSettings

log = logging.getLogger(__name__)

TRY_AGAIN_S = 30.0
"""Lamps come back when somebody plugs them in or turns SPI on: nobody waits for that."""
ENDS_WITHIN_S = 1.5
"""How long the thread gets to make the lamps dark, as other threads do to end."""
ON: Picture = ((255, 255, 255),)

Draw = Callable[[float], tuple[Picture, float | None]]
"""Returns what is to be seen at a time, and after how many seconds that changes by itself; None: not."""
Paint = Callable[[Picture], None]
"""Makes lamps look like that. Raises BoardError if it cannot."""
Opened = Callable[[], AbstractContextManager[Paint]]
"""Opens lamps while a block runs. Raises BoardError if they cannot be."""
Lit = Callable[[Pattern, float], tuple[Picture, float | None]]
"""Returns how a pattern looks so many seconds after it has begun, and after how many that changes."""


class Animation:
    """Keeps lamps as they are drawn, in a thread."""

    def __init__(
        self, name: str, draw: Draw, opened: Opened, *, clock: Callable[[], float], again_s: float = TRY_AGAIN_S
    ) -> None:
        """Keep what is needed; nothing is opened before `running`."""
        self._name = name
        self._draw = draw
        self._opened = opened
        self._clock = clock
        self._again_s = again_s
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._is_away = False

    def wake(self) -> None:
        """Have it drawn anew at once."""
        self._woken.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Draw while the block runs, and leave the lamps dark."""
        thread = threading.Thread(target=self._work, name=self._name)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._woken.set()
            await asyncio.to_thread(thread.join, ENDS_WITHIN_S)
            if thread.is_alive():
                log.error("lamps do not end", extra={"lamps": self._name})

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                with self._opened() as paint:
                    self._paint(paint)
            except BoardError as error:
                if not self._is_away:
                    self._is_away = True
                    extra = {"lamps": self._name, "problem": str(error), "remedy": error.remedy}
                    log.warning("lamps cannot be used", extra=extra)
                self._ended.wait(self._again_s)

    def _paint(self, paint: Paint) -> None:
        seen: Picture | None = None
        while not self._ended.is_set():
            began_s = self._clock()
            wanted, changes_s = self._draw(began_s)
            if wanted != seen:
                paint(wanted)
                seen = wanted
                if changes_s is not None:
                    changes_s = max(changes_s, self._clock() - began_s)
                if self._is_away:
                    self._is_away = False
                    log.info("lamps are back", extra={"lamps": self._name})
            self._woken.wait(changes_s)
            self._woken.clear()
        if seen is not None:
            paint((OFF,) * len(seen))


class Light:
    """A sign of lamps."""

    def __init__(
        self,
        lit: Lit,
        opened: Opened,
        resting: Callable[[], Pattern],
        *,
        clock: Callable[[], float] = time.monotonic,
        again_s: float = TRY_AGAIN_S,
    ) -> None:
        """`resting` says what is shown while nothing goes on; whoever changes that calls `look`."""
        self._lit = lit
        self._resting = resting
        self._clock = clock
        self._shown = Shown("idle", clock())
        self._animation = Animation("light", self._draw, opened, clock=clock, again_s=again_s)

    def show(self, pattern: Pattern) -> None:
        """Show a pattern from now on."""
        self._shown = Shown(pattern, self._clock())
        self._animation.wake()

    def look(self) -> None:
        """See what is shown while nothing goes on."""
        self._animation.wake()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Shine while the block runs."""
        return self._animation.running()

    def _draw(self, now_s: float) -> tuple[Picture, float | None]:
        shown = self._shown
        seen = present(shown, now_s, self._resting())
        painted, changes_s = self._lit(seen.pattern, max(0.0, now_s - seen.since_s))
        lasts_s = LOOKS[seen.pattern].lasts_s
        if lasts_s is not None:
            left_s = max(0.0, seen.since_s + lasts_s - now_s)
            changes_s = left_s if changes_s is None else min(left_s, changes_s)
        return painted, changes_s


class MuteLine:
    """A line that is on while the microphone is closed, whatever else is shown."""

    def __init__(
        self, name: str, opened: Opened, is_muted: Callable[[], bool], *, again_s: float = TRY_AGAIN_S
    ) -> None:
        """Keep what is needed."""
        self._is_muted = is_muted
        self._animation = Animation(name, self._draw, opened, clock=time.monotonic, again_s=again_s)

    def show(self, pattern: Pattern) -> None:  # noqa: ARG002  # a sign: whatever is shown, this is looked at
        """See whether the microphone is closed."""
        self._animation.wake()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Drive the line while the block runs."""
        return self._animation.running()

    def _draw(self, _: float) -> tuple[Picture, float | None]:
        return (ON if self._is_muted() else (OFF,)), None


def light_of(settings: LightSettings, brightness: float, lines: Callable[[], Lines]) -> tuple[Lit, Opened] | None:
    """Return how these lamps show a pattern, and how they are opened; None where there are none."""

    def shaded(pattern: Pattern, elapsed_s: float) -> tuple[Picture, float | None]:
        look = LOOKS[pattern]
        return picture(look, elapsed_s, settings.count, brightness), changes_in(look, elapsed_s)

    match settings.kind:
        case "none":
            return None
        case "gpio":
            return plain, lambda: on_a_line(Line(settings.line or 0, settings.active_low), lines)
        case "apa102":
            return shaded, lambda: _chain(settings, APA102_HZ, apa102, lines)
        case "ws2812":
            return shaded, lambda: _chain(settings, WS2812_HZ, ws2812, lines)


def mute_line(
    name: str, settings: OutputSettings, lines: Callable[[], Lines], is_muted: Callable[[], bool]
) -> MuteLine:
    """Return a line that says that the microphone is closed."""
    line = Line(settings.line, settings.active_low)
    return MuteLine(name, lambda: on_a_line(line, lines), is_muted)


def plain(pattern: Pattern, elapsed_s: float) -> tuple[Picture, float | None]:
    """Return how a pattern looks on one lamp that is on or off."""
    is_on, changes_s = rhythm(pattern, elapsed_s)
    return (ON if is_on else (OFF,)), changes_s


@contextmanager
def on_a_line(line: Line, lines: Callable[[], Lines]) -> Iterator[Paint]:
    """Open one lamp on a line."""
    with lines().outputs([line]) as output:
        yield lambda picture: output.drive([any(map(any, picture))])


@contextmanager
def _chain(
    settings: LightSettings, speed_hz: int, bytes_of: Callable[[Picture], bytes], lines: Callable[[], Lines]
) -> Iterator[Paint]:
    """Open lamps in a chain, with power where a line must give it."""
    with _powered(settings.power_line, lines), _wire(settings, speed_hz, lines) as write:
        yield lambda picture: write(bytes_of(picture))


@contextmanager
def _powered(offset: int | None, lines: Callable[[], Lines]) -> Iterator[None]:
    if offset is None:
        yield
        return
    with lines().outputs([Line(offset)]) as power:
        power.drive([True])
        yield


@contextmanager
def _wire(settings: LightSettings, speed_hz: int, lines: Callable[[], Lines]) -> Iterator[Write]:
    if settings.spi is not None:
        with spi(Path(settings.spi), speed_hz) as write:
            yield write
        return
    with lines().outputs([Line(settings.data_line or 0), Line(settings.clock_line or 0)]) as two:
        yield lambda data: _shift_out(two, data)


def _shift_out(two: OutputLines, data: bytes) -> None:
    """Send bytes bit by bit, highest first: data, then the clock goes up, which is when lamps look."""
    for byte in data:
        for bit in range(7, -1, -1):
            is_one = bool(byte >> bit & 1)
            two.drive([is_one, False])
            two.drive([is_one, True])
    two.drive([False, False])
