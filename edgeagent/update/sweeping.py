"""What nobody needs any more is removed: releases that no link names, files that no release has, what was cut off."""

import os
import re
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

from edgeagent.update.on_disk import disk, names_in, remove, sync_folder
from edgeagent.update.store import MANIFEST, SLOTS, Store

PARTIALS_KEPT_S = 7 * 86_400.0
"""A file that was fetched in part is gone on with for a week."""
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BESIDE_A_PART = frozenset({".at", ".new"})
_TEMPORARY = re.compile(r"\.(security|pins|quarantine)\.json\..+", re.ASCII)
"""What `write_durably` leaves when it is cut off."""


def sweep(store: Store, *, releases: Collection[str], files: Collection[str], now: float) -> None:
    """Remove what neither a link names nor the caller: release ids, and hashes of files that are about to be linked.

    `now` in seconds since 1970. It may be cut off, and is then done to the end the next time. Raise UpdateError.
    """
    with disk(f"{store.root} cannot be swept"):
        _remove_temporary(store.root)
        named = {store.id_in(family, slot) for family in store.families() for slot in SLOTS}
        _sweep_releases(store.root / "releases", {*named, *releases})
        _sweep_files(store.root / "files", frozenset(files))
        is_busy = bool(releases or files)
        _sweep_staging(store.staging, lambda path: _is_left(path, now, is_busy=is_busy))
        for family in store.families():
            for slot in SLOTS:
                if os.path.lexists(new := store.root / "slots" / family / f".{slot}.new"):
                    new.unlink()


def empty_staging(store: Store) -> None:
    """Remove whatever was being fetched, to have its room. Raise UpdateError."""
    with disk(f"{store.staging} cannot be emptied"):
        _sweep_staging(store.staging, lambda _: True)


def _remove_temporary(folder: Path) -> None:
    for name in names_in(folder):
        if _TEMPORARY.fullmatch(name):
            (folder / name).unlink(missing_ok=True)


def _sweep_releases(folder: Path, keep: Collection[str | None]) -> None:
    for name in names_in(folder):
        path = folder / name
        if name in keep:
            continue
        if _ID.fullmatch(name) and path.is_dir() and not path.is_symlink():
            remove(path / MANIFEST)  # from here on it is no release
            shutil.rmtree(path)
        else:
            _remove_any(path)
    sync_folder(folder)


def _sweep_files(folder: Path, keep: Collection[str]) -> None:
    for name in names_in(folder):
        path = folder / name
        found = path.lstat()
        if not _ID.fullmatch(name) or not stat.S_ISREG(found.st_mode):
            _remove_any(path)
        elif found.st_nlink == 1 and name not in keep:
            path.unlink(missing_ok=True)


def _sweep_staging(folder: Path, is_left: Callable[[Path], bool]) -> None:
    for path in _entries(folder):
        if not stat.S_ISREG(path.lstat().st_mode) or is_left(path):
            _remove_any(path)


def _is_left(path: Path, now: float, *, is_busy: bool) -> bool:
    """Tell what nobody goes on with: half of a write, an offset without its part, what is old, what no job is for."""
    if path.name.startswith("."):
        return True
    if path.suffix in _BESIDE_A_PART and not path.with_name(f"{path.name.partition('.')[0]}.part").exists():
        return True
    if is_busy:
        return False
    # A clock that has fallen back (a board without a battery, after a power cut) makes nothing old.
    return _ID.fullmatch(path.name) is not None or now - path.lstat().st_mtime >= PARTIALS_KEPT_S


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for name in names_in(folder):
            yield folder / name


def _remove_any(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
