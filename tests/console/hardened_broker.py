"""The hardened broker as `edgeagent console broker init` writes it, running, with a console that answers enrolments."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from brokers import MOSQUITTO, eventually, free_port

from edgeagent.bus import Bus, connect
from edgeagent.console import broker_files, certificates
from edgeagent.console.authority import Authority, Pair, Signer
from edgeagent.console.authority_roots import Root
from edgeagent.console.database import Database
from edgeagent.console.enrolment import enrol, new_token, renew
from edgeagent.console.tables import Fleet
from edgeagent.fleet import wire
from edgeagent.fleet.enrolling import Wish
from edgeagent.fleet.identity_keys import make_key, request
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings, TlsSettings
from edgeagent.topics import Address

QUICK = {"host": "127.0.0.1", "reconnect_least_s": 0.02, "reconnect_most_s": 0.2, "connect_timeout_s": 5.0}


@dataclass
class HardenedBroker:
    """A mosquitto that runs as it was configured, but for its user: the tests' folders are root's."""

    folder: Path
    plan: broker_files.Plan
    authority: Authority
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    def start(self) -> None:
        written = self.folder / "broker" / "mosquitto.conf"
        ours = self.folder / "tests.conf"
        # -v is how mosquitto tells of what it denies.
        ours.write_text(f"user root\npid_file {self.pid_file}\n{written.read_text()}")
        with (self.folder / "log").open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen([MOSQUITTO, "-v", "-c", str(ours)], stderr=log, stdout=log)
        deadline = time.monotonic() + 10
        while " running" not in self.log[before:]:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def link(self, certificate: Path, key: Path, **changes: object) -> BrokerSettings:
        tls = TlsSettings(ca=self.folder / "console" / "ca.pem", certificate=certificate, key=key)
        return BrokerSettings.model_validate(QUICK | {"port": self.plan.port, "tls": tls} | changes)

    def console(self, name: str = "1", **changes: object) -> BrokerSettings:
        start = self.folder / "console" / f"console-{name}"
        return self.link(start.with_suffix(".pem"), start.with_suffix(".key"), **changes)

    def claim(self, *, port: int | None = None) -> BrokerSettings:
        start = self.folder / "devices" / "claim"
        chosen = port or self.plan.enrolment_port
        return self.link(start.with_suffix(".pem"), start.with_suffix(".key"), port=chosen, session_expiry_s=0)

    def device(self, name: str, fleet: str = "home", **changes: object) -> BrokerSettings:
        """Settings of a device that has a certificate from the authority."""
        key = make_key("file")
        issued = self.authority.sign_device(request(key, name), fleet, name, time.time())
        return self.pair(name, Pair(issued.pem.encode(), key), **changes)

    def pair(self, name: str, pair: Pair, **changes: object) -> BrokerSettings:
        start = self.folder / f"test-{name}"
        start.with_suffix(".pem").write_bytes(pair.certificate)
        start.with_suffix(".key").write_bytes(pair.key)
        return self.link(start.with_suffix(".pem"), start.with_suffix(".key"), **changes)

    def wish(self, token: str, serial: str = "S-1", fleet: str = "home", deadline_s: float = 20.0) -> Wish:
        devices = self.folder / "devices"
        claim = TlsSettings(ca=devices / "ca.pem", certificate=devices / "claim.pem", key=devices / "claim.key")
        broker = BrokerSettings.model_validate(QUICK | {"port": self.plan.port})
        return Wish(broker, self.plan.enrolment_port, claim, fleet, serial, token, deadline_s=deadline_s)

    def revoking(self) -> certificates.Broker:
        command = ("/bin/sh", "-c", f"kill -HUP $(cat {self.pid_file})")
        return certificates.Broker(self.console(), self.folder / "broker" / "crl.pem", command)


@contextmanager
def hardened_broker(folder: Path, **changes: object) -> Iterator[HardenedBroker]:
    """Write a broker's files, and run it."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state"
    state.mkdir()
    given: dict[str, object] = {"names": ("127.0.0.1", "localhost"), "bind": "127.0.0.1", "state": state}
    plan = broker_files.Plan(**(given | {"port": free_port(), "enrolment_port": free_port()} | changes))  # type: ignore[arg-type]  # by name
    broker = HardenedBroker(folder, plan, broker_files.init(folder, plan, time.time()))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def database(folder: Path, *fleets: str) -> Database:
    made = Database(f"sqlite:///{folder}/console.db")
    made.migrate()
    with made.session() as session:
        session.add_all(Fleet(name=name, created=time.time()) for name in (fleets or ("home",)))
    return made


def token(made: Database, device: str = "kitchen", serial: str = "S-1", fleet: str = "home") -> str:
    with made.session() as session:
        _, secret = new_token(
            session, fleet=fleet, serial=serial, device=device, tags={}, by="tests", now=time.time(), lasts_s=3_600
        )
    return secret


@asynccontextmanager
async def answering_console(
    broker: HardenedBroker, made: Database, signer: Signer | None = None, fleet: str = "home"
) -> AsyncIterator[Bus]:
    """A console that does nothing but answer those who enrol, and those who renew."""
    signed = signer or broker.authority
    async with connect(broker.console(), client_id="console-1") as bus:
        bus.subscribe(f"ea/1/{fleet}/enrol/+/req", f"ea/1/{fleet}/d/+/up/renew")
        answering = asyncio.create_task(_answer_all(bus, made, signed, fleet))
        await bus.until(connected=True)
        await eventually(lambda: bus.is_subscribed)
        try:
            yield bus
        finally:
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering


async def _answer_all(bus: Bus, made: Database, signer: Signer, fleet: str) -> None:
    async for received in bus.received():
        received.acknowledge()
        parts = received.topic.split("/")
        if parts[3] == "enrol":
            asked = wire.read(wire.EnrolRequest, received.payload)
            work = partial(_enrolled, made, signer, fleet, asked, parts[4])
            certified = await asyncio.to_thread(work)
            answer = Message(wire.enrolment(fleet, parts[4])[1], wire.written(certified), 1) if certified else None
        else:
            wish = wire.read(wire.RenewRequest, received.payload)
            renewed = await asyncio.to_thread(_renewed, made, signer, fleet, parts[4], wish)
            answer = wire.certified(Address(fleet, parts[4]), renewed) if renewed else None
        if answer is not None:
            await bus.publish(answer)


def _enrolled(
    made: Database, signer: Signer, fleet: str, asked: wire.EnrolRequest, nonce: str
) -> wire.Certified | None:
    return enrol(made, signer, fleet, asked, time.time(), nonce=nonce)


def _renewed(
    made: Database, signer: Signer, fleet: str, device: str, asked: wire.RenewRequest
) -> wire.Certified | None:
    return renew(made, signer, fleet, device, asked, time.time())


def client_pair(root: Root, name: str, *, lasts_s: float = 3_600.0, now: float | None = None) -> Pair:
    """A certificate of a root that is not ours, or not now."""
    return root.client_pair(name, time.time() if now is None else now, lasts_s)
