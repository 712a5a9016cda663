"""Which disks an image is written to, and which are left alone."""

import os
import plistlib
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from provision.media import loop, mounted

from edgeagent.provision.devices import HEAD_BYTES, UNFINISHED, Medium, contents_of, refusals, size_said
from edgeagent.provision.devices_elsewhere import medium_on_windows, of_diskutil, of_get_disk
from edgeagent.provision.devices_linux import Places, described, media, medium_at
from edgeagent.provision.errors import ImageError

CARD = Medium(Path("/dev/sdb"), 31_914_983_424, "usb", is_removable=True, model="Mass Storage", serial="058F63666485")


def reasons(medium: Medium, needed: int | None = 3 << 30, forced: str | None = None) -> list[str]:
    return [one.reason for one in refusals(medium, needed, forced)]


def test_an_empty_card_is_written_to() -> None:
    assert refusals(CARD, 3 << 30) == []
    assert refusals(CARD, None) == []


@pytest.mark.parametrize(
    ("medium", "words"),
    [
        (replace(CARD, mounts=("/media/ann/bootfs", "/media/ann/root fs")), "it is mounted at /media/ann/bootfs, /med"),
        (replace(CARD, mounts=("/boot/firmware", "/")), "this machine runs from it"),
        (replace(CARD, users=("swap",)), "it is in use: swap"),
        (replace(CARD, is_read_only=True), "it is write protected"),
        (replace(CARD, size_bytes=0), "there is no medium in it"),
        (replace(CARD, size_bytes=2 << 30), "it has 2.1 GB, the image 3.2 GB"),
    ],
    ids=["mounted", "system", "in use", "write protected", "no medium", "too small"],
)
def test_nothing_forces_what_would_do_harm_or_cannot_work(medium: Medium, words: str) -> None:
    assert reasons(medium)[0].startswith(words)
    assert reasons(medium, forced=medium.force_name)[0].startswith(words)
    assert not any(one.can_be_forced for one in refusals(medium, 3 << 30))
    assert all(one.remedy and "--force" not in one.remedy for one in refusals(medium, 3 << 30))


@pytest.mark.parametrize(
    ("medium", "words"),
    [
        (replace(CARD, is_removable=False), "it cannot be taken out"),
        (replace(CARD, size_bytes=2 * 10**12), "it is suspiciously large for a card: 2.0 TB"),
        (replace(CARD, contents=("FAT", "partition sdb1 of 31.9 GB")), "there is something on it: FAT, partition sdb1"),
    ],
    ids=["fixed", "large", "with data"],
)
def test_what_may_be_a_mistake_is_forced_by_its_serial_number_alone(medium: Medium, words: str) -> None:
    (refusal,) = refusals(medium, 3 << 30)
    assert refusal.reason.startswith(words)
    assert refusal.remedy.endswith("--force 058F63666485")
    assert reasons(medium, forced="058F63666485") == []
    assert reasons(medium, forced="058F63666486") == ["--force names '058F63666486', this is 058F63666485"]


def test_a_wrong_serial_number_is_an_error_even_where_none_was_needed() -> None:
    assert reasons(CARD, forced="another") == ["--force names 'another', this is 058F63666485"]


def test_where_there_is_no_serial_number_the_size_stands_for_it() -> None:
    card = replace(CARD, serial="", contents=("FAT",))
    assert reasons(card, forced="31914983424") == []
    assert refusals(card, 1)[0].remedy.endswith("--force 31914983424")


def test_256_gb_are_a_card_and_more_are_suspicious() -> None:
    assert reasons(replace(CARD, size_bytes=256 * 10**9)) == []
    assert len(reasons(replace(CARD, size_bytes=256 * 10**9 + 512))) == 1
    assert reasons(replace(CARD, kind="file", size_bytes=2 * 10**12)) == [], "a new file has all that is free"


def made_by(folder: Path, command: list[str]) -> bytes:
    program = shutil.which(command[0], path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if program is None and "EDGEAGENT_CI" not in os.environ:
        pytest.skip(f"{command[0]} is not installed: apt-get install dosfstools e2fsprogs fdisk")
    assert program
    path = folder / "disk"
    path.touch()
    os.truncate(path, 64 << 20)
    subprocess.run([program, *command[1:], path], check=True, capture_output=True, input=b",\n")
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["mkfs.vfat", "-F", "32"], "FAT"),
        (["mkfs.vfat", "-F", "16"], "FAT"),
        (["mkfs.ext4", "-q"], "ext4"),
        (["mkswap"], "swap"),
        (["sfdisk", "-q"], "a partition table"),
        (["sfdisk", "-q", "--label", "gpt"], "a GPT"),
    ],
    ids=["fat32", "fat16", "ext4", "swap", "mbr", "gpt"],
)
def test_what_real_programs_put_on_a_disk_is_seen(tmp_path: Path, command: list[str], name: str) -> None:
    assert contents_of(made_by(tmp_path, command)) == (name,)


def test_a_blank_disk_is_empty_and_any_other_byte_is_not() -> None:
    assert contents_of(bytes(HEAD_BYTES)) == ()
    assert contents_of(bytes(99_999) + b"x" + bytes(31_072)) == ("data of some other kind",)
    assert contents_of(bytes(HEAD_BYTES), ("partition sdb1 of 1.0 GB",)) == ("partition sdb1 of 1.0 GB",)


def test_what_was_cut_off_while_it_was_flashed_counts_as_empty() -> None:
    assert contents_of(UNFINISHED + b"\xff" * 1_000, ("partition sdb1 of 1.0 GB",)) == ()


def test_sizes_are_told_as_they_stand_on_a_card() -> None:
    assert [size_said(one) for one in (10, 5_000, 3 * 10**6, 31_914_983_424)] == ["10 B", "5.0 kB", "3.0 MB", "31.9 GB"]


class Tree:
    """A /sys, /proc, /run/udev and /dev as Linux lays them out."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder / "sys", folder / "proc", folder / "udev", folder / "dev")
        for one in ("sys/block", "sys/class/block", "sys/dev/block", "proc/self", "udev", "dev"):
            (folder / one).mkdir(parents=True)
        self.mounted("22 1 0:21 / /proc rw - proc proc rw")

    def mounted(self, *lines: str) -> None:
        (self.places.proc / "self" / "mountinfo").write_text("\n".join(lines) + "\n")

    def disk(self, where: str, number: str, **files: str) -> Path:
        folder = self.places.sys / "devices" / where
        for name, text in {"dev": number, "size": "62333952", "removable": "0", "ro": "0", **files}.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        (folder / "holders").mkdir()
        for one in (self.places.sys / "dev" / "block" / number, self.places.sys / "class" / "block" / folder.name):
            one.symlink_to(folder)
        if "partition" not in files:
            (self.places.sys / "block" / folder.name).symlink_to(folder)
        (self.places.dev / folder.name).touch()
        return folder

    def seen(self, number: str = "8:16") -> Medium:
        return described(Path("/dev/sdb"), number, self.places)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


USB = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host4/target4:0:0/4:0:0:0/block/sdb"


def test_a_card_in_a_usb_reader(tree: Tree) -> None:
    folder = tree.disk(USB, "8:16", device__vendor="Generic ", device__model="MassStorageClass", removable="1")
    above = tree.places.sys / "devices/pci0000:00/0000:00:14.0/usb2/2-1"
    (above / "idVendor").write_text("058f\n")
    (above / "serial").write_text("058F63666485\n")
    tree.disk(f"{USB}/sdb1", "8:17", partition="1", size="1048576")
    found = tree.seen()
    assert found == Medium(
        Path("/dev/sdb"),
        31_914_983_424,
        "usb",
        is_removable=True,
        model="Generic MassStorageClass",
        serial="058F63666485",
        contents=("partition sdb1 of 536.9 MB",),
    )
    (folder / "removable").write_text("0\n")
    assert tree.seen().is_removable, "a disk in a USB case calls itself fixed, and can be pulled"


def test_what_udev_has_noted_of_a_disk_comes_first(tree: Tree) -> None:
    tree.disk(USB, "8:16", device__model="x")
    (tree.places.udev / "b8:16").write_text("S:disk/by-id/x\nE:ID_MODEL=SD_Transcend\nE:ID_SERIAL_SHORT=20200108\n")
    assert (tree.seen().model, tree.seen().serial) == ("SD_Transcend", "20200108")


def test_a_card_in_a_slot_can_be_taken_out_and_soldered_flash_cannot(tree: Tree) -> None:
    slot = "platform/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0"
    soldered = "platform/fe340001.mmc/mmc_host/mmc1/mmc1:0001/block/mmcblk1"
    tree.disk(slot, "179:0", device__type="SD", device__name="SC32G", device__serial="0x1234abcd")
    tree.disk(soldered, "179:8", device__type="MMC")
    card, other = tree.seen("179:0"), tree.seen("179:8")
    assert (card.kind, card.is_removable, card.model, card.serial) == ("sd", True, "SC32G", "0x1234abcd")
    assert (other.kind, other.is_removable) == ("emmc", False)


def test_a_partition_is_refused_and_its_disk_is_named(tree: Tree) -> None:
    tree.disk(USB, "8:16")
    tree.disk(f"{USB}/sdb1", "8:17", partition="1")
    with pytest.raises(ImageError, match=r"is a part of .*/dev/sdb$"):
        tree.seen("8:17")


def test_a_mount_of_a_partition_is_found_by_its_number(tree: Tree) -> None:
    tree.disk(USB, "8:16")
    tree.disk(f"{USB}/sdb1", "8:17", partition="1")
    tree.mounted(r"99 1 8:17 / /media/ann/my\040card rw shared:1 - vfat /dev/sdb1 rw", "5 1 8:33 / /x rw - ext4 /y rw")
    assert tree.seen().mounts == ("/media/ann/my card",)


def test_a_mount_of_btrfs_is_found_though_its_number_is_its_own(tree: Tree) -> None:
    tree.disk(USB, "8:16")
    tree.disk(f"{USB}/sdb2", "8:18", partition="2")
    tree.mounted("27 1 0:25 /@ / rw - btrfs /dev/sdb2 rw,subvol=/@")
    assert tree.seen().holds_system


def test_a_system_on_an_encrypted_volume_group_is_found_through_all_layers(tree: Tree) -> None:
    tree.disk(USB, "8:16")
    part = tree.disk(f"{USB}/sdb3", "8:19", partition="3")
    opened = tree.disk("virtual/block/dm-0", "253:0")
    volume = tree.disk("virtual/block/dm-1", "253:1")
    (part / "holders" / "dm-0").symlink_to(opened)
    (opened / "holders" / "dm-1").symlink_to(volume)
    tree.mounted("27 1 253:1 / / rw - ext4 /dev/mapper/vg-root rw")
    found = tree.seen()
    assert found.holds_system
    assert found.users == ("dm-0 is made of it",)


def test_layers_that_go_round_in_a_circle_come_to_an_end(tree: Tree) -> None:
    folder = tree.disk(USB, "8:16")
    (folder / "holders" / "sdb").symlink_to(folder)
    assert tree.seen().users == ("sdb is made of it",)


def test_swap_on_a_partition_is_a_use(tree: Tree) -> None:
    tree.disk(USB, "8:16")
    tree.disk(f"{USB}/sdb2", "8:18", partition="2")
    (tree.places.proc / "swaps").write_text("Filename\tType\tSize\n/dev/sdb2            partition\t1000\t0\t-2\n")
    assert tree.seen().users == ("swap",)


def test_only_disks_with_a_medium_in_them_are_listed(tree: Tree) -> None:
    tree.disk(USB, "8:16")
    tree.disk(USB.replace("sdb", "sdc"), "8:32", size="0")
    tree.disk("virtual/block/loop0", "7:0")
    assert [one.path.name for one in media(tree.places)] == ["sdb"]


def test_the_disk_that_this_machine_runs_from_is_never_written_to() -> None:
    numbers = [line.split(" ")[2] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " / / " in line]
    places = Places()
    folder = (places.sys / "dev" / "block" / numbers[-1]).resolve()
    if not folder.is_dir():
        pytest.skip("the root of this machine is on no disk: it is a container")
    whole = folder.parent if (folder / "partition").exists() else folder
    found = described(Path("/dev") / whole.name, (whole / "dev").read_text().strip())
    assert found.holds_system or found.users
    assert refusals(found, 1, found.force_name)


def test_a_real_block_device_with_a_file_system_is_refused_and_a_blank_one_is_no_card_either(tmp_path: Path) -> None:
    blank = tmp_path / "blank"
    blank.write_bytes(bytes(64 << 20))
    with loop(blank) as device:
        found = medium_at(device)
        assert (found.kind, found.size_bytes, found.contents) == ("loop", 64 << 20, ())
        assert reasons(found, 1) == ["it cannot be taken out of this machine"]
    made_by(tmp_path, ["mkfs.ext4", "-q"])
    with loop(tmp_path / "disk") as device:
        assert "there is something on it: ext4" in reasons(medium_at(device), 1)
        assert reasons(medium_at(device), 1, str(64 << 20)) == []


def test_a_mounted_disk_is_refused_whatever_is_forced(tmp_path: Path) -> None:
    made_by(tmp_path, ["mkfs.ext4", "-q"])
    with loop(tmp_path / "disk") as device, mounted("ext4", "ro", device, tmp_path / "on it") as folder:
        found = medium_at(device)
        assert found.mounts == (str(folder),)
        assert reasons(found, 1, found.force_name) == [f"it is mounted at {folder}"]


def test_a_disk_is_known_by_its_own_name_whatever_link_leads_to_it(tmp_path: Path) -> None:
    backing = tmp_path / "card"
    backing.write_bytes(bytes(1 << 20))
    with loop(backing) as device:
        (tmp_path / "by-id").symlink_to(device)
        (tmp_path / "link").symlink_to("by-id")
        assert medium_at(tmp_path / "link") == medium_at(device)
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    with pytest.raises(ImageError, match="No such file"):
        medium_at(tmp_path / "nowhere")


def test_what_is_no_disk_is_said_to_be_none(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "no disk"), (Path("/dev/null"), "no disk")):
        with pytest.raises(ImageError, match=words) as caught:
            medium_at(path)
        assert caught.value.remedy
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


MAC = {
    "WholeDisk": True,
    "TotalSize": 31_914_983_424,
    "BusProtocol": "Secure Digital",
    "Internal": True,
    "RemovableMedia": True,
    "WritableMedia": True,
    "MediaName": "Built In SDXC Reader",
    "VirtualOrPhysical": "Physical",
}
MAC_LIST = {"AllDisksAndPartitions": [{"Partitions": [{"Content": "Windows_FAT_32", "MountPoint": "/Volumes/bootfs"}]}]}


def test_macos_is_understood_by_samples_of_its_answers() -> None:
    path = Path("/dev/disk4")
    found = of_diskutil(path, plistlib.dumps(MAC), plistlib.dumps(MAC_LIST))
    assert (found.kind, found.is_removable, found.mounts) == ("sd", True, ("/Volumes/bootfs",))
    assert found.contents == ("Windows_FAT_32",)
    assert refusals(of_diskutil(path, plistlib.dumps(MAC), plistlib.dumps({})), 1) == []
    with pytest.raises(ImageError, match="no whole disk"):
        of_diskutil(path, plistlib.dumps({"WholeDisk": False, "ParentWholeDisk": "disk4"}), plistlib.dumps({}))
    for raw in (b"", b"nonsense", b"<plist><dict>", plistlib.dumps([1])):
        with pytest.raises(ImageError, match="cannot be read"):
            of_diskutil(path, raw, raw)
    assert refusals(of_diskutil(path, plistlib.dumps({"WholeDisk": True}), plistlib.dumps({})), 1, "0")


def test_windows_is_understood_by_samples_of_its_answers() -> None:
    path = Path(r"\\.\PhysicalDrive2")
    card = (
        b'{"Size": 31914983424, "BusType": "USB", "Model": "Card Reader", "SerialNumber": " 12 ", "IsSystem": false,'
        b' "IsBoot": false, "IsReadOnly": false, "Partitions": %s}'
    )
    found = of_get_disk(path, card % b"[]")
    assert (found.kind, found.serial, refusals(found, 1)) == ("usb", "12", [])
    mounted = of_get_disk(path, card % b'{"PartitionNumber": 1, "AccessPaths": ["E:\\\\", "\\\\\\\\?\\\\Volume{1}"]}')
    assert (mounted.mounts, mounted.contents) == (("E:\\",), ("partition 1",))
    assert of_get_disk(path, b"{}").users == ("Windows starts from it",)
    for raw in (b"", b"[1]"):
        with pytest.raises(ImageError, match="cannot be read"):
            of_get_disk(path, raw)
    with pytest.raises(ImageError, match="is no disk"):
        medium_on_windows(Path("1; Remove-Item C:"))
