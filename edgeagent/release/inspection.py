"""A bundle looked at before it is released: the trial that every device makes, made here first, and what it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeagent.errors import UpdateError
from edgeagent.settings import AgentSettings, DeviceSettings
from edgeagent.update.nouns import Kind
from edgeagent.update.self_test import with_clips

MEMORY_MB: Mapping[str, int] = {
    "raspberry-pi-zero-2-w": 512,
    "raspberry-pi-3b": 1_024,
    "raspberry-pi-4b": 1_024,
    "raspberry-pi-5": 2_048,
    "jetson-nano": 2_048,
    "jetson-orin-nano": 4_096,
}
"""Of the smallest machine of each board profile; a release may take half of it."""
NO_STATE = ".none"
"""Nothing of whoever publishes plays a part: there is no such folder."""
LEAST_MEMORY_MB = min(MEMORY_MB.values())
LARGEST_BYTES: Mapping[int, int] = {512: 64 << 20, 1_024: 256 << 20}
"""Of a whole bundle, on boards with at most so much memory: it lies on the disk twice, and a delta in memory."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was seen: golden sentences that were decided, ms for one of them, MB at the peak, bytes of all files."""

    sentences: int
    decision_ms: float
    memory_mb: int
    size_bytes: int


def inspect(folder: Path, kind: Kind, boards: Sequence[str] = ()) -> Inspected:
    """Look at a bundle for these board profiles, none for all.

    Raise UpdateError "bad-bundle" if it is damaged, decides its golden sentences in another way, or is too large for
    one of the boards.
    """
    if not folder.is_dir():
        raise UpdateError(f"{folder}: is no folder", code="bad-bundle", remedy="Name the folder of a bundle.")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    try:
        report = with_clips(kind, folder, None, AgentSettings(device=DeviceSettings(state_dir=folder / NO_STATE)))
    except UpdateError as error:
        raise UpdateError(
            f"{folder}: {error}", code="bad-bundle", remedy="Make the bundle again, or look at what differs here."
        ) from error
    found = Inspected(report.golden, report.decision_ms, round(report.peak_mb), size)
    for board in boards or ("any board",):
        _refuse_large(found, board)
    return found


def _refuse_large(found: Inspected, board: str) -> None:
    memory_mb = MEMORY_MB.get(board, LEAST_MEMORY_MB)
    largest = next((most for limit, most in LARGEST_BYTES.items() if memory_mb <= limit), None)
    remedy = "Name the boards that it is for: --board."
    if found.memory_mb > memory_mb // 2:
        raise UpdateError(
            f"its trial takes {found.memory_mb} MB, on {board} at most {memory_mb // 2} MB are there for it",
            code="bad-bundle",
            remedy=remedy,
        )
    if largest is not None and found.size_bytes > largest:
        raise UpdateError(
            f"it has {found.size_bytes >> 20} MB, on {board} at most {largest >> 20} MB are taken",
            code="bad-bundle",
            remedy=remedy,
        )
