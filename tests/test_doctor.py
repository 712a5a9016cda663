"""The doctor says what stands in the way, and what to type."""

import asyncio
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from board.device_trees import board, needs_dtc

from edgeagent import doctor
from edgeagent.doctor import Finding, examine
from edgeagent.errors import BusError
from edgeagent.settings import AgentSettings, AnswerSettings, DeviceSettings, MicrophoneSettings, UnderstandingSettings
from edgeagent.unenrolled import Standing, leave


def settings(state: Path, microphone: str = "no such card") -> AgentSettings:
    return AgentSettings(
        device=DeviceSettings(state_dir=state),
        microphone=MicrophoneSettings(device=microphone),
        answering=AnswerSettings(speech="off"),
    )


async def reachable() -> str:
    return "broker answers"


async def unreachable() -> str:
    raise BusError("127.0.0.1:1: refused", remedy="nc -vz 127.0.0.1 1")


def found(state: Path) -> dict[str, Finding]:
    return {one.subject: one for one in asyncio.run(examine(settings(state), reachable))}


def test_everything_that_is_needed_is_looked_at(tmp_path: Path) -> None:
    subjects = {
        "board",
        "microphone",
        "permissions",
        "broker",
        "models",
        "understands",
        "wakes",
        "clock",
        "disk",
        "voice",
    }
    assert set(found(tmp_path)) == subjects


def test_a_command_model_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    wanted = settings(tmp_path).model_copy(update={"understanding": UnderstandingSettings(model=str(tmp_path))})
    findings = asyncio.run(examine(wanted, unreachable))
    one = next(one for one in findings if one.subject == "understands")
    assert one.verdict == "failure"
    assert one.remedy


def test_what_is_not_well_says_what_to_type(tmp_path: Path) -> None:
    findings = asyncio.run(examine(settings(tmp_path), unreachable))
    assert all(one.remedy for one in findings if one.verdict != "ok")
    broker = next(one for one in findings if one.subject == "broker")
    assert (broker.verdict, broker.remedy) == ("failure", "nc -vz 127.0.0.1 1")


def test_a_microphone_that_is_absent_is_a_failure(tmp_path: Path) -> None:
    assert found(tmp_path)["microphone"].verdict == "failure"


def test_a_folder_that_does_not_exist_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    assert found(tmp_path / "a" / "b")["permissions"].verdict == "ok"
    assert "MiB free" in found(tmp_path / "a" / "b")["disk"].found


def test_a_file_in_the_place_of_the_folder_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert found(tmp_path / "state" / "deeper")["permissions"].verdict == "failure"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_seen_is_a_failure(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "state").mkdir(parents=True)
    closed.chmod(0)
    try:
        assert found(closed / "state")["permissions"].verdict == "failure"
    finally:
        closed.chmod(0o700)
        shutil.rmtree(closed)


def test_a_clock_from_before_the_program_was_written_is_a_failure() -> None:
    assert doctor._clock(datetime(1970, 1, 1, tzinfo=UTC)).verdict == "failure"  # noqa: SLF001  # time comes in
    assert doctor._clock(datetime.now(UTC)).verdict != "failure"  # noqa: SLF001


def test_the_model_that_comes_with_the_package_is_found(tmp_path: Path) -> None:
    assert found(tmp_path)["models"].verdict == "ok"


def test_what_stands_in_the_way_of_a_first_boot_is_told(tmp_path: Path) -> None:
    leave(Standing("the token is for another board", "Put the card into that one."), tmp_path)
    found = asyncio.run(examine(settings(tmp_path), reachable, tmp_path))
    told = [one for one in found if one.subject == "first boot"]
    assert [(one.verdict, one.found, one.remedy) for one in told] == [
        ("failure", "the token is for another board", "Put the card into that one.")
    ]
    leave(None, tmp_path)
    assert "first boot" not in [one.subject for one in asyncio.run(examine(settings(tmp_path), reachable, tmp_path))]


def board_of(root: Path, name: str) -> Finding:
    wanted = AgentSettings(device=DeviceSettings(board=name, state_dir=root))
    return next(one for one in asyncio.run(examine(wanted, reachable, root)) if one.subject == "board")


@needs_dtc
def test_the_board_is_named_and_so_are_settings_for_another_and_what_slows_it_down(tmp_path: Path) -> None:
    root = board(tmp_path, "Raspberry Pi 5 Model B Rev 1.0", ["raspberrypi,5-model-b", "brcm,bcm2712"], {})
    assert board_of(root, "rpi-5") == Finding("board", "ok", "Raspberry Pi 5 (rpi-5)")
    other = board_of(root, "generic")
    assert (other.verdict, other.found) == ("warning", "Raspberry Pi 5 (rpi-5); the settings name generic")
    firmware = root / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text("1\n")
    weak = board_of(root, "rpi-5")
    assert (weak.verdict, weak.found) == ("warning", "Raspberry Pi 5 (rpi-5), slowed down: too little voltage")


def test_a_board_that_cannot_be_looked_at_takes_no_other_finding_along(tmp_path: Path) -> None:
    profiles = tmp_path / "etc/edgeagent/hardware/boards"
    profiles.mkdir(parents=True)
    (profiles / "mine.toml").write_text("id = 5\n")
    found = board_of(tmp_path, "generic")
    assert found.verdict == "failure"
    assert "mine.toml:1" in found.found
    assert found.remedy
