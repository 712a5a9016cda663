"""An image to what is on it, and what is wrong with it; secrets are never read out, only told to be there."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, TypeVar

from edgeagent.provision.booted import was_booted
from edgeagent.provision.bundle_contents import INSTALLER, Contents, contents_of, damaged
from edgeagent.provision.cmdline import words_of
from edgeagent.provision.enrol_file import (
    BUNDLE,
    BUNDLE_HASH,
    ENROL,
    FOLDER,
    SEED,
    EnrolFile,
    Seed,
    read_enrol_file,
    read_seed,
)
from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat import FatPartition
from edgeagent.provision.formats.firstrun import NAME as FIRST_RUN
from edgeagent.provision.opening import opened_image
from edgeagent.provision.partitions import Partition, boot_partition, partitions
from edgeagent.provision.seed import digest_of
from edgeagent.provision.system import CMDLINE, System, detected

_LARGEST_TEXT = 64 << 10
_HASH = re.compile(rb"[0-9a-f]{64}\b")
_INSTANCE = re.compile(rb'^instance-id: "(edgeagent-[0-9a-f]{1,64})"', re.MULTILINE)
_FRESH = "Customise a fresh image: a change was cut off, or somebody has edited this one."
_ANEW = "Put it on again with `edgeagent image customise`."
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is on an image. What cannot be read is None here, and a problem to `verify`."""

    partitions: tuple[Partition, ...]
    fat_bits: int
    free_bytes: int
    is_dirty: bool
    was_booted: bool
    system: System | None
    seed: Seed | None
    has_token: bool
    token_until: datetime | None
    """When it expires. The token itself is not read out."""
    serial: str | None
    bundle_bytes: int | None
    bundle: Contents | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with an image: what, and what to do."""

    what: str
    remedy: str


def inspect(image: Path) -> Inspection:
    """Look at an image. Raise ImageError if it has no partition table or boot partition that can be read."""
    with opened_image(image) as file:
        fat = _boot(file)
        enrol = _or_none(lambda: _enrol(fat))
        bundle = fat.find(f"{FOLDER}/{BUNDLE}")
        return Inspection(
            partitions=tuple(partitions(file)),
            fat_bits=fat.layout.bits,
            free_bytes=fat.free_bytes,
            is_dirty=fat.is_dirty,
            was_booted=was_booted(file),
            system=_or_none(lambda: detected(fat)),
            seed=_or_none(lambda: _seed(fat)),
            has_token=fat.find(f"{FOLDER}/{ENROL}") is not None,
            token_until=enrol.expires if enrol else None,
            serial=enrol.serial if enrol else None,
            bundle_bytes=bundle.size if bundle else None,
            bundle=_or_none(lambda: _contents(fat)),
        )


def verify(image: Path, *, now: datetime | None = None) -> list[Problem]:
    """Return everything that is wrong with an image; nothing if a board can start from it."""
    checks: tuple[Callable[[FatPartition], Iterator[Problem]], ...] = (_volume, _system, _secrets(now), _bundle)
    problems: list[Problem] = []
    try:
        with opened_image(image) as file:
            fat = _boot(file)
            for check in checks:
                problems += _found(check, fat)
    except ImageError as error:
        problems.append(Problem(str(error), error.remedy))
    return problems


def _found(check: Callable[[FatPartition], Iterator[Problem]], fat: FatPartition) -> list[Problem]:
    """Run one check; an error in it is a problem as well, and does not keep the others from running."""
    try:
        return list(check(fat))
    except ImageError as error:
        return [Problem(str(error), error.remedy)]


def _volume(fat: FatPartition) -> Iterator[Problem]:
    if fat.is_dirty:
        yield Problem("the boot partition is marked as in use", "Run fsck.vfat -a on it, or take a fresh image.")


def _system(fat: FatPartition) -> Iterator[Problem]:
    system = detected(fat)
    if system.format != "edgeagent":
        yield from (Problem(one, _FRESH) for one in _command_line(fat, f"systemd.run={system.boot}/"))


def _command_line(fat: FatPartition, run: str) -> Iterator[str]:
    """Yield where the kernel's words and the files of the first boot do not agree: then it hangs, or does nothing."""
    words = words_of(fat.read(CMDLINE) or b"")
    if not any(word.startswith("root=") for word in words):
        yield f"{CMDLINE} does not say where the root file system is"
    scripts = [word.removeprefix(run) for word in words if word.startswith(run)]
    yield from (f"{CMDLINE} runs {one!r:.80}, which is not there" for one in scripts if not fat.find(one))
    if fat.find(FIRST_RUN) and FIRST_RUN not in scripts:
        yield f"{FIRST_RUN} is there, and {CMDLINE} does not run it"
    instance = _INSTANCE.search(fat.read("meta-data", largest=_LARGEST_TEXT) or b"")
    if instance and f"ds=nocloud;i={instance[1].decode()}" not in words:
        yield f"{CMDLINE} does not name {instance[1].decode()}, which meta-data are for"


def _secrets(now: datetime | None) -> Callable[[FatPartition], Iterator[Problem]]:
    def check(fat: FatPartition) -> Iterator[Problem]:
        seed, enrol = _seed(fat), _enrol(fat)
        if enrol and enrol.is_expired((now or datetime.now(UTC)).timestamp()):
            yield Problem(
                f"the token has expired on {enrol.expires:%Y-%m-%d %H:%M} UTC", "Make a new one in the console."
            )
        if enrol and seed and enrol.fleet != seed.fleet:
            yield Problem(f"the token is for the fleet {enrol.fleet!r}, the seed says {seed.fleet!r}", _ANEW)

    return check


def _bundle(fat: FatPartition) -> Iterator[Problem]:
    if fat.find(f"{FOLDER}/{BUNDLE}") is None:
        return
    noted = _HASH.match(fat.read(f"{FOLDER}/{BUNDLE_HASH}", largest=_LARGEST_TEXT) or b"")
    with _copied(fat) as copy:
        digest = digest_of(copy)
        if noted is None or noted[0].decode() != digest:
            yield Problem(f"{BUNDLE} is not what {BUNDLE_HASH} says: {digest[:16]}...", _ANEW)
        found = contents_of(copy, BUNDLE)
        wrong = damaged(copy, found)
    if wrong:
        yield Problem(f"{BUNDLE}: damaged: {', '.join(wrong[:3])}", _ANEW)
    if fat.find(f"{FOLDER}/{INSTALLER}") is None:
        yield Problem(f"{INSTALLER} is not beside {BUNDLE}", _ANEW)
    system = _or_none(lambda: detected(fat))
    if system and system.python and system.python != found.python:
        yield Problem(f"the wheels are for Python {found.python}, the image has {system.python}", _ANEW)


def _seed(fat: FatPartition) -> Seed | None:
    raw = fat.read(f"{FOLDER}/{SEED}", largest=_LARGEST_TEXT)
    return None if raw is None else read_seed(raw)


def _enrol(fat: FatPartition) -> EnrolFile | None:
    raw = fat.read(f"{FOLDER}/{ENROL}", largest=_LARGEST_TEXT)
    return None if raw is None else read_enrol_file(raw)


def _contents(fat: FatPartition) -> Contents | None:
    if fat.find(f"{FOLDER}/{BUNDLE}") is None:
        return None
    with _copied(fat) as copy:
        return contents_of(copy, BUNDLE)


@contextmanager
def _copied(fat: FatPartition) -> Iterator[BinaryIO]:
    """Open a copy of the bundle: on the partition it lies in pieces."""
    with TemporaryFile() as copy:
        copy.writelines(fat.pieces(f"{FOLDER}/{BUNDLE}"))
        yield copy


def _or_none(read: Callable[[], Found]) -> Found | None:
    with suppress(ImageError):
        return read()
    return None


def _boot(file: BinaryIO) -> FatPartition:
    where = boot_partition(file)
    return FatPartition(file, where.start, where.size)
