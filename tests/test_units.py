"""systemd's own judgement of our units."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted(path for path in (Path(__file__).parents[1] / "systemd").rglob("*.*") if path.is_file())
EXPOSED_AT_MOST = {"edgeagent-broker.service": 20}
"""Tenths of systemd's score, 16 for all others: a broker is on the network."""
PROGRAMS = ("opt/edgeagent/bin/edgeagent", "usr/sbin/mosquitto", "bin/kill", "bin/systemctl")
TARGETS = ("sysinit", "basic", "shutdown", "timers", "time-sync", "time-set", "multi-user", "network-online", "paths")

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
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for program in PROGRAMS:
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    for unit in UNITS:
        shutil.copy(unit, units)
    for target in TARGETS:
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
    most = EXPOSED_AT_MOST.get(unit, 16)
    code, said = analyze("security", "--offline=true", f"--threshold={most}", f"--root={machine}", path)
    assert code == 0, said


def test_a_unit_with_a_mistake_is_seen(machine: Path) -> None:
    unit = machine / "etc/systemd/system/edgeagent-wrong.service"
    unit.write_text("[Service]\nExecStart=/opt/edgeagent/bin/nothing\n")
    code, _ = analyze("verify", f"--root={machine}", "/etc/systemd/system/edgeagent-wrong.service")
    assert code != 0


def test_the_broker_runs_what_the_console_writes_and_sees_none_of_its_keys() -> None:
    text = next(path for path in UNITS if path.name == "edgeagent-broker.service").read_text()
    assert "-c /etc/edgeagent-broker/broker/mosquitto.conf" in text
    assert "InaccessiblePaths=-/etc/edgeagent-broker/authority" in text
    watched = next(path for path in UNITS if path.suffix == ".path").read_text()
    assert "PathChanged=/etc/edgeagent-broker/broker/crl.pem" in watched
