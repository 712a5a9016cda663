"""A simulated fleet from its start to its end: what it prints meanwhile, and what it is told to do."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeagent.errors import BusError, EdgeAgentError
from edgeagent.files import write_durably
from edgeagent.settings import BrokerSettings
from edgeagent.simulate.fleet import FleetWishes, SimulatedFleet

EVERY_S = 1.0


async def simulate_fleet(wishes: FleetWishes, *, is_json: bool, with_commands: bool) -> int:
    """Run until interrupted, or until standard input ends where commands are read from it."""
    simulated = SimulatedFleet(wishes)
    shown = _Shown(simulated, is_json=is_json)
    async with asyncio.TaskGroup() as tasks:
        endless = [tasks.create_task(simulated.run(), name="fleet"), tasks.create_task(shown.keep(), name="shown")]
        if with_commands:
            async for line in _lines():
                shown.answer(line)
            for task in endless:
                task.cancel()
    return 0


@dataclass(slots=True)
class _Shown:
    """Prints how it stands, and does what is typed."""

    fleet: SimulatedFleet
    is_json: bool

    async def keep(self) -> None:
        before: Mapping[str, int] = {}
        while True:
            progress = self.fleet.progress()
            network: Mapping[str, int] = progress["network"]
            progress["per_s"] = {key: round((now - before.get(key, 0)) / EVERY_S) for key, now in network.items()}
            before = network
            self._print(progress if self.is_json else _line(progress))
            await asyncio.sleep(EVERY_S)

    def answer(self, line: str) -> None:
        verb, _, rest = line.strip().partition(" ")
        done: Mapping[str, Callable[[], object]] = {
            "away": lambda: self.fleet.go_away(float(rest or 0.1)),
            "back": lambda: self.fleet.come_back(float(rest or 7)),
            "cut": lambda: self._cut(float(rest or 0.1)),
            "tell": lambda: self._tell(Path(rest)),
        }
        try:
            if verb not in done:
                raise BusError(f"{verb!r} is no command", remedy=f"Type one of: {', '.join(done)}.")
            self._print({"did": verb, "devices": done[verb]()})
        except (ValueError, OSError, EdgeAgentError) as error:
            self._print({"did": "", "problem": str(error)})

    def _cut(self, share: float) -> int:
        cut = list(self.fleet.chosen(share))
        for station in cut:
            station.cut()
        return len(cut)

    def _tell(self, file: Path) -> int:
        told = self.fleet.told()
        write_durably(file, json.dumps(told).encode())
        return len(told)

    def _print(self, what: Mapping[str, Any] | str) -> None:
        sys.stdout.write((what if isinstance(what, str) else json.dumps(what)) + "\n")
        sys.stdout.flush()


def _line(progress: Mapping[str, Any]) -> str:
    per_s = progress["per_s"]
    jobs = ", ".join(f"{count} {name}" for name, count in progress["jobs"].items())
    return (
        f"{progress['online']} online; a second: {per_s['connected']} connected, {per_s['sent']} sent, "
        f"{per_s['received']} received; {progress['untold']} untold; {progress['memory_mb']:.0f} MB; "
        f"{jobs or 'no jobs'}"
    )


def broker_at(where: str, keepalive_s: int) -> BrokerSettings:
    """Return how to reach a broker that was typed as HOST:PORT. Raise BusError."""
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal():
        raise BusError(f"{where!r} is no broker", remedy="Give HOST:PORT, as in 127.0.0.1:1883.")
    return BrokerSettings(host=host, port=int(port), keepalive_s=keepalive_s)


async def _lines() -> AsyncIterator[str]:
    """Yield the lines of standard input, to its end."""
    reader = asyncio.StreamReader()
    with os.fdopen(os.dup(sys.stdin.fileno()), "rb") as pipe:
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        async for line in reader:
            yield line.decode(errors="replace")
