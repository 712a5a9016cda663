"""What systemd sees of the real daemon, under the limits of its unit: it is ready, it lives, and it is stopped."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from soundcards import NAME, environment, sound_server

from edgeagent.hear.files import frames_of

pytestmark = pytest.mark.slow
SOUNDS = Path(__file__).parents[2] / "edgeagent" / "demo" / "sounds"
LIMIT_S = 3.0
PR_SET_MDWE = 65
"""prctl(2), since Linux 6.3; systemd sets it for MemoryDenyWriteExecute= where the kernel has it."""
UNDER_LIMITS = f"""
import ctypes, os, sys
if ctypes.CDLL(None).prctl({PR_SET_MDWE}, 1, 0, 0, 0):
    sys.exit("this kernel has no PR_SET_MDWE")
os.execv(sys.executable, [sys.executable, "-m", "edgeagent", *sys.argv[1:]])
"""


class Supervisor:
    """systemd's end of the socket."""

    def __init__(self, folder: Path) -> None:
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.end.bind(str(folder / "notify"))
        self.end.settimeout(0)

    async def told(self) -> str:
        return (await asyncio.get_running_loop().sock_recv(self.end, 100)).decode()

    async def hears(self, line: str) -> None:
        while await self.told() != line:
            pass

    async def starves(self) -> bool:
        """Tell whether nothing comes for as long as the watchdog waits, after what is there already."""
        while True:
            try:
                self.end.recv(100)
            except BlockingIOError:
                break
        try:
            async with asyncio.timeout(LIMIT_S):
                await self.told()
        except TimeoutError:
            return True
        return False


def has_mdwe() -> bool:
    """Tell whether this kernel knows the limit (it is asked for what is set: PR_GET_MDWE)."""
    return int(ctypes.CDLL(None).prctl(PR_SET_MDWE + 1, 0, 0, 0, 0)) >= 0


@asynccontextmanager
async def daemon(home: Path, supervisor: Supervisor) -> AsyncIterator[asyncio.subprocess.Process]:
    file = home / "edgeagent.toml"
    file.write_text(
        f'[device]\nstate_dir = "{home}/state"\n[broker]\nembedded_port = 0\n[microphone]\ndevice = "{NAME}"\n'
        '[answering]\nspeech = "off"\n'
    )
    watch = {"NOTIFY_SOCKET": str(supervisor.end.getsockname()), "WATCHDOG_USEC": str(round(LIMIT_S * 1e6))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UNDER_LIMITS, "run", "--settings", str(file),
        env=environment(home) | watch, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def logged(process: asyncio.subprocess.Process, words: str) -> None:
    assert process.stderr is not None
    while words not in (line := (await process.stderr.readline()).decode()):
        assert line, f"it ended before it said {words!r}"


@pytest.mark.skipif(not has_mdwe() and "EDGEAGENT_CI" not in os.environ, reason="needs Linux 6.3")
def test_the_daemon_hears_with_no_code_made_at_run_time_feeds_its_watchdog_and_is_missed_when_stopped(
    tmp_path: Path,
) -> None:
    async def journey() -> None:
        supervisor = Supervisor(tmp_path)
        with supervisor.end, sound_server(tmp_path) as microphone:
            async with daemon(tmp_path, supervisor) as agent:
                await logged(agent, "microphone is open")
                await supervisor.hears("READY=1")
                await supervisor.hears("WATCHDOG=1")
                microphone.say(b"".join(frames_of(SOUNDS / "kitchen-light.flac")))
                await logged(agent, "rejected")  # decoded, and judged by the model: there is no light in this house
                agent.send_signal(signal.SIGSTOP)
                assert await supervisor.starves()
                agent.send_signal(signal.SIGCONT)
                await supervisor.hears("WATCHDOG=1")
                agent.send_signal(signal.SIGTERM)
                assert agent.stderr is not None
                await agent.stderr.read()
                assert await agent.wait() == 0

    asyncio.run(asyncio.wait_for(journey(), 90))
