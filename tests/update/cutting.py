"""Power cuts, kills and failing disks at every point of an update, and what is found after each (`power_cuts.py`)."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from update.forgetful_disk import CHANGING, SYNCING, Call, ForgetfulDisk, Policy, calls_of, ordinals
from update.updating import FAMILY, FolderPublisher, update
from update.zygote import Zygote

from edgeagent.errors import UpdateError
from edgeagent.update.floor import FileShelf, Floor, FloorKeeper
from edgeagent.update.journal import Journal
from edgeagent.update.places import JOURNAL, TRUST, TUF, UPDATES, JournalShelf
from edgeagent.update.store import Store

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "edgeagent"
JOB = "job-3"
WEIGHTS = hashlib.shake_128(b"weights").digest(5_000)
FILES: Mapping[str, Mapping[str, bytes]] = {
    "1.0.0": {"manifest.json": b"one", "shared.bin": b"s" * 3_000, "inner/words.txt": b"a\nb\n"},
    "2.0.0": {
        "manifest.json": b"two",
        "shared.bin": b"s" * 3_000,
        "inner/words.txt": b"a\nb\nc\n",
        "weights.bin": WEIGHTS,
    },
    "3.0.0": {
        "manifest.json": b"three",
        "shared.bin": b"s" * 3_000,
        "inner/words.txt": b"d\n",
        "new.bin": b"n" * 5_000,
        "weights.bin": WEIGHTS[:2_000] + b"trained anew" + WEIGHTS[2_000:],
    },
}
"""One file that stays, small ones that are fetched, a new one, and one that comes as a delta."""
SECURITY = {"1.0.0": 0, "2.0.0": 1, "3.0.0": 2}
POLICIES: tuple[Policy, ...] = ("synced", "names", "some")
RUN_S = 60.0
"""A child that takes longer hangs."""
FAILING = {
    "EIO": ("fsync", "fdatasync"),
    "ENOSPC": (
        "write",
        "pwrite64",
        "fallocate",
        "mkdir",
        "mkdirat",
        "openat",
        "ftruncate",
        "symlink",
        "link",
        "linkat",
    ),
}
_OWN = threading.local()
ZYGOTES: list[Zygote] = []
Point = Callable[[], str]
"""Does one cut and returns what is wrong afterwards, or nothing."""


@dataclass(frozen=True)
class Bench:
    """Where cuts are made: an update that has been prepared, its repository, and the program that carries it out."""

    work: Path
    package: Path
    """The folder that holds the package `edgeagent` to be cut; checks are always made with our own."""
    ids: Mapping[str, str]
    trusted: Mapping[str, int]
    """The signed versions below which nothing was trusted before the update."""

    @property
    def repository(self) -> Path:
        return self.work / "repository"

    @property
    def prepared(self) -> Path:
        return self.work / "prepared"

    def fresh(self, name: str) -> Path:
        root = self.work / name
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", self.prepared, root], check=True)
        return root

    def run(self, root: Path, *strace: str) -> int:
        """Update under strace with these options; return the exit status. Raise TimeoutExpired if it hangs."""
        zygote = self._own_zygote()
        copy = zygote.start(root, self.repository)
        # with --seccomp-bpf, strace 6.1 injects no signal
        looking_on = subprocess.Popen(["strace", "-f", "-qq", *strace, "-p", str(copy)], stderr=subprocess.DEVNULL)
        try:
            _await_tracer(copy, looking_on)
            os.kill(copy, signal.SIGCONT)
            looking_on.wait(RUN_S)
        finally:
            if looking_on.poll() is None:
                looking_on.kill()
                looking_on.wait()
                os.kill(copy, signal.SIGKILL)
            status = zygote.status()
        return status

    def _own_zygote(self) -> Zygote:
        """Return this thread's."""
        found: dict[Path, Zygote] = _OWN.__dict__.setdefault("zygotes", {})
        if self.package not in found:
            found[self.package] = self._zygote()
        return found[self.package]

    def _zygote(self) -> Zygote:
        paths = f"{self.package}{os.pathsep}{TESTS}"
        settled = {"PYTHONPATH": paths, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        zygote = Zygote({**os.environ, **settled})
        ZYGOTES.append(zygote)
        return zygote

    def recorded(self, root: Path, *strace: str) -> list[Call]:
        """Update, and return every changing system call."""
        log = self.work / f"{root.name}.strace"
        self.run(root, "-y", "-xx", "-s", "100000", "-o", str(log), "-e", f"trace={','.join(CHANGING)}", *strace)
        try:
            return calls_of(log.read_text())
        finally:
            log.unlink()


def _await_tracer(process: int, tracer: "subprocess.Popen[bytes]") -> None:
    """Wait until a process is looked at."""
    status = Path(f"/proc/{process}/status")
    deadline = time.monotonic() + RUN_S
    while f"TracerPid:\t{tracer.pid}\n" not in status.read_text():
        if tracer.poll() is not None or time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            raise RuntimeError("strace cannot look on: is ptrace allowed?")
        time.sleep(0.001)


def bench_in(work: Path, package: Path = PACKAGE.parent) -> Bench:
    """Prepare a device with releases 1 and 2, installed and confirmed one after the other, and publish the third."""
    publisher, prepared = FolderPublisher(work), work / "prepared"
    ids = {}
    prepared.mkdir()
    for version, files in FILES.items():
        ids[version] = publisher.publish(version, files, SECURITY[version])
        (prepared / TRUST).write_bytes(publisher.root)
        if version == "3.0.0":
            break
        course = update(prepared, publisher.out, f"job-{version[0]}", version)
        assert course is not None
        assert course.state == "confirmed", course
    journal = Journal(prepared / UPDATES / JOURNAL)
    for told in journal.results(1_000):
        journal.acknowledge(told.seq)
    journal.close()
    return Bench(work, package, ids, _trusted(prepared))


def judge(bench: Bench, root: Path, *, is_promised: bool = False) -> str:
    """Return what is wrong with what a cut has left, then start again and return what is wrong after that."""
    try:
        found = _whole(bench, root) or _floor(root, 1) or _lower(bench, root)
        if found:
            return f"after the cut: {found}"
        if is_promised and _current(bench, root) != "3.0.0":
            return "what was told as confirmed is gone"
        course = update(root, bench.repository, JOB, "3.0.0")
        if course is None or not course.is_ended:
            return f"not ended when it ran again: {course}"
        if is_promised and course.state != "confirmed":
            return f"what was told as confirmed is {course.state}"
        return _ended(bench, root, is_confirmed=course.state == "confirmed")
    except (UpdateError, OSError, ValueError) as error:
        return f"when it ran again: {type(error).__name__}: {error}"


def _ended(bench: Bench, root: Path, *, is_confirmed: bool) -> str:
    version = _current(bench, root)
    if version != ("3.0.0" if is_confirmed else "2.0.0"):
        return f"ended, confirmed: {is_confirmed}, with {version}"
    store, journal = Store(root / UPDATES), Journal(root / UPDATES / JOURNAL)
    try:
        least = 2 if is_confirmed else 1
        floors = store.kept.floors().get(FAMILY), journal.floors().get(FAMILY)
        ends = [told for told in journal.results(1_000) if told.is_end and told.body["job"] == JOB]
    finally:
        journal.close()
    if floors != (least, least):
        return f"floors {floors}, expected {least}"
    if len(ends) != 1:
        return f"the fleet would be told {len(ends)} ends"
    if list(store.staging.iterdir()):
        return "something is left in staging"
    if list(root.rglob("*.damaged")) or list(root.rglob("damaged")):
        return "a power cut was taken for damage"
    previous = store.id_in(FAMILY, "previous")
    expected = bench.ids["2.0.0" if is_confirmed else "1.0.0"]
    if previous != expected:
        return "the previous release is another"
    store.check(previous)
    return _whole(bench, root)


def _current(bench: Bench, root: Path) -> str:
    """Return the version that the link names, read without the store."""
    target = str((root / UPDATES / "slots" / FAMILY / "current").readlink())
    return {release_id: version for version, release_id in bench.ids.items()}.get(Path(target).name, target)


def _whole(bench: Bench, root: Path) -> str:
    """Return what is wrong with the current release, read without the store."""
    link = root / UPDATES / "slots" / FAMILY / "current"
    if not link.is_symlink():
        return "no current release"
    version = _current(bench, root)
    if version not in {"2.0.0", "3.0.0"}:
        return f"the current release is {version}"
    bundle = link.parent / link.readlink() / "bundle"
    for path, content in FILES[version].items():
        if not (bundle / path).is_file() or (bundle / path).read_bytes() != content:
            return f"{version} is not whole: {path}"
    return ""


def _lower(bench: Bench, root: Path) -> str:
    """Return which signed version could be followed by an older one now, though it could not before."""
    before, after = bench.trusted, _trusted(root)
    lower = [name for name, version in before.items() if after.get(name, 0) < version]
    return f"the floor of {lower} fell" if lower else ""


def _trusted(root: Path) -> dict[str, int]:
    """Return the versions below which nothing is trusted, as the next start would see them."""
    try:
        journal = Journal(root / UPDATES / JOURNAL)
    except UpdateError:
        return _versions(FloorKeeper(FileShelf(root / TUF / "floor" / "floor.json")).floor)
    try:
        return _versions(FloorKeeper(FileShelf(root / TUF / "floor" / "floor.json"), JournalShelf(journal)).floor)
    finally:
        journal.close()


def _versions(floor: Floor) -> dict[str, int]:
    return {"root": floor.root, **floor.timestamp.versions, **floor.snapshot.versions}


def _floor(root: Path, least: int) -> str:
    found = Store(root / UPDATES).kept.floors().get(FAMILY, 0)
    return "" if found >= least else f"the floor fell to {found}"


def injections(bench: Bench, calls: list[Call]) -> Iterator[tuple[str, Point]]:
    """Yield a kill before each changing call, and each error that a disk may answer it with."""
    for place, call, ordinal in ordinals(calls):
        faults = {"kill": f"signal=KILL:when={ordinal}"}
        if not call.arguments[0].startswith("1<"):  # what is told is not on the disk
            faults |= {error: f"error={error}:when={ordinal}" for error, names in FAILING.items() if call.name in names}
        for name, fault in faults.items():
            yield f"{name} at {call.name} {ordinal}", partial(_injected, bench, f"{name}{place}", call.name, fault)


def _injected(bench: Bench, name: str, call: str, fault: str) -> str:
    root = bench.fresh(name)
    try:
        ended = bench.run(root, "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault}")
        is_killed = "KILL" in fault
        if is_killed and ended == 0:
            return "was not killed: the run was another than the recorded one"
        if not is_killed and ended not in {0, 3}:
            return f"fell over: {ended}"
        return judge(bench, root)
    except subprocess.TimeoutExpired:
        return "hung"
    finally:
        shutil.rmtree(root, ignore_errors=True)


def power_cuts(bench: Bench, calls: list[Call], recorded: Path) -> Iterator[tuple[str, Point]]:
    """Yield power cuts after each changing call of a recorded run: by each policy where something is then different."""
    for place, call, ordinal in [(-1, calls[0], 0), *ordinals(calls)]:
        for policy in POLICIES:
            if policy != "synced" or call.name in SYNCING or place < 0:
                name = f"power cut ({policy}) after {call.name} {ordinal}"
                yield name, partial(_cut, bench, calls[: place + 1], recorded, policy)


def _cut(bench: Bench, calls: list[Call], recorded: Path, policy: Policy) -> str:
    disk = _disk(bench, calls, recorded)
    root = bench.work / f"c{len(calls)}{policy}"
    disk.leave(root, policy, random.Random(len(calls)))  # noqa: S311  # a sample
    try:
        return judge(bench, root, is_promised=_is_promised(calls))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _disk(bench: Bench, calls: list[Call], recorded: Path) -> ForgetfulDisk:
    disk = ForgetfulDisk(bench.prepared)
    disk.root = recorded  # the log names it so
    for call in calls:
        disk.apply(call)
    return disk


def _is_promised(calls: list[Call]) -> bool:
    """Tell whether somebody was told that the update is confirmed."""
    word = b"ended confirmed".hex()
    return any(call.name == "write" and word in call.arguments[1].replace("\\x", "") for call in calls)


def cuts_after_kills(bench: Bench, calls: list[Call]) -> Iterator[tuple[str, Point]]:
    """Yield a kill at each changing call, a second run to the end, then a power cut: nothing may rest on the first."""
    for place, call, ordinal in ordinals(calls):
        name = f"power cut after a kill at {call.name} {ordinal}"
        yield name, partial(_cut_after_kill, bench, f"r{place}", call.name, ordinal)


def _cut_after_kill(bench: Bench, name: str, call: str, ordinal: int) -> str:
    root, left = bench.fresh(name), bench.work / f"{name}-left"
    try:
        first = bench.recorded(root, "-e", f"inject={call}:signal=KILL:when={ordinal}")
        calls = [*first, *bench.recorded(root)]  # the log has no result for the call that was killed
        if not _is_promised(calls):
            return "the second run did not confirm"
        _disk(bench, calls, root).leave(left, "synced", random.Random(ordinal))  # noqa: S311
        return judge(bench, left, is_promised=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(left, ignore_errors=True)


@dataclass(frozen=True)
class Score:
    """How many points were tried, what was wrong at which, and how long it took."""

    points: int
    bad: tuple[tuple[str, str], ...]
    seconds: float

    def __str__(self) -> str:
        return f"points={self.points} bad={len(self.bad)} seconds={self.seconds:.0f}"


def score(*, sample: int = 1, mutate: Callable[[Path], None] | None = None, only: str = "") -> Score:
    """Try every `sample`-th point. `mutate` spoils a copy of the package first; `only` takes the points of one sort."""
    began = time.monotonic()
    memory = Path("/dev/shm")  # noqa: S108  # kills and cuts are the same there, and nothing wears out
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        work = Path(folder)
        package = PACKAGE.parent
        if mutate is not None:
            package = work / "mutant"
            shutil.copytree(PACKAGE, package / "edgeagent", ignore=shutil.ignore_patterns("__pycache__"))
            mutate(package / "edgeagent" / "update")
        bench = bench_in(work, package)
        recorded = bench.fresh("recorded")
        calls = bench.recorded(recorded)
        if not _is_promised(calls):
            raise RuntimeError("the update does not end even when nothing is cut")
        everything = (*injections(bench, calls), *power_cuts(bench, calls, recorded), *cuts_after_kills(bench, calls))
        points = [point for point in everything if point[0].startswith(only)][::sample]
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                found = list(pool.map(lambda point: (point[0], point[1]()), points))
        finally:
            while ZYGOTES:
                ZYGOTES.pop().close()
            _OWN.__dict__.clear()
    return Score(len(points), tuple(one for one in found if one[1]), time.monotonic() - began)
