"""Files that matter: written whole or not at all, and on the disk when it returns; read within bounds."""

import os
import tempfile
from pathlib import Path

from edgeagent.errors import SettingsError

LARGEST_TEXT_BYTES = 1 << 20
"""What somebody has written by hand is a few pages."""


def read_text(path: Path, remedy: str) -> str:
    """Return a text of the owner's. Raise SettingsError if it cannot be read, is no UTF-8, or is larger than 1 MiB."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_TEXT_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8 at byte {error.start}"
        raise SettingsError(f"{path}: cannot be read: {reason}", remedy=remedy) from error
    if len(raw) > LARGEST_TEXT_BYTES:
        raise SettingsError(f"{path}: larger than 1 MiB", remedy="Split it into several files.")
    return text


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file in one step that survives a power cut: temporary file, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
