"""A board in QEMU: starts an image, keeps what it says on its serial line, runs commands in it, pulls its plug.

Commands go through a port of their own to a shell that the tests put into their copy of an image: nothing of it is in
what ships. Answers are waited for with a deadline; nothing sleeps.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeagent.provision.build.disk import KERNEL_ARGUMENTS
from edgeagent.provision.build.plan import BOOT_START, ROOT_START
from edgeagent.provision.build.programs import run

QEMU = shutil.which("qemu-system-aarch64")
U_BOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
HAS_QEMU = QEMU is not None and U_BOOT.exists()
BOOT_S = 420.0
"""A boot takes a minute on two idle cores; others may be at work on them."""
ANSWER_S = 120.0
HOST = "10.0.2.2"
"""What a guest calls the machine that QEMU runs on."""
ZERO_2_W = {"model": "Raspberry Pi Zero 2 W Rev 1.0", "compatible": ("raspberrypi,model-zero-2-w", "brcm,bcm2837")}
GENERIC, ZERO_2_W_PROFILE, RASPI_3B_PROFILE = BOOTED = ("generic-arm64", "rpi-zero-2-w", "rpi-3b")
"""The profiles of what the journeys boot: they alone may say so."""
RASPI_3B_TREE = "broadcom/bcm2837-rpi-3-b.dtb"
_SHELL = """#!/bin/sh
modprobe virtio_console
until port=$(ls /dev/virtio-ports/probe /dev/vport*p1 2>/dev/null | head -n 1) && [ -n "$port" ]; do sleep 0.5; done
exec 3<>"$port"
while read -r line <&3; do
  sh -c "$line" </dev/null >&3 2>&1
  printf '\\n==%s==\\n' "$?" >&3
done
"""
_UNIT = """[Unit]
DefaultDependencies=no
After=systemd-udevd.service

[Service]
ExecStart=/bin/sh /opt/probe.sh
Restart=always
RestartSec=1
StandardError=tty
TTYPath=/dev/console

[Install]
WantedBy=sysinit.target
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command in the guest has said, and its exit code."""

    code: int
    text: str


def copy_of(image: Path, folder: Path, name: str = "disk.img") -> Path:
    """Copy an image with its holes, and put the shell for commands into it."""
    copy = folder / name
    run("cp", "--sparse=always", image, copy)
    put(copy, "/opt/probe.sh", _SHELL.encode())
    put(copy, "/usr/lib/systemd/system/probe.service", _UNIT.encode())
    wants = "/etc/systemd/system/sysinit.target.wants"
    edit_root(copy, f"mkdir {wants}")
    edit_root(copy, f"symlink {wants}/probe.service /usr/lib/systemd/system/probe.service")
    return copy


def put(image: Path, path: str, content: bytes) -> None:
    """Write a file into the root of an image that nobody is running."""
    scratch = image.with_suffix(".put")
    scratch.write_bytes(content)
    for parent in reversed(Path(path).parents[:-1]):
        edit_root(image, f"mkdir {parent}")  # one that is there stays as it is
    edit_root(image, f"rm {path}")
    edit_root(image, f"write {scratch} {path}")
    scratch.unlink()


def edit_root(image: Path, command: str) -> str:
    """Run a command of debugfs on the root of an image."""
    return run("debugfs", "-w", "-R", command, f"{image}?offset={ROOT_START}")


def read_root(image: Path, path: str) -> str:
    """Return a file in the root of an image that nobody is running."""
    said = run("debugfs", "-R", f"cat {path}", f"{image}?offset={ROOT_START}")
    return said.partition("\n")[2]  # the first line is its version


def put_boot(image: Path, path: str, content: bytes) -> None:
    """Write a file to the boot partition of an image that nobody is running."""
    scratch = image.with_suffix(".put")
    scratch.write_bytes(content)
    run("mcopy", "-o", "-i", f"{image}@@{BOOT_START}", scratch, f"::{path}")
    scratch.unlink()


def boot_files(image: Path, folder: str = "") -> list[str]:
    """Return the paths on the boot partition."""
    said = run("mdir", "-b", "-/", "-i", f"{image}@@{BOOT_START}", f"::{folder}")
    return sorted(line.removeprefix("::/") for line in said.splitlines() if line.startswith("::/") and line[-1] != "/")


class Machine:
    """A running board."""

    def __init__(self, process: subprocess.Popen[bytes], port: socket.socket, serial: Path, qmp: Path) -> None:
        """Take a board that has been started."""
        self.process, self.serial, self.began = process, serial, time.monotonic()
        self._port, self._qmp = port, qmp
        self._heard = b""

    def said(self) -> str:
        """Return everything on the serial line until now."""
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def ask(self, command: str, *, within_s: float = ANSWER_S) -> Answer:
        """Run a shell command in the guest."""
        self._port.settimeout(within_s)
        self._port.sendall(command.encode() + b"\n")
        deadline = time.monotonic() + within_s
        while True:
            text, mark, rest = self._heard.partition(b"\n==")
            if mark and b"==\n" in rest:
                code, _, self._heard = rest.partition(b"==\n")
                return Answer(int(code), text.decode(errors="replace"))
            assert time.monotonic() < deadline, f"no answer to {command!r}: {self.said()[-3000:]}"
            more = self._port.recv(1 << 16)
            assert more, f"the guest is gone: {self.said()[-3000:]}"
            self._heard += more

    def tell(self, command: str, *, within_s: float = ANSWER_S) -> str:
        """Run a shell command in the guest that must work, and return what it says."""
        answer = self.ask(command, within_s=within_s)
        assert answer.code == 0, f"{command}: {answer}"
        return answer.text.strip()

    def until(self, command: str, *, within_s: float = BOOT_S) -> str:
        """Ask again and again in the guest until a command works; the guest waits between two tries, nobody here."""
        again = f"n=$((n+1)); [ $n -gt {int(within_s)} ] && exit 1; sleep 1"
        loop = f'n=0; until out=$({command}); do {again}; done; echo "$out"'
        return self.tell(loop, within_s=within_s + ANSWER_S)

    def power_off(self) -> None:
        """End the guest as a person does."""
        self._port.sendall(b"systemctl poweroff\n")
        self.process.wait(BOOT_S)

    def pull_plug(self) -> None:
        """End it as a power cut does: what it has not synced is lost."""
        self.process.kill()
        self.process.wait()


@contextmanager
def virt(image: Path, folder: Path, *, like: dict[str, Any] | None = None, forwarded: Sequence[str] = (),
         more: Sequence[str] = ()) -> Iterator[Machine]:  # fmt: skip
    """Run an image on QEMU's `virt`, with 512 MB and four Cortex-A53.

    By U-Boot and its menu, as from a card; with another board's names in the device tree (`like`) by QEMU's own loader.
    """
    folder.mkdir(parents=True, exist_ok=True)
    forward = "".join(f",hostfwd=tcp:127.0.0.1:{one}" for one in forwarded)
    base = ["-M", "virt", "-cpu", "cortex-a53", "-smp", "4", "-m", "512"]
    tree = [] if like is None else ["-dtb", str(device_tree(folder, base, like))]
    drive = f"file={image},format=raw,if=none,id=disk,cache=writethrough"
    loader = ["-bios", str(U_BOOT)] if like is None else loaded(image, folder)
    arguments = [
        *base, *tree, *loader, "-drive", drive,
        "-device", "virtio-blk-pci,drive=disk,romfile=", "-netdev", f"user,id=net{forward}",
        "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-serial-pci",
        "-device", "virtserialport,chardev=probe,name=probe", *more,
    ]  # fmt: skip
    with started(arguments, folder) as machine:
        yield machine


@contextmanager
def raspi3b(card: Path, folder: Path) -> Iterator[Machine]:
    """Run an image as the card of a Raspberry Pi 3B, with Debian's device tree of it, and the network on USB.

    The card's size is a power of two, as QEMU wants it. It has no port for commands: it is asked over MQTT.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = run("debugfs", "-R", "ls -p /usr/lib", f"{card}?offset={ROOT_START}")
    kernel = next(name for name in there.split("/") if name.startswith("linux-image-"))
    tree = folder / "board.dtb"
    run("debugfs", "-R", f"dump /usr/lib/{kernel}/{RASPI_3B_TREE} {tree}", f"{card}?offset={ROOT_START}")
    arguments = [
        "-M", "raspi3b", "-dtb", str(tree), *loaded(card, folder),
        "-drive", f"file={card},format=raw,if=sd,cache=writethrough",
        "-netdev", "user,id=net", "-device", "usb-net,netdev=net",
    ]  # fmt: skip
    with started(arguments, folder) as machine:
        yield machine


def loaded(image: Path, folder: Path) -> list[str]:
    """Return what has QEMU load the kernel of an image."""
    for name in ("vmlinuz", "initrd.img"):
        run("mcopy", "-n", "-o", "-i", f"{image}@@{BOOT_START}", f"::{name}", folder / name)
    return ["-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initrd.img", "-append", KERNEL_ARGUMENTS]


def device_tree(folder: Path, base: Sequence[str], like: dict[str, Any]) -> Path:
    """Return QEMU's own device tree with the names of another board."""
    tree = folder / "board.dtb"
    machine = [f"{one},dumpdtb={tree}" if one == "virt" else one for one in base]
    run(str(QEMU), *machine, "-nic", "none", "-display", "none")
    for name, value in like.items():
        words = (value,) if isinstance(value, str) else value
        run("fdtput", "-t", "s", tree, "/", name, *words)
    return tree


@contextmanager
def started(arguments: Sequence[str], folder: Path) -> Iterator[Machine]:
    """Start QEMU, and have it gone afterwards."""
    serial, probe, qmp = folder / "serial.log", folder / "p", folder / "q"
    for path in (probe, qmp):
        path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(probe))
        listener.listen()
        listener.settimeout(ANSWER_S)
        call = [str(QEMU), "-serial", f"file:{serial}", *arguments, "-display", "none", "-no-reboot",
                "-chardev", f"socket,id=probe,path={probe}", "-qmp", f"unix:{qmp},server=on,wait=off"]  # fmt: skip
        with (folder / "qemu.log").open("wb") as log, subprocess.Popen(call, stdout=log, stderr=log) as process:
            try:
                port, _ = listener.accept()
                with port:
                    yield Machine(process, port, serial, qmp)
            finally:
                process.kill()
                process.wait()


def shown(machine: Machine, unit: str, *names: str) -> dict[str, str]:
    """Return properties of a unit in the guest."""
    said = machine.tell(f"systemctl show {unit} -p {','.join(names)}")
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


_STARTED = ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")


def facts(machine: Machine) -> dict[str, Any]:
    """Return how much memory the daemon and the whole system use, in MB, and when the daemon was ready, in seconds.

    `ready_s` counts from the kernel's start to the daemon's last READY, and `ready_ours_s` from the daemon's start.
    """
    daemon = shown(machine, "edgeagent.service", "MainPID", *_STARTED)
    pid = daemon["MainPID"]
    began_s, ready_s = (int(daemon[name]) / 1e6 for name in _STARTED)
    status = machine.tell(f"cat /proc/{pid}/status")
    memory = dict(line.split(":", 1) for line in machine.tell("cat /proc/meminfo").splitlines())
    kb = {name: int(memory[name].split()[0]) for name in ("MemTotal", "MemAvailable")}
    own = dict(line.split(":", 1) for line in status.splitlines() if line.startswith(("VmRSS", "RssAnon", "RssFile")))
    return {
        **{f"daemon_{name.lower()}_mb": round(int(size.split()[0]) / 1024, 1) for name, size in own.items()},
        "system_used_mb": round((kb["MemTotal"] - kb["MemAvailable"]) / 1024, 1),
        "system_total_mb": round(kb["MemTotal"] / 1024, 1),
        "uptime_s": float(machine.tell("cut -d' ' -f1 /proc/uptime")),
        "ready_s": round(ready_s, 1),
        "ready_ours_s": round(ready_s - began_s, 1),
    }


def told(found: dict[str, Any]) -> None:
    """Print figures, for whoever runs the tests with -s, and keep them where EDGEAGENT_FIGURES names a file."""
    line = json.dumps(found)
    print(line)  # noqa: T201  # figures are for a person
    if name := os.environ.get("EDGEAGENT_FIGURES"):
        with Path(name).open("a") as file:
            file.write(line + "\n")
