"""An installation on a machine that runs: real systemd, real units, and a daemon that starts or does not."""

from pathlib import Path

import pytest
from installing import SMALL, bundle
from nspawn import INSIDE, PYTHON, Box, box, marks

pytestmark = marks
READY = """
import os, socket, sys, time
def main():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect(os.environ["NOTIFY_SOCKET"])
        out.sendall(b"READY=1")
    time.sleep(3600)
"""
ENDS = "import sys\ndef main():\n    sys.exit('no microphone in this version')\n"
WAITS = "import time\ndef main():\n    time.sleep(3600)\n"
STATE = "readlink /opt/edgeagent/venv; systemctl is-active edgeagent.service"


def version(folder: Path, name: str, main: str) -> Path:
    """Make a bundle of a daemon; its unit has its version in the description."""
    made = bundle(folder / name, name, SMALL | {"edgeagent/__main__.py": main})
    unit = made / "systemd/edgeagent.service"
    unit.write_text(unit.read_text().replace("Description=edgeagent", f"Description={name} of edgeagent"))
    return made


def install(source: Path) -> str:
    return f"{PYTHON} -P -m edgeagent.install install --bundle {source} --python {PYTHON} 2>&1"


@pytest.fixture
def machine(tmp_path: Path) -> Box:
    return box(tmp_path, {"etc/systemd/system/edgeagent.service.d/20-own.conf": "[Service]\nTimeoutStartSec=5\n"})


def test_a_version_that_starts_takes_the_place_of_the_one_before(machine: Box, tmp_path: Path) -> None:
    first, second = version(tmp_path, "1.0", READY), version(tmp_path, "1.1", READY)
    nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    holds = f"{nobody} flock / sleep 600 &\n! {nobody} flock -n /run/edgeagent-install.lock true"
    steps = f"{install(first)}\n{holds}\n{install(second)}\n{STATE}\nls /opt/edgeagent"
    code, said = machine.does(steps, first, second)
    assert code == 0, said
    assert said.split("\n")[-5:-1] == ["venv-1.1-2", "active", "venv", "venv-1.1-2"]


@pytest.mark.parametrize("main", [ENDS, WAITS], ids=["ends", "is never ready"])
def test_where_a_new_version_does_not_start_the_one_before_is_put_back_and_runs(
    machine: Box, tmp_path: Path, main: str
) -> None:
    first, second = version(tmp_path, "1.0", READY), version(tmp_path, "1.1", main)
    look = f"{STATE}\nsystemctl show -P Description edgeagent.service\nls /opt/edgeagent"
    code, said = machine.does(f"{install(first)}\n! {install(second)}\n{look}", first, second)
    assert code == 0, said
    assert "going back to venv-1.0-1" in said
    assert "venv-1.0-1 is in use again\n  try: See why: journalctl -u edgeagent.service -n 50" in said
    after = said.split("\n")[-6:-1]
    assert after == ["venv-1.0-1", "active", "1.0 of edgeagent hears commands and obeys them", "venv", "venv-1.0-1"]


def test_where_neither_starts_both_are_told_and_the_first_ever_stays_to_be_looked_at(
    machine: Box, tmp_path: Path
) -> None:
    first, second = version(tmp_path, "1.0", ENDS), version(tmp_path, "1.1", ENDS)
    code, said = machine.does(f"! {install(first)}\nreadlink /opt/edgeagent/venv\n! {install(second)}", first, second)
    assert code == 0, said
    assert "\nvenv-1.0-1\n" in said
    assert "venv-1.0-1, which was before, does not do either" in said


def test_what_is_taken_away_has_ended_and_leaves_settings_and_state(machine: Box, tmp_path: Path) -> None:
    first = version(tmp_path, "1.0", READY)
    away = f"{PYTHON} -P -m edgeagent.install uninstall --python {PYTHON} >/dev/null"
    look = (
        "systemctl is-active edgeagent.service || true\nls /opt\nfind /usr/local /etc/systemd -name '*edgeagent*'\n"
        "ls -d /etc/edgeagent/edgeagent.toml /var/lib/edgeagent"
    )
    code, said = machine.does(f"{install(first)} >/dev/null\n{away}\n{look}", first)
    assert code == 0, said
    kept = ["/etc/systemd/system/edgeagent.service.d", "/etc/edgeagent/edgeagent.toml", "/var/lib/edgeagent"]
    assert said.splitlines() == ["inactive", INSIDE.name, *kept], said
