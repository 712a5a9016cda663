"""Real brokers for tests: mosquitto on a free port, certificates, a proxy that cuts and freezes, a scripted broker."""

import asyncio
import datetime as dt
import ipaddress
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgeagent.bus import connect
from edgeagent.settings import BrokerSettings, TlsSettings
from edgeagent.simulate.house import House

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
HAS_MOSQUITTO = Path(MOSQUITTO).exists()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def settings(port: int, tls: TlsSettings | None = None, **changes: object) -> BrokerSettings:
    """Settings for a broker on this machine that is tried again at once."""
    quick: dict[str, object] = {"reconnect_least_s": 0.02, "reconnect_most_s": 0.2, "connect_timeout_s": 2.0}
    return BrokerSettings.model_validate({"host": "127.0.0.1", "port": port, "tls": tls} | quick | changes)


class Mosquitto:
    """A mosquitto that can be stopped, frozen, and started again on the same port."""

    def __init__(self, folder: Path, config: str, port: int) -> None:
        self.port = port
        self._file = folder / "mosquitto.conf"
        # Started by root, it would become a user who cannot read the tests' folders.
        self._file.write_text(f"user root\nlistener {port} 127.0.0.1\n{config}")
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log.write_bytes(b"")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([MOSQUITTO, "-v", "-c", self._file], stdout=log, stderr=log)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.log_lines(" running"):
                return
            time.sleep(0.005)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def log_lines(self, part: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if part in line]


@contextmanager
def mosquitto(config: str = "allow_anonymous true\n", *, files: dict[str, str] | None = None) -> Iterator[Mosquitto]:
    """A running mosquitto; `{folder}` in its config is where the `files` are."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file, text in (files or {}).items():
            (folder / file).write_text(text)
        broker = Mosquitto(folder, config.format(folder=folder), free_port())
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


@dataclass
class Authority:
    """A certificate authority that lives in a folder."""

    folder: Path
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    _name: x509.Name = field(default_factory=lambda: _name("test authority"))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.ca, self._sign(self._name, self._key, is_ca=True, host=None).public_bytes(_PEM))

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, name: str, host: str = "127.0.0.1", *, days: int = 1) -> tuple[Path, Path]:
        """Write a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        _write(certificate, self._sign(_name(name), key, is_ca=False, host=host, days=days).public_bytes(_PEM))
        _write(secret, key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return certificate, secret

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_ca: bool, host: str | None, days: int = 1
    ) -> x509.Certificate:
        end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - dt.timedelta(days=10))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if host is not None:
            address = x509.IPAddress(ipaddress.ip_address(host))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


_PEM = serialization.Encoding.PEM


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)


class Proxy:
    """A way to a broker that can be cut, and frozen: frozen, it takes bytes and passes none on, nor an end.

    What the broker says comes `late_s` later.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._is_open = asyncio.Event()
        self._is_open.set()
        self.connections = 0
        self.late_s = 0.0

    def freeze(self) -> None:
        self._is_open.clear()

    def thaw(self) -> None:
        self._is_open.set()

    def cut(self) -> None:
        """Cut every connection; what is on its way is lost."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        mine = [writer, to_writer]
        self._writers += mine
        try:
            await asyncio.gather(self._pass(reader, to_writer), self._pass(to_reader, writer, self.late_s))
        finally:
            for end in mine:
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late_s: float = 0.0) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._is_open.wait()
                if writer.transport.is_closing():
                    return
                if late_s:
                    asyncio.get_running_loop().call_later(late_s, writer.write, data)
                    continue
                writer.write(data)
                await writer.drain()
            await self._is_open.wait()
            writer.close()


@asynccontextmanager
async def served(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A server on a free port whose open connections end with the block."""
    writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio 3.11 complains when its own is cancelled.
        task = asyncio.create_task(kept(reader, writer))
        writers[task] = writer
        task.add_done_callback(lambda ended: writers.pop(ended).transport.abort())

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        tasks = list(writers)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[tuple[Proxy, int]]:
    way = Proxy(target)
    async with served(way.serve) as port:
        yield way, port
        way.cut()
        way.thaw()


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """An MQTT packet's first byte and its rest (MQTT 5, 2.1)."""
    first = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, await reader.readexactly(length)


def packet(first: int, rest: bytes) -> bytes:
    """An MQTT packet of its first byte and its rest."""
    length = bytearray()
    left = len(rest)
    while True:
        length.append((left & 127) | (128 if left > 127 else 0))
        left >>= 7
        if not left:
            return bytes([first]) + bytes(length) + rest


async def eventually(is_so: Callable[[], object], within_s: float = 15.0) -> None:
    """Wait until something is so, looking every few milliseconds."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.005)


def run(test: Coroutine[None, None, None], within_s: float = 25.0) -> None:
    """Run a test in a loop, and see that it leaves nothing running there."""

    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await test
        await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()}, within_s=1)

    asyncio.run(bounded())


async def announced(house: House, port: int) -> None:
    """Wait until the broker holds the announcements of every thing in the house."""
    missing = {message.topic for message in house.announcements() if message.topic.endswith("/config")}
    async with connect(settings(port), client_id="watcher") as watcher:
        watcher.subscribe("homeassistant/#")
        async for received in watcher.received():
            received.acknowledge()
            missing.discard(received.topic)
            if not missing:
                return
