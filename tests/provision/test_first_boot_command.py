"""`edgeagent first-boot` as the unit runs it."""

import shutil
from pathlib import Path

from provision.first_boots import NewDevice, put

from edgeagent.settings import load


def test_the_command_settles_tells_its_lines_and_is_done(tmp_path: Path) -> None:
    device = NewDevice(tmp_path / "root")
    put(device, board="pi-4b")
    done = device.command()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "edgeagent: writing the settings of new-1\nedgeagent: ready\n"
    assert load(device.settings).device.area == "kitchen"
    again = device.command()
    assert (again.returncode, again.stdout) == (0, "")


def test_a_board_that_no_profile_knows_is_a_generic_one(tmp_path: Path) -> None:
    device = NewDevice(tmp_path / "root")
    put(device)
    assert device.command().returncode == 0
    assert load(device.settings).device.board.startswith("generic")


def test_a_board_is_known_by_its_device_tree(tmp_path: Path) -> None:
    device = NewDevice(tmp_path / "root")
    tree = device.root / "sys/firmware/devicetree/base"
    tree.mkdir(parents=True)
    (tree / "compatible").write_bytes(b"raspberrypi,4-model-b\0brcm,bcm2711\0")
    put(device)
    assert device.command().returncode == 0
    assert "4" in load(device.settings).device.board


def test_what_only_a_person_can_mend_is_exit_code_1(tmp_path: Path) -> None:
    device = NewDevice(tmp_path / "root")
    put(device)
    device.enrol_toml.write_text("token = \n")
    done = device.command()
    assert done.returncode == 1
    assert "problem: " in done.stdout
    assert "enrol.toml:1: " in done.stdout


def test_without_a_boot_partition_the_device_still_gets_its_settings(tmp_path: Path) -> None:
    device = NewDevice(tmp_path / "root")
    shutil.rmtree(device.root / "boot")
    done = device.command()
    assert done.returncode == 0, done.stdout
    assert load(device.settings).device.id == "edgeagent"


def test_lamps_that_are_not_there_hold_nothing_up(tmp_path: Path) -> None:
    device = NewDevice(tmp_path / "root")
    put(device, hat="respeaker-2mic-v1")
    done = device.command()
    assert done.returncode == 0, done.stderr
    assert load(device.settings).board.hat == "respeaker-2mic-v1"


def test_a_hat_that_no_profile_knows_is_left_out_so_that_the_daemon_starts(tmp_path: Path) -> None:
    device = NewDevice(tmp_path / "root")
    put(device, hat="moon-dust")
    done = device.command()
    assert done.returncode == 0, done.stderr
    assert load(device.settings).board.hat is None
    assert "no profile knows this hat" in done.stderr


def test_a_hat_that_says_what_it_is_needs_no_seed(tmp_path: Path) -> None:
    device = NewDevice(tmp_path / "root")
    hat = device.root / "sys/firmware/devicetree/base/hat"
    hat.mkdir(parents=True)
    (hat / "vendor").write_bytes(b"Google, Inc.\0")
    (hat / "product").write_bytes(b"AIY Voice Bonnet v2\0")
    put(device)
    assert device.command().returncode == 0
    assert load(device.settings).board.hat == "aiy-voice-bonnet-v2"
