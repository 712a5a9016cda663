"""Lamps follow what is shown, are dark in the end, and fail without harm; lines say that the microphone is closed."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from brokers import eventually
from wires import Bench

from edgeagent.answer.patterns import LOOKS, Pattern
from edgeagent.board.apa102 import apa102
from edgeagent.board.errors import BoardError
from edgeagent.board.lights import ON, Light, MuteLine, light_of, mute_line, plain
from edgeagent.board.lines import Line
from edgeagent.board.showing import OFF, Picture
from edgeagent.settings import LightSettings, OutputSettings

PATIENCE_S = 20.0


@dataclass
class Lamps:
    """Lamps that keep what they were made; the first so many tries to open or to write fail."""

    pictures: "queue.Queue[Picture]" = field(default_factory=queue.Queue)
    fails_to_open: int = 0
    fails_to_paint: int = 0
    opened: int = 0
    threads: set[str] = field(default_factory=set)

    @contextmanager
    def open(self) -> Iterator[Callable[[Picture], None]]:
        self.opened += 1
        if self.opened <= self.fails_to_open:
            raise BoardError("/dev/spidev0.0: No such file or directory", remedy="Turn SPI on.")
        yield self.paint

    def paint(self, picture: Picture) -> None:
        self.threads.add(threading.current_thread().name)
        if self.fails_to_paint:
            self.fails_to_paint -= 1
            raise BoardError("/dev/spidev0.0: Input/output error", remedy="Plug it in.")
        self.pictures.put(picture)

    async def next(self) -> Picture:
        return await asyncio.to_thread(self.pictures.get, timeout=PATIENCE_S)

    async def until(self, picture: Picture) -> None:
        """Wait for a picture, whatever was drawn before somebody showed something."""
        while await self.next() != picture:
            pass

    def rest(self) -> list[Picture]:
        """Return all that was not asked for."""
        found = []
        while not self.pictures.empty():
            found.append(self.pictures.get())
        return found


@dataclass
class Clock:
    """Time that stands still until a test moves it."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def still(pattern: Pattern, _: float) -> tuple[Picture, float | None]:
    """Return one lamp in the pattern's colour, however it moves."""
    return (LOOKS[pattern].color,), None


def light_on(lamps: Lamps, resting: Callable[[], Pattern] = lambda: "idle", clock: Clock | None = None) -> Light:
    return Light(still, lamps.open, resting, clock=clock or Clock(), again_s=0.0)


def color(pattern: Pattern) -> Picture:
    return (LOOKS[pattern].color,)


def test_what_is_shown_is_seen_and_in_the_end_all_is_dark() -> None:
    lamps = Lamps()

    async def test() -> None:
        light = light_on(lamps)
        async with light.running():
            assert await lamps.next() == (OFF,)
            light.show("listening")
            assert await lamps.next() == color("listening")
            light.show("failed")
            assert await lamps.next() == color("failed")
        assert lamps.rest() == [(OFF,)]
        assert lamps.threads == {"light"}

    asyncio.run(test())


def test_lamps_are_written_to_only_when_they_change() -> None:
    lamps = Lamps()

    async def test() -> None:
        light = light_on(lamps)
        async with light.running():
            assert await lamps.next() == (OFF,)
            for _ in range(50):
                light.show("listening")
            assert await lamps.next() == color("listening")
            for _ in range(50):
                light.show("listening")
            light.show("done")
            assert await lamps.next() == color("done")
        assert lamps.rest() == [(OFF,)]

    asyncio.run(test())


def test_what_is_over_gives_way_to_the_closed_microphone() -> None:
    lamps, clock = Lamps(), Clock()
    muted, away = threading.Event(), threading.Event()

    def resting() -> Pattern:
        return "muted" if muted.is_set() else "offline" if away.is_set() else "idle"

    async def test() -> None:
        light = light_on(lamps, resting, clock)
        async with light.running():
            assert await lamps.next() == (OFF,)
            away.set()
            light.look()
            assert await lamps.next() == color("offline")
            muted.set()
            light.show("idle")
            assert await lamps.next() == color("muted")
            light.show("done")
            assert await lamps.next() == color("done")
            clock.now_s += 10
            light.look()
            assert await lamps.next() == color("muted")
            muted.clear()
            light.show("idle")
            assert await lamps.next() == color("offline")
        assert lamps.rest() == [(OFF,)]

    asyncio.run(test())


def test_what_is_over_goes_by_itself_with_nobody_looking() -> None:
    lamps = Lamps()

    async def test() -> None:
        light = Light(still, lamps.open, lambda: "idle")
        async with light.running():
            assert await lamps.next() == (OFF,)
            light.show("done")
            assert await lamps.next() == color("done")
            assert await lamps.next() == (OFF,)
        assert lamps.rest() == [(OFF,)]

    asyncio.run(test())


def test_lamps_that_are_not_there_are_said_so_once_and_tried_until_they_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lamps = Lamps(fails_to_open=5)

    async def test() -> None:
        light = light_on(lamps)
        async with light.running():
            light.show("listening")
            await lamps.until(color("listening"))

    asyncio.run(test())
    assert [record.message for record in caplog.records if "lamps" in record.message] == [
        "lamps cannot be used",
        "lamps are back",
    ]
    assert lamps.opened == 6


def test_lamps_that_go_away_are_opened_again_and_show_what_is_on_then(caplog: pytest.LogCaptureFixture) -> None:
    lamps = Lamps()

    async def test() -> None:
        light = light_on(lamps)
        async with light.running():
            assert await lamps.next() == (OFF,)
            lamps.fails_to_paint = 3
            light.show("failed")
            assert await lamps.next() == color("failed")

    asyncio.run(test())
    assert [record.message for record in caplog.records].count("lamps cannot be used") == 1


def test_lamps_that_never_come_keep_nobody_from_ending() -> None:
    async def test() -> None:
        light = Light(still, Lamps(fails_to_open=1 << 60).open, lambda: "idle")
        async with light.running():
            light.show("listening")

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_showing_does_not_wait_for_lamps_that_hang() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    @contextmanager
    def opened() -> Iterator[Callable[[Picture], None]]:
        begun.set()
        goes_on.wait(PATIENCE_S)
        yield lambda _: None

    async def test() -> None:
        light = Light(still, opened, lambda: "idle")
        async with light.running():
            await asyncio.to_thread(begun.wait, PATIENCE_S)
            for _ in range(1000):
                light.show("listening")
            assert not goes_on.is_set()
            goes_on.set()

    asyncio.run(test())


@pytest.mark.parametrize("active_low", [False, True])
def test_a_line_of_mute_is_on_while_the_microphone_is_closed_whatever_is_shown(active_low: bool) -> None:  # noqa: FBT001
    bench, muted = Bench(), threading.Event()
    muted.set()
    settings = OutputSettings(line=22, active_low=active_low)

    async def test() -> None:
        line = mute_line("mute cut", settings, lambda: bench, muted.is_set)
        async with line.running():
            await eventually(lambda: bool(bench.driven) and bench.driven[0].history == [(True,)])
            line.show("done")
            line.show("listening")
            muted.clear()
            line.show("idle")
            await eventually(lambda: bench.driven[0].history == [(True,), (False,)])
        assert bench.driven[0].lines == (Line(22, active_low),)
        assert bench.driven[0].is_released

    asyncio.run(test())


def painted(settings: LightSettings, bench: Bench, picture: Picture) -> None:
    """Open these lamps and show one picture."""
    found = light_of(settings, 1.0, lambda: bench)
    assert found is not None
    with found[1]() as paint:
        paint(picture)


def test_one_lamp_on_a_line_is_on_or_off() -> None:
    bench = Bench()
    lamp = LightSettings(kind="gpio", line=25, active_low=True)
    painted(lamp, bench, ON)
    painted(lamp, bench, (OFF,))
    assert [one.history for one in bench.driven] == [[(True,)], [(False,)]]
    assert bench.driven[0].lines == (Line(25, is_active_low=True),)
    assert plain("listening", 0.0)[0] == ON
    assert plain("idle", 0.0)[0] == (OFF,)


def test_lamps_on_two_lines_read_the_same_bytes_at_the_rising_clock() -> None:
    bench, picture = Bench(), ((255, 0, 7), (1, 2, 3), (0, 0, 0))
    painted(LightSettings(kind="apa102", count=3, data_line=5, clock_line=6), bench, picture)
    history = bench.driven[0].history
    rises = zip([(False, False), *history], history, strict=False)
    bits = "".join(str(int(data)) for (_, was_high), (data, is_high) in rises if is_high and not was_high)
    assert int(bits, 2).to_bytes(len(bits) // 8, "big") == apa102(picture)
    assert history[-1] == (False, False)


def test_lamps_have_power_before_they_are_written_to() -> None:
    bench = Bench()
    painted(LightSettings(kind="apa102", data_line=5, clock_line=6, power_line=4), bench, ((0, 0, 0),))
    power, wire = bench.driven
    assert power.lines == (Line(4),)
    assert power.history == [(True,)]
    assert wire.lines == (Line(5), Line(6))
    assert bench.held == set()


@pytest.mark.parametrize("kind", ["apa102", "ws2812"])
def test_lamps_on_spi_that_is_off_say_how_to_turn_it_on(kind: str) -> None:
    lamps = LightSettings.model_validate({"kind": kind, "count": 3, "spi": "/dev/spidev99.9"})
    with pytest.raises(BoardError, match=r"spidev99\.9: No such file") as caught:
        painted(lamps, Bench(), ((0, 0, 0),))
    assert "dtparam=spi=on" in caught.value.remedy


def test_a_light_of_no_kind_is_none() -> None:
    assert light_of(LightSettings(kind="none"), 1.0, Bench) is None


def test_brightness_is_that_of_the_settings() -> None:
    found = light_of(LightSettings(kind="apa102", count=2, spi="/dev/spidev0.0"), 0.5, Bench)
    assert found is not None
    assert found[0]("muted", 0.0)[0] == ((128, 0, 0),) * 2


def test_a_mute_line_that_is_busy_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(held={22})

    async def test() -> None:
        line = MuteLine("mute lamp", lambda: _busy(bench), lambda: True, again_s=0.0)
        async with line.running():
            line.show("muted")
            await eventually(lambda: "cannot be used" in caplog.text)
            bench.held.clear()
            await eventually(lambda: bool(bench.driven) and (True,) in bench.driven[-1].history)

    asyncio.run(test())
    assert "bench, line 22: in use" in str([vars(record) for record in caplog.records])


@contextmanager
def _busy(bench: Bench) -> Iterator[Callable[[Picture], None]]:
    with bench.outputs([Line(22)]) as output:
        yield lambda picture: output.drive([picture != (OFF,)])
