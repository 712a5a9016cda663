"""Images to the list that Raspberry Pi Imager reads, so that people flash them with the tool that they have.

The fields are those of rpi-imager's `doc/json-schema/os-list-schema.json`; `url` may be a file beside the list.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

InitFormat = Literal["none", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed"]
DEVICES_64 = ("pi5-64bit", "pi4-64bit", "pi3-64bit")
"""Imager's tags of the boards that run 64-bit systems; the Zero 2 W counts as a Pi 3."""
ICON = "https://downloads.raspberrypi.com/raspios_arm64/Raspberry_Pi_OS_(64-bit).png"


@dataclass(frozen=True, slots=True)
class Listed:
    """One image. `extract_*` are of the unpacked one, `image_download_size` of what the URL gives."""

    name: str
    description: str
    url: str
    extract_size: int
    extract_sha256: str
    image_download_size: int
    release_date: date
    init_format: InitFormat = "none"
    """`none` for what is customised already: Imager would ask, and write over it."""
    devices: tuple[str, ...] = DEVICES_64
    icon: str = ICON
    website: str = ""


def os_list(images: Sequence[Listed]) -> bytes:
    """Return the JSON that is given to Imager with `--repo`."""
    return (json.dumps({"os_list": [_entry(one) for one in images]}, indent=2, ensure_ascii=False) + "\n").encode()


def _entry(one: Listed) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": one.name,
        "description": one.description,
        "icon": one.icon,
        "url": one.url,
        "extract_size": one.extract_size,
        "extract_sha256": one.extract_sha256,
        "image_download_size": one.image_download_size,
        "release_date": one.release_date.isoformat(),
        "init_format": one.init_format,
        "devices": list(one.devices),
        "architecture": "armv8",
        "capabilities": [],
    }
    return entry | ({"website": one.website} if one.website else {})
