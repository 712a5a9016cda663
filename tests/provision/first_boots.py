"""Boards on their first boot: a root folder with a boot partition, a clock that can be turned, and what was told."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from console.hardened_broker import HardenedBroker

from edgeagent.messages import Answer
from edgeagent.provision.enrol_file import EnrolFile, Seed, written
from edgeagent.provision.first_boot import first_boot
from edgeagent.provision.first_boot_board import Board, this_board
from edgeagent.provision.first_boot_enrolling import Enrolling
from edgeagent.provision.first_boot_settings import Hardware
from edgeagent.provision.telling import Teller

SERIAL = "10000000abcdef01"
BUILT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
PROGRAM = (
    "import typer; from edgeagent.cli.first_boot import first_boot; app = typer.Typer(); "
    "app.command()(first_boot); app()"
)


@dataclass
class TurnedClock:
    """A clock that shows what it is told, and goes on only when somebody waits."""

    shows: float = field(default_factory=time.time)
    synchronized_after_s: float | None = 0.0
    may_be_set: bool = True
    waited_s: float = 0.0

    def now(self) -> float:
        return self.shows

    def set_to(self, at: float) -> None:
        if not self.may_be_set:
            raise PermissionError(1, "Operation not permitted")
        self.shows = at

    def is_synchronized(self) -> bool:
        is_synchronized = self.synchronized_after_s is not None and self.waited_s >= self.synchronized_after_s
        if is_synchronized:
            self.shows = max(self.shows, time.time())
        return is_synchronized

    def pause(self, seconds: float) -> None:
        self.waited_s += seconds
        self.shows += seconds


def hardware(seed: Seed) -> Hardware:
    """What this board is found to be."""
    return Hardware(seed.board or "pi-4b", seed.hat)


class Lamp:
    """A sign that remembers."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def show(self, pattern: str) -> None:
        self.shown.append(pattern)


class Mouth:
    """A voice that remembers."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    async def say(self, answer: Answer) -> None:
        self._said.append(answer.text)


@dataclass
class NewDevice:
    """A board with a card in it that never started."""

    root: Path
    clock: TurnedClock = field(default_factory=TurnedClock)
    lines: list[str] = field(default_factory=list)
    lamp: Lamp = field(default_factory=Lamp)
    spoken: list[str] = field(default_factory=list)
    restarts: int = 0
    ready_before: list[str] = field(default_factory=list)
    wait_s: float = 20.0

    def __post_init__(self) -> None:
        self.card.mkdir(parents=True)
        (self.root / "proc/device-tree").mkdir(parents=True)
        (self.root / "proc/device-tree/serial-number").write_text(f"{SERIAL}\0")
        (self.root / "etc").mkdir()
        (self.root / "var/lib").mkdir(parents=True)
        (self.root / "run/systemd/timesync").mkdir(parents=True)
        (self.root / "run/systemd/timesync/synchronized").touch()
        (self.root / "etc/hostname").write_text("raspberrypi\n")

    @property
    def card(self) -> Path:
        return self.root / "boot/firmware/edgeagent"

    @property
    def enrol_toml(self) -> Path:
        return self.card / "enrol.toml"

    @property
    def settings(self) -> Path:
        return self.root / "etc/edgeagent/edgeagent.toml"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/edgeagent"

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def board(self, enrolling: Enrolling | None = None) -> Board:
        ours = this_board(self.root, None, self.wait_s)
        return Board(
            ours.root, ours.card, self.clock, enrolling or ours.enrolling, self._restart, hardware, self.wait_s
        )

    def boots(self, enrolling: Enrolling | None = None) -> int:
        """Do a first boot in this process; return its exit code."""
        self.lines.clear()
        teller = Teller(self.lines.append, (self.lamp,), (Mouth(self.spoken),), supervisor=lambda _: None)
        return first_boot(self.board(enrolling), teller, lambda: self.ready_before.extend(self.lines))

    def _restart(self) -> None:
        self.restarts += 1

    def command(self, *strace: str, wait_s: float = 0.4) -> "subprocess.CompletedProcess[str]":
        """Do it by the real program, looked at by strace where that has options."""
        looking = ["strace", "-f", "-qq", *strace] if strace else []
        options = ["--root", str(self.root), "--wait-s", str(wait_s), "--quiet"]
        return subprocess.run(
            [*looking, sys.executable, "-c", PROGRAM, *options],
            env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip


def card_for(broker: HardenedBroker, secret: str, **changes: object) -> EnrolFile:
    """What a card holds that was made for a broker."""
    devices = broker.folder / "devices"
    given: dict[str, object] = {
        "fleet": "home",
        "broker_host": "127.0.0.1",
        "broker_port": broker.plan.port,
        "enrolment_port": broker.plan.enrolment_port,
        "serial": SERIAL,
        "expires": BUILT + timedelta(days=7),
        "token": secret,
        "ca": (devices / "ca.pem").read_text(),
        "claim": (devices / "claim.pem").read_text(),
        "claim_key": (devices / "claim.key").read_text(),
    }
    return EnrolFile.model_validate(given | changes)


def put(device: NewDevice, card: EnrolFile | None = None, **seed: object) -> None:
    """Write the files of a card."""
    given: dict[str, object] = {"name": "new-1", "area": "kitchen", "built": BUILT}
    (device.card / "seed.toml").write_bytes(written(Seed.model_validate(given | seed)))
    if card is not None:
        device.enrol_toml.write_bytes(written(card))


def files_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file with its content."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()
