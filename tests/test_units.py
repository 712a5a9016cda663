"""systemd's own judgement of our units."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[1] / "systemd").glob("*.*"))
EXPOSED_AT_MOST = 16
"""Tenths of systemd's score."""

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "EDGEAGENT_CI" not in os.environ, reason="systemd-analyze is missing"
)


def analyze(*arguments: object) -> tuple[int, str]:
    found = subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    return found.returncode, found.stdout + found.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder that looks like a machine on which we are installed."""
    units, program = tmp_path / "etc/systemd/system", tmp_path / "opt/edgeagent/bin/edgeagent"
    units.mkdir(parents=True)
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        shutil.copy(unit, units)
    for target in ("sysinit", "basic", "shutdown", "timers", "time-sync", "time-set", "multi-user"):
        (units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    return tmp_path


@pytest.mark.parametrize("unit", [path.name for path in UNITS])
def test_a_unit_is_right_and_names_programs_that_are_there(machine: Path, unit: str) -> None:
    code, said = analyze("verify", "--recursive-errors=no", f"--root={machine}", f"/etc/systemd/system/{unit}")
    ours = [line for line in said.splitlines() if "edgeagent" in line]
    assert (code, ours) == (0, []), said


@pytest.mark.parametrize("unit", [path.name for path in UNITS if path.suffix == ".service"])
def test_a_service_can_hardly_do_anything_else(machine: Path, unit: str) -> None:
    path = f"/etc/systemd/system/{unit}"
    code, said = analyze("security", "--offline=true", f"--threshold={EXPOSED_AT_MOST}", f"--root={machine}", path)
    assert code == 0, said


def test_a_unit_with_a_mistake_is_seen(machine: Path) -> None:
    unit = machine / "etc/systemd/system/edgeagent-wrong.service"
    unit.write_text("[Service]\nExecStart=/opt/edgeagent/bin/nothing\n")
    code, _ = analyze("verify", f"--root={machine}", "/etc/systemd/system/edgeagent-wrong.service")
    assert code != 0
