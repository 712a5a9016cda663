"""A console for tests: its work on the bus in this process, or the real program, which can be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from brokers import free_port

from edgeagent.bus import connect
from edgeagent.console.database import Database
from edgeagent.console.news import News
from edgeagent.console.prometheus import Figures
from edgeagent.console.settings import ConsoleSettings, parse
from edgeagent.console.worker import Worker
from edgeagent.duties import doing

BROKER = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 2000\nset_tcp_nodelay true\n"
"""As the broker is that we configure: it holds back what a console has not acknowledged, and drops nothing of it."""
PROGRAM = "from edgeagent.cli.console import console_app; console_app()"
QUICK = "reconnect_least_s = 0.02\nreconnect_most_s = 0.2\nconnect_timeout_s = 2.0\n"


def settings_text(folder: Path, port: int, *, name: str = "1", web_port: int = 0, more: str = "") -> str:
    return (
        f'[console]\nname = "{name}"\ndata_dir = "{folder}"\nadopt = true\n{more}\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\n{QUICK}[web]\nport = {web_port}\n'
    )


@asynccontextmanager
async def working(database: Database, port: int, *, name: str = "1", more: str = "") -> AsyncIterator[Worker]:
    """A worker on a broker of this machine, which conducts."""
    settings = parse(settings_text(Path("/nowhere"), port, name=name, more=more))
    link = settings.link
    async with connect(link, client_id=f"console-{name}", reserved=link.receive_maximum, asks_always=True) as bus:
        worker = Worker(settings.console, bus, database, News(), Figures(database))
        worker.is_conductor = True
        async with doing({"take": worker.take(), "send": worker.send(), "keep": worker.keep_subscribed()}):
            yield worker


class RunningConsole:
    """The real program."""

    def __init__(self, folder: Path, port: int, *, name: str = "1", more: str = "") -> None:
        self.web_port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"console-{name}.toml"
        self.file.write_text(settings_text(folder, port, name=name, web_port=self.web_port, more=more))
        self.log = folder / f"console-{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> ConsoleSettings:
        return parse(self.file.read_text())

    def start(self) -> None:
        with self.log.open("wb") as log:
            command = [sys.executable, "-c", PROGRAM, "run", "--settings", str(self.file)]
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"}
            )
        deadline = time.monotonic() + 60
        while b"console: http" not in self.log.read_bytes():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def end(self) -> int:
        """End it in order; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout=30)
        self._process = None
        return code

    def close(self) -> None:
        if self._process is not None:
            self.kill()


@contextmanager
def running_console(folder: Path, port: int, *, name: str = "1", more: str = "") -> Iterator[RunningConsole]:
    console = RunningConsole(folder, port, name=name, more=more)
    console.start()
    try:
        yield console
    finally:
        console.close()
