"""A real NATS cluster of three servers on this machine, with tokens for devices as an enrolment would give them."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brokers import free_port
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NATS = shutil.which("nats-server") or "/usr/sbin/nats-server"
HAS_NATS = Path(NATS).exists()
TEMPLATE = Path(__file__).parents[2] / "edgeagent" / "console" / "brokers" / "nats.conf"
SERVERS = 3
_PREFIXES = {"O": 14 << 3, "A": 0, "U": 20 << 3}
_UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
_ACCOUNT = _UNLIMITED | {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
_STORAGE = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
DEVICES_MAY = {
    "pub": {"allow": ["ea.1.*.d.{{name()}}.up.>", "$MQTT.>"]},
    "sub": {
        "allow": [
            "ea.1.*.d.{{name()}}.dn", "ea.1.*.d.{{name()}}.dn.>", "ea.1.*.all.dn", "ea.1.*.all.dn.>", "$MQTT.sub.>",
        ],
    },
}  # fmt: skip


class Key:
    """A key as NATS writes it: `public` begins with the letter of what it is for."""

    def __init__(self, kind: str) -> None:
        self._private = Ed25519PrivateKey.generate()
        raw = bytes((_PREFIXES[kind],)) + self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = base64.b32encode(raw + _crc16(raw).to_bytes(2, "little")).decode().rstrip("=")

    def token(self, subject: str, name: str, claims: Mapping[str, Any], *, lasts_s: int = 0) -> str:
        now = int(time.time())
        body = {"jti": f"{subject}-{now}", "iat": now, "iss": self.public, "name": name, "sub": subject, "nats": claims}
        signed = _part({"typ": "JWT", "alg": "ed25519-nkey"}) + "." + _part(body | _until(now, lasts_s))
        return f"{signed}.{_text(self._private.sign(signed.encode()))}"


class Fleet:
    """An operator, its account for a fleet, and the key that makes tokens of devices."""

    def __init__(self) -> None:
        self._operator, self._account, self._system, self._devices = Key("O"), Key("A"), Key("A"), Key("A")

    @property
    def settings(self) -> Mapping[str, str]:
        scope = {
            "kind": "user_scope",
            "key": self._devices.public,
            "role": "device",
            "template": _UNLIMITED | DEVICES_MAY | {"bearer_token": True, "allowed_connection_types": ["MQTT"]},
        }
        account = {"type": "account", "version": 2, "limits": _ACCOUNT | _STORAGE, "signing_keys": [scope]}
        system = {"type": "account", "version": 2, "limits": _ACCOUNT}
        operator = {"type": "operator", "version": 2, "system_account": self._system.public}
        return {
            "account": self._account.public,
            "account JWT": self._operator.token(self._account.public, "fleet", account),
            "system account": self._system.public,
            "system account JWT": self._operator.token(self._system.public, "SYS", system),
            "operator JWT": self._operator.token(self._operator.public, "edgeagent", operator),
        }

    def device(self, name: str, *, lasts_s: int = 90 * 86_400) -> str:
        """Return what a device has as its password."""
        claims = {"type": "user", "version": 2, "issuer_account": self._account.public}
        return self._devices.token(Key("U").public, name, claims, lasts_s=lasts_s)

    def console(self) -> str:
        claims = {"type": "user", "version": 2, "pub": {}, "sub": {}, "bearer_token": True} | _UNLIMITED
        return self._account.token(Key("U").public, "console", claims)


class Server:
    """One of the servers; killed, it comes back with what it had."""

    def __init__(self, folder: Path, text: str, port: int) -> None:
        self.folder, self.port = folder, port
        folder.mkdir()
        (folder / "nats.conf").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([NATS, "-c", self.folder / "nats.conf"], stdout=log, stderr=log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def nats(folder: Path, fleet: Fleet) -> Iterator[list[Server]]:
    """A running cluster; the servers find one another by themselves, which takes some seconds."""
    ports = [(free_port(), free_port(), free_port()) for _ in range(SERVERS)]
    routes = ", ".join(f'"nats://127.0.0.1:{cluster}"' for _, _, cluster in ports)
    servers = []
    for number, (client, mqtt, cluster) in enumerate(ports):
        own = {"name": f"n{number}", "folder": f"{folder}/n{number}/js", "address": "127.0.0.1", "routes": routes}
        own |= {"client port": str(client), "mqtt port": str(mqtt), "cluster port": str(cluster)}
        servers.append(Server(folder / f"n{number}", _filled(own | dict(fleet.settings)), mqtt))
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.stop()


def _filled(values: Mapping[str, str]) -> str:
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    return text


def _until(now: int, lasts_s: int) -> dict[str, int]:
    return {"exp": now + lasts_s} if lasts_s else {}


def _part(body: Mapping[str, Any]) -> str:
    return _text(json.dumps(body, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _crc16(data: bytes) -> int:
    """CRC-16/XMODEM, as NATS's keys end with."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value
