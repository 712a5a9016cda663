"""What `edgeagent image` prints: disks, images, and a bar of progress where somebody looks."""

import json as json_
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeagent.logs import printable
from edgeagent.provision.devices import Medium, refusals, size_said
from edgeagent.provision.flash_progress import Progress, Told, quietly

if TYPE_CHECKING:
    from edgeagent.provision.inspect import Inspection

# Drawing is loaded only where something is drawn.
# ruff: noqa: PLC0415

_WORDS = {"unpack": "unpack", "write": "write", "check": "read back"}
_MINUTE = 60


def say(text: str) -> None:
    """Print a line, whatever is in it."""
    sys.stdout.write(printable(text) + "\n")


def print_json(facts: Any) -> None:
    """Print JSON; paths and moments as text."""
    sys.stdout.write(json_.dumps(facts, default=str) + "\n")


def medium_facts(medium: Medium) -> dict[str, Any]:
    """Return the facts of a disk, and what speaks against it."""
    against = [asdict(one) for one in refusals(medium, None)]
    return asdict(medium) | {"force_name": medium.force_name, "against": against}


def show_media(media: list[Medium]) -> None:
    """Print disks, each with what speaks against it."""
    for medium in media:
        against = refusals(medium, None)
        say(f"{medium}: {'; '.join(one.reason for one in against) or 'can be written'}")
    if not media:
        say("no disk is there")


def show_inspection(found: "Inspection") -> None:
    """Print what is on an image."""
    system = found.system
    say(f"system: {f'{system.title}, takes its settings by {system.format}' if system else 'unknown'}")
    for one in found.partitions:
        say(f"partition {one.number}: type {one.kind:#04x}, {size_said(one.size)}, from byte {one.start}")
    say(f"boot partition: FAT{found.fat_bits}, {size_said(found.free_bytes)} free")
    if found.is_dirty:
        say("  marked as in use")
    if found.was_booted:
        say("  a board has run from it already")
    if found.seed is not None:
        told = found.seed.model_dump(exclude_none=True, exclude={"version"})
        say(f"seed: {', '.join(f'{key} {value}' for key, value in told.items())}")
    if found.has_token:
        until = f", until {found.token_until:%Y-%m-%d %H:%M} UTC" if found.token_until else ", which cannot be read"
        say(f"token: there{f', for serial number {found.serial}' if found.serial else ''}{until}")
    if found.bundle_bytes is not None:
        what = found.bundle
        version = f"edgeagent {what.agent} for Python {what.python}" if what else "cannot be read"
        say(f"bundle: {version}, {size_said(found.bundle_bytes)}")


def inspection_facts(found: "Inspection") -> Mapping[str, Any]:
    """Return what is on an image, for JSON. The token is not in it."""
    facts = {name: getattr(found, name) for name in found.__slots__ if name not in {"seed", "bundle", "partitions"}}
    facts["system"] = asdict(found.system) if found.system else None
    facts["partitions"] = [asdict(one) for one in found.partitions]
    facts["seed"] = found.seed.model_dump(mode="json") if found.seed else None
    facts["bundle"] = found.bundle.model_dump(mode="json", exclude={"files"}) if found.bundle else None
    return facts


def for_a_while(seconds: float) -> str:
    """Return how long something took."""
    return f"{seconds / _MINUTE:.0f} min" if seconds >= 2 * _MINUTE else f"{seconds:.1f} s"


@contextmanager
def bar() -> Iterator[Told]:
    """Yield what draws progress on a terminal; nothing is drawn where nobody looks."""
    if not sys.stderr.isatty():
        yield quietly
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks = dict[str, TaskID]()

        def told(at: Progress) -> None:
            if at.phase not in tasks:
                tasks[at.phase] = bars.add_task(_WORDS[at.phase], total=1.0, told="")
            bars.update(tasks[at.phase], completed=at.share, told=rate_said(at))

        yield told


def rate_said(at: Progress) -> str:
    """Return a progress in words: 1.2 GB of 2.9 GB, 21.3 MB/s, 1:20 left."""
    of = f" of {size_said(at.total_bytes)}" if at.total_bytes else ""
    left = (
        "" if at.remaining_s is None else f", {int(at.remaining_s) // _MINUTE}:{int(at.remaining_s) % _MINUTE:02} left"
    )
    return f"{size_said(at.done_bytes)}{of}, {size_said(int(at.rate_bytes_s))}/s{left}"


def checked_text(path: Path, what: str) -> str:
    """Return a text of the owner's. Raise SettingsError if it cannot be read."""
    from edgeagent.files import read_text

    return read_text(path, f"Name the file with {what}.")
