"""An image is built from packages, wheels and units: the same bytes twice, sound by others' judgement, and listed."""

import json
from pathlib import Path

import pytest
from qemu.images import built, marks
from qemu.machine import boot_files, read_root

from edgeagent.provision.build.image import Built
from edgeagent.provision.build.manifest import digest
from edgeagent.provision.build.plan import BOOT_START, ROOT_START
from edgeagent.provision.build.programs import run

pytestmark = marks


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(tmp_path_factory.mktemp("image"))


def test_both_file_systems_are_sound(image: Built, tmp_path: Path) -> None:
    run("e2fsck", "-f", "-n", f"{image.image}?offset={ROOT_START}")
    boot = tmp_path / "boot"
    with image.image.open("rb") as disk:
        disk.seek(BOOT_START)
        boot.write_bytes(disk.read(ROOT_START - BOOT_START))
    run("fsck.vfat", "-n", boot)
    assert boot_files(image.image) == ["edgeagent/seed.toml", "extlinux/extlinux.conf", "initrd.img", "vmlinuz"]


def test_nothing_in_it_belongs_to_one_device(image: Built) -> None:
    assert read_root(image.image, "/etc/machine-id") == ""
    listing = run("debugfs", "-R", "ls -p /etc/ssh", f"{image.image}?offset={ROOT_START}")
    assert "ssh_host" not in listing


def test_what_is_in_it_is_listed(image: Built) -> None:
    found = json.loads(image.manifest.read_bytes())
    assert found["image"]["sha256"] == digest(image.image)
    names = {one["name"] for one in found["packages"]}
    assert {"linux-image-arm64", "python3", "systemd", "libc6"} <= names
    assert any(name.startswith("onnxruntime-") for name in found["wheels"])
    bill = json.loads(image.sbom.read_bytes())
    assert len(bill["components"]) == len(found["packages"]) + len(found["wheels"])


def test_two_builds_give_the_same_bytes(image: Built, tmp_path: Path) -> None:
    again = built(tmp_path)
    assert digest(again.image) == digest(image.image)
    assert again.manifest.read_bytes() == image.manifest.read_bytes()
    assert again.sbom.read_bytes() == image.sbom.read_bytes()
