"""The profiles that ship, and an owner's own beside them."""

import re
from pathlib import Path

import pytest
from qemu.machine import BOOTED

from edgeagent.board.nouns import HatProfile
from edgeagent.board.profiles import boards, hats
from edgeagent.errors import SettingsError

NOBODYS = Path("/nonexistent")
BOARDS, HATS = boards(NOBODYS), hats(NOBODYS)
WANTED_BOARDS = {
    "rpi-zero-2-w", "rpi-3b", "rpi-3b-plus", "rpi-4b", "rpi-400", "rpi-cm4", "rpi-5", "jetson-orin-nano",
    "jetson-orin-nx", "jetson-nano", "generic-arm64", "generic-x86-64",
}  # fmt: skip
WANTED_HATS = {
    "respeaker-2mic-v1", "respeaker-2mic-v2", "respeaker-4mic", "aiy-voice-bonnet-v2", "adafruit-voice-bonnet",
    "usb-generic",
}  # fmt: skip
OWN = """\
id = "my-microphone"
title = "Mine"
status = "untested-hardware"
[match]
card_names = ["mine"]
"""


def test_every_board_and_hat_that_is_promised_has_a_profile() -> None:
    assert set(BOARDS) >= WANTED_BOARDS
    assert set(HATS) >= WANTED_HATS


def test_nothing_claims_to_have_been_tried_on_a_real_board() -> None:
    assert {one.status for one in BOARDS.values()} == {"tested-qemu", "untested-hardware", "limited"}
    assert {one.status for one in HATS.values()} == {"untested-hardware", "limited"}


def test_only_boards_that_a_journey_boots_are_called_tested() -> None:
    assert {one.id for one in BOARDS.values() if one.status == "tested-qemu"} == set(BOOTED)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_limits_leave_the_system_its_share_and_the_watchdog_its_time(name: str) -> None:
    board = BOARDS[name]
    assert board.limits.memory_high_mb < board.limits.memory_max_mb
    assert board.ram_mb is None or board.limits.memory_max_mb <= 0.6 * board.ram_mb
    assert "cpu" in board.engines.providers
    assert (board.engines.effort == "light") == ("A53" in board.cpu or name == "generic-arm64")


@pytest.mark.parametrize("hat", HATS.values(), ids=sorted(HATS))
def test_every_hat_can_be_known_and_its_buses_are_on(hat: HatProfile) -> None:
    assert hat.match.eeprom_products or hat.match.card_names or hat.match.card_drivers
    assert (hat.light.kind == "apa102") == (hat.light.count > 0)
    assert hat.light.spi is None or "spi" in hat.needs
    assert not hat.match.i2c_addresses or "i2c" in hat.needs
    assert hat.overlay is None or "i2s" in hat.needs
    assert all(re.match(r"https://|.*(not tried|own)", fault.source) for fault in hat.known_faults)


def test_what_cannot_work_says_so_in_its_faults() -> None:
    assert all(one.known_faults for one in BOARDS.values())
    assert all(one.known_faults for one in HATS.values())


def test_an_owners_profile_comes_before_ours_and_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "hats"
    folder.mkdir()
    (folder / "my-microphone.toml").write_text(OWN)
    (folder / "usb-generic.toml").write_text(OWN.replace("my-microphone", "usb-generic"))
    found = hats(tmp_path)
    assert set(found) == {*HATS, "my-microphone"}
    assert found["usb-generic"].title == "Mine"
    assert found["usb-jabra-speak"] == HATS["usb-jabra-speak"]


def test_a_profile_named_after_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hats").mkdir()
    (tmp_path / "hats/other.toml").write_text(OWN)
    with pytest.raises(SettingsError, match="its id is my-microphone") as caught:
        hats(tmp_path)
    assert caught.value.remedy == 'Name the file my-microphone.toml, or write id = "other".'


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        ('status = "untested-hardware"', 'status = "tested-hardware"', "mine.toml:3"),
        ('card_names = ["mine"]', 'card_name = ["mine"]', "mine.toml:5"),
        ('card_names = ["mine"]', "i2c_addresses = [0x99]", "mine.toml:5"),
        ("[match]", "[match", "mine.toml"),
    ],
)
def test_a_profile_with_a_mistake_is_an_error_that_says_where(
    tmp_path: Path, found: str, wanted: str, told: str
) -> None:
    (tmp_path / "hats").mkdir()
    text = OWN.replace("my-microphone", "mine").replace(found, wanted)
    (tmp_path / "hats/mine.toml").write_text(text)
    with pytest.raises(SettingsError, match=re.escape(told)):
        hats(tmp_path)


def test_a_folder_full_of_files_is_no_folder_of_profiles(tmp_path: Path) -> None:
    (tmp_path / "hats").mkdir()
    for number in range(501):
        (tmp_path / f"hats/{number}.toml").touch()
    with pytest.raises(SettingsError, match="more than 500 profiles"):
        hats(tmp_path)
