"""Device trees as the kernel shows them, made by the device tree compiler from source."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

HAS_DTC = shutil.which("dtc") is not None and shutil.which("fdtput") is not None
needs_dtc = pytest.mark.skipif(
    not HAS_DTC and "EDGEAGENT_CI" not in os.environ,
    reason="dtc is not installed: apt-get install device-tree-compiler",
)
TREE = "sys/firmware/devicetree/base"


def run(*arguments: object) -> bytes:
    return subprocess.run(list(map(str, arguments)), check=True, capture_output=True, timeout=30).stdout


def board(root: Path, model: str, compatible: Sequence[str], hats: Mapping[str, Mapping[str, str]]) -> Path:
    """Make a blob and unpack it below `root` as the kernel does in sysfs; return `root`."""
    source, blob = root / "board.dts", root / "board.dtb"
    source.write_text('/dts-v1/;\n/ { model = ""; compatible = ""; };\n')
    run("dtc", "-I", "dts", "-O", "dtb", "-o", blob, source)
    run("fdtput", "-t", "s", blob, "/", "model", model)
    run("fdtput", "-t", "s", blob, "/", "compatible", *compatible)
    for node, properties in hats.items():
        run("fdtput", "-c", blob, f"/{node}")
        for name, value in properties.items():
            run("fdtput", "-t", "s", blob, f"/{node}", name, value)
    for node in ("", *hats):
        folder = root / TREE / node
        folder.mkdir(parents=True)
        for name in run("fdtget", "-p", blob, f"/{node}").decode().split():
            octets = run("fdtget", "-t", "bx", blob, f"/{node}", name).split()
            (folder / name).write_bytes(bytes(int(octet, 16) for octet in octets))
    return root


def cards(root: Path, text: str, recording: Sequence[int] = ()) -> Path:
    """Put sound cards into /proc below `root`."""
    (root / "proc/asound").mkdir(parents=True)
    (root / "proc/asound/cards").write_text(text)
    for number in recording:
        (root / f"proc/asound/card{number}/pcm0c").mkdir(parents=True)
    return root
