"""The first boot sets the machine up for its board: settings, limits of the daemon's unit, config.txt."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from provision.first_boots import NewDevice, put

from edgeagent.board.applying import DROP_IN
from edgeagent.provision.enrol_file import Seed
from edgeagent.provision.first_boot import first_boot
from edgeagent.provision.first_boot_board import Board, hardware_of, set_up, this_board
from edgeagent.provision.telling import Teller
from edgeagent.settings import AgentSettings, load
from edgeagent.update.places import EMBEDDED, TRUST, trusted_root
from edgeagent.update.roots import facts_of

ZERO_2_W = b"raspberrypi,model-zero-2-w\0brcm,bcm2837\0"
SEED = Seed(built=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def device(tmp_path: Path) -> NewDevice:
    new = NewDevice(tmp_path / "board")
    tree = new.root / "sys/firmware/devicetree/base"
    tree.mkdir(parents=True)
    (tree / "compatible").write_bytes(ZERO_2_W)
    (new.root / "boot/firmware/config.txt").write_text("[all]\ndtparam=audio=on\n")
    return new


def boots(device: NewDevice, seed: Seed = SEED) -> AgentSettings:
    """Do a first boot by the product's own board, but for clock and daemon; return the settings."""
    put(device, **seed.model_dump(exclude_none=True))
    ours = this_board(device.root, None)
    board = Board(ours.root, ours.card, device.clock, ours.enrolling, lambda: None, ours.hardware, 0, ours.set_up)
    teller = Teller(device.lines.append, supervisor=lambda _: None)
    assert first_boot(board, teller, lambda: None) == 0, device.said
    return load(device.settings)


def test_a_zero_2_w_gets_its_settings_its_limits_and_its_config_txt(device: NewDevice) -> None:
    settings = boots(device)
    assert settings.device.board == "rpi-zero-2-w"
    assert settings.hearing.effort == "light"
    limits = (device.root / DROP_IN).read_text().splitlines()
    assert {"MemoryHigh=220M", "MemoryMax=280M", "WatchdogSec=60"} <= set(limits)
    assert "gpu_mem=16" in (device.root / "boot/firmware/config.txt").read_text()
    assert "config.txt has changed: it holds from the next start" in device.said


def test_a_hat_that_the_seed_names_gets_its_overlay_and_its_microphone_but_not_instead_of_the_seeds(
    device: NewDevice,
) -> None:
    (device.root / "boot/firmware/overlays").mkdir()
    (device.root / "boot/firmware/overlays/wm8960-soundcard.dtbo").touch()
    (device.root / "proc/asound").mkdir()
    card = " 0 [wm8960soundcard]: wm8960-soundcard - wm8960-soundcard\n                      wm8960-soundcard\n"
    (device.root / "proc/asound/cards").write_text(card)
    hat = SEED.model_copy(update={"hat": "respeaker-2mic-v1", "microphone": None})
    own = hardware_of(device.root, hat)
    assert ("microphone", "device", "wm8960") in own.better
    settings = boots(device, hat.model_copy(update={"microphone": "mine"}))
    assert settings.microphone.device == "mine"
    assert settings.board.hat == "respeaker-2mic-v1"
    assert "dtoverlay=wm8960-soundcard" in (device.root / "boot/firmware/config.txt").read_text()


def test_a_board_that_cannot_be_set_up_listens_all_the_same(device: NewDevice) -> None:
    (device.root / "etc/systemd").write_text("a file where a folder should be")
    settings = boots(device)
    assert settings.device.board == "rpi-zero-2-w"
    assert "cannot be written" in device.said


def test_the_boards_name_in_the_seed_goes_before_what_is_found(device: NewDevice) -> None:
    seed = SEED.model_copy(update={"board": "rpi-4b"})
    own = hardware_of(device.root, seed)
    assert own.board == "rpi-4b"
    assert ("hearing", "effort", "light") not in own.better
    assert not [line for line in set_up(device.root, seed) if "config.txt" in line], "no line of a Zero 2 W"
    assert "MemoryMax=280M" not in (device.root / DROP_IN).read_text()


def test_a_card_may_say_whose_releases_are_trusted_and_where_they_come_from(device: NewDevice) -> None:
    root = EMBEDDED.read_text()
    seed = Seed.model_validate(
        SEED.model_dump() | {"update_url": "https://updates.example/fleet/", "update_root": root}
    )
    settings = boots(device, seed)
    assert (settings.update.url, settings.update.over_bus) == ("https://updates.example/fleet/", False)
    kept = trusted_root(device.state)
    assert kept is not None
    assert facts_of(kept, "card") == facts_of(root.encode(), "package")
    assert stat.S_IMODE((device.state / TRUST).stat().st_mode) == 0o644, "the daemon reads what root has written"


def test_releases_come_over_the_fleets_broker_where_the_card_has_no_address(device: NewDevice) -> None:
    settings = boots(device, Seed.model_validate(SEED.model_dump() | {"update_root": EMBEDDED.read_text()}))
    assert (settings.update.url, settings.update.over_bus) == (None, True)


def test_whom_the_owner_trusts_stays_whatever_a_card_says(device: NewDevice) -> None:
    device.state.mkdir()
    (device.state / TRUST).write_bytes(b"mine")
    boots(device, Seed.model_validate(SEED.model_dump() | {"update_root": EMBEDDED.read_text()}))
    assert (device.state / TRUST).read_bytes() == b"mine"
