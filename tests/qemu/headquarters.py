"""What looks after a fleet, on this machine: the broker with TLS, the console, signed releases on a web server.

All of it is the real programs, started by the commands that people type; a guest calls this machine `HOST`.
"""

import json
import os
import shutil
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokers import Mosquitto, mosquitto
from console.hardened_broker import HardenedBroker, hardened_broker
from console.running_console import RunningConsole
from qemu.machine import HOST
from webserver import WebServer, web_server

from edgeagent.cli.fleet_calls import Calls
from edgeagent.shipped import BUILT_IN, built_in_model

FLEET, DEVICE = "home", "kitchen"
NEWER = "0.2.0"
"""The version of the release that is offered."""
LARGE_BYTES = 3_000_000
HELD_BYTES = 1_000_000
"""How much of a file comes while the web server holds the rest back."""
LOOK_S = 0.5
SINCE_1900_S = 2_208_988_800
"""From when a time server counts, in seconds before 1970."""


def edgeagent(*arguments: object, given: str = "", **environment: str) -> str:
    """Run a command that must work, and return what it says."""
    command = [sys.executable, "-m", "edgeagent", *map(str, arguments)]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=300, env=os.environ | environment
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def until(is_so: Callable[[], Any], within_s: float) -> Any:
    """Look until something is so, and return what was found."""
    deadline = time.monotonic() + within_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(LOOK_S)
    return found


@dataclass
class Headquarters:
    """Who looks after the fleet."""

    folder: Path
    broker: HardenedBroker
    house: Mosquitto
    web: WebServer
    console: RunningConsole
    root_of_trust: bytes = b""
    _key: str = ""

    @property
    def calls(self) -> Calls:
        """Return the console's API, as its operator."""
        return Calls(f"http://127.0.0.1:{self.console.web_port}", self._key)

    @property
    def repository(self) -> str:
        """Return where a guest finds the releases."""
        return f"http://{HOST}:{self.web.address.rpartition(':')[2]}/"

    def device(self) -> dict[str, Any]:
        """Return what the console knows of the device."""
        found: dict[str, Any] = self.calls.get(f"/fleets/{FLEET}/devices/{DEVICE}")
        return found

    def asks(self, sentence: str) -> bool:
        """Have the device do as if something had been said, and tell whether it has answered."""
        found = self.calls.post(f"/fleets/{FLEET}/devices/{DEVICE}/say", {"text": sentence})
        return bool(found["answered"])

    def fleet(self, *arguments: object) -> Any:
        """Type a command of `edgeagent fleet`, and return its JSON."""
        where = {"EDGEAGENT_CONSOLE": self.calls.address, "EDGEAGENT_TOKEN": self._key}
        return json.loads(edgeagent("fleet", *arguments, "--json", **where))

    def starts(self) -> None:
        """Start the console, and let its operator in where that was not done yet."""
        self.console.start()
        if not self._key:
            settings = ("--settings", self.console.file)
            word = ("--password-stdin",)
            edgeagent("console", "user", "add", "olga", "--role", "admin", *settings, *word, given="four green trees\n")
            self._key = edgeagent("console", "user", "token", "olga", *settings).split()[-1]

    def publishes(self) -> None:
        """Publish the model that ships under another version, with a file more in it, and put it on the web."""
        shop, out, bundle = self.folder / "shop", self.folder / "out", self.folder / "bundle"
        secret = {"EDGEAGENT_PASSPHRASE": "x"}
        shutil.copytree(built_in_model(), bundle)
        (bundle / "more.bin").write_bytes(os.urandom(LARGE_BYTES))
        edgeagent("release", "init", BUILT_IN, "--shop", shop, **secret)
        edgeagent("release", "add", bundle, "--family", BUILT_IN, "--as", NEWER, "--shop", shop, **secret)
        for role in json.loads(edgeagent("release", "status", "--shop", shop, "--json")):
            for holder in role["may_sign"] if role["missing"] else ():
                edgeagent("release", "sign", "--key", holder, "--shop", shop, **secret)
        edgeagent("release", "publish", out, "--shop", shop, **secret)
        files = {f"/{path.relative_to(out)}": path.read_bytes() for path in out.rglob("*") if path.is_file()}
        self.web.files.update(files)
        self.root_of_trust = files["/metadata/1.root.json"]


class _TimeTeller(socketserver.BaseRequestHandler):
    """Answers as a time server of stratum 1 does (RFC 4330)."""

    def handle(self) -> None:
        asked, channel = self.request
        now = int((time.time() + SINCE_1900_S) * (1 << 32))
        head = struct.pack("!BBbbIII", 0x24, 1, 6, -20, 0, 0, int.from_bytes(b"TEST"))
        channel.sendto(head + struct.pack("!Q8sQQ", now, asked[40:48], now, now), self.client_address)


@contextmanager
def time_server() -> Iterator[None]:
    """Tell the time at the port that all ask, while the block runs; only root may."""
    with socketserver.UDPServer(("127.0.0.1", 123), _TimeTeller) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def headquarters(folder: Path) -> Iterator[Headquarters]:
    """Run broker and web server; the console is started when somebody wants it."""
    with (
        hardened_broker(folder / "broker", names=(HOST, "127.0.0.1")) as broker,
        mosquitto() as house,
        web_server() as web,
    ):
        console = RunningConsole(folder / "console", broker.plan.port)
        found = Headquarters(folder, broker, house, web, console)
        console.file.write_text(_settings(found))
        try:
            yield found
        finally:
            console.close()


def _settings(found: Headquarters) -> str:
    certificates, data = found.broker.folder / "console", found.folder / "console"
    reload = json.dumps(["/bin/sh", "-c", f"kill -HUP $(cat {found.broker.pid_file})"])
    return f"""
[console]
data_dir = "{data}"
fleets = ["{FLEET}"]
repositories = ["{found.folder / "out"}"]
[web]
port = {found.console.web_port}
[broker]
host = "127.0.0.1"
port = {found.broker.plan.port}
[broker.tls]
ca = "{certificates}/ca.pem"
certificate = "{certificates}/console-1.pem"
key = "{certificates}/console-1.key"
[authority]
folder = "{found.broker.folder}"
reload = {reload}
"""
