"""Real microphones without a sound card: a sound server that plays what it is given, and a card that is held.

The sound server is PulseAudio with a pipe as its source; killing it is what pulling the plug looks like to PortAudio.
"""

import contextlib
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from edgeagent.messages import FRAME_BYTES, FRAME_S

NAME = "mic"
MISSING = "sudo apt-get install libportaudio2 libasound2-plugins pulseaudio"


def need(*programs: str) -> None:
    """Skip the test where PortAudio, ALSA or a program is missing; fail it where EDGEAGENT_CI is set."""
    if find_library("portaudio") and find_library("asound") and all(map(shutil.which, programs)):
        return
    if os.environ.get("EDGEAGENT_CI"):
        pytest.fail(f"sound is missing: {MISSING}")
    pytest.skip(f"sound is missing: {MISSING}")


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a program that has the sound cards of this home and no others."""
    return {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}


class SoundServer:
    """A microphone called `mic` in a home; it hears a quiet room, and what is said to it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._pipe = home / "pipe"
        self._socket = home / "server"
        self._said: queue.Queue[bytes] = queue.Queue()
        self._stop = threading.Event()
        self._feeder: threading.Thread | None = None
        self._server: subprocess.Popen[bytes] | None = None
        (home / ".asoundrc").write_text(f'pcm.{NAME} {{ type pulse server "unix:{self._socket}" }}\n')

    def plug_in(self) -> None:
        self._server = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
                "-L", f"module-native-protocol-unix socket={self._socket} auth-anonymous=1",
                "-L", f"module-pipe-source file={self._pipe} source_name={NAME} rate=16000 channels=1 format=s16le",
            ],
            env=environment(self._home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while not (self._pipe.exists() and self._socket.exists()):
            assert time.monotonic() < deadline, "pulseaudio does not start"
            time.sleep(0.01)
        self._stop.clear()
        self._feeder = threading.Thread(target=self._feed, name="sound")
        self._feeder.start()

    def unplug(self) -> None:
        self._stop.set()
        if self._feeder is not None:
            self._feeder.join()
            self._feeder = None
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
        self._socket.unlink(missing_ok=True)
        self._pipe.unlink(missing_ok=True)

    def say(self, pcm: bytes) -> None:
        """Let the microphone hear these samples, after what it was to hear before, at the pace of speech."""
        self._said.put(pcm)

    def _feed(self) -> None:
        room = np.random.default_rng(5).normal(0, 8, FRAME_BYTES // 2).astype("<i2").tobytes()
        rest, due = b"", time.monotonic()
        with contextlib.suppress(BrokenPipeError), self._pipe.open("wb", buffering=0) as pipe:
            while not self._stop.is_set():
                with contextlib.suppress(queue.Empty):
                    rest = rest or self._said.get_nowait()
                frame, rest = (rest[:FRAME_BYTES], rest[FRAME_BYTES:]) if rest else (room, b"")
                pipe.write(frame)
                due += len(frame) / FRAME_BYTES * FRAME_S
                time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def sound_server(home: Path) -> Iterator[SoundServer]:
    """A plugged-in microphone."""
    need("pulseaudio")
    server = SoundServer(home)
    server.plug_in()
    try:
        yield server
    finally:
        server.unplug()
