"""What is written and done for a board and its hat, and what is said where that cannot be."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from board.device_trees import cards

from edgeagent.board.applying import DROP_IN, Plan, There, drop_in, mixer, plan
from edgeagent.board.config_txt import BEGIN
from edgeagent.board.detection import FoundBoard, FoundHat, hats_of, look, named_hat
from edgeagent.board.errors import BoardError
from edgeagent.board.machine import carry_out, on_machine
from edgeagent.board.nouns import HatProfile
from edgeagent.board.profiles import boards, hats
from edgeagent.settings import AgentSettings, parse

NOBODYS = Path("/nonexistent")
BOARDS, HATS = boards(NOBODYS), hats(NOBODYS)
ZERO = FoundBoard(BOARDS["rpi-zero-2-w"])
SETTINGS = AgentSettings()
OWN = SETTINGS.board
GROUPS = frozenset({"audio", "gpio", "spi", "i2c"})
CONFIG = Path("boot/firmware/config.txt")
WM8960 = " 1 [wm8960soundcard]: wm8960-soundcar - wm8960-soundcard\n                      wm8960-soundcard\n"
UNIT = Path(__file__).parents[2] / "systemd/edgeagent.service"

EXPOSED = "--threshold=16"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "EDGEAGENT_CI" not in os.environ,
    reason="systemd-analyze is not installed: apt-get install systemd",
)


def judged(root: Path, text: str, *checks: str) -> subprocess.CompletedProcess[str]:
    """Return what systemd says of the unit with this drop-in."""
    units, program = root / "etc/systemd/system", root / "opt/edgeagent/venv/bin/edgeagent"
    for folder in ((root / DROP_IN).parent, program.parent):
        folder.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    shutil.copy(UNIT, units)
    (root / DROP_IN).write_text(text)
    for target in ("sysinit", "basic", "shutdown", "network", "sound", "time-set", "multi-user"):
        (units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    return subprocess.run(
        ["systemd-analyze", *checks, f"--root={root}", "/etc/systemd/system/edgeagent.service"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def hat(root: Path, name: str = "respeaker-2mic-v1", *, has_card: bool = True) -> FoundHat:
    seen = look(cards(root, WM8960, [1]) if has_card else root, machine="aarch64")
    return named_hat(name, seen, HATS)


def pi(config: bytes = b"dtparam=audio=on\n", kernel: tuple[int, int] | None = None) -> There:
    return There(config=(CONFIG, config), overlays=frozenset({"wm8960-soundcard"}), groups=GROUPS, kernel=kernel)


def machine(root: Path) -> Path:
    for folder in ("boot/firmware/overlays", "etc"):
        (root / folder).mkdir(parents=True)
    (root / CONFIG).write_bytes(b"dtparam=audio=on\r\n[pi5]\r\ndtparam=pciex1\r\n")
    (root / "boot/firmware/overlays/wm8960-soundcard.dtbo").touch()
    (root / "etc/group").write_text("root:x:0:\naudio:x:29:\ngpio:x:997:\nspi:x:996:\n")
    return root


def text_of(found: Plan, path: Path) -> str:
    return next(change.after for change in found.changes if change.path == path).decode()


def test_the_drop_in_has_the_boards_limits_and_what_the_hats_lights_and_button_need(tmp_path: Path) -> None:
    assert drop_in(ZERO.profile, hat(tmp_path), OWN, GROUPS).splitlines()[2:] == [
        "[Service]",
        "MemoryHigh=220M",
        "MemoryMax=280M",
        "WatchdogSec=60",
        "SupplementaryGroups=gpio spi",
        "DeviceAllow=char-gpiochip rw",
        "DeviceAllow=char-spi rw",
    ]


def test_a_board_without_a_hat_gets_limits_alone() -> None:
    assert "Groups" not in drop_in(ZERO.profile, None, OWN, GROUPS)


def test_an_owners_own_button_needs_its_group_too() -> None:
    own = parse("[board.button]\nline = 3\n[board.light]\nkind = 'ws2812'\nspi = '/dev/spidev1.0'\n")
    found = text_of(plan(ZERO, [], pi(), own), DROP_IN)
    assert "SupplementaryGroups=gpio spi\n" in found


def test_a_missing_group_is_left_out_and_told_and_all_else_is_done(tmp_path: Path) -> None:
    there = There(config=(CONFIG, b""), groups=frozenset({"spi"}))
    found = plan(ZERO, [hat(tmp_path)], there, SETTINGS)
    assert "SupplementaryGroups=spi\nDeviceAllow=char-spi rw\n" in text_of(found, DROP_IN)
    assert "gpio" not in text_of(found, DROP_IN)
    (note,) = found.notes
    assert note.startswith("there is no group gpio: lamps or buttons stay off until")
    assert "dtoverlay=wm8960-soundcard" in text_of(found, CONFIG)


def test_config_txt_gets_the_buses_the_overlay_and_the_boards_own_lines(tmp_path: Path) -> None:
    found = plan(ZERO, [hat(tmp_path)], pi(), SETTINGS)
    assert text_of(found, CONFIG).splitlines()[2:-2] == [
        "[all]",
        "dtparam=i2c_arm=on",
        "dtparam=i2s=on",
        "dtparam=spi=on",
        "dtoverlay=wm8960-soundcard",
        "[pi02]",
        "gpu_mem=16",
    ]


def test_the_mixer_is_set_by_the_cards_own_id_and_kept(tmp_path: Path) -> None:
    commands = list(mixer(hat(tmp_path)))
    assert commands[0] == ("amixer", "-q", "-c", "wm8960soundcard", "sset", "Capture", "80%")
    assert commands[-1] == ("alsactl", "store", "wm8960soundcard")
    v2 = FoundHat(HATS["respeaker-2mic-v2"], "owner", hat(tmp_path / "x").card)
    assert ("amixer", "-q", "-c", "wm8960soundcard", "sset", "HP", "100%", "unmute") in list(mixer(v2))


def test_what_should_stand_in_the_settings_is_proposed_and_what_stands_there_is_not(tmp_path: Path) -> None:
    found = {(one.table, one.key): one.value for one in plan(ZERO, [hat(tmp_path)], pi(), SETTINGS).proposals}
    assert found == {
        ("device", "board"): "rpi-zero-2-w",
        ("hearing", "effort"): "light",
        ("understanding", "runtime"): "litert",
        ("microphone", "device"): "wm8960",
        ("board", "hat"): "respeaker-2mic-v1",
    }
    done = parse(
        '[device]\nboard = "rpi-zero-2-w"\n[hearing]\neffort = "light"\n[understanding]\nruntime = "litert"\n'
        '[microphone]\ndevice = "mine"\n[board]\nhat = "respeaker-2mic-v2"\n'
    )
    assert plan(ZERO, [hat(tmp_path / "x")], pi(), done).proposals == ()


def test_a_jetson_is_proposed_its_gpu() -> None:
    found = plan(FoundBoard(BOARDS["jetson-orin-nano"]), [], There(), SETTINGS)
    assert ("understanding", "providers", ("cuda", "cpu")) in [
        (one.table, one.key, one.value) for one in found.proposals
    ]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (pi(), "respeaker-2mic-v1: its sound card is there after a reboot; apply again then, for its mixer"),
        (
            pi(b"dtoverlay=wm8960-soundcard\n"),
            "respeaker-2mic-v1: its overlay is in config.txt, but it has no sound card: reboot; then see that it sits",
        ),
        (There(groups=GROUPS), "respeaker-2mic-v1: there is no config.txt here, so that its overlay must be loaded"),
        (
            pi(kernel=(4, 19)),
            "respeaker-2mic-v1: its driver came with kernel 5.10, and this is 4.19",
        ),
        (
            There(config=(CONFIG, b""), overlays=frozenset({"w1-gpio"}), groups=GROUPS),
            "respeaker-2mic-v1: overlays/wm8960-soundcard.dtbo is not on the boot partition: its line is left out",
        ),
    ],
)
def test_a_hat_that_is_not_there_is_told_with_what_to_do(tmp_path: Path, there: There, said: str) -> None:
    found = plan(ZERO, [hat(tmp_path, has_card=False)], there, SETTINGS)
    assert any(note.startswith(said) for note in found.notes), found.notes
    assert found.commands == ()
    assert text_of(found, DROP_IN)


def test_an_overlay_that_is_not_on_the_partition_is_not_asked_for(tmp_path: Path) -> None:
    found = plan(ZERO, [hat(tmp_path, "respeaker-2mic-v2", has_card=False)], pi(), SETTINGS)
    assert "dtoverlay" not in text_of(found, CONFIG)
    assert "dtparam=i2c_arm=on" in text_of(found, CONFIG)


def test_a_microphone_on_usb_that_is_not_plugged_in_is_told(tmp_path: Path) -> None:
    (note,) = plan(ZERO, [hat(tmp_path, "usb-generic", has_card=False)], pi(), SETTINGS).notes
    assert note == "usb-generic: no sound card of it is there: plug it in, then apply again"


def test_where_two_fit_the_first_is_set_up_and_the_other_named(tmp_path: Path) -> None:
    usb = " 0 [Device         ]: USB-Audio - USB PnP Sound Device\n                      C-Media\n"
    found = hats_of(look(cards(tmp_path, usb + WM8960, [0, 1]), machine="aarch64"), HATS)
    assert plan(ZERO, found, pi(), SETTINGS).notes == (
        "respeaker-2mic-v1 is set up; usb-generic fits as well: choose with --hat",
    )


def test_a_plan_that_is_carried_out_leaves_nothing_to_do_and_the_owners_lines_as_they_were(tmp_path: Path) -> None:
    root = machine(tmp_path)
    before = (root / CONFIG).read_bytes()
    first = plan(ZERO, [hat(tmp_path)], on_machine(root), SETTINGS)
    assert list(carry_out(first, root)) == []
    after = (root / CONFIG).read_bytes()
    assert after.startswith(before + BEGIN.encode() + b"\r\n[all]\r\n")
    assert b"SupplementaryGroups=gpio spi\n" in (root / DROP_IN).read_bytes()
    assert plan(ZERO, [hat(tmp_path / "x")], on_machine(root), SETTINGS).changes == ()


def test_another_board_with_the_same_card_has_its_own_lines_alone(tmp_path: Path) -> None:
    root = machine(tmp_path)
    list(carry_out(plan(ZERO, [hat(tmp_path)], on_machine(root), SETTINGS), root))
    list(carry_out(plan(FoundBoard(BOARDS["rpi-5"]), [], on_machine(root), SETTINGS), root))
    assert BEGIN.encode() not in (root / CONFIG).read_bytes()
    assert b"WatchdogSec=30\n" in (root / DROP_IN).read_bytes()


def test_an_older_systems_config_txt_is_found_and_a_pc_has_none(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    assert on_machine(tmp_path).config is None
    (tmp_path / "boot/config.txt").write_bytes(b"x=1\n")
    assert on_machine(tmp_path).config == (Path("boot/config.txt"), b"x=1\n")


def test_damaged_markers_stop_it_before_anything_is_written(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / CONFIG).write_text(f"{BEGIN}\n")
    with pytest.raises(BoardError, match=r"config.txt: expected one block"):
        plan(ZERO, [], on_machine(root), SETTINGS)
    assert not (root / DROP_IN).exists()


def test_a_file_that_cannot_be_written_takes_the_others_not_along(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / "etc/systemd").write_text("a file where a folder should be")
    (trouble,) = carry_out(plan(ZERO, [hat(tmp_path)], on_machine(root), SETTINGS), root)
    assert trouble.startswith("/etc/systemd/system/edgeagent.service.d/10-board.conf: cannot be written")
    assert BEGIN.encode() in (root / CONFIG).read_bytes()


def test_without_alsas_programs_it_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = list(carry_out(Plan(commands=tuple(mixer(hat(tmp_path))))))
    assert found == [f"{name} is not installed: sudo apt-get install alsa-utils" for name in ("amixer", "alsactl")]


@pytest.mark.skipif(
    shutil.which("amixer") is None and "EDGEAGENT_CI" not in os.environ,
    reason="amixer is not installed: apt-get install alsa-utils",
)
def test_a_card_that_has_gone_is_told_control_by_control_in_alsas_words() -> None:
    commands = (("amixer", "-q", "-c", "nosuchcard", "sset", "Capture", "80%"),) * 2
    found = list(carry_out(Plan(commands=commands)))
    assert len(found) == 2
    assert found[0].startswith("amixer -q -c nosuchcard sset Capture 80%: ")
    assert "nosuchcard" in found[0].partition(": ")[2]


@needs_systemd
@pytest.mark.parametrize("profile", HATS.values(), ids=sorted(HATS))
def test_with_the_drop_in_the_unit_is_right_and_hardly_more_exposed(tmp_path: Path, profile: HatProfile) -> None:
    text = drop_in(ZERO.profile, FoundHat(profile, "owner"), OWN, GROUPS)
    for number, checks in enumerate((("verify", "--recursive-errors=no"), ("security", "--offline=true", EXPOSED))):
        done = judged(tmp_path / str(number), text, *checks)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "10-board.conf" not in done.stderr


@needs_systemd
def test_a_drop_in_with_a_mistake_is_seen_by_the_same_judge(tmp_path: Path) -> None:
    assert "10-board.conf" in judged(tmp_path, "[Service]\nMemoryHihg=1M\n", "verify").stderr
