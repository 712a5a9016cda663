"""The command line of the public TUF conformance suite, with the product's own client behind it.

    python -m edgeagent.update.conformance --metadata-dir D init ROOT
    python -m edgeagent.update.conformance --metadata-dir D --metadata-url U refresh
    python -m edgeagent.update.conformance --metadata-dir D --metadata-url U --target-name N [--target-name N …]
        --target-base-url T --target-dir X download

It exits with 0 if all went well, else with 1. Metadata lies in D under its roles' names, what is ours in folders there.
The suite moves the time to and fro, so the clock is believed as it is, and no build time is known.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably
from edgeagent.update.download import Downloads
from edgeagent.update.durable_updater import Limits
from edgeagent.update.metadata import Layout, TrustedMetadata
from edgeagent.update.on_disk import disk_error, make_folder, read_bounded, sync_folder
from edgeagent.update.transports import HttpTransport
from edgeagent.update.trusted_time import Reference

_LIMITS = Limits(root_rotations=256)  # what the reference client follows


@dataclass(frozen=True, slots=True)
class _ToldClock:
    now: Callable[[], datetime]

    def reference(self, _last_good: datetime) -> Reference:
        return Reference(self.now(), is_trusted=True)


def main(arguments: Sequence[str] | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """Do what the suite asks; return the exit code."""
    asked = _parsed(arguments)
    clock = _ToldClock(now)
    try:
        match asked.command:
            case "init":
                _begin(asked.metadata_dir, asked.trusted_root)
            case "refresh":
                _refresh(asked, clock)
            case "download":
                _download(asked, clock)
    except OSError as error:
        return _told(disk_error(error, str(error.filename)))
    except UpdateError as error:
        return _told(error)
    return 0


def _told(error: UpdateError) -> int:
    sys.stderr.write(f"{error.code}: {error}\n")
    return 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m edgeagent.update.conformance", description=__doc__)
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    asked = parser.parse_args(arguments)
    needed = {"init": [], "refresh": ["metadata_url"], "download": ["metadata_url", "target_base_url", "target_dir"]}
    for name in needed[asked.command]:
        if getattr(asked, name) is None:
            parser.error(f"{asked.command} needs --{name.replace('_', '-')}")
    return asked


def _begin(folder: Path, root: Path) -> None:
    content = read_bounded(root, _LIMITS.root_bytes)
    make_folder(folder / "bootstrap")
    write_durably(folder / "bootstrap" / "root.json", content)
    write_durably(folder / "root.json", content)


def _metadata(asked: argparse.Namespace, clock: _ToldClock, transport: HttpTransport) -> TrustedMetadata:
    folder = asked.metadata_dir
    bootstrap = read_bounded(folder / "bootstrap" / "root.json", _LIMITS.root_bytes)
    # The addresses tell where it lies.
    layout = Layout(metadata="", targets="")
    return TrustedMetadata(folder, [transport], bootstrap=bootstrap, clock=clock, layout=layout, limits=_LIMITS)


def _refresh(asked: argparse.Namespace, clock: _ToldClock) -> None:
    with closing(HttpTransport(asked.metadata_url)) as transport:
        _metadata(asked, clock, transport).refresh()


def _download(asked: argparse.Namespace, clock: _ToldClock) -> None:
    with closing(HttpTransport(asked.metadata_url)) as signed, closing(HttpTransport(asked.target_base_url)) as files:
        metadata = _metadata(asked, clock, signed)
        metadata.refresh()
        # Fetched beside the metadata: in the targets' folder there is never anything but verified files.
        downloads = Downloads(asked.metadata_dir / "staging", [files], metadata.path_of)
        make_folder(asked.target_dir)
        for name in asked.target_name:
            _bring(name, metadata, downloads, asked)


def _bring(name: str, metadata: TrustedMetadata, downloads: Downloads, asked: argparse.Namespace) -> None:
    place = asked.target_dir / quote(name, safe="")
    target = metadata.target(name)
    if target is None:
        raise UpdateError(f"{name}: nobody has signed such a target", code="absent")
    if metadata.agrees(name, place):
        return
    found = downloads.fetch(target, asked.metadata_dir / "staging")
    if not metadata.agrees(name, found):
        found.unlink()
        raise UpdateError(f"{name}: another hash than the SHA-256 is wrong", code="wrong-content")
    shutil.move(found, place)
    sync_folder(asked.target_dir)


if __name__ == "__main__":
    sys.exit(main())
