"""The programs of a fleet at scale, as processes: a broker, a console, ten thousand simulated devices."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokers import MOSQUITTO, free_port
from brokers import settings as broker_settings
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edgeagent.console import broker_files
from edgeagent.settings import BrokerSettings, TlsSettings

FLEET = "home"
FAMILY = "command-en"
BAD, GOOD, NEXT = "1.2.0", "1.3.0", "1.4.0"
FAILING_SHARE = 0.03
PYTHON = (sys.executable, "-P")
SIMULATOR = (*PYTHON, "-m", "edgeagent", "simulate", "fleet")
CONSOLE = (*PYTHON, "-m", "edgeagent", "console", "run", "--settings")


class LateError(AssertionError):
    """Something did not come to be in time."""


def until(is_so: Callable[[], object], within_s: float, what: str) -> float:
    """Wait until something is so, looking several times a second; return how long that took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > within_s:
            raise LateError(f"{what}: not within {within_s:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


@dataclass
class Program:
    """A process that can be killed and started again, with its memory and its use of the processor."""

    name: str
    command: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    highest_mb: float = 0.0
    cpu_s: float = 0.0
    """Of those runs that are over."""

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self.process is not None:
            self.look()
            self.cpu_s += self.cpu()
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def look(self) -> float:
        """Return the memory that it has now, in MB, and remember the highest."""
        if self.process is None:
            return 0.0
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        now = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        self.highest_mb = max(self.highest_mb, now)
        return now

    def cpu(self) -> float:
        """Return the processor time of this run, in seconds."""
        if self.process is None:
            return 0.0
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def said(self) -> str:
        """Return the end of what it has said."""
        return self.log.read_text(errors="replace")[-2_000:]


class Simulator:
    """The simulated fleet: what it last told of itself, and what it is told to do."""

    def __init__(self, folder: Path, options: tuple[str, ...]) -> None:
        self._folder = folder
        self.progress: Mapping[str, Any] = {}
        self.history: list[Mapping[str, Any]] = []
        self._answers: list[Mapping[str, Any]] = []
        self._log = (folder / "simulator.log").open("ab")
        self.process = subprocess.Popen(
            [*SIMULATOR, *options, "--fleet", FLEET, "--json", "--commands"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, name="simulator")
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            if "did" in told:
                self._answers.append(told)
            else:
                self.progress = told
                self.history.append(told)

    def tell(self, command: str) -> int:
        """Have it do something, and return how many devices that was."""
        assert self.process.stdin is not None
        before = len(self._answers)
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        until(lambda: len(self._answers) > before, 30, command)
        answer = self._answers[-1]
        assert answer["did"], answer
        return int(answer["devices"])

    def devices(self) -> list[dict[str, Any]]:
        """Return what every device says of itself, now."""
        file = self._folder / "told.json"
        self.tell(f"tell {file}")
        found: list[dict[str, Any]] = json.loads(file.read_text())
        return found

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            self.process.stdout.close()
            self._log.close()


@dataclass
class World:
    """Everything that runs, in a folder of its own."""

    folder: Path
    devices: int
    broker: Program
    console: Program
    port: int
    web: int
    simulator: Simulator | None = None
    is_secured: bool = False
    name: str = FLEET

    @property
    def database(self) -> Path:
        return self.folder / "data" / "console.db"

    @property
    def fleet(self) -> Simulator:
        assert self.simulator is not None
        return self.simulator

    def as_console(self, name: str) -> BrokerSettings:
        """Return how somebody reaches the broker with a console's rights."""
        if not self.is_secured:
            return broker_settings(self.port, username="console-main")
        own = self.folder / "made" / "console"
        tls = TlsSettings(ca=own / "ca.pem", certificate=own / f"console-{name}.pem", key=own / f"console-{name}.key")
        return broker_settings(self.port, tls)

    def console_id(self, name: str) -> str:
        """Return what a console is called on the broker."""
        return f"console-{name}"

    def simulate(self, update_s: float) -> None:
        """Begin with the devices."""
        options = {
            "--devices": self.devices, "--broker": f"127.0.0.1:{self.port}", "--fail-share": FAILING_SHARE,
            "--bad-version": BAD, "--update-s": update_s, "--slow-share": 0.005,
        }  # fmt: skip
        if self.is_secured:
            options["--tls"] = self.folder / "made" / "certificates"
        self.simulator = Simulator(self.folder, tuple(str(one) for pair in options.items() for one in pair))

    def start_broker(self) -> None:
        self.broker.start()
        until(lambda: is_open(self.port), 30, "broker")

    def start_console(self) -> None:
        self.console.start()
        until(lambda: is_open(self.web) or self._is_over(), 60, "console")
        assert not self._is_over(), self.console.said()

    def _is_over(self) -> bool:
        return self.console.process is None or self.console.process.poll() is not None

    def look(self) -> None:
        """Note how much memory everything has."""
        self.broker.look()
        self.console.look()


@contextmanager
def world(folder: Path, devices: int, *, is_secured: bool = False) -> Iterator[World]:
    """A broker and a console that are not started yet, on free ports."""
    port, web = free_port(), free_port()
    (folder / "data").mkdir()
    (folder / "broker").mkdir()
    if is_secured:
        access = secured_broker(folder, port, devices)
    else:
        access = 'username = "console-main"\n'
        (folder / "mosquitto.conf").write_text(plain_broker(folder, port))
    (folder / "console.toml").write_text(
        f'[console]\nname = "main"\ndata_dir = "{folder}/data"\nfleets = ["{FLEET}"]\nadopt = true\n'
        f'[web]\nport = {web}\n[broker]\nhost = "127.0.0.1"\nport = {port}\n{access}'
    )
    made = World(
        folder,
        devices,
        Program("broker", (MOSQUITTO, "-c", str(folder / "mosquitto.conf")), folder / "broker.log"),
        Program("console", (*CONSOLE, str(folder / "console.toml")), folder / "console.log"),
        port,
        web,
        is_secured=is_secured,
    )
    try:
        yield made
    except AssertionError:
        sys.stderr.write(f"--- the console's last words:\n{made.console.said()}\n")
        sys.stderr.write(f"--- the broker's last words:\n{made.broker.said()}\n")
        raise
    finally:
        if made.simulator is not None:
            made.simulator.end()
        made.console.end()
        made.broker.end()


def plain_broker(folder: Path, port: int) -> str:
    """Return the configuration that the product writes, with one listener, without TLS, for this machine alone.

    Who a client is stands in its client id then, not in a certificate: %c in place of %u in the rights.
    """
    plan = broker_files.Plan(("127.0.0.1",), consoles=("main", "orders"), state=folder / "broker")
    written = broker_files.configuration(folder, plan)
    common = written.partition("# Devices and consoles")[0]
    access = broker_files.access(plan.consoles).replace("%u", "%c")
    (folder / "acl").write_text(access)
    # Started by root, it would become a user who cannot read this folder.
    listener = f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_qos 1\nacl_file {folder}/acl\n"
    return f"user root\n{common}\n{listener}"


def secured_broker(folder: Path, port: int, devices: int) -> str:
    """Write the product's broker, as it is, and a certificate for each device; return the console's way to it."""
    made = folder / "made"
    plan = broker_files.Plan(
        ("127.0.0.1",), port, free_port(), consoles=("main", "orders"), bind="127.0.0.1", state=folder / "broker"
    )
    authority = broker_files.init(made, plan, time.time())
    text = (made / "broker" / "mosquitto.conf").read_text()
    (folder / "mosquitto.conf").write_text(f"user root\n{text}")
    certificates = made / "certificates"
    certificates.mkdir()
    (certificates / "ca.pem").write_bytes((made / "devices" / "ca.pem").read_bytes())
    for number in range(1, devices + 1):
        name = f"sim-{number:05d}"
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        signed = authority.sign_device(request.public_bytes(Encoding.PEM).decode(), FLEET, name, time.time())
        (certificates / f"{name}.pem").write_text(signed.pem)
        (certificates / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    own = made / "console"
    return (
        f'[broker.tls]\nca = "{own}/ca.pem"\ncertificate = "{own}/console-main.pem"\nkey = "{own}/console-main.key"\n'
    )


def is_open(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as knock:
        knock.settimeout(1)
        return knock.connect_ex(("127.0.0.1", port)) == 0
