"""How far an update is, second by second, for whoever looks on; lost in a power cut, and nobody misses it."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PROGRESS = "progress"
EVERY_S = 0.2
_LARGEST_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Progress:
    """Of which job, and how many bytes of the file that is being fetched are there; `missing` is what it began with."""

    job: str
    have: int
    total: int


class Shown:
    """Writes progress down, not too often."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Write into this folder."""
        self._path, self._clock = folder / PROGRESS, clock
        self._next = 0.0

    def show(self, progress: Progress) -> None:
        """Write it, if it is time; where nothing can be written, nothing is shown."""
        if self._clock() < self._next and progress.have < progress.total:
            return
        self._next = self._clock() + EVERY_S
        with suppress(OSError):
            self._path.write_text(json.dumps(asdict(progress)))


def progress_in(folder: Path) -> Progress | None:
    """Return what was written last; None if there is nothing, or half of it."""
    try:
        with (folder / PROGRESS).open("rb") as file:
            return Progress(**json.loads(file.read(_LARGEST_BYTES)))
    except (OSError, ValueError, TypeError):
        return None
