"""What lies on a boot partition to which system it is, and how that takes its first settings.

Rules, from the table of rpi-imager's `doc/os_customisation_formats.md`:
    - Files of cloud-init: Raspberry Pi OS from the end of 2025 on, or Ubuntu. A file of rpi-preseed or `custom.toml`
      that is there already: that format.
    - `cmdline.txt` with an `issue.txt` that has a date: the first-run script.
    - The menu of our own image: nothing but our own files.
    - Anything else is unknown, and nothing is guessed. rpi-preseed leaves no trace where its file is not there yet:
      such an image is named by hand.
"""

import re
from dataclasses import dataclass
from datetime import date

from edgeagent.provision.cmdline import words_of
from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat import FatPartition
from edgeagent.provision.formats.toml_files import CUSTOM, PRESEED
from edgeagent.provision.wishes import Format

CMDLINE, ISSUE, MENU = "cmdline.txt", "issue.txt", "extlinux/extlinux.conf"
CLOUD_FILES = ("user-data", "meta-data")
_OWN_MARK = b"label edgeagent\n"
_PI_ISSUE = re.compile(r"Raspberry Pi reference (\d{4})-(\d{2})-(\d{2})")
_BOOKWORM, _TRIXIE = date(2023, 10, 10), date(2025, 10, 1)
"""The first images of each; bookworm mounts the boot partition at /boot/firmware."""
_LARGEST_TEXT = 64 << 10


@dataclass(frozen=True, slots=True)
class System:
    """What is on an image. `released` and `python` are None where the partition does not tell."""

    title: str
    format: Format
    released: date | None = None
    python: str | None = None
    """As in `3.13`: what the wheels of a bundle have to be for."""
    boot: str = "/boot/firmware"
    """Where the board mounts the boot partition."""


def detected(fat: FatPartition) -> System:
    """Return what is on the partition. Raise ImageError if that is unknown."""
    released = _released(fat)
    found = _format(fat)
    if found == "edgeagent":
        return System("edgeagent's own image", found)
    if found == "cloudinit" and not _is_pi(fat, released):
        return System("Ubuntu, or another system with cloud-init", found)
    if found and (released or fat.find(CMDLINE)):
        return _raspberry(released, found)
    raise ImageError(
        f"unknown system: {_seen(fat)}",
        remedy="Take an image of Raspberry Pi OS or of edgeagent's own; if you know its format, name it: --format.",
    )


def of_format(fat: FatPartition, wanted: Format) -> System:
    """Return the system, whose format somebody has named. Raise ImageError if that cannot be, or `auto` finds none."""
    if wanted == "auto":
        return detected(fat)
    if wanted != "edgeagent" and fat.find(CMDLINE) is None and fat.find("user-data") is None:
        raise ImageError(
            f"format {wanted!r} needs a cmdline.txt; {_seen(fat)}", remedy="Leave --format out, or take another image."
        )
    if wanted == "edgeagent":
        return System("edgeagent's own image", wanted)
    return _raspberry(_released(fat), wanted)


def _format(fat: FatPartition) -> Format | None:
    """Return the format that the files speak for."""
    if _OWN_MARK in (fat.read(MENU, largest=_LARGEST_TEXT) or b"").replace(b"\r\n", b"\n"):
        return "edgeagent"
    if fat.find(PRESEED):
        return "rpi-preseed"
    if any(fat.find(name) for name in CLOUD_FILES):
        return "cloudinit"
    if fat.find(CUSTOM):
        return "custom-toml"
    return "systemd" if fat.find(CMDLINE) and _released(fat) else None


def _raspberry(released: date | None, found: Format) -> System:
    newer = found in {"cloudinit", "rpi-preseed"}
    if newer:
        return System(_title(released, "trixie"), found, released, "3.13")
    if released is None or released >= _TRIXIE:  # the first trixie, or a later bookworm: the same files
        return System(_title(released, "bookworm or trixie"), found, released)
    if released >= _BOOKWORM:
        return System(_title(released, "bookworm"), found, released, "3.11")
    return System(_title(released, "bullseye or older"), found, released, "3.9", "/boot")


def _title(released: date | None, name: str) -> str:
    return f"Raspberry Pi OS of {released} ({name})" if released else f"Raspberry Pi OS ({name})"


def _released(fat: FatPartition) -> date | None:
    text = (fat.read(ISSUE, largest=_LARGEST_TEXT) or b"").decode("utf-8", "replace")
    found = _PI_ISSUE.search(text)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def _is_pi(fat: FatPartition, released: date | None) -> bool:
    words = words_of(fat.read(CMDLINE, largest=_LARGEST_TEXT) or b"")
    return released is not None or any(word.startswith("root=PARTUUID=") for word in words)


def _seen(fat: FatPartition) -> str:
    """Say what is on the partition, in few words."""
    names = sorted(one.name for one in fat.listing())
    shown = ", ".join(ascii(name)[1:-1] for name in names[:8])
    return f"its boot partition holds {shown}{' ...' if names[8:] else ''}" if names else "its boot partition is empty"
