"""Which board it is, and what sound hardware is on it, from what the kernel shows."""

import subprocess
from pathlib import Path

import pytest
from board.device_trees import TREE, board, cards, needs_dtc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeagent.board.detection import Seen, architecture, board_of, hats_of, look, named_hat
from edgeagent.board.errors import BoardError
from edgeagent.board.i2c import answering
from edgeagent.board.profiles import boards, hats

NOBODYS = Path("/nonexistent")
BOARDS, HATS = boards(NOBODYS), hats(NOBODYS)
WM8960 = """\
 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi
                      vc4-hdmi
 1 [wm8960soundcard]: wm8960-soundcar - wm8960-soundcard
                      wm8960-soundcard
"""
USB = """\
 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones
                      bcm2835 Headphones
 1 [Device         ]: USB-Audio - USB PnP Sound Device
                      C-Media Electronics Inc. USB PnP Sound Device at usb-3f980000.usb-1.3, full speed
"""
KNOWN = [(one.id, name) for one in BOARDS.values() for name in one.match.compatible]


def pi(root: Path, name: str = "raspberrypi,model-zero-2-w", chip: str = "brcm,bcm2837") -> Path:
    return board(root, "Raspberry Pi Zero 2 W Rev 1.0", [name, chip], {})


@needs_dtc
@pytest.mark.parametrize(("profile", "name"), KNOWN)
def test_every_board_is_known_by_the_tree_that_its_firmware_hands_over(tmp_path: Path, profile: str, name: str) -> None:
    chip = "nvidia,tegra234" if name.startswith("nvidia") else "brcm,bcm2712"
    found = board_of(look(board(tmp_path, "A model Rev 1.1", [name, chip], {}), machine="aarch64"), BOARDS)
    assert (found.profile.id, found.note) == (profile, "")


def test_no_name_means_two_boards() -> None:
    names = [name for _, name in KNOWN]
    assert len(names) == len(set(names))


@needs_dtc
def test_the_folders_of_these_tests_are_what_the_compiler_takes_for_a_device_tree(tmp_path: Path) -> None:
    root = board(tmp_path, "A", ["a,b", "c,d"], {"hat": {"vendor": "V", "product": "P"}})
    source = subprocess.run(
        ["dtc", "-I", "fs", "-O", "dts", root / TREE], check=True, capture_output=True, text=True, timeout=30
    ).stdout
    assert 'compatible = "a,b\\0c,d";' in source
    assert 'vendor = "V";' in source


@needs_dtc
def test_the_most_specific_name_decides_and_not_the_order_of_our_files(tmp_path: Path) -> None:
    names = ["somebody,carrier", "raspberrypi,5-model-b", "raspberrypi,4-model-b"]
    assert board_of(look(board(tmp_path, "", names, {}), machine="aarch64"), BOARDS).profile.id == "rpi-5"


@needs_dtc
def test_an_unknown_board_is_a_generic_one_and_is_told_by_its_name(tmp_path: Path) -> None:
    seen = look(board(tmp_path, "Radxa ROCK 5B", ["radxa,rock-5b", "rockchip,rk3588"], {}), machine="aarch64")
    found = board_of(seen, BOARDS)
    assert found.profile.id == "generic-arm64"
    assert found.note == (
        "no profile knows Radxa ROCK 5B (radxa,rock-5b, rockchip,rk3588): it is taken for generic-arm64"
    )


def test_a_pc_has_no_device_tree_and_is_no_surprise(tmp_path: Path) -> None:
    found = board_of(look(tmp_path, machine="x86_64"), BOARDS)
    assert (found.profile.id, found.note) == ("generic-x86-64", "")


@pytest.mark.parametrize("machine", ["armv6l", "armv7l", "riscv64", "i686"])
def test_what_is_no_64_bit_arm_or_pc_is_refused_with_what_to_do(tmp_path: Path, machine: str) -> None:
    with pytest.raises(BoardError, match=rf"this is {machine}: edgeagent needs a 64-bit system") as caught:
        look(tmp_path, machine=machine)
    assert "64-bit Raspberry Pi OS" in caught.value.remedy


def test_32_bit_programs_on_a_64_bit_kernel_are_refused_too() -> None:
    with pytest.raises(BoardError, match="a 32-bit system on aarch64"):
        architecture("aarch64", is_64_bit=False)


def test_without_any_generic_profile_an_unknown_board_is_an_error() -> None:
    with pytest.raises(BoardError, match="no profile for this board") as caught:
        board_of(Seen("aarch64"), {})
    assert "/etc/edgeagent/hardware/boards" in caught.value.remedy


@needs_dtc
@pytest.mark.parametrize(
    ("vendor", "product", "hat"),
    [
        ("Google, Inc.", "Voice Bonnet", "aiy-voice-bonnet-v2"),
        ("Adafruit Industries", "Voice Bonnet", "adafruit-voice-bonnet"),
    ],
)
def test_a_hat_is_known_by_vendor_and_product_of_its_eeprom(
    tmp_path: Path, vendor: str, product: str, hat: str
) -> None:
    root = board(tmp_path, "", ["raspberrypi,4-model-b"], {"hat": {"vendor": vendor, "product": product}})
    (found,) = hats_of(look(root, machine="aarch64"), HATS)
    assert (found.profile.id, found.by, found.card) == (hat, "eeprom", None)


@needs_dtc
def test_stacked_hats_are_all_read_and_unknown_ones_say_nothing(tmp_path: Path) -> None:
    stack = {
        "hat": {"vendor": "Pimoroni", "product": "Fan SHIM"},
        "hat_1": {"vendor": "Adafruit", "product": "Voice Bonnet"},
    }
    seen = look(board(tmp_path, "", ["raspberrypi,5-model-b"], stack), machine="aarch64")
    assert seen.eeproms == ("Pimoroni Fan SHIM", "Adafruit Voice Bonnet")
    assert [one.profile.id for one in hats_of(seen, HATS)] == ["adafruit-voice-bonnet"]


@needs_dtc
def test_a_hat_without_eeprom_is_known_by_its_sound_card(tmp_path: Path) -> None:
    (found,) = hats_of(look(cards(pi(tmp_path), WM8960, [1]), machine="aarch64"), HATS)
    assert (found.profile.id, found.by) == ("respeaker-2mic-v1", "card")
    assert found.card is not None
    assert (found.card.number, found.card.id, found.card.records) == (1, "wm8960soundcard", True)


def test_any_usb_microphone_is_found_and_no_usb_loudspeaker(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (found,) = hats_of(look(cards(tmp_path / "a", USB, [1]), machine="x86_64"), HATS)
    assert (found.profile.id, found.by) == ("usb-generic", "driver")
    assert hats_of(look(cards(tmp_path / "b", USB), machine="x86_64"), HATS) == ()


def test_a_usb_microphone_with_a_profile_is_not_also_any_usb_microphone(tmp_path: Path) -> None:
    text = " 1 [USB            ]: USB-Audio - Jabra SPEAK 510 USB\n                      GN Netcom\n"
    (found,) = hats_of(look(cards(tmp_path, text, [1]), machine="x86_64"), HATS)
    assert (found.profile.id, found.by) == ("usb-jabra-speak", "card")


def test_i2c_is_asked_for_the_addresses_that_profiles_know_and_only_if_the_owner_wants_it(tmp_path: Path) -> None:
    asked = []

    def bus(addresses: object) -> frozenset[int]:
        asked.append(addresses)
        return frozenset({0x18})

    assert look(tmp_path, machine="aarch64").i2c == frozenset()
    (found,) = hats_of(look(tmp_path, machine="aarch64", addresses=(0x18, 0x1A), probe=bus), HATS)
    assert (found.profile.id, found.by, asked) == ("respeaker-2mic-v2", "i2c", [(0x18, 0x1A)])


def test_a_bus_that_is_not_there_or_no_i2c_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"i2c-1: cannot be opened: No such file") as caught:
        answering((0x1A,), tmp_path / "i2c-1")
    assert "dtparam=i2c_arm=on" in caught.value.remedy
    with pytest.raises(BoardError, match=r"/dev/null: is no I2C bus"):
        answering((0x1A,), Path("/dev/null"))


def test_the_owner_may_name_the_hat_and_a_name_that_is_none_is_refused_with_those_there_are(tmp_path: Path) -> None:
    seen = look(cards(tmp_path, WM8960, [1]), machine="aarch64")
    found = named_hat("respeaker-2mic-v1", seen, HATS)
    assert (found.by, found.card is not None) == ("owner", True)
    with pytest.raises(BoardError, match="no sound hardware 'respeaker'") as caught:
        named_hat("respeaker", seen, HATS)
    assert "respeaker-2mic-v1" in caught.value.remedy


GARBAGE = st.binary(max_size=300) | st.text(max_size=100).map(str.encode)


@given(compatible=GARBAGE, model=GARBAGE, vendor=GARBAGE, listing=GARBAGE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_whatever_the_kernel_shows_is_some_board(
    tmp_path: Path, compatible: bytes, model: bytes, vendor: bytes, listing: bytes
) -> None:
    hat = tmp_path / TREE / "hat"
    hat.mkdir(parents=True, exist_ok=True)
    (tmp_path / "proc/asound").mkdir(parents=True, exist_ok=True)
    (hat.parent / "compatible").write_bytes(compatible)
    (hat.parent / "model").write_bytes(model)
    (hat / "vendor").write_bytes(vendor)
    (tmp_path / "proc/asound/cards").write_bytes(listing)
    seen = look(tmp_path, machine="aarch64")
    assert board_of(seen, BOARDS).profile.id == "generic-arm64"
    assert all(one.profile.id in HATS for one in hats_of(seen, HATS))
    assert len(seen.model) <= 200


def test_files_that_cannot_be_read_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    (tmp_path / TREE / "compatible").mkdir(parents=True)
    (tmp_path / "proc/asound/cards").mkdir(parents=True)
    assert look(tmp_path, machine="x86_64") == Seen("x86_64")
