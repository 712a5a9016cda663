"""What an image is planned to be, its archive of the first root, and the lists of what is in it."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from edgeagent.install.locking import EXTRAS, PROJECT, closure
from edgeagent.provision.build import cpio, disk, initrd, manifest, wheels
from edgeagent.provision.build.plan import BOOT_START, EPOCH, ROOT_START, SUITES, Wishes, planned
from edgeagent.provision.build.programs import missing, need, need_emulation, run
from edgeagent.provision.errors import ImageError

CHECKOUT = Path(__file__).parents[2]
BUSYBOX = shutil.which("busybox")
ENTRIES = (
    cpio.folder("bin"),
    cpio.file("bin/one", b"1", mode=0o755),
    cpio.file("bin/many", bytes(range(256)) * 33),
    cpio.file("empty", b""),
    cpio.link("bin/other", "one"),
)

needs_busybox = pytest.mark.skipif(
    BUSYBOX is None and "EDGEAGENT_CI" not in os.environ,
    reason="busybox is not installed: apt-get install busybox-static",
)


def wishes(folder: Path, **changes: str) -> Wishes:
    return Wishes(folder / "image", CHECKOUT, folder, **changes)  # type: ignore[arg-type]  # wrong ones are tried


@needs_busybox
def test_another_program_unpacks_the_archive_to_the_same_files(tmp_path: Path) -> None:
    made = cpio.archive(ENTRIES, at=EPOCH)
    subprocess.run(["busybox", "cpio", "-i", "-m"], input=made, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "bin/one").read_bytes() == b"1"
    assert (tmp_path / "bin/many").read_bytes() == bytes(range(256)) * 33
    assert (tmp_path / "empty").read_bytes() == b""
    assert (tmp_path / "bin/other").readlink() == Path("one")
    assert stat.S_IMODE((tmp_path / "bin/one").stat().st_mode) == 0o755
    assert (tmp_path / "bin/many").stat().st_mtime == EPOCH
    assert sum(1 for _ in tmp_path.rglob("*")) == len(ENTRIES)


def test_the_same_files_give_the_same_archive_and_another_time_another() -> None:
    assert cpio.archive(ENTRIES, at=EPOCH) == cpio.archive(ENTRIES, at=EPOCH)
    assert cpio.archive(ENTRIES, at=EPOCH) != cpio.archive(ENTRIES, at=EPOCH + 1)


@pytest.mark.parametrize("name", ["/etc/passwd", "TRAILER!!!", "a\0b"])
def test_a_name_that_would_break_the_archive_is_refused(name: str) -> None:
    with pytest.raises(ImageError):
        cpio.archive([cpio.file(name, b"")], at=EPOCH)


def test_a_file_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ImageError):
        cpio.archive([cpio.folder("bin"), cpio.folder("bin")], at=EPOCH)


def test_modules_go_in_after_those_that_they_need() -> None:
    dependencies = "fs/ext4.ko.xz: fs/jbd2.ko.xz lib/crc16.ko.xz\nfs/jbd2.ko.xz: lib/crc16.ko.xz\nlib/crc16.ko.xz:\n"
    assert initrd.in_order(("ext4", "virtio-blk"), dependencies) == (
        "lib/crc16.ko.xz",
        "fs/jbd2.ko.xz",
        "fs/ext4.ko.xz",
    )


def test_a_module_is_found_whichever_way_its_name_is_written() -> None:
    assert initrd.in_order(("usb-storage",), "usb/usb_storage.ko:\n") == ("usb/usb_storage.ko",)


def test_a_root_without_busybox_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="busybox"):
        initrd.first_root(tmp_path, "6.1", at=EPOCH)


def test_the_same_wishes_give_the_same_plan_and_others_another(tmp_path: Path) -> None:
    first = planned(wishes(tmp_path))
    assert first.key == planned(wishes(tmp_path / "elsewhere")).key
    keys = {
        first.key,
        *(planned(wishes(tmp_path, **change)).key for change in ({"suite": "bookworm"}, {"mirror": "x"})),
    }
    assert len(keys) == 3
    assert first.identity("root") != first.identity("boot")
    assert first.disk_id


@pytest.mark.parametrize("change", [{"suite": "sarge"}, {"variant": "best"}])
def test_what_there_is_none_of_is_refused_with_what_there_is(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(ImageError, match=r"expected .* or ") as refused:
        planned(wishes(tmp_path, **change))
    assert refused.value.remedy


def test_an_image_without_a_time_of_its_own_is_never_older_than_a_fat_can_tell(tmp_path: Path) -> None:
    assert planned(wishes(tmp_path)).epoch == EPOCH


def test_a_program_that_is_missing_is_named_with_what_to_type() -> None:
    assert missing(("sh", "no-such-program")) == ("no-such-program",)
    with pytest.raises(ImageError) as refused:
        need(("no-such-program", "sh"))
    assert refused.value.remedy.endswith("apt-get install --no-install-recommends no-such-program")


def test_a_machine_that_does_not_run_programs_for_arm64_is_told_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = tmp_path / "arch-test"
    tried.write_text("#!/bin/sh\necho $1: not supported\nexit 1\n")
    tried.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ImageError, match=r"does not run programs for arm64.*arm64: not supported") as refused:
        need_emulation()
    assert "binfmt-support" in refused.value.remedy


def test_a_program_that_fails_is_told_with_its_own_words() -> None:
    with pytest.raises(ImageError, match="because"):
        run("sh", "-c", "echo because >&2; exit 3")


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_a_board_gets_what_the_agent_needs_in_the_versions_of_the_lock(suite: str) -> None:
    environment = wheels.board_environment(SUITES[suite].python)
    names = closure(PROJECT, EXTRAS, environment)
    assert {"onnxruntime", "pocketsphinx", "pymicro-wakeword", "paho-mqtt", "pydantic-core"} <= names
    assert not names & {"torch", "pytest", "sqlalchemy", "playwright", "edgeagent"}
    found = wheels.locked((CHECKOUT / "requirements.lock").read_text(), names, environment)
    assert {one.name for one in found} == names
    assert all(one.hashes for one in found)


def test_markers_are_judged_for_the_board_and_not_for_this_machine() -> None:
    older = "numpy==1 ; python_full_version < '3.12' \\\n --hash=sha256:aa\n"
    newer = "numpy==2 ; python_full_version >= '3.12' \\\n --hash=sha256:bb\n"
    boards = [wheels.board_environment(one) for one in ((3, 11), (3, 13))]
    versions = [wheels.locked(older + newer, ["numpy"], board)[0].version for board in boards]
    assert versions == ["1", "2"]


def test_a_package_that_the_lock_does_not_have_is_named() -> None:
    with pytest.raises(ImageError, match="numpy"):
        wheels.locked("six==1 --hash=sha256:aa\n", ["numpy", "six"], wheels.board_environment((3, 13)))


def test_no_wheel_is_taken_that_needs_a_newer_system() -> None:
    assert "manylinux_2_36_aarch64" in wheels.platforms(SUITES["bookworm"])
    assert "manylinux_2_37_aarch64" not in wheels.platforms(SUITES["bookworm"])


def contents() -> manifest.Contents:
    packages = (manifest.Package("libstdc++6", "1:14.2.0-19", "arm64"),)
    return manifest.Contents(packages, {"paho_mqtt-2.2.0-py3-none-any.whl": "ab" * 32})


def test_the_bill_names_every_package_and_wheel_by_its_address(tmp_path: Path) -> None:
    plan = planned(wishes(tmp_path))
    bill = json.loads(manifest.bill(plan, contents(), "image", "cd" * 32))
    assert [one["purl"] for one in bill["components"]] == [
        "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19?arch=arm64&distro=trixie",
        "pkg:pypi/paho-mqtt@2.2.0?file_name=paho_mqtt-2.2.0-py3-none-any.whl",
    ]
    assert bill["components"][1]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert bill["bomFormat"] == "CycloneDX"


def test_lists_of_the_same_contents_are_the_same_bytes(tmp_path: Path) -> None:
    plan = planned(wishes(tmp_path))
    lists = [
        (
            manifest.manifest(plan, contents(), "image", 5, "cd" * 32),
            manifest.bill(plan, contents(), "image", "cd" * 32),
        )
        for _ in range(2)
    ]
    assert lists[0] == lists[1]
    assert not [one for one in lists[0] if str(tmp_path).encode() in one]


def test_packages_that_were_only_unpacked_are_listed_by_their_files(tmp_path: Path) -> None:
    listed = tmp_path / "var/lib/edgeagent-packages"
    listed.parent.mkdir(parents=True)
    listed.write_text("libc6_2.41-12_arm64.deb\nadduser_3.152_all.deb\nlogin_1%3a4.16-7_arm64.deb\n")
    assert [(one.name, one.version, one.architecture) for one in manifest.packages_of(tmp_path)] == [
        ("adduser", "3.152", "all"),
        ("libc6", "2.41-12", "arm64"),
        ("login", "1:4.16-7", "arm64"),
    ]


def test_packages_that_are_installed_are_listed_by_dpkg(tmp_path: Path) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text("Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\nPackage: broken\n\n")
    assert manifest.packages_of(tmp_path) == (manifest.Package("a", "1", "all"),)


@pytest.mark.skipif(
    bool(missing(("mke2fs", "mkfs.vfat", "mcopy", "sfdisk", "fsck.vfat"))) and "EDGEAGENT_CI" not in os.environ,
    reason="missing: apt-get install e2fsprogs dosfstools mtools fdisk",
)
def test_a_disk_is_sound_and_has_no_time_of_this_machine_in_it(tmp_path: Path) -> None:
    root, scratch, image = tmp_path / "root", tmp_path / "scratch", tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    scratch.mkdir()
    (root / "etc/file").write_text("x" * 9000)
    plan = planned(wishes(tmp_path))
    disk.settle_times(root, plan.epoch)
    disk.lay_out(plan, root, {"edgeagent/seed.toml": b"seed"}, image, scratch)
    where = f"{image}?offset={ROOT_START}"
    run("e2fsck", "-f", "-n", where)
    times = [line for line in run("debugfs", "-R", "stat /etc/file", where).splitlines() if "time: " in line]
    assert len(times) == 4
    assert all(f"0x{plan.epoch:08x}" in line for line in times)
    boot = tmp_path / "boot"
    boot.write_bytes(image.read_bytes()[BOOT_START:ROOT_START])
    run("fsck.vfat", "-n", boot)
    label = boot.read_bytes().index(b"BOOTFS     \x08")
    assert boot.read_bytes()[label + 22 : label + 26] == b"\x00\x00\x21\x00"
