"""A candidate is tried in a child process with limits; whatever becomes of the child, this process lives on.

The child is `trial.py`. It sets its own limits before it looks at the candidate, and tells its report through a pipe of
its own, so that nothing a library prints is taken for a report.
"""

import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeagent.errors import UpdateError
from edgeagent.hear.clips import CLIPS, load_clips
from edgeagent.settings import AgentSettings
from edgeagent.update.nouns import Kind

LARGEST_REPORT_BYTES = 64 << 10
LARGEST_NOISE_BYTES = 16 << 10
"""Of what a child writes to its standard error; the rest is read and dropped."""
OUT_OF_MEMORY = 77
"""The child's exit status when Python itself was told that there is no memory."""
_NICENESS = 10
"""The daemon listens meanwhile."""
_MEMORY_WORDS = (b"bad_alloc", b"MemoryError", b"Cannot allocate memory", b"Failed to allocate", b"out of memory")
_REMEDY = "The release before stays. Tell who publishes this one."


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may take, and how it may turn out. `slower` is times the decision time of the current release."""

    cpu_s: int = 180
    """Of processor time; an emulated Cortex-A53 needs nearly 60 for 102 golden sentences on both sides."""
    wall_s: float = 600.0
    """A trial gives way to all else on the board: on a busy one it computes a part of the time only."""
    memory_mb: int = 768
    slower: float = 2.0
    slowest_ms: float = 250.0
    """A decision that takes longer is too slow on any board."""


DEFAULT = Limits()
PLAYER = "edgeagent.evaluate.clips_of_candidate:play"
"""Plays recordings to a candidate, in the self-test's own process."""
CLIP_CPU_S = 20
"""Of processor time for each: seconds of sound on the slowest board, heard at most three times."""


class Report(BaseModel):
    """How a trial went: golden sentences and clips, judged and wrong; decision times in ms; memory at its peak."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    refused: Annotated[str, Field(max_length=500)] = ""
    """Why the candidate cannot be opened."""
    golden: int = 0
    golden_wrong: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=20)] = ()
    clips: int = 0
    clips_wrong: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=20)] = ()
    decision_ms: float = 0.0
    current_ms: float = 0.0
    """The same measure of the current release, in the same process; 0 without one."""
    peak_mb: float = 0.0


def self_test(
    kind: Kind,
    candidate: Path,
    current: Path | None,
    *,
    limits: Limits = DEFAULT,
    clips: str = "",
    settings: str = "{}",
) -> Report:
    """Try a candidate's folder beside the current one, with the agent's `settings` as JSON.

    `clips` names a function that plays recordings, see `trial.py`.

    Raise UpdateError: "self-test-crash", "self-test-memory", "self-test-hang", "self-test-refused", "self-test-wrong",
    "self-test-clips", "self-test-slow".
    """
    arguments = [
        *(sys.executable, "-P", "-m", "edgeagent.update.trial"),
        *(kind, str(candidate), str(current or ""), clips, settings),
        *(str(limits.cpu_s), str(limits.memory_mb)),
    ]
    return judged(run(arguments, limits), limits)


def with_clips(kind: Kind, candidate: Path, current: Path | None, settings: AgentSettings) -> Report:
    """Try a candidate as a device does: a model with its makers' recordings and the owner's too. Raise UpdateError."""
    folders = (settings.device.state_dir, candidate)
    count = sum(len(load_clips(folder / CLIPS).whole) for folder in folders) if kind == "model" else 0
    more = count * CLIP_CPU_S
    return self_test(
        kind,
        candidate,
        current,
        limits=replace(DEFAULT, cpu_s=DEFAULT.cpu_s + more, wall_s=DEFAULT.wall_s + 2 * more),
        clips=PLAYER if count else "",
        settings=settings.model_dump_json(),
    )


def limit(cpu_s: int, memory_mb: int) -> None:
    """Have the kernel end this process, which is the child, if it takes more from here on."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used_s = round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used_s + cpu_s, used_s + cpu_s + 5))
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    used_kb = next((int(line.split()[1]) for line in status if line.startswith("VmData:")), 0)
    most = (used_kb << 10) + (memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def peak_memory_mb() -> float:
    """Return the most memory that this process has held; getrusage(2) would count who has started it."""
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    return next((int(line.split()[1]) / 1_024 for line in status if line.startswith("VmHWM:")), 0.0)


def judged(report: Report, limits: Limits = DEFAULT) -> Report:
    """Return the report if it is good. Raise UpdateError otherwise."""
    if report.refused:
        raise _failed("refused", report.refused)
    if report.golden_wrong:
        wrong = f"{len(report.golden_wrong)} of {report.golden} golden sentences: {report.golden_wrong[0]!r}"
        raise _failed("wrong", f"decides in another way than its makers saw: {wrong}")
    if report.clips_wrong:
        raise _failed("clips", f"{len(report.clips_wrong)} of {report.clips} clips: {report.clips_wrong[0]!r}")
    if report.decision_ms > limits.slowest_ms:
        raise _failed("slow", f"a decision takes {report.decision_ms:.1f} ms, at most {limits.slowest_ms:.0f} ms")
    if report.current_ms and report.decision_ms > report.current_ms * limits.slower:
        raise _failed("slow", f"a decision takes {report.decision_ms:.2f} ms, until now {report.current_ms:.2f} ms")
    return report


def run(arguments: Sequence[str], limits: Limits) -> Report:
    """Run a child that reports on the descriptor named by its last argument. Raise UpdateError by how it ended."""
    reading, writing = os.pipe()
    try:
        child = subprocess.Popen(  # noqa: S603  # our own program
            [*arguments, str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(writing,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        raise _failed("crash", f"the trial cannot be started: {error.strerror}") from error
    finally:
        os.close(writing)
    try:
        said, noise, is_in_time = _read(child, reading, limits.wall_s)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        status = child.wait()
        if child.stderr is not None:
            child.stderr.close()
    if not is_in_time:
        raise _failed("hang", f"not finished after {limits.wall_s:.0f} s")
    return _report(status, said, noise)


def _read(child: "subprocess.Popen[bytes]", reading: int, wall_s: float) -> tuple[bytes, bytes, bool]:
    """Return the report, the noise, and whether the child ended in time. What is too much is dropped."""
    deadline = time.monotonic() + wall_s
    found = {reading: bytearray()}
    limits = {reading: LARGEST_REPORT_BYTES}
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        noise = reading
        if child.stderr is not None:
            noise = child.stderr.fileno()
            found[noise], limits[noise] = bytearray(), LARGEST_NOISE_BYTES
            selector.register(noise, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return bytes(found[reading]), bytes(found[noise]), False
            for key, _ in ready:
                block = os.read(key.fd, 1 << 14)
                if not block:
                    selector.unregister(key.fd)
                found[key.fd] += block[: max(0, limits[key.fd] + 1 - len(found[key.fd]))]
        try:
            child.wait(max(0.01, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return bytes(found[reading]), bytes(found[noise]), False
    return bytes(found[reading]), bytes(found[noise]), True


def _report(status: int, said: bytes, noise: bytes) -> Report:
    if status == -signal.SIGXCPU:
        raise _failed("hang", "used all of its processor time")
    if status == -signal.SIGKILL:  # not by us: we kill what is late, and that was told before
        raise _failed("memory", "killed by the system, as it does where memory runs out")
    if status == OUT_OF_MEMORY or (status and any(word in noise for word in _MEMORY_WORDS)):
        raise _failed("memory", "needs more memory than it may have")
    if status:
        how = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        raise _failed("crash", f"{how}: {noise[-200:].decode(errors='replace').strip()}")
    if len(said) > LARGEST_REPORT_BYTES:
        raise _failed("crash", "its report is too large")
    try:
        return Report.model_validate(json.loads(said))
    except (ValueError, RecursionError, ValidationError) as error:
        raise _failed("crash", f"no report that can be read: {type(error).__name__}") from error


def _failed(how: str, why: str) -> UpdateError:
    return UpdateError(f"the self-test: {why}", code=f"self-test-{how}", remedy=_REMEDY)
