"""Settings of the fleet on the disk: over starts, power cuts at any step, a full disk, a damaged file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fleet.full_disk import full_disk

from edgeagent.fleet.settings_kept import SETTINGS, KeptSettings
from edgeagent.fleet.wire import Desired
from edgeagent.settings import AgentSettings, parse


def owners(state: Path, more: str = "") -> AgentSettings:
    return parse(f'[device]\nstate_dir = "{state}"\n{more}')


def started(state: Path) -> KeptSettings:
    kept = KeptSettings(owners(state))
    kept.start()
    return kept


WANTED = Desired(version=1, settings={"hearing.vad_mode": 3})


def test_settings_are_tried_at_the_next_start_and_kept_from_then_on(tmp_path: Path) -> None:
    kept = started(tmp_path)
    kept.desire(WANTED, is_reached=True)
    assert (kept.is_new_start_due, kept.settings.hearing.vad_mode, kept.report().standing) == (True, 2, "waiting")
    kept = started(tmp_path)
    assert (kept.is_new_start_due, kept.settings.hearing.vad_mode, kept.report().standing) == (False, 3, "trial")
    kept.reach()
    for _ in range(6):
        kept = started(tmp_path)
        assert (kept.settings.hearing.vad_mode, kept.report().standing) == (3, "applied")


def test_three_starts_that_do_not_last_and_the_settings_before_are_back(tmp_path: Path) -> None:
    started(tmp_path).desire(WANTED, is_reached=True)
    assert [started(tmp_path).report().standing for _ in range(5)] == ["trial", "trial", "trial", "undone", "undone"]
    assert started(tmp_path).settings.hearing.vad_mode == 2


def test_undone_settings_need_a_new_start_and_no_second_one(tmp_path: Path) -> None:
    started(tmp_path).desire(WANTED, is_reached=True)
    kept = started(tmp_path)
    kept.undo("cut off")
    assert kept.is_new_start_due
    kept = started(tmp_path)
    assert (kept.is_new_start_due, kept.report().standing, kept.report().problem) == (False, "undone", "cut off")
    kept.desire(WANTED, is_reached=True)  # it is retained, so it comes again
    assert (kept.is_new_start_due, kept.report().standing) == (False, "undone")


def test_what_the_owner_no_longer_allows_is_not_in_force_until_it_is_allowed_again(tmp_path: Path) -> None:
    started(tmp_path).desire(WANTED, is_reached=True)
    started(tmp_path).reach()
    kept = KeptSettings(owners(tmp_path, "[fleet]\nmay_set = []\n"))
    assert kept.start().hearing.vad_mode == 2
    assert (kept.report().standing, kept.is_new_start_due) == ("undone", False)
    assert "may_set" in kept.report().problem
    assert not kept.may_fit_later, "the owner has said so"
    kept = started(tmp_path)
    assert (kept.settings.hearing.vad_mode, kept.report().standing, kept.report().problem) == (3, "applied", "")


def test_what_was_kept_outlives_an_error_that_may_be_none_of_its_fault(tmp_path: Path) -> None:
    started(tmp_path).desire(WANTED, is_reached=True)
    started(tmp_path).reach()
    kept = started(tmp_path)
    kept.undo("the model cannot be read")
    assert (kept.settings.hearing.vad_mode, kept.report().standing, kept.is_new_start_due) == (2, "undone", False)
    assert started(tmp_path).settings.hearing.vad_mode == 3
    kept.desire(Desired(version=2, settings={"hearing.vad_mode": 1}), is_reached=True)
    assert kept.is_new_start_due
    assert started(tmp_path).settings.hearing.vad_mode == 1


def test_a_damaged_file_is_set_aside_and_what_is_wanted_can_come_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / SETTINGS
    path.parent.mkdir()
    for content in (b"{", b"\xff" * 100, b"[" * 100_000, b'{"version": 1}', b"x" * 300_000):
        path.write_bytes(content)
        kept = started(tmp_path)
        assert kept.report().standing == "none"
        assert path.with_suffix(".damaged").read_bytes() == content
    assert "damaged" in caplog.text
    kept.desire(WANTED, is_reached=True)
    assert kept.report().standing == "waiting"


def test_a_file_that_cannot_be_read_stays_where_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / SETTINGS
    path.mkdir(parents=True)  # cannot be read, whoever asks
    assert started(tmp_path).settings.hearing.vad_mode == 2
    assert path.is_dir()
    assert "cannot be read" in caplog.text


def test_where_nothing_can_be_written_nothing_is_tried_and_the_fleet_is_told(tmp_path: Path) -> None:
    kept = started(tmp_path)
    with full_disk():
        kept.desire(WANTED, is_reached=True)
    assert (kept.is_new_start_due, kept.report().standing) == (False, "refused")
    assert "look at the disk" in kept.report().problem
    kept.desire(WANTED, is_reached=True)  # the same version again
    assert kept.report().standing == "waiting"


def test_a_start_that_cannot_be_counted_goes_with_what_was_good(tmp_path: Path) -> None:
    started(tmp_path).desire(WANTED, is_reached=True)
    with full_disk():
        kept = started(tmp_path)
    assert (kept.settings.hearing.vad_mode, kept.is_new_start_due) == (2, False), "no endless new starts"
    assert started(tmp_path).settings.hearing.vad_mode == 3


_CYCLE = """
import sys
from edgeagent.fleet.settings_kept import KeptSettings
from edgeagent.fleet.wire import Desired
from edgeagent.settings import parse
kept = KeptSettings(parse(f'[device]\\nstate_dir = "{sys.argv[1]}"'))
kept.start()
print("go", flush=True)
version = kept.kept.version
while True:
    version += 1
    settings = {"hearing.vad_mode": version % 2, "hearing.cap_s": 5.0}
    kept.desire(Desired(version=version, settings=settings), is_reached=True)
    kept.start()
    kept.reach()
"""


@pytest.mark.slow
def test_a_power_cut_at_any_moment_leaves_the_one_or_the_other_settings_whole(tmp_path: Path) -> None:
    highest = 0
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", _CYCLE, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        written = (tmp_path / SETTINGS).stat().st_ino if (tmp_path / SETTINGS).exists() else 0
        while not (tmp_path / SETTINGS).exists() or (tmp_path / SETTINGS).stat().st_ino == written:
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        kept = KeptSettings(owners(tmp_path))
        assert kept.kept.version >= highest
        highest = kept.kept.version
        assert kept.start().hearing.vad_mode in {0, 1, 2}
        assert not (tmp_path / SETTINGS).with_suffix(".damaged").exists()
    assert highest > 0
