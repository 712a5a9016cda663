"""Compares `edgeagent image flash` with dd, in pairs, onto a loop device: python -m tests.bench.flash --limit 90.

Run it as root. A loop device is memory and a disk, faster than any card: `--limit` makes it as slow as one, where the
kernel has the means (cgroups). Without it, this machine's processors are measured. The first 4 MiB are written and read
twice: of a small image that is a part that can be seen.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from provision.media import MIB, card_image, loop

from edgeagent.provision.devices_linux import medium_at
from edgeagent.provision.flash import flash
from edgeagent.provision.flash_progress import quietly

GROUPS = Path("/sys/fs/cgroup")
DD = ("bs=4M", "status=none")


def main() -> None:
    """Print a line for each pair, and the medians: above 1 we are faster than dd."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="size of the image")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--limit", type=float, help="MB/s of the medium, as 90")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        image, backing = Path(scratch) / "image", Path(scratch) / "card"
        with image.open("wb") as file:
            file.write(card_image(MIB)[:512].ljust(MIB, b"\0"))
            for _ in range(asked.mib - 1):
                file.write(os.urandom(MIB))
        with backing.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, asked.mib * MIB)
        with loop(backing) as device, _slowed(device, asked.limit):
            pairs = [_pair(image, device, asked.mib * MIB / 1e6) for _ in range(asked.pairs)]
    written, read = (statistics.median(ratios) for ratios in zip(*pairs, strict=True))
    _say(f"median: writing at {written:.2f} of dd's rate, reading back at {read:.2f}")


def _pair(image: Path, device: Path, size_mb: float) -> tuple[float, float]:
    """Return our rate by dd's, writing and reading back."""
    dd_wrote_s = _dd(f"if={image}", f"of={device}", "oflag=direct", "conv=fsync")
    ours = flash(image, medium_at(device), quietly)
    dd_read_s = _dd(f"if={device}", "of=/dev/null", "iflag=direct")
    _say(
        f"written: dd {size_mb / dd_wrote_s:.0f} MB/s, ours {size_mb / ours.wrote_s:.0f};"
        f" read back: dd {size_mb / dd_read_s:.0f}, ours {size_mb / ours.checked_s:.0f}"
    )
    return dd_wrote_s / ours.wrote_s, dd_read_s / ours.checked_s


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _dd(*words: str) -> float:
    began = time.monotonic()
    subprocess.run(["dd", *DD, *words], check=True)
    return time.monotonic() - began


@contextmanager
def _slowed(device: Path, limit_mb_s: float | None) -> Iterator[None]:
    """Let this process read and write a device no faster than that."""
    if limit_mb_s is None:
        yield
        return
    number = device.stat().st_rdev
    who, rate = f"{os.major(number)}:{os.minor(number)}", int(limit_mb_s * 1e6)
    is_old = (GROUPS / "blkio").is_dir()
    top = GROUPS / "blkio" if is_old else GROUPS
    lines = [one.split(":", 2) for one in Path("/proc/self/cgroup").read_text().splitlines()]
    before = next(path for _, names, path in lines if ("blkio" in names.split(",") if is_old else not names))
    group = top / "edgeagent-bench"
    group.mkdir(exist_ok=True)
    try:
        if is_old:
            for way in ("read", "write"):
                (group / f"blkio.throttle.{way}_bps_device").write_text(f"{who} {rate}")
        else:
            (group / "io.max").write_text(f"{who} rbps={rate} wbps={rate}")
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        (top / before.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


if __name__ == "__main__":
    main()
