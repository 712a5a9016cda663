"""Lines, presses and lamps on a real arm64 kernel: QEMU's board `virt` with its GPIO chip, and SPI on two of its lines.

What is pressed there is pressed by QEMU. It needs a root that `edgeagent image build` keeps, which takes a minute to
make and a network; and the wheels of the lock.
"""

import gzip
import json
import lzma
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeagent.provision.build import cpio
from edgeagent.provision.build.image import default_cache
from edgeagent.provision.build.plan import Plan, Wishes, planned
from edgeagent.provision.build.programs import missing
from edgeagent.provision.build.rootfs import made
from edgeagent.provision.build.wheels import board_environment, locked, platforms

CHECKOUT = Path(__file__).parents[2]
PROGRAMS = ("qemu-system-aarch64", "dtc", "fdtput", "mmdebstrap", "tar")
NEEDED = ("gpiod", "pydantic", "pydantic-core", "annotated-types", "typing-extensions", "typing-inspection")
MODULES = (
    *("__init__", "errors", "messages", "settings", "answer/__init__", "answer/patterns", "board/__init__"),
    *(f"board/{name}" for name in ("errors", "lines", "gpio", "button", "apa102", "showing", "lights")),
)
LIBRARIES = (
    "libc",
    "ld-linux",
    "libm",
    "libz",
    "libexpat",
    "libffi",
    "libpthread",
    "libdl",
    "librt",
    "libutil",
    "libgcc_s",
)
PACKAGES = "usr/lib/python3/dist-packages"
WITHIN_S = 400.0
"""It takes forty seconds on two idle cores."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        (bool(missing(PROGRAMS)) or os.geteuid() != 0) and "EDGEAGENT_CI" not in os.environ,
        reason="needs root and: apt-get install qemu-system-arm device-tree-compiler mmdebstrap",
    ),
]


def first_root(plan: Plan, folder: Path) -> tuple[Path, Path]:
    """Return a kernel and a first root with Python and what is tried."""
    unpacked = folder / "root"
    unpacked.mkdir()
    wanted = [f"./usr/bin/{plan.python}", f"./usr/lib/{plan.python}/*", "./usr/lib/ld-linux*", "./boot/vmlinuz*"]
    wanted += [f"./usr/lib/aarch64-linux-gnu/{name}[.-]*" for name in LIBRARIES]
    wanted += [
        "./usr/lib/modules/*/kernel/drivers/spi/spi-gpio*",
        "./usr/lib/modules/*/kernel/drivers/spi/spi-bitbang*",
    ]
    kept = made(plan, default_cache())
    subprocess.run(["tar", "-C", unpacked, "-xf", kept, "--wildcards", *wanted], check=True)
    packages = unpacked / PACKAGES
    for wheel in wheels(plan, folder / "wheels"):
        zipfile.ZipFile(wheel).extractall(packages)
    for name in MODULES:
        target = packages / "edgeagent" / f"{name}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / "edgeagent" / f"{name}.py", target)
    modules = unpacked / "modules"
    modules.mkdir()
    for module in [*unpacked.rglob("spi-*.ko.xz")]:
        (modules / module.stem).write_bytes(lzma.decompress(module.read_bytes()))
    shutil.rmtree(unpacked / "usr/lib/modules")
    kernel = next((unpacked / "boot").glob("vmlinuz*")).rename(folder / "kernel")
    guest = f"#!/usr/bin/{plan.python}\n" + (Path(__file__).parent / "guest_of_lines.py").read_text()
    (unpacked / "init").write_text(guest)
    first = folder / "first"
    first.write_bytes(gzip.compress(cpio.archive(entries(unpacked), at=0), 1))
    return kernel, first


def entries(unpacked: Path) -> Iterator[cpio.Entry]:
    yield from (cpio.folder(name) for name in ("dev", "proc", "sys", "tmp"))
    yield cpio.character_device("dev/console", 5, 1)
    yield cpio.link("lib", "usr/lib")
    for path in sorted(unpacked.rglob("*")):
        name = str(path.relative_to(unpacked))
        if path.is_symlink():
            yield cpio.link(name, str(path.readlink()))
        elif path.is_dir():
            yield cpio.folder(name)
        else:
            yield cpio.file(name, path.read_bytes(), mode=0o755)


def wheels(plan: Plan, folder: Path) -> list[Path]:
    """Return the wheels of the lock that are tried, for the guest."""
    lock = (CHECKOUT / "requirements.lock").read_text()
    folder.mkdir()
    wanted = folder / "requirements.txt"
    wanted.write_text("\n".join(one.line for one in locked(lock, NEEDED, board_environment(plan.suite.python))) + "\n")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
            "--python-version", ".".join(map(str, plan.suite.python)), "--dest", folder, "-r", wanted,
            *(f"--platform={one}" for one in platforms(plan.suite)),
        ],
        check=True,
    )  # fmt: skip
    return sorted(folder.glob("*.whl"))


def device_tree(folder: Path) -> Path:
    """Return QEMU's device tree, with a SPI bus on two lines of the chip and a device on it that spidev drives."""
    tree, text = folder / "tree.dtb", folder / "tree.dts"
    subprocess.run(
        ["qemu-system-aarch64", "-M", f"virt,dumpdtb={tree}", "-cpu", "cortex-a53", "-m", "512", "-nic", "none",
         "-display", "none"], check=True, capture_output=True,
    )  # fmt: skip
    chip = subprocess.run(
        ["fdtget", "-t", "x", tree, "/pl061@9030000", "phandle"], check=True, capture_output=True, text=True
    ).stdout.strip()
    subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-o", text, tree], check=True, capture_output=True)
    bus = f"""
\tspi {{
\t\tcompatible = "spi-gpio";
\t\t#address-cells = <1>;
\t\t#size-cells = <0>;
\t\tsck-gpios = <0x{chip} 6 0>;
\t\tmosi-gpios = <0x{chip} 7 0>;
\t\tnum-chipselects = <0>;
\t\tspidev@0 {{ compatible = "rohm,dh2228fv"; reg = <0>; spi-max-frequency = <8000000>; }};
\t}};
"""
    text.write_text(text.read_text().rstrip().removesuffix("};") + bus + "};\n")
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", tree, text], check=True, capture_output=True)
    return tree


class Finger:
    """Presses a line of the guest's chip, by QEMU's port for tests."""

    def __init__(self, folder: Path, line: int) -> None:
        """Reach the running QEMU."""
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.connect(os.fspath(folder / "qmp"))
            talk = qmp.makefile("rw")
            talk.readline()
            for asked in ("qmp_capabilities", "qom-list"):
                path = {"arguments": {"path": "/machine/unattached"}} if asked == "qom-list" else {}
                talk.write(json.dumps({"execute": asked, **path}) + "\n")
                talk.flush()
                answer = json.loads(talk.readline())
        name = next(one["name"] for one in answer["return"] if "pl061" in one["type"])
        self._command = f"set_irq_in /machine/unattached/{name} unnamed-gpio-in {line}"
        self._port = socket.socket(socket.AF_UNIX)
        self._port.connect(os.fspath(folder / "qtest"))

    def hold(self, spans_s: list[float]) -> None:
        """Hold it down for the first span, leave it for the second, and so on."""
        for number, span_s in enumerate(spans_s):
            self._port.sendall(f"{self._command} {int(number % 2 == 0)}\n".encode())
            assert self._port.recv(100).startswith(b"OK")
            time.sleep(span_s)  # time is the point: how long it is held

    def close(self) -> None:
        """Take the finger away."""
        self._port.close()


def found_in_guest(plan: Plan, folder: Path) -> list[tuple[str, Any]]:
    """Return what the guest tells."""
    kernel, first = first_root(plan, folder)
    call = [
        "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "512", "-nic", "none", "-display", "none",
        "-kernel", str(kernel), "-initrd", str(first), "-dtb", str(device_tree(folder)), "-no-reboot",
        "-append", "console=ttyAMA0 loglevel=4 rdinit=/init panic=-1", "-serial", "stdio", "-monitor", "none",
        "-accel", "tcg", "-qtest", f"unix:{folder}/qtest,server=on,wait=off", "-qtest-log", os.devnull,
        "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
    ]  # fmt: skip
    found: list[tuple[str, Any]] = []
    with subprocess.Popen(call, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as guest:
        assert guest.stdout is not None
        too_late = threading.Timer(WITHIN_S, guest.kill)
        too_late.start()
        finger: Finger | None = None
        try:
            for line in guest.stdout:
                if not line.startswith(b"FOUND "):
                    continue
                what, value = json.loads(line.removeprefix(b"FOUND "))
                found.append((what, value))
                if what == "hold":
                    finger = finger or Finger(folder, line=5)
                    finger.hold(value)
                if what == "end":
                    break
        finally:
            too_late.cancel()
            guest.kill()
            if finger is not None:
                finger.close()
    return found


def test_a_real_kernel_gives_lines_by_label_tells_presses_and_takes_what_lamps_are_sent(tmp_path: Path) -> None:
    plan = planned(Wishes(tmp_path / "none.img", CHECKOUT, default_cache()))
    found = found_in_guest(plan, tmp_path)
    told = dict(found)
    assert told["end"] == "reached", told
    assert "there is 9030000.pl061" in told["other labels"][0]
    assert told["beyond"][0] == "9030000.pl061 has 8 lines, 0 to 7, and none of the number 8"
    assert told["taken by the kernel"][0] == "9030000.pl061, line 7: in use: 7 by mosi"
    assert told["at rest"] is False
    assert told["taken by us"][0] == "9030000.pl061, line 1 and 5: in use: 5 by edgeagent"
    assert told["presses"] == ["short", "long", "short"]
    assert told["positions"] == [True, False, True]
    assert told["released"] == "and had again"
    assert [count >= 4 for what, count in found if what == "frames"] == [True] * 4
    assert "usermod -aG gpio" in told["no group gpio"][1]
    assert "usermod -aG spi" in told["no group spi"][1]
