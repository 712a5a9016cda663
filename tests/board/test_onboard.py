"""What a person does with a button or a switch reaches the agent, and lamps say how things are."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, Mosquitto, eventually, mosquitto, run
from brokers import settings as broker_settings
from wires import Bench, Wire

from edgeagent.agent import Agent, Parts
from edgeagent.bell import BELL, Wish
from edgeagent.board.lines import LABELS, Line
from edgeagent.board.nouns import HatLight, HatLine, HatMatch, HatProfile
from edgeagent.board.onboard import Fittings, OnBoard, fittings, on_board, wish_of
from edgeagent.duties import doing
from edgeagent.errors import SettingsError
from edgeagent.lifetimes import opened
from edgeagent.messages import Answer, Step, Woken
from edgeagent.muting import is_muted
from edgeagent.reports import Reports
from edgeagent.settings import (
    AgentSettings,
    BoardSettings,
    ContactSettings,
    DeviceSettings,
    FleetSettings,
    LightSettings,
    OutputSettings,
    UnderstandingSettings,
    parse,
)
from edgeagent.unenrolled import Standing, leave

needs_mosquitto = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
BUTTON, SWITCH, LAMP, CUT, LIGHT = 17, 4, 22, 23, 25
HAT = HatProfile(
    id="some-hat",
    title="Some HAT",
    status="untested-hardware",
    match=HatMatch(),
    light=HatLight(kind="apa102", count=3, spi="/dev/spidev0.0"),
    button=HatLine(line=17),
    mute=HatLine(line=4, active_low=False),
)


def test_a_short_press_asks_for_an_ear_and_a_long_one_closes_or_opens_the_microphone() -> None:
    found = {
        (muted, held): (
            wish_of("short", is_muted=muted, is_held_closed=held),
            wish_of("long", is_muted=muted, is_held_closed=held),
            wish_of("stuck", is_muted=muted, is_held_closed=held),
        )
        for muted, held in product((False, True), repeat=2)
    }
    assert found == {
        (False, False): ("listen", "mute", None),
        (False, True): ("listen", "mute", None),
        (True, False): (None, "unmute", None),
        (True, True): (None, None, None),  # what a switch holds closed no finger opens
    }


def test_a_hat_gives_what_the_owner_has_not_said() -> None:
    assert fittings(BoardSettings(), None, ()) == Fittings(LABELS)
    assert fittings(BoardSettings(), HAT, ("pinctrl-rp1",)) == Fittings(
        ("pinctrl-rp1",),
        LightSettings(kind="apa102", count=3, spi="/dev/spidev0.0"),
        ContactSettings(line=17),
        ContactSettings(line=4, active_low=False),
    )
    own = BoardSettings(chip="mine", light=LightSettings(kind="none"), button=ContactSettings(line=3))
    found = fittings(own, HAT, ("pinctrl-rp1",))
    assert found.labels == ("mine",)
    assert found.light == LightSettings(kind="none")
    assert found.button == ContactSettings(line=3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[board.light]\nkind = 'gpio'\n", "a lamp of kind gpio needs a line"),
        ("[board.light]\nkind = 'apa102'\ndata_line = 3\n", "need spi, or data_line and clock_line"),
        ("[board.light]\nkind = 'ws2812'\nline = 3\n", "need spi"),
        ("[board.light]\nkind = 'neon'\n", "s.toml:2: board.light.kind"),
        ("[board.light]\nkind = 'apa102'\nspi = '/etc/passwd'\n", "s.toml:3: board.light.spi"),
        ("[board.light]\nkind = 'gpio'\nline = 3\ncount = 0\n", "s.toml:4: board.light.count"),
        ("[board.button]\nlin = 3\n", "did you mean line?"),
        ("[board]\nbrightness = 2\n", "s.toml:2: board.brightness"),
        ("[board.button]\nline = 512\n", "less than or equal to 511, found 512"),
    ],
)
def test_a_mistake_in_the_settings_of_the_board_says_where(text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, "s.toml")
    assert expected in str(caught.value)


def test_the_fleet_may_not_touch_the_board_unless_the_owner_says_so() -> None:
    assert not [one for one in FleetSettings().may_set if one.startswith(("board", "*"))]


def test_a_hat_that_nobody_knows_is_a_mistake_that_names_the_nearest() -> None:
    settings = AgentSettings(board=BoardSettings(hat="respeaker-2mic-v3"))

    async def test() -> None:
        async with on_board(settings, threading.Event()):
            pass

    with pytest.raises(SettingsError, match="did you mean respeaker-2mic-v"):
        asyncio.run(test())


@dataclass
class Seat:
    """An agent with a button, a switch, a lamp and mute lines, on a bench."""

    agent: Agent
    parts: Parts
    bench: Bench
    body: OnBoard
    steps: list[Step]
    wishes: list[Wish] = field(default_factory=list)

    @property
    def button(self) -> Wire:
        return self.bench.wires[BUTTON]

    def driven(self, offset: int) -> list[bool]:
        """Return what a line of ours was made."""
        return [value for one in self.bench.driven if one.lines[0].offset == offset for (value,) in one.history]


@asynccontextmanager
async def seat(
    folder: Path, broker: Mosquitto, bench: Bench, muted: threading.Event | None = None
) -> AsyncIterator[Seat]:
    settings = AgentSettings(
        device=DeviceSettings(state_dir=folder),
        broker=broker_settings(broker.port),
        understanding=UnderstandingSettings(model="off"),
        board=BoardSettings(
            chip="bench",
            light=LightSettings(kind="gpio", line=LIGHT),
            button=ContactSettings(line=BUTTON),
            mute_switch=ContactSettings(line=SWITCH) if SWITCH in bench.wires else None,
            mute_lamp=OutputSettings(line=LAMP),
            mute_cut=OutputSettings(line=CUT, active_low=True),
        ),
    )
    steps: list[Step] = []
    parts = Parts(steps.append, muted=muted or threading.Event())
    async with (
        on_board(settings, parts.muted, lambda: bench, folder) as body,
        opened(settings, body.shown_by(parts), Reports(settings.device)) as agent,
    ):
        here = Seat(agent, parts, bench, body, steps)

        def rung(wish: Wish) -> None:
            here.wishes.append(wish)
            agent.rung(wish)

        async with doing(body.duties(rung, lambda: agent.bus.is_connected)):
            yield here


@asynccontextmanager
async def wires(*offsets: int, closed: tuple[int, ...] = ()) -> AsyncIterator[Bench]:
    bench = Bench({offset: Wire(is_active=offset in closed) for offset in offsets})
    try:
        yield bench
    finally:
        for wire in bench.wires.values():
            wire.close()


@needs_mosquitto
def test_a_short_press_rings_the_bell_and_a_long_one_closes_the_microphone_and_shows_it(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with wires(BUTTON) as bench, seat(tmp_path, broker, bench) as here:
                await eventually(lambda: Line(BUTTON, is_active_low=True) in bench.asked)
                here.button.press(0.2)
                await eventually(lambda: here.wishes == ["listen"])
                assert here.parts.bell.heard() == BELL
                here.button.press(2.0)
                await eventually(here.parts.muted.is_set)
                assert is_muted(tmp_path)
                await eventually(lambda: here.driven(LAMP)[-1:] == here.driven(CUT)[-1:] == [True])
                await eventually(lambda: here.driven(LIGHT)[-1:] == [True])  # the wink of a closed microphone
                here.button.press(0.2)
                here.button.press(2.0)
                await eventually(lambda: not here.parts.muted.is_set())
                assert here.wishes == ["listen", "mute", "unmute"], "who is muted is not listened to"
                assert here.parts.bell.heard() is None
                assert not is_muted(tmp_path)
                await eventually(lambda: here.driven(LAMP)[-1:] == here.driven(CUT)[-1:] == [False])
            assert all(one.is_released and not any(one.history[-1]) for one in bench.driven), "dark in the end"

    run(journey())


@needs_mosquitto
def test_what_goes_on_is_shown_beside_a_closed_microphone_and_hides_it_nowhere(tmp_path: Path) -> None:
    async def journey() -> None:
        muted = threading.Event()
        muted.set()
        with mosquitto() as broker:
            async with wires(BUTTON) as bench, seat(tmp_path, broker, bench, muted) as here:
                await eventually(lambda: here.driven(LAMP) == [True])
                for step in (Woken("okay nabu"), Answer("a", "No.", is_trouble=True)):
                    here.agent._show(step)  # noqa: SLF001  # as the agent does with each step
                await eventually(lambda: len(here.driven(LIGHT)) > 2)
                assert here.driven(LAMP) == here.driven(CUT) == [True]

    run(journey())


@needs_mosquitto
def test_a_switch_is_followed_and_opens_only_what_it_has_closed(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with wires(BUTTON, SWITCH, closed=(SWITCH,)) as bench, seat(tmp_path, broker, bench) as here:
                await eventually(here.parts.muted.is_set)
                await eventually(here.body.held_closed.is_set)
                here.button.press(2.0)
                bench.wires[SWITCH].drive((1.0, False))
                await eventually(lambda: not here.parts.muted.is_set())
                assert here.wishes == ["mute", "unmute"], "the finger has opened nothing"
            muted = threading.Event()
            muted.set()
            async with wires(BUTTON, SWITCH) as bench, seat(tmp_path, broker, bench, muted) as here:
                await eventually(lambda: len(bench.asked) == 2)
                here.button.press(0.2)
                bench.wires[SWITCH].drive((1.0, True), (2.0, False))
                await eventually(lambda: here.wishes == ["unmute"])

    run(journey())


@pytest.mark.slow
@needs_mosquitto
def test_a_broker_that_is_away_is_shown_until_it_is_back(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with wires(BUTTON) as bench, seat(tmp_path, broker, bench) as here:
                await eventually(lambda: here.agent.bus.is_connected and not here.body.is_away.is_set())
                await eventually(lambda: here.driven(LIGHT)[-1:] == [False])
                broker.stop()
                await eventually(lambda: here.body.is_away.is_set() and here.driven(LIGHT)[-1:] == [True])
                broker.start()
                await eventually(lambda: not here.body.is_away.is_set() and here.driven(LIGHT)[-1:] == [False])

    run(journey(), 60)


@needs_mosquitto
def test_a_first_boot_that_is_not_at_its_end_is_shown_until_it_is(tmp_path: Path) -> None:
    async def journey() -> None:
        leave(Standing("the token is for another board", "Put the card into that one."), tmp_path)
        with mosquitto() as broker:
            async with wires(BUTTON) as bench, seat(tmp_path, broker, bench) as here:
                await eventually(lambda: here.agent.bus.is_connected and here.body.is_away.is_set())
                await eventually(lambda: here.driven(LIGHT)[-1:] == [True])
                leave(None, tmp_path)
                await eventually(lambda: not here.body.is_away.is_set() and here.driven(LIGHT)[-1:] == [False])

    run(journey())


@needs_mosquitto
def test_a_button_that_is_held_by_another_or_goes_away_is_said_so_and_the_agent_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def journey() -> None:
        with mosquitto() as broker:
            async with wires(BUTTON) as bench:
                bench.held.add(BUTTON)
                async with seat(tmp_path, broker, bench) as here:
                    await eventually(lambda: "a line cannot be used" in caplog.text)
                    here.agent.rung("mute")
                    await eventually(lambda: here.driven(LAMP)[-1:] == [True])

    run(journey())


DAEMON = """
[device]
state_dir = "{state}"
[broker]
embedded_port = 0
[answering]
speech = "off"
{board}
"""
HEARING = """
import sys
from edgeagent.__main__ import main
try:
    main()
finally:
    print("gpiod" in sys.modules, "edgeagent.board.onboard" in sys.modules, file=sys.stderr)
"""


async def _listened(tmp_path: Path, board: str) -> str:
    """Return what the daemon logs that hears a file, with these settings of the board."""
    file = tmp_path / "edgeagent.toml"
    file.write_text(DAEMON.format(state=tmp_path / "state", board=board))
    sound = Path(__file__).parents[2] / "edgeagent" / "demo" / "sounds" / "kitchen-light.flac"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HEARING, "run", "--settings", str(file), "--wav", str(sound), "--fast",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.communicate()
    assert process.returncode == 0, output
    return output.decode()


@pytest.mark.slow
def test_a_daemon_whose_lamps_and_button_are_not_there_says_so_once_each_and_hears_all_the_same(tmp_path: Path) -> None:
    board = '[board]\nhat = "respeaker-2mic-v1"\n[board.mute_lamp]\nline = 22\n'
    output = asyncio.run(_listened(tmp_path, board))
    assert output.count("lamps cannot be used") == 2, "the HAT's, and the mute lamp"
    assert output.count("a line cannot be used") == 1
    assert 'utterance="u1"' in output
    assert output.endswith("True True\n")


@pytest.mark.slow
def test_a_daemon_without_a_board_loads_nothing_of_it(tmp_path: Path) -> None:
    output = asyncio.run(_listened(tmp_path, ""))
    assert 'utterance="u1"' in output
    assert output.endswith("False False\n")
