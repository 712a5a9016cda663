"""The first boot under its own unit, with all that this forbids, on real systemd: the program of this checkout."""

import shutil
import subprocess
import sys
import sysconfig
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nspawn import CHECKOUT, INSIDE, PYTHON, Box, box, marks

from edgeagent.console.authority import Authority
from edgeagent.fleet.identity_keys import request
from edgeagent.fleet.identity_store import Identities
from edgeagent.install.nouns import FILES
from edgeagent.provision.enrol_file import EnrolFile, written
from edgeagent.topics import Address

LIBRARIES = f"{sysconfig.get_path('purelib')}:/opt/libraries"
PROGRAM = f"""#!/bin/sh
export PYTHONPATH={INSIDE}:/opt/libraries PYTHONDONTWRITEBYTECODE=1
exec {PYTHON} -P -m edgeagent "$@"
"""
SEED = """version = 1
name = "kitchen"
built = 2026-11-01T00:00:00Z
board = "rpi-zero-2-w"
hat = "respeaker-2mic-v1"
"""
QUICK = """[Service]
ExecStart=
ExecStart=/opt/edgeagent/venv/bin/edgeagent first-boot --wait-s 2 --quiet
"""
SOON = "[Timer]\nOnUnitInactiveSec=\nOnUnitInactiveSec=1\nRandomizedDelaySec=0\n"
UNIT = "edgeagent-firstboot.service"
ENDED = """
for n in $(seq 240); do
  [ "$(systemctl show -P ExecMainExitTimestampMonotonic edgeagent-firstboot.service)" != 0 ] && break
  sleep 1
done
"""


def _fits() -> bool:
    """Tell whether the system's Python takes the libraries of this one."""
    if not PYTHON.exists():
        return False
    said = subprocess.run([PYTHON, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, check=True)
    return said.stdout.decode().strip() == str(sys.version_info[:2])


pytestmark = [*marks, pytest.mark.skipif(not _fits(), reason="the system's Python is of another version than this one")]


def machine(folder: Path, card: dict[str, str]) -> Box:
    """A machine on which edgeagent is installed, but for its settings, with these files on its boot partition."""
    on_card = {f"boot/firmware/edgeagent/{name}": text for name, text in card.items()}
    made = box(
        folder,
        on_card
        | {
            "etc/hostname": "raspberrypi\n",
            "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 raspberrypi\n",
            "boot/firmware/config.txt": "[all]\n",
            "opt/edgeagent/venv/bin/edgeagent": PROGRAM,
            f"etc/systemd/system/{UNIT}.d/20-quick.conf": QUICK,
            "etc/systemd/system/edgeagent-firstboot.timer.d/20-soon.conf": SOON,
        },
    )
    (made.root / "opt/edgeagent/venv/bin/edgeagent").chmod(0o755)
    for source, target in FILES.items():
        placed = made.root / target.replace("usr/local", "local")
        placed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / source, placed)
    wanted = made.root / "etc/systemd/system/multi-user.target.wants/edgeagent-firstboot.service"
    wanted.symlink_to("/usr/local/lib/systemd/system/edgeagent-firstboot.service")
    return made


def test_a_seed_becomes_settings_a_name_limits_and_lines_of_config_txt(tmp_path: Path) -> None:
    look = """
    systemctl show -P Result edgeagent-firstboot.service
    uname -n
    cat /etc/hostname
    stat -c '%U %G %a' /etc/edgeagent/edgeagent.toml
    systemctl show -P MemoryMax edgeagent.service
    systemctl show -P SupplementaryGroups edgeagent.service
    setpriv --reuid edgeagent --regid edgeagent --clear-groups cat /etc/edgeagent/edgeagent.toml
    cat /boot/firmware/config.txt
    """
    one = machine(tmp_path, {"seed.toml": SEED})
    code, said = one.does(f"{ENDED}{look}", LIBRARIES)
    assert code == 0, said
    assert said.splitlines()[:6] == [
        "success", "kitchen", "kitchen", "root edgeagent 640", str(280 << 20), "audio gpio spi",
    ]  # fmt: skip
    assert 'hat = "respeaker-2mic-v1"' in said
    assert "dtparam=spi=on" in said
    console = (one.shared / "boot.log").read_text(errors="replace")
    assert "edgeagent: writing the settings of kitchen" in console, "it is told on the serial console as well"


def test_it_is_begun_only_where_there_is_something_to_do(tmp_path: Path) -> None:
    looks = [
        "rm -f /boot/edgeagent/enrol.toml",
        "mkdir -p /boot/edgeagent; echo no >/boot/edgeagent/enrol.toml",
        "mv /boot/edgeagent/enrol.toml /boot/firmware/edgeagent/",
        "rm /boot/firmware/edgeagent/enrol.toml; mv /etc/edgeagent/edgeagent.toml /etc/edgeagent/old",
    ]
    asked = f"systemctl stop {UNIT}; systemctl start {UNIT} || true; systemctl show -P ConditionResult {UNIT}"
    steps = "\n".join(f"{look}; {asked} 2>&1 | tail -n 1" for look in looks)
    code, said = machine(tmp_path, {"seed.toml": SEED}).does(f"{ENDED}{steps}", LIBRARIES)
    assert (code, said.split()[-4:]) == (0, ["no", "yes", "yes", "yes"]), said


def test_what_stands_in_the_way_is_left_where_the_daemon_reads_it_and_tried_again(tmp_path: Path) -> None:
    look = f"""
    systemctl show -P Result {UNIT}
    setpriv --reuid edgeagent --regid edgeagent --clear-groups cat /run/edgeagent-firstboot/trouble.json
    ! setpriv --reuid edgeagent --regid edgeagent --clear-groups rm -f /run/edgeagent-firstboot/trouble.json
    cat /boot/firmware/edgeagent/problem.txt
    systemctl start edgeagent-firstboot.timer
    for n in $(seq 120); do
      [ "$(journalctl -q -o cat -u {UNIT} | grep -c '^edgeagent: problem:')" -ge 3 ] && break
      sleep 1
    done
    journalctl -q -o cat -u {UNIT}
    """
    one = machine(tmp_path, {"seed.toml": SEED, "enrol.toml": "no TOML at all"})
    code, said = one.does(f"{ENDED}{look}", LIBRARIES)
    assert code == 0, said
    assert said.startswith("exit-code\n{")
    assert "edgeagent is not enrolled." in said
    assert said.count("edgeagent: problem:") >= 3, "its timer has begun it anew"


def test_it_enrols_as_the_daemons_user_and_reads_what_belongs_to_that(tmp_path: Path) -> None:
    authority = Authority.init(tmp_path / "authority", "tests", time.time())
    claim = authority.claim_certificate("1", time.time())
    card = EnrolFile.model_validate(
        {
            "fleet": "home",
            "broker_host": "127.0.0.1",
            "serial": "card-0001",
            "any_board": True,
            "expires": datetime(2099, 1, 1, tzinfo=UTC),
            "token": "ABCD-EFGH-JKLM-NPQR-STUV",
            "ca": authority.trusted,
            "claim": claim.certificate.decode(),
            "claim_key": claim.key.decode(),
        }
    )
    look = f"""
    systemctl show -P Result {UNIT}
    cat /run/edgeagent-firstboot/trouble.json
    find /var/lib/edgeagent -mindepth 1 -printf '%u %m %P\\n' | sort
    cp -r /test/identity /var/lib/edgeagent/
    chown -R edgeagent:edgeagent /var/lib/edgeagent
    systemctl restart {UNIT}
    """
    one = machine(tmp_path, {"seed.toml": SEED, "enrol.toml": written(card).decode()})
    identities = Identities(one.shared)
    issued = authority.sign_device(request(identities.next_key("file"), "x"), "home", "kitchen", time.time())
    identities.add(identities.next_key("file"), issued.pem, authority.trusted, Address("home", "kitchen"))
    identities.adopt()
    code, said = one.does(f"{ENDED}{look}{ENDED}ls /boot/firmware/edgeagent /run/edgeagent-firstboot", LIBRARIES)
    assert code == 0, said
    assert said.startswith('success\n{"said": "the fleet\'s broker cannot be reached"'), said
    assert "enrol.toml" not in said, "an identity is seen in a folder that is nobody else's to read, and joined"
    assert "trouble.json" not in said
    kept = [line.split() for line in said.splitlines() if line.startswith(("edgeagent ", "root "))]
    assert kept
    assert {owner for owner, _, _ in kept} == {"edgeagent"}, "root makes nothing in there"
