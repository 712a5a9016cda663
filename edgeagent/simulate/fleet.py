"""Thousands of devices on a real broker, in one process: connected, kept busy, cut off, and brought back.

Rules:
    - One agenda, in the order of time, for everything that devices do by themselves; no task and no timer per device.
    - Tries to connect are spread as those of the daemon are (`edgeagent.dial.wait_s`), and bounded for all.
"""

import asyncio
import heapq
import resource
import ssl
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from edgeagent.dial import wait_s
from edgeagent.errors import BusError
from edgeagent.settings import BrokerSettings
from edgeagent.simulate.fleet_device import NEVER, Device
from edgeagent.simulate.fleet_habits import Habits
from edgeagent.simulate.fleet_station import Station, Tally
from edgeagent.simulate.fleet_tls import device_context
from edgeagent.simulate.mqtt_packets import Version
from edgeagent.topics import Address

TICK_S = 0.02
AT_ONCE = 200
"""Tries to connect that are under way at the same time; a listening socket's queue is not much longer."""
DIAL_S = 15.0
SPARE_DESCRIPTORS = 200
"""Descriptors of this process that are no devices."""
KEPT_SAMPLES = 168
"""Samples that a device keeps of a time without the fleet: a week of hours. The daemon keeps up to 2,500."""


@dataclass(frozen=True, slots=True)
class FleetWishes:
    """What is to be simulated. Shares are 0..1; a time of 0 is never."""

    broker: BrokerSettings
    devices: int = 1_000
    fleet: str = "home"
    prefix: str = "sim"
    certificates: Path | None = None
    """Folder with ca.pem, and for each device NAME.pem and NAME.key."""
    habits: Habits = field(default_factory=Habits)
    samples_every_s: float = 300.0
    drop_every_s: float = 0.0
    """How long a device's connection lasts, on average."""
    connects_per_s: float = 500.0
    offline_share: float = 0.0
    version: Version = 5

    def names(self) -> list[str]:
        """Return what the devices are called."""
        return [f"{self.prefix}-{number:05d}" for number in range(1, self.devices + 1)]


class _What(IntEnum):
    CONNECT, WORK, SAMPLE, SPEAK, PING, DROP = range(6)


class SimulatedFleet:
    """See the module."""

    def __init__(self, wishes: FleetWishes) -> None:
        """Make the devices; nothing is connected yet. Raise BusError where that cannot be."""
        allow_descriptors(wishes.devices + SPARE_DESCRIPTORS)
        self.wishes = wishes
        if wishes.certificates is not None:
            device_context(wishes.certificates, wishes.names()[0])
        self.tally = Tally()
        self.version = wishes.version
        self.keepalive_s, self.expiry_s = wishes.broker.keepalive_s, wishes.broker.session_expiry_s
        now = self.now()
        self.stations = [
            Station(Device(Address(wishes.fleet, name), index, wishes.habits, now), self)
            for index, name in enumerate(wishes.names())
        ]
        self.away: list[Station] = []
        self._agenda: list[tuple[float, int, int]] = []
        self._to_dial: deque[Station] = deque()
        self._dialling: set[asyncio.Task[None]] = set()
        self._allowance = 0.0
        self._draw = wishes.habits.draw(0, "network")
        self._begin(now)

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return time.time()

    async def run(self) -> None:
        """Keep the fleet going, until cancelled; then every device says goodbye."""
        before = self.now()
        try:
            while True:
                await asyncio.sleep(TICK_S)
                now = self.now()
                self._do_what_is_due(now)
                self._dial(now - before)
                before = now
        finally:
            for task in self._dialling:
                task.cancel()
            for station in self.stations:
                station.is_wanted = False
                station.leave("stopped")

    def up(self, station: Station) -> None:
        """Note that the broker has taken a station in."""
        station.failures = 0
        self.due(station)

    def gone(self, station: Station) -> None:
        """Note that a connection has ended, and plan the next."""
        station.failures += 1
        broker = self.wishes.broker
        wait = wait_s(station.failures, broker.reconnect_least_s, broker.reconnect_most_s, self._draw.random())
        self._connect_after(station, wait)

    def due(self, station: Station) -> None:
        """Put what a device has to do on the agenda."""
        if station.device.due < NEVER and not 0 < station.work_at <= station.device.due:
            station.work_at = station.device.due
            self._at(station.work_at, _What.WORK, station)

    def chosen(self, share: float) -> Iterator[Station]:
        """Yield a share of the devices, at random."""
        return (one for one in self.stations if self._draw.random() < share)

    def go_away(self, share: float) -> int:
        """Cut the last share of the devices off, until `come_back`; they go on by themselves."""
        first = round(len(self.stations) * (1 - share))
        gone = [one for one in self.stations[max(0, first) :] if one.is_wanted]
        for station in gone:
            station.is_wanted = False
            station.cut()
        self.away += gone
        return len(gone)

    def come_back(self, days: float) -> int:
        """Have those that are away come back, as after so many days."""
        back, self.away = self.away, []
        for station in back:
            station.keep(station.device.live_through(days * 86_400, self.now(), KEPT_SAMPLES))
            station.is_wanted, station.failures = True, 0
            self._connect_after(station, self._draw.random() * min(10.0, len(back) / self.wishes.connects_per_s))
        return len(back)

    def progress(self) -> dict[str, Any]:
        """Return how it stands, all devices together."""
        jobs: Counter[str] = Counter()
        done_twice = 0
        for station in self.stations:
            for course in station.device.jobs.courses.values():
                jobs[f"{course.version or course.kind} {course.state}"] += 1
                done_twice += course.executions > 1
        return {
            "at": round(self.now(), 3),
            "online": sum(one.is_up for one in self.stations),
            "away": len(self.away),
            "untold": sum(one.untold for one in self.stations),
            "done_twice": done_twice,
            "jobs": dict(sorted(jobs.items())),
            "network": asdict(self.tally),
            "memory_mb": resident_mb(),
        }

    def told(self) -> list[dict[str, Any]]:
        """Return what each device says of itself, to be compared with what the console says of it."""
        return [_told(station) for station in self.stations]

    def _begin(self, now: float) -> None:
        wishes = self.wishes
        for station in self.stations:
            first = self._draw.random()
            station.is_wanted = wishes.offline_share == 0 or self._draw.random() >= wishes.offline_share
            self._connect_after(station, first * len(self.stations) / wishes.connects_per_s)
            self._at(now + first * self.keepalive_s, _What.PING, station)
            self._at(now + wishes.samples_every_s * (0.1 + first), _What.SAMPLE, station)
            self._speak_later(station, now)
            self._drop_later(station, now)

    def _connect_after(self, station: Station, delay_s: float) -> None:
        if station.is_wanted and not station.is_planned and not station.is_open:
            station.is_planned = True
            self._at(self.now() + delay_s, _What.CONNECT, station)

    def _at(self, when: float, what: _What, station: Station) -> None:
        heapq.heappush(self._agenda, (when, what, station.device.index))

    def _do_what_is_due(self, now: float) -> None:
        while self._agenda and self._agenda[0][0] <= now:
            _, what, index = heapq.heappop(self._agenda)
            self._do(_What(what), self.stations[index], now)

    def _do(self, what: _What, station: Station, now: float) -> None:
        match what:
            case _What.CONNECT:
                self._to_dial.append(station)
            case _What.WORK:
                self._work(station, now)
            case _What.SAMPLE:
                station.tell([station.device.sample(now)])
                self._at(now + self.wishes.samples_every_s, what, station)
            case _What.SPEAK:
                station.tell(station.device.speak(now))
                self._speak_later(station, now)
            case _What.PING:
                station.ping()
                self._at(now + self.keepalive_s / 3, what, station)
            case _What.DROP:
                station.cut()
                self._drop_later(station, now)

    def _work(self, station: Station, now: float) -> None:
        station.work_at = 0.0
        station.tell(station.device.work(now))
        if station.device.wants_restart:
            station.start_anew()
            self._connect_after(station, self.wishes.habits.restart_s)
        self.due(station)

    def _speak_later(self, station: Station, now: float) -> None:
        wait = self.wishes.habits.until_speech_s(station.device.index, station.device.heard)
        self._at(now + wait, _What.SPEAK, station)

    def _drop_later(self, station: Station, now: float) -> None:
        if self.wishes.drop_every_s > 0:
            self._at(now + self._draw.expovariate(1 / self.wishes.drop_every_s), _What.DROP, station)

    def _dial(self, passed_s: float) -> None:
        self._allowance = min(self._allowance + passed_s * self.wishes.connects_per_s, AT_ONCE)
        while self._to_dial and self._allowance >= 1 and len(self._dialling) < AT_ONCE:
            self._allowance -= 1
            task = asyncio.create_task(self._connect(self._to_dial.popleft()))
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)

    async def _connect(self, station: Station) -> None:
        station.is_planned = False
        if not station.is_wanted or station.is_open:
            return
        host, port = self.wishes.broker.host or "127.0.0.1", self.wishes.broker.port
        try:
            context = self._context(station)
            async with asyncio.timeout(DIAL_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: station, host, port, ssl=context, server_hostname=host if context else None
                )
        except (OSError, TimeoutError, BusError):
            self.tally.unreachable += 1
            self.gone(station)

    def _context(self, station: Station) -> ssl.SSLContext | None:
        folder = self.wishes.certificates
        return None if folder is None else device_context(folder, station.device.address.device)


def allow_descriptors(wanted: int) -> None:
    """Raise this process's limit of open files as far as it may. Raise BusError if that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < wanted:
            raise BusError(
                f"{wanted} open files are needed, {hard} are allowed",
                remedy=f"Type: ulimit -Hn {wanted} (as root), or simulate at most {hard - SPARE_DESCRIPTORS} devices.",
            )


def resident_mb() -> float:
    """Return the memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def _told(station: Station) -> dict[str, Any]:
    device = station.device
    return {
        "name": device.address.device,
        "online": station.is_up,
        "boot": device.boot,
        "seq": device.seq,
        "starts": device.starts,
        "desired": device.desired,
        "releases": device.releases,
        "orders": device.orders,
        "untold": station.untold,
        "counters": device.use.counters,
        "jobs": {
            one.id: {"version": one.version, "state": one.state, "step": one.step, "executions": one.executions}
            for one in device.jobs.courses.values()
        },
    }
