"""Whether a board has run from an image: by what mke2fs writes into a superblock."""

import os
import shutil
from io import BytesIO
from pathlib import Path

import pytest
from provision_images import START, card, needs_fat_tools, run

from edgeagent.provision.booted import was_booted
from edgeagent.provision.errors import ImageError

HAS_MKE2FS = shutil.which("mke2fs", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None
FAT = 12 << 20


@needs_fat_tools
@pytest.mark.skipif(
    not HAS_MKE2FS and "EDGEAGENT_CI" not in os.environ, reason="mke2fs is not installed: apt-get install e2fsprogs"
)
@pytest.mark.parametrize(
    ("mounted", "booted"), [("/", True), ("/root", True), ("/home/me/pi-gen/work/rootfs", False), ("", False)]
)
def test_where_the_root_was_mounted_last_tells_it(tmp_path: Path, mounted: str, *, booted: bool) -> None:
    image = card(tmp_path / "card.img", bits=16, fat=FAT)
    last = ("-M", mounted) if mounted else ()
    run("mke2fs", "-q", "-F", "-t", "ext4", *last, "-E", f"offset={START + FAT}", image, "8192k")
    with image.open("rb") as file:
        assert was_booted(file) is booted


@needs_fat_tools
def test_what_is_no_ext4_tells_nothing(tmp_path: Path) -> None:
    with card(tmp_path / "card.img", bits=16, fat=FAT).open("rb") as file:
        assert not was_booted(file)
    with pytest.raises(ImageError, match="no partition table"):
        was_booted(BytesIO(b""))
