"""An image and wishes to an image that makes of a board what was wished; without root, and without mounting anything.

Rules:
    - Everything is checked before the first byte is written, and nothing takes effect before all is written. What was
      written in vain, as a token where the bundle had no room, is overwritten.
    - The same wishes again change nothing. An image that a board has run from is left alone unless that is asked for:
      its system does not look at first settings any more.
    - What a format cannot carry is refused, not left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from edgeagent.provision.booted import was_booted
from edgeagent.provision.cmdline import edited
from edgeagent.provision.enrol_file import FOLDER
from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat import FatPartition
from edgeagent.provision.formats.cloudinit import cloudinit
from edgeagent.provision.formats.firstrun import NAME as FIRST_RUN
from edgeagent.provision.formats.firstrun import firstrun
from edgeagent.provision.formats.toml_files import CUSTOM, PRESEED, custom_toml, preseed
from edgeagent.provision.opening import opened_image
from edgeagent.provision.partitions import boot_partition
from edgeagent.provision.seed import checked_bundle, put_seed
from edgeagent.provision.system import CMDLINE, System, of_format
from edgeagent.provision.wishes import Edits, Format, Wishes, Writer

WRITERS: Mapping[Format, Writer] = {
    "cloudinit": cloudinit,
    "systemd": firstrun,
    "rpi-preseed": preseed,
    "custom-toml": custom_toml,
}
_FOREIGN = ("user", "ssh_keys", "password_hash", "wifi", "locale", "keyboard", "timezone")
"""What our own image takes from nobody: it has no user but root without a password, and is on Ethernet."""

_TELLING = frozenset({"user-data", PRESEED, CUSTOM, FIRST_RUN})
"""Files with wishes in them; the others are written beside them."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was done: on which system, in which format, which files have changed, and what a person should know."""

    system: str
    format: Format
    changed: tuple[str, ...]
    free_bytes: int
    notes: tuple[str, ...] = ()


def customise(image: Path, wishes: Wishes, *, booted_too: bool = False, now: datetime | None = None) -> Report:
    """Put wishes onto an image, or onto a card. Raise ImageError, with nothing changed, if that cannot be."""
    _refuse_expired(wishes, now or datetime.now(UTC))
    with opened_image(image, for_change=True) as file:
        return customised(file, wishes, booted_too=booted_too)


def customised(file: BinaryIO, wishes: Wishes, *, booted_too: bool = False) -> Report:
    """Put wishes onto an open image. Raise ImageError, with nothing changed, if that cannot be."""
    where = boot_partition(file)
    fat = FatPartition(file, where.start, where.size)
    system = of_format(fat, wishes.format)
    _refuse(file, wishes, system, booted_too=booted_too)
    with _opened_bundle(wishes.bundle) if wishes.bundle else nullcontext() as bundle:
        if bundle:
            checked_bundle(bundle, str(wishes.bundle), system.python)
        edits = _edits(wishes, system)
        told = [name for name in _TELLING & edits.files.keys() if _says_something(fat.read(name) or b"")]
        try:
            changed = [f"{FOLDER}/{name}" for name in put_seed(fat, wishes, bundle)]
            changed += _put(fat, edits)
            fat.flush()
        finally:
            fat.abandon()  # of what is flushed, nothing
    notes = (*_lost(set(told) & {*changed}), *_notes(wishes, system))
    return Report(system.title, system.format, tuple(changed), fat.free_bytes, notes)


def _edits(wishes: Wishes, system: System) -> Edits:
    writer = WRITERS.get(system.format)
    asked = any(getattr(wishes, name) for name in (*_FOREIGN, "host", "bundle"))
    return writer(wishes, system.boot) if writer and asked else Edits()


def _put(fat: FatPartition, edits: Edits) -> Iterator[str]:
    """Write a format's files and words; yield the names of those that changed."""
    for name, content in edits.files.items():
        if fat.write(name, content):
            yield name
    if edits.words or edits.dropped:
        before = fat.read(CMDLINE)
        if before is None:
            raise ImageError(f"the boot partition has no {CMDLINE}", remedy="Take a fresh image, or another --format.")
        if fat.write(CMDLINE, edited(before, words=edits.words, dropped=edits.dropped)):
            yield CMDLINE


def _refuse(file: BinaryIO, wishes: Wishes, system: System, *, booted_too: bool) -> None:
    if not booted_too and was_booted(file):
        raise ImageError(
            "a board has run from this image already: its system does not look at first settings again",
            remedy="Take a fresh image; or say --booted-too to change the files nevertheless.",
        )
    if system.format == "edgeagent":
        lost = [name for name in (*_FOREIGN, "hostname") if getattr(wishes, name)]
        if lost:
            raise ImageError(
                f"edgeagent's own image does not take {', '.join(lost)}",
                remedy="Leave them out: it takes its name from the seed. Or take an image of Raspberry Pi OS.",
            )


def _refuse_expired(wishes: Wishes, now: datetime) -> None:
    if wishes.enrol and wishes.enrol.is_expired(now.timestamp()):
        raise ImageError(
            f"the token has expired on {wishes.enrol.expires:%Y-%m-%d %H:%M} UTC",
            remedy="Make a new one in the console.",
        )


def _says_something(raw: bytes) -> bool:
    """Tell settings from examples: what makers of images leave is comments, and the form's own number."""
    lines = (line.strip() for line in raw.splitlines())
    return any(line and not line.startswith((b"#", b"config_version")) for line in lines)


def _lost(names: Iterable[str]) -> Iterator[str]:
    yield from (f"{name} had settings already, which are gone: give all wishes at once." for name in sorted(names))


def _notes(wishes: Wishes, system: System) -> Iterator[str]:
    """Yield what a person should know about this card."""
    if wishes.enrol and wishes.enrol.serial is None:
        yield "The token names no serial number: it is good only on the board whose own number it was made for."
    if system.format != "edgeagent" and wishes.bundle is None and wishes.seed:
        yield "There is no bundle: the agent is not installed by this card."
    if wishes.bundle and system.python is None:
        yield f"Which Python {system.title} has cannot be seen: the installer says so if the bundle is for another."
    if system.format != "edgeagent":
        yield "This format is written as its authors describe it; on a real board nobody has tried it yet."


def _opened_bundle(bundle: Path) -> BinaryIO:
    try:
        return bundle.open("rb")
    except OSError as error:
        raise ImageError(f"{bundle}: cannot be read: {error.strerror}", remedy="Make the bundle first.") from error
