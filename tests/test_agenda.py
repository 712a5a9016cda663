"""Plans and timers over a restart, a damaged file, a clock that jumps, and a kill in the middle."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from homes import NOON, announce, command, known
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeagent.act.later import Planned
from edgeagent.agenda import Agenda, is_same
from edgeagent.errors import SettingsError
from edgeagent.messages import Action, Answer, Device

KETTLE = Device("x:kettle", "Kettle", "switch", frozenset({"power"}), "Kitchen")
ACTION = {
    "id": "u1.1",
    "utterance": "u1",
    "device": "x:kettle",
    "name": "Kettle",
    "kind": "switch",
    "area": None,
    "capability": "power",
    "value": "on",
}
PLANNED = {"due": 1e9, "actions": [ACTION], "text": "turn on the kettle", "is_end": False}
TIMER = {"length_s": 60.0, "due": 1e9, "left_s": None, "label": "tea"}


class Clocks:
    """The calendar, and seconds since the start of a machine."""

    def __init__(self, now_s: float = 1_800_000_000.0, clock_s: float = 500.0) -> None:
        self.now_s = now_s
        self.clock_s = clock_s

    def pass_by(self, seconds: float) -> None:
        self.now_s += seconds
        self.clock_s += seconds

    def agenda(self, path: Path | None) -> Agenda:
        return Agenda(path, lambda: self.now_s, lambda: self.clock_s)


def order(number: int = 1, value: str | float = "on") -> Action:
    return Action(f"u1.{number}", "u1", KETTLE, "power", value, "power is free")


def kept(agenda: Agenda) -> None:
    asyncio.run(agenda.keep())


def test_plans_and_timers_go_on_after_a_restart(tmp_path: Path) -> None:
    clocks, path = Clocks(), tmp_path / "agenda.json"
    before = clocks.agenda(path)
    before.schedule.add((order(), order(2, 21.5)), clocks.now_s + 600, "turn on the kettle", is_end=True)
    before.timers.obey(command("start_timer", duration=300.0, label="tea"), clocks.clock_s)
    kept(before)
    clocks.pass_by(100)
    clocks.clock_s = 3.0  # the machine was started anew
    after = clocks.agenda(path)
    (plan,) = after.schedule.planned
    assert (plan.due_s, plan.text, plan.is_end) == (1_800_000_600.0, "turn on the kettle", True)
    assert [(one.id, one.value, one.allowed_by) for one in plan.actions] == [
        ("u1.1", "on", "power is free"),
        ("u1.2", 21.5, "power is free"),
    ]
    assert all(is_same(one.device, KETTLE) for one in plan.actions)
    (timer,) = after.timers.running
    assert timer.called == "5 minute tea timer"
    assert timer.remaining_s(clocks.clock_s) == 200.0


def test_a_timer_that_ran_out_while_the_machine_was_off_is_due_at_once(tmp_path: Path) -> None:
    clocks, path = Clocks(), tmp_path / "agenda.json"
    before = clocks.agenda(path)
    before.timers.obey(command("start_timer", duration=60.0), clocks.clock_s)
    kept(before)
    clocks.pass_by(3600)
    clocks.clock_s = 1.0
    assert [timer.length_s for timer in clocks.agenda(path).timers.due(clocks.clock_s)] == [60.0]


def test_a_paused_timer_is_paused_after_a_restart(tmp_path: Path) -> None:
    clocks, path = Clocks(), tmp_path / "agenda.json"
    before = clocks.agenda(path)
    before.timers.obey(command("start_timer", duration=60.0), clocks.clock_s)
    clocks.pass_by(20)
    before.timers.obey(command("pause_timer"), clocks.clock_s)
    kept(before)
    clocks.pass_by(1e6)
    clocks.clock_s = 1.0
    after = clocks.agenda(path)
    assert after.timers.due(1e12) == ()
    answer = after.timers.obey(command("resume_timer"), clocks.clock_s)
    assert isinstance(answer, Answer)
    assert answer.text == "Going on, 40 seconds to go."


def test_a_calendar_that_jumps_does_not_move_a_timer(tmp_path: Path) -> None:
    clocks = Clocks()
    agenda = clocks.agenda(tmp_path / "agenda.json")
    agenda.timers.obey(command("start_timer", duration=60.0), clocks.clock_s)
    clocks.now_s += 1e6
    assert agenda.timers.due(clocks.clock_s + 59.9) == ()
    kept(agenda)
    clocks.now_s -= 2e6
    kept(agenda)
    assert len(agenda.timers.due(clocks.clock_s + 60)) == 1


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    clocks, path = Clocks(), tmp_path / "agenda.json"
    before = clocks.agenda(path)
    for _ in range(3):
        before.schedule.add((order(),), clocks.now_s + 60, "x")
        before.timers.obey(command("start_timer", duration=60.0), clocks.clock_s)
    kept(before)
    after = clocks.agenda(path)
    new = after.schedule.add((order(),), clocks.now_s + 60, "x")
    assert isinstance(new, Planned)
    assert len(after.schedule.planned) == 4
    after.timers.obey(command("start_timer", duration=5.0), clocks.clock_s)
    assert len({timer.number for timer in after.timers.running}) == 4


def test_without_a_file_nothing_is_kept_and_nothing_fails(tmp_path: Path) -> None:
    agenda = Agenda(None)
    agenda.schedule.add((order(),), 5.0, "x")
    kept(agenda)
    assert list(tmp_path.iterdir()) == []
    assert Agenda(tmp_path / "none.json").schedule.planned == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"planned": 5}',
        b'{"plans": []}',
        json.dumps({"planned": [{**PLANNED, "due": "soon"}]}).encode(),
        json.dumps({"planned": [{**PLANNED, "due": None}]}).encode(),
        json.dumps({"planned": [{**PLANNED, "due": float("nan")}]}).encode(),
        json.dumps({"planned": [{**PLANNED, "due": float("inf")}]}).encode(),
        b'{"planned": [{"due": 1' + b"0" * 400 + b', "actions": [], "text": "", "is_end": false}]}',
        b'{"planned": [{"due": 1' + b"0" * 5000 + b', "actions": [], "text": "", "is_end": false}]}',
        json.dumps({"planned": [{**PLANNED, "actions": []}]}).encode(),
        json.dumps({"planned": [{**PLANNED, "actions": [{**ACTION, "kind": "rocket"}]}]}).encode(),
        json.dumps({"planned": [{**PLANNED, "actions": [{**ACTION, "capability": "fly"}]}]}).encode(),
        json.dumps({"planned": [{**PLANNED, "actions": [{**ACTION, "value": [1]}]}]}).encode(),
        json.dumps({"planned": [{**PLANNED, "actions": [{**ACTION, "value": float("nan")}]}]}).encode(),
        json.dumps({"planned": [{**PLANNED, "more": 1}]}).encode(),
        json.dumps({"planned": [PLANNED] * 101}).encode(),
        json.dumps({"timers": [{**TIMER, "length_s": 0}]}).encode(),
        json.dumps({"timers": [{**TIMER, "length_s": -5}]}).encode(),
        json.dumps({"timers": [{**TIMER, "length_s": 1e9}]}).encode(),
        json.dumps({"timers": [TIMER] * 51}).encode(),
        b" " * ((4 << 20) + 1),
    ],
)
def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "agenda.json"
    path.write_bytes(content)
    agenda = Agenda(path)
    assert (agenda.schedule.planned, agenda.timers.running) == ((), ())
    assert (tmp_path / "agenda.damaged").read_bytes() == content
    agenda.schedule.add((order(),), 5.0, "x")
    kept(agenda)
    assert len(Agenda(path).schedule.planned) == 1


def test_a_file_cut_anywhere_is_whole_or_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "agenda.json"
    whole = json.dumps({"planned": [PLANNED, PLANNED], "timers": [TIMER]}).encode()
    path.write_bytes(whole)
    assert len(Agenda(path).schedule.planned) == 2
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert Agenda(path).schedule.planned == ()


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_KEYS = st.sampled_from([*PLANNED, *ACTION, *TIMER, "planned", "timers"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.recursive(_LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(_KEYS, one, max_size=4)))
def test_whatever_stands_in_the_file_the_agent_starts(tmp_path: Path, content: object) -> None:
    path = tmp_path / "agenda.json"
    path.write_text(json.dumps({"planned": content, "timers": content}))
    Agenda(path)
    path.write_text(json.dumps({"planned": [{**PLANNED, "actions": content}], "timers": []}))
    Agenda(path)
    path.write_text(json.dumps({"planned": [{**PLANNED, "text": content}]}))
    Agenda(path)


def test_a_folder_in_the_place_of_the_file_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "agenda.json").mkdir()
    assert Agenda(tmp_path / "agenda.json").schedule.planned == ()


def test_what_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    agenda = Agenda(tmp_path / "file" / "agenda.json")
    agenda.schedule.add((order(),), 5.0, "x")
    with pytest.raises(SettingsError) as error:
        kept(agenda)
    assert "state_dir" in error.value.remedy
    assert len(agenda.schedule.planned) == 1


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "agenda.json"
    kept(Agenda(path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_device_that_was_renamed_or_moved_or_is_another_thing_is_not_the_same() -> None:
    devices = known()
    kettle = announce(devices, "switch", "kettle", "Kettle", "Kitchen")
    assert is_same(kettle, kettle)
    assert not is_same(kettle, announce(devices, "switch", "kettle", "Saw", "Kitchen"))
    assert not is_same(kettle, announce(devices, "switch", "kettle", "Kettle", "Workshop"))
    assert not is_same(kettle, announce(devices, "switch", "kettle", "Kettle"))
    assert not is_same(kettle, announce(devices, "switch", "kettle", "Kettle", "Kitchen", edgeagent_kind="machine"))
    assert is_same(kettle, announce(devices, "switch", "kettle", "Kettle", "Kitchen", dev_cla="outlet"))


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from edgeagent.agenda import Agenda
from edgeagent.messages import Action, Device

async def main():
    agenda = Agenda(Path(sys.argv[1]))
    device = Device("x:kettle", "Kettle", "switch", frozenset({"power"}), "Kitchen")
    for number in range(1, 100):
        agenda.schedule.add((Action(f"u{number}", "u", device, "power", "on"),), 1e9 + number, "x" * 200)
        await agenda.keep()
        print(number, flush=True)

asyncio.run(main())
"""


def test_what_was_told_as_kept_is_there_after_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "agenda.json"
    for wait_lines in (1, 4, 9):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(wait_lines)]
            os.kill(child.pid, signal.SIGKILL)
            told = int([*lines, *child.stdout.readlines()][-1])
        there = len(Agenda(path).schedule.planned)
        assert told <= there <= told + 1
        assert not (tmp_path / "agenda.damaged").exists()


@pytest.mark.parametrize("due", [1e300, 1e12, -1e300])
def test_a_time_that_no_calendar_has_is_damage(tmp_path: Path, due: float) -> None:
    path = tmp_path / "agenda.json"
    path.write_text(json.dumps({"planned": [{**PLANNED, "due": due}]}))
    answer = Agenda(path).schedule.obey(command("list_plans"), NOON)
    assert isinstance(answer, Answer)
    assert answer.text == "Nothing is planned."


def test_an_order_for_very_many_devices_is_kept_or_refused(tmp_path: Path) -> None:
    agenda = Agenda(tmp_path / "agenda.json")
    if isinstance(agenda.schedule.add(tuple(order(number) for number in range(2001)), 5.0, "x"), str):
        return
    try:
        kept(agenda)
    except SettingsError:
        return
    assert len(Agenda(tmp_path / "agenda.json").schedule.planned) == 1


def test_whatever_is_kept_can_be_read_again(tmp_path: Path) -> None:
    agenda = Agenda(tmp_path / "agenda.json")
    for _ in range(100):
        agenda.schedule.add(tuple(order(number) for number in range(300)), 5.0, "x")
    kept(agenda)
    assert len(Agenda(tmp_path / "agenda.json").schedule.planned) == len(agenda.schedule.planned)


def test_of_two_that_keep_at_once_the_later_state_is_kept(tmp_path: Path) -> None:
    async def run() -> None:
        agenda = Agenda(tmp_path / "agenda.json")
        for _ in range(90):
            agenda.schedule.add(tuple(order(number) for number in range(1000)), 5.0, "x")
        first = asyncio.create_task(agenda.keep())
        await asyncio.sleep(0)
        agenda.schedule.remove(agenda.schedule.planned)
        await asyncio.gather(first, agenda.keep())

    asyncio.run(run())
    assert Agenda(tmp_path / "agenda.json").schedule.planned == ()
    assert not (tmp_path / "agenda.damaged").exists()


def test_what_is_due_soon_is_known_and_what_is_overdue_or_paused_holds_nothing_up(tmp_path: Path) -> None:
    clocks, path = Clocks(), tmp_path / "agenda.json"
    rows = [(10.0, None), (1_000.0, None), (-5.0, None), (10.0, 7.0)]
    for due_s, left_s in rows:
        timer = {**TIMER, "due": clocks.now_s + due_s, "left_s": left_s}
        path.write_text(json.dumps({"planned": [], "timers": [timer]}))
        assert clocks.agenda(path).is_due_within(30.0) is ((due_s, left_s) == rows[0])
        path.write_text(json.dumps({"planned": [{**PLANNED, "due": clocks.now_s + due_s}], "timers": []}))
        assert clocks.agenda(path).is_due_within(30.0) is (due_s == rows[0][0])
