"""Jobs and what waits to be told, on the disk: repeated, interrupted, damaged, full, a week of it."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fleet.full_disk import full_disk

from edgeagent.fleet import outbox as module
from edgeagent.fleet.clerk import Clerk
from edgeagent.fleet.outbox import OUTBOX, Outbox, last_job
from edgeagent.fleet.wire import FleetJob, Progress, read

NOW = 1_790_000_000.0


def job(name: str = "j1", kind: Any = "logs", created: float = NOW - 10) -> FleetJob:
    return FleetJob(id=name, kind=kind, created=created)


def told(outbox: Outbox) -> list[tuple[str, str]]:
    found = [read(Progress, one.body, largest=1 << 20) for one in outbox.results(1_000)]
    return [(one.id, one.state) for one in found]


def test_a_job_is_there_after_a_start_and_the_same_one_is_only_told_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX)
    assert outbox.accept(job(), NOW).state == "accepted"
    outbox.step("j1", "working", NOW + 1)
    outbox.step("j1", "done", NOW + 2, result={"lines": ["a"]})
    outbox.close()
    outbox = Outbox(tmp_path / OUTBOX)
    assert outbox.begin(NOW + 3) is None
    assert outbox.accept(job(), NOW + 4).state == "done"  # A49
    assert told(outbox) == [("j1:1", "accepted"), ("j1:2", "working"), ("j1:3", "done"), ("j1:3", "done")]
    assert last_job(tmp_path) == "j1"
    assert last_job(tmp_path / "nowhere") == ""


def test_a57_what_was_not_acknowledged_is_told_again_after_a_start_under_the_same_number(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX)
    outbox.accept(job(), NOW)
    outbox.step("j1", "failed", NOW, code="x")
    first, second = outbox.results()
    outbox.acknowledge(first.seq)
    outbox.close()
    (left,) = Outbox(tmp_path / OUTBOX).results()
    assert left == second


def test_an_interrupted_job_has_failed_and_a_restart_has_been_done(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX)
    for name, kind, state in (("a", "diagnostics", "failed"), ("b", "restart", "done")):
        outbox.accept(job(name, kind), NOW)
        outbox.step(name, "working", NOW)
        assert outbox.begin(NOW + 1) is None
        found = outbox.job(name)
        assert found is not None
        assert found.state == state
    outbox.accept(job("c", "settings"), NOW)
    outbox.step("c", "working", NOW)
    assert outbox.begin(NOW + 1) == outbox.job("c")


def test_a_job_that_has_ended_takes_no_further_step_and_one_that_is_not_known_none(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX)
    outbox.accept(job(), NOW)
    outbox.step("j1", "cancelled", NOW)
    found = outbox.step("j1", "done", NOW)
    assert found is not None
    assert found.state == "cancelled"
    assert outbox.step("j2", "done", NOW) is None
    with pytest.raises(ValueError, match="JSON"):
        outbox.step("j1", "done", NOW, result={"x": float("nan")})


@pytest.mark.slow
def test_a54_a_week_without_the_fleet_keeps_results_and_the_newest_samples_within_bounds(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX)
    outbox.accept(job("important"), NOW)
    outbox.step("important", "done", NOW, result={"found": 1})
    for number in range(module.MOST_SAMPLES + 700):
        outbox.keep_sample(json.dumps({"number": number, "padding": "x" * 700}).encode())
    assert outbox.dropped() == 700
    first = json.loads(outbox.samples(1)[0][1])
    assert first["number"] == 700, "the oldest went"
    assert len(outbox.samples(10_000)) == module.MOST_SAMPLES
    assert ("important:2", "done") in told(outbox)
    assert sum(path.stat().st_size for path in (tmp_path / "fleet").iterdir()) < 16 << 20
    for seq, _ in outbox.samples(10_000):
        outbox.forget_sample(seq)
    assert outbox.samples() == []


def test_results_stay_within_bounds_too_the_ends_last_and_the_large_ones_in_short(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX)
    for number in range(module.MOST_TOLD):
        outbox.accept(job(f"j{number}", created=NOW), NOW)
        outbox.step(f"j{number}", "working", NOW)
        outbox.step(f"j{number}", "done", NOW, result={"large": "x" * 2_000})
    waiting = outbox.results(10_000)
    assert len(waiting) == module.MOST_TOLD
    assert {state for _, state in told(outbox)} == {"done"}
    assert sum(len(one.body) > 2_000 for one in waiting) <= module.MOST_WHOLE_TOLD
    assert "too large" in json.loads(waiting[0].body)["problem"]
    assert outbox.job("j0") is None
    newest = outbox.job(f"j{module.MOST_TOLD - 1}")
    assert newest is not None
    assert newest.result == {"large": "x" * 2_000}


@pytest.mark.parametrize("content", [b"", b"no database" * 1_000, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_damaged_file_is_set_aside_and_begun_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / OUTBOX
    path.parent.mkdir()
    path.write_bytes(content)
    outbox = Outbox(path)
    assert outbox.is_durable
    assert outbox.accept(job(), NOW).state == "accepted"
    assert ("damaged" in caplog.text) == bool(content)
    outbox.close()
    assert Outbox(path).job("j1") is not None


def test_rows_that_are_nothing_of_ours_are_damage_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / OUTBOX
    outbox = Outbox(path)
    outbox.accept(job(), NOW)
    outbox.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE jobs SET job = '{}'")
    database.close()
    outbox = Outbox(path)
    assert outbox.job("j1") is None
    assert "damaged" in caplog.text


def test_a_file_that_is_damaged_while_it_is_open_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / OUTBOX
    outbox = Outbox(path)
    outbox.accept(job(), NOW)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE told")
    database.close()
    assert outbox.accept(job("j2"), NOW).state == "accepted"
    assert outbox.is_durable
    assert told(outbox) == [("j2:1", "accepted")]


def test_on_a_full_disk_it_goes_on_in_memory_and_knows_what_it_knew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path / OUTBOX)
    outbox.accept(job(), NOW)
    with full_disk():
        assert outbox.accept(job("j2"), NOW).state == "accepted"
    assert not outbox.is_durable
    assert outbox.job("j1") is not None, "what could be read is not done again"
    assert "in memory" in caplog.text
    outbox.keep_sample(b"{}")
    assert len(outbox.samples()) == 1


def test_where_no_file_can_be_made_memory_stands_in(tmp_path: Path) -> None:
    (tmp_path / "fleet").write_text("")
    outbox = Outbox(tmp_path / OUTBOX)
    assert not outbox.is_durable
    assert outbox.accept(job(), NOW).state == "accepted"


def test_where_the_disk_refuses_even_to_say_what_there_is_memory_stands_in(tmp_path: Path) -> None:
    state = tmp_path / ("x" * 300)  # the kernel refuses such a name, as it does what is another user's
    with pytest.raises(OSError, match="too long"):
        (state / OUTBOX).exists()
    assert last_job(state) == ""
    clerk = Clerk(state)
    assert not clerk.has_anything
    assert asyncio.run(clerk(lambda outbox: outbox.accept(job(), NOW))).state == "accepted"
    assert (clerk.has_anything, clerk.is_durable) == (True, False)
    clerk.close()


def test_the_job_that_the_pointer_named_last_is_remembered_of_whatever_kind(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX)
    outbox.accept(job("j1"), NOW)
    outbox.see("update-7")
    outbox.close()
    assert last_job(tmp_path) == "update-7"
    outbox = Outbox(tmp_path / OUTBOX)
    outbox.accept(job("j1"), NOW)
    assert outbox.last() == "j1", "it came again"
    outbox.close()


_CYCLE = """
import sys
from pathlib import Path
from edgeagent.fleet.outbox import Outbox
from edgeagent.fleet.wire import FleetJob
outbox = Outbox(Path(sys.argv[1]))
number = int(outbox.last() or 0)
while True:
    number += 1
    outbox.accept(FleetJob(id=str(number), kind="logs", created=1.0), 2.0)
    print(number, flush=True)
    outbox.step(str(number), "working", 3.0)
    outbox.step(str(number), "done", 4.0)
"""


def test_a_kill_at_any_moment_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / OUTBOX
    for kill in range(8):
        process = subprocess.Popen([sys.executable, "-c", _CYCLE, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(1 + kill):
            accepted = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        outbox = Outbox(path)
        assert int(outbox.last()) >= accepted
        found = outbox.job(str(accepted))
        assert found is not None
        numbers = [int(name.partition(":")[2]) for name, _ in told(outbox) if name.startswith(f"{accepted}:")]
        assert numbers == list(range(1, found.step + 1)), "every step is told, once"
        outbox.close()
