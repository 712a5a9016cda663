"""A process that has loaded everything and makes a copy of itself for each run: `python -m update.zygote`.

A request is a line of JSON: the folder of the device, and the repository. It is answered with the number of the copy,
which has stopped and goes on when it is told to (SIGCONT): by then strace may look on. When the copy has ended, its
exit status follows, negative for a signal. So a run costs what an update costs, and not what loading the program does.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
"""prctl(2): who may look on, where the kernel's Yama would let only ancestors."""


class Zygote:
    """The process, seen from outside. For one thread."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "update.zygote"],
            env=environment, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self, root: Path, repository: Path) -> int:
        """Return the number of a copy, which has stopped."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(root), str(repository)]).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._answer())

    def status(self) -> int:
        """Return how the copy has ended, once it has."""
        return int(self._answer())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _answer(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the zygote has died"
        return line


def main() -> None:
    from update.updating import carry_out  # noqa: PLC0415  # loaded by those who run, not by those who ask

    nowhere = os.open(os.devnull, os.O_WRONLY)
    answers = os.dup(1)
    os.dup2(nowhere, 1)
    for line in sys.stdin.buffer:
        root, repository = json.loads(line)
        _run(carry_out, Path(root), Path(repository), answers)


def _run(carry_out: Any, root: Path, repository: Path, answers: int) -> None:
    copy = os.fork()
    if not copy:
        ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0)
        os.close(answers)
        os.kill(os.getpid(), signal.SIGSTOP)
        status = 1
        try:
            status = carry_out(root, repository)
        finally:
            os._exit(status)
    os.waitid(os.P_PID, copy, os.WSTOPPED | os.WNOWAIT)
    os.write(answers, b"%d\n" % copy)
    _, status = os.waitpid(copy, 0)
    os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
