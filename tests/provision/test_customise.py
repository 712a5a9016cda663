"""Images customised offline: what mtools find on them afterwards, and what is refused with nothing changed."""

import hashlib
import os
import struct
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest
import yaml
from provision.media import CutFile, loop, mounted
from provision_cards import BOOKWORM, BULLSEYE, CMDLINE, FIRST_TRIXIE, OWN, PRESEED, TRIXIE, UBUNTU, in_use, made
from provision_images import START, complaints, get, needs_fat_tools, put
from provision_wishes import BUILT, FULL, SEED, TOKEN, enrolment, small_bundle

from edgeagent.provision.customise import Report, customise, customised
from edgeagent.provision.enrol_file import read_enrol_file, read_seed
from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat import FatPartition
from edgeagent.provision.inspect import inspect, verify
from edgeagent.provision.partitions import partitions
from edgeagent.provision.system import detected
from edgeagent.provision.wifi import wifi
from edgeagent.provision.wishes import Wishes

pytestmark = needs_fat_tools
FILES = {"bookworm": BOOKWORM, "trixie": TRIXIE, "preseed": PRESEED, "ubuntu": UBUNTU}


def do(image: Path, wishes: Wishes, *, booted_too: bool = False) -> Report:
    return customise(image, wishes, booted_too=booted_too, now=BUILT)


def digest(image: Path) -> str:
    return hashlib.sha256(image.read_bytes()).hexdigest()


def refused(image: Path, wishes: Wishes, why: str) -> ImageError:
    before = digest(image)
    with pytest.raises(ImageError, match=why) as one:
        do(image, wishes)
    assert digest(image) == before
    assert one.value.remedy
    return one.value


def files_of(image: bytes) -> dict[str, bytes | None]:
    """Return what is on the boot partition of an image."""
    fat = FatPartition(BytesIO(image), START)
    names = [one.name for one in fat.listing()] + [f"edgeagent/{one.name}" for one in fat.listing("edgeagent")]
    return {name: fat.read(name) for name in names}


@pytest.mark.parametrize(
    ("files", "format_", "python", "boot"),
    [
        (BOOKWORM, "systemd", "3.11", "/boot/firmware"),
        (BULLSEYE, "systemd", "3.9", "/boot"),
        (FIRST_TRIXIE, "systemd", None, "/boot/firmware"),
        (TRIXIE, "cloudinit", "3.13", "/boot/firmware"),
        (PRESEED, "rpi-preseed", "3.13", "/boot/firmware"),
        (BOOKWORM | {"custom.toml": b"config_version = 1\n"}, "custom-toml", "3.11", "/boot/firmware"),
        (UBUNTU, "cloudinit", None, "/boot/firmware"),
        (OWN, "edgeagent", None, "/boot/firmware"),
    ],
)
def test_a_system_is_known_by_its_files(
    tmp_path: Path, files: dict[str, bytes], format_: str, python: str | None, boot: str
) -> None:
    with made(tmp_path / "card.img", files).open("rb") as file:
        found = detected(FatPartition(file, START))
    assert (found.format, found.python, found.boot) == (format_, python, boot)


def test_an_unknown_system_is_named_by_what_is_seen(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", {"EFI.BIN": b"", "loader.conf": b""})
    error = refused(image, Wishes(seed=SEED), "unknown system: its boot partition holds EFI.BIN, loader.conf")
    assert "--format" in error.remedy


def test_a_first_trixie_gets_all_and_the_same_again_changes_nothing(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE, bits=32)
    bundle = small_bundle(tmp_path, "3.13")
    wishes = replace(FULL, bundle=bundle, seed=SEED, enrol=enrolment(tmp_path))
    report = do(image, wishes)
    assert complaints(image, at=START) == ""
    assert report.format == "cloudinit"
    assert set(report.changed) == {
        "edgeagent/seed.toml", "edgeagent/enrol.toml", "edgeagent/bundle.tar",
        "user-data", "meta-data", "network-config", "cmdline.txt",
    }  # fmt: skip
    assert read_seed(get(image, "edgeagent/seed.toml")) == SEED
    assert read_enrol_file(get(image, "edgeagent/enrol.toml")).token.get_secret_value() == TOKEN
    assert get(image, "edgeagent/bundle.tar") == bundle.read_bytes()
    assert get(image, "edgeagent/bundle.sha256").split()[0].decode() == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert get(image, "edgeagent/install.sh") == b"#!/bin/sh\necho installed\n"
    user_data = yaml.safe_load(get(image, "user-data"))
    assert user_data["runcmd"][-1] == ["sh", "/boot/firmware/edgeagent/install.sh"]
    instance = yaml.safe_load(get(image, "meta-data"))["instance-id"]
    words = f" resize ds=nocloud;i={instance} cfg80211.ieee80211_regdom=DE\n"
    assert get(image, "cmdline.txt") == CMDLINE + words.encode()
    before = digest(image)
    assert do(image, wishes).changed == ()
    assert digest(image) == before


def test_bookworm_gets_a_first_run_script(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", BOOKWORM)
    do(image, replace(FULL, bundle=small_bundle(tmp_path)))
    assert complaints(image, at=START) == ""
    assert b"edgeagent-install.service" in get(image, "firstrun.sh")
    assert b" systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot" in get(image, "cmdline.txt")


def test_a_changed_wish_replaces_and_a_replaced_token_is_gone_from_the_image(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    do(image, replace(FULL, bundle=None, seed=SEED, enrol=enrolment(tmp_path / "a")))
    other = enrolment(tmp_path / "b", token="WXYZ-WXYZ-WXYZ-WXYZ-WXYZ")  # noqa: S106  # of no console
    do(image, replace(FULL, bundle=None, hostname="hall", seed=SEED, enrol=other))
    raw = image.read_bytes()
    assert TOKEN.encode() not in raw
    assert raw.count(b"WXYZ-WXYZ-WXYZ-WXYZ-WXYZ") == 1
    assert get(image, "cmdline.txt").count(b"ds=nocloud") == 1
    assert yaml.safe_load(get(image, "user-data"))["hostname"] == "hall"


@pytest.mark.parametrize(
    ("files", "name"), [(TRIXIE, "user-data"), (BOOKWORM, "firstrun.sh"), (PRESEED, "rpi-preseed.toml")]
)
def test_settings_that_are_replaced_are_noted(tmp_path: Path, files: dict[str, bytes], name: str) -> None:
    image = made(tmp_path / "card.img", files)
    lost = f"{name} had settings already, which are gone: give all wishes at once."
    assert lost not in do(image, Wishes(hostname="kitchen", timezone="Europe/Berlin")).notes
    assert lost not in do(image, Wishes(hostname="kitchen", timezone="Europe/Berlin")).notes
    assert lost in do(image, Wishes(hostname="hall")).notes


def test_crlf_and_bom_of_an_edited_command_line_are_taken(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE | {"cmdline.txt": b"\xef\xbb\xbf" + CMDLINE + b"\r\n"})
    do(image, Wishes(hostname="kitchen"))
    assert get(image, "cmdline.txt").startswith(CMDLINE + b" ds=nocloud;i=edgeagent-")


@pytest.mark.parametrize("name", FILES)
def test_a_wifi_name_in_another_script_or_in_none_is_taken_everywhere(tmp_path: Path, name: str) -> None:
    image = made(tmp_path / "card.img", FILES[name])
    do(image, Wishes(wifi=wifi("カフェ", "12345678", country="JP")))
    do(image, Wishes(wifi=wifi(b"caf\xe9", "12345678", country="FR")))
    assert complaints(image, at=START) == ""


def test_our_own_image_takes_a_seed_and_nothing_else(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", OWN)
    report = do(image, Wishes(seed=SEED, enrol=enrolment(tmp_path)))
    assert set(report.changed) == {"edgeagent/seed.toml", "edgeagent/enrol.toml"}
    refused(image, replace(FULL, seed=SEED, bundle=None), "own image does not take user, ssh_keys, wifi, locale")


def test_a_truncated_image_is_refused(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    with image.open("r+b") as file:
        file.truncate(10 << 20)
    refused(image, Wishes(seed=SEED), "the image is truncated")


def test_a_full_boot_partition_is_refused_and_every_file_stays(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    bundle = small_bundle(tmp_path, "3.13", more=bytes(13 << 20))
    with pytest.raises(ImageError, match="the partition is full"):
        do(image, replace(FULL, seed=SEED, bundle=bundle))
    assert complaints(image, at=START) == ""
    for name, content in TRIXIE.items():
        assert get(image, name) == content
    with image.open("rb") as file:
        assert not FatPartition(file, START).listing("edgeagent")


def test_a_token_that_was_written_in_vain_is_gone_from_the_image(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    bundle = small_bundle(tmp_path, "3.13", more=bytes(13 << 20))
    with pytest.raises(ImageError, match="the partition is full"):
        do(image, replace(FULL, seed=SEED, enrol=enrolment(tmp_path), bundle=bundle))
    assert TOKEN.encode() not in image.read_bytes()
    assert "edgeagent/seed.toml" in do(image, Wishes(seed=SEED)).changed


def test_a64_a_plug_pulled_at_any_write_leaves_the_image_as_before_or_done_or_marked(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    wishes = replace(FULL, bundle=small_bundle(tmp_path, "3.13"), seed=SEED, enrol=enrolment(tmp_path))
    before, seen = image.read_bytes(), set()
    do(tmp_path / "card.img", wishes)
    states = {"done": files_of(image.read_bytes()), "as before": files_of(before)}
    for writes in count():
        with image.open("rb") as file:
            disk = CutFile(before, writes, file.fileno())
            customised(disk, wishes)
        left = disk.getvalue()
        if FatPartition(BytesIO(left), START).is_dirty:
            seen.add("marked")
        else:
            seen.add(next(name for name, files in states.items() if files_of(left) == files))
        if disk.left >= 0:
            break
    assert seen == {"as before", "marked", "done"}
    image.write_bytes(left)
    assert verify(image, now=BUILT) == []


def test_a_full_disk_under_the_image_is_told(tmp_path: Path) -> None:
    source = made(tmp_path / "card.img", TRIXIE)
    with mounted("tmpfs", "size=1m", "none", tmp_path / "small") as folder:
        image = folder / "card.img"
        subprocess.run(["cp", "--sparse=always", source, image], check=True)
        bundle = small_bundle(tmp_path, "3.13", more=os.urandom(2 << 20))
        with pytest.raises(ImageError, match=r"card\.img: failed: No space left on device") as caught:
            do(image, replace(FULL, seed=SEED, bundle=bundle))
        assert "Make room" in caught.value.remedy
        for name, content in TRIXIE.items():
            assert get(image, name) == content


def test_a_card_that_somebody_uses_is_left_alone(tmp_path: Path) -> None:
    backing = made(tmp_path / "card.img", TRIXIE)
    before = digest(backing)
    with loop(backing) as device:
        descriptor = os.open(device, os.O_RDWR | os.O_EXCL)  # as the kernel has it while something of it is mounted
        try:
            with pytest.raises(ImageError, match="cannot be changed: Device or resource busy") as caught:
                do(device, Wishes(seed=SEED))
        finally:
            os.close(descriptor)
        assert "unmount" in caught.value.remedy
        assert digest(backing) == before
        assert do(device, Wishes(seed=SEED)).changed


HOLDS = """
import os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
os.lockf(descriptor, os.F_TLOCK, 0)
print("locked", flush=True)
sys.stdin.read()
"""


def test_an_image_that_another_program_changes_is_left_alone(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    command = [sys.executable, "-c", HOLDS, str(image)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdin
        assert child.stdout.readline() == b"locked\n"
        assert "wait" in refused(image, Wishes(seed=SEED), "cannot be changed: in use").remedy
        child.stdin.close()
        child.wait()
    assert do(image, Wishes(seed=SEED)).changed


def test_what_is_no_file_and_no_disk_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ImageError, match="is no file and no disk"):
        do(pipe, Wishes(seed=SEED))
    with pytest.raises(ImageError, match="is no file and no disk"):
        inspect(pipe)


def test_an_image_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    made(tmp_path / "card.img", TRIXIE)
    read_only = mounted("none", "bind,ro", tmp_path, tmp_path / "there")
    with read_only as folder, pytest.raises(ImageError, match="cannot be changed: Read-only file system"):
        do(folder / "card.img", Wishes(seed=SEED))


def test_a_partition_in_use_is_refused(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    in_use(image)
    refused(image, Wishes(seed=SEED), "marked as in use")


@pytest.mark.parametrize(("name", "python", "has"), [("trixie", "3.11", "3.13"), ("bookworm", "3.13", "3.11")])
def test_a_bundle_for_another_python_is_refused(tmp_path: Path, name: str, python: str, has: str) -> None:
    image = made(tmp_path / "card.img", FILES[name])
    bundle = small_bundle(tmp_path, python)
    refused(image, Wishes(bundle=bundle), f"the wheels are for Python {python}, the image has {has}")


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    bundle = tmp_path / "bundle.tar"
    bundle.write_bytes(b"not a tar")
    refused(image, Wishes(bundle=bundle), "no bundle")
    refused(image, Wishes(bundle=tmp_path / "nowhere.tar"), "cannot be read")


def test_a14_an_expired_token_is_refused(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    expired = enrolment(tmp_path, expires=datetime(2026, 10, 31, tzinfo=UTC))
    error = refused(image, Wishes(seed=SEED, enrol=expired), "the token has expired on 2026-10-31")
    assert TOKEN not in str(error)


def test_a63_a_token_without_a_serial_is_noted(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    report = do(image, Wishes(seed=SEED, enrol=enrolment(tmp_path, serial=None)))
    assert any("names no serial number" in note for note in report.notes)


def test_a_token_for_another_fleet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="the token is for the fleet 'other', the seed says 'home'"):
        Wishes(seed=SEED, enrol=enrolment(tmp_path, fleet="other"))


def test_an_image_that_a_board_has_run_from_is_left_alone_unless_asked(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", TRIXIE)
    with image.open("r+b") as file:
        root = partitions(file)[1].start
        file.seek(root + 1024 + 56)
        file.write(struct.pack("<H", 0xEF53))
        file.seek(root + 1024 + 136)
        file.write(b"/\0")
    refused(image, Wishes(seed=SEED), "a board has run from this image already")
    assert do(image, Wishes(seed=SEED), booted_too=True).changed


def test_an_image_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.img", tmp_path):
        with pytest.raises(ImageError, match="cannot be changed"):
            do(path, Wishes(seed=SEED))


def test_a_named_format_is_taken_where_it_can_be(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", BOOKWORM)
    report = do(image, Wishes(hostname="kitchen", format="rpi-preseed"))
    assert report.changed == ("rpi-preseed.toml",)
    put(image, "rpi-preseed.toml", b"")
    own = made(tmp_path / "own.img", OWN)
    refused(own, Wishes(hostname="kitchen", format="cloudinit"), "format 'cloudinit' needs a cmdline.txt")
