"""From a card to a fleet: an image is customised, boots, enrols over TLS, is updated; and its plug is pulled twice.

One device with the names and the memory of a Raspberry Pi Zero 2 W. The broker, the console, its rollout and the signed
releases are the real ones, on this machine.
"""

import json
import mmap
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from qemu.headquarters import (
    DEVICE,
    FLEET,
    LARGE_BYTES,
    NEWER,
    Headquarters,
    edgeagent,
    headquarters,
    time_server,
    until,
)
from qemu.images import emulated, marks
from qemu.machine import ANSWER_S, BOOT_S, HOST, ZERO_2_W, Machine, copy_of, facts, put, told, virt

from edgeagent.provision.build.plan import BOOT_START, ROOT_START
from edgeagent.shipped import BUILT_IN

pytestmark = marks
SERIAL = "00000000f1ee7001"
BOARD = ZERO_2_W | {"serial-number": SERIAL}
CARD_BYTES = 3 << 30
MOST_SYSTEM_MB = 300
STATE = "/var/lib/edgeagent"
IDENTITY = f"{STATE}/identity"
SETTINGS = "/etc/edgeagent/edgeagent.toml"
ENROL_FILE = "/boot/firmware/edgeagent/enrol.toml"
HASTE = r"sed -i '/^\[update\]$/a confirm_after_s = 20\nconfirm_quiet_after_s = 20'"
"""A release is on probation for a quarter of an hour and more elsewhere."""
AT_1970 = ("-rtc", "base=1970-01-01T00:00:00")


@dataclass
class Card:
    """A disk that a device starts from, what is secret on it, and what was seen of the device."""

    disk: Path
    secrets: tuple[bytes, ...]
    """The token, a line of the claim's key, and the token as it might be written otherwise."""
    written: float
    machine_id: str = ""
    key: str = ""
    identity: str = ""

    def holds(self, *, boot_only: bool = True) -> list[bytes]:
        """Return the secrets that are in the raw bytes of the boot partition, or of the whole card."""
        with self.disk.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            ends = (BOOT_START, ROOT_START) if boot_only else (0, len(raw))
            return [one for one in self.secrets if raw.find(one, *ends) >= 0]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Headquarters]:
    with headquarters(tmp_path / "office") as found:
        yield found


def customised(image: Path, office: Headquarters, folder: Path) -> Card:
    """Make a card for the device: the console makes a token, and the command puts it onto the image."""
    disk = copy_of(image, folder)
    emulated(disk)
    put(disk, "/etc/systemd/timesyncd.conf.d/10-site.conf", f"[Time]\nNTP={HOST}\n".encode())
    os.truncate(disk, CARD_BYTES)
    (made,) = office.fleet("tokens", "new", SERIAL, DEVICE)
    (folder / "token").write_text(made["secret"])
    (folder / "1.root.json").write_bytes(office.root_of_trust)
    devices = office.broker.folder / "devices"
    plan, began = office.broker.plan, time.time()
    report = json.loads(
        edgeagent(
            "image", "customise", disk, "--name", "new-1", "--area", "kitchen", "--fleet", FLEET,
            "--house-broker", f"{HOST}:{office.house.port}", "--broker", f"{HOST}:{plan.port}",
            "--enrolment-port", plan.enrolment_port, "--ca", devices / "ca.pem", "--claim", devices / "claim.pem",
            "--claim-key", devices / "claim.key", "--token-file", folder / "token", "--serial", SERIAL,
            "--update-url", office.repository, "--update-root", folder / "1.root.json", "--json",
        )
    )  # fmt: skip
    told({"customise_s": round(time.time() - began, 1)})
    assert report["format"] == "edgeagent"
    secret = made["secret"].encode()
    key_line = (devices / "claim.key").read_bytes().splitlines()[1]
    return Card(disk, (secret, key_line, secret.replace(b"-", b"")), began)


def is_online(office: Headquarters, since: float) -> bool:
    """Tell whether the token was used, and the device has come online under the name that it was given for it."""
    (token,) = office.calls.get(f"/fleets/{FLEET}/tokens", state="all")["items"]
    if not token["used"]:
        return False
    found = office.device()
    return bool(found["online"] and found["online_since"] > since)


def sums_of(machine: Machine, *names: str) -> str:
    """Return the hashes of files of an identity."""
    return machine.tell(f"cd {IDENTITY} && sha256sum {' '.join(names)} | cut -d' ' -f1")


def is_begun_and_cut_off(card: Card, office: Headquarters, folder: Path) -> None:
    """Start it for the first time, with a clock at 1970 and nobody at the console; pull its plug while it enrols."""
    assert card.holds() == list(card.secrets[:2]), "they would be found"
    with virt(card.disk, folder, like=BOARD, more=AT_1970) as machine:
        until(lambda: "waiting for the time from the network" in machine.said(), BOOT_S)
        assert "writing the settings of new-1" in machine.said()
        assert float(machine.tell("date +%s")) < card.written, "no certificate counts yet"
        machine.tell(f"{HASTE} {SETTINGS} && sync {SETTINGS}")
        until(lambda: f"enrolling at {HOST} for the fleet {FLEET}, serial number {SERIAL}" in machine.said(), BOOT_S)
        assert card.written - 1 <= float(machine.tell("date +%s")) < time.time(), "its clock is the card's"
        until(lambda: "PUBLISH from claim-1" in office.broker.log, BOOT_S)
        card.key = sums_of(machine, "next/key.pem")
        card.machine_id = machine.tell("cat /etc/machine-id")
        told({"first boot asks to enrol after_s": float(machine.tell("cut -d' ' -f1 /proc/uptime"))})
        machine.pull_plug()
    assert "enrolled:" not in machine.said()


def is_enrolled(card: Card, office: Headquarters, machine: Machine) -> None:
    """See how it goes on where it was cut off, and what is on its disk then."""
    until(lambda: is_online(office, card.written), 2 * BOOT_S)
    assert f"enrolled: {DEVICE} of {FLEET}" in machine.said()
    assert "erasing the token from the boot partition" in machine.said()
    assert machine.tell("cat /etc/machine-id") == card.machine_id, "the machine is another one"
    assert sums_of(machine, "current/key.pem") == card.key, "it has asked with the key that it had made before"
    card.identity = sums_of(machine, "current/key.pem", "current/certificate.pem")
    assert machine.tell(f"test -e {ENROL_FILE} || echo gone") == "gone"
    machine.tell("sync")
    assert card.holds() == []
    assert card.holds(boot_only=False) == []
    said = machine.tell(f"cd {IDENTITY} && find . -printf '%p %y %m %u\\n' | sort")
    modes = {name: rest for name, _, rest in (line.partition(" ") for line in said.splitlines())}
    assert modes.pop("./current") == "l 777 edgeagent"
    assert modes == {
        ".": "d 700 edgeagent", "./next": "d 700 edgeagent", "./1": "d 700 edgeagent", "./1/key.pem": "f 600 edgeagent",
        "./1/ca.pem": "f 644 edgeagent", "./1/certificate.pem": "f 644 edgeagent", "./1/names.json": "f 644 edgeagent",
    }  # fmt: skip
    size = int(machine.tell("df -B1 --output=size / | tail -n 1"))
    assert size > 0.85 * (CARD_BYTES - ROOT_START), "the root has grown to the card"


def is_in_memory(machine: Machine, when: str) -> None:
    """Tell how much memory daemon and system use, and see that the system has enough."""
    found: dict[str, Any] = facts(machine)
    told({"board": ZERO_2_W["model"], "when": when, **found})
    assert found["system_used_mb"] <= MOST_SYSTEM_MB


def update_is_cut_off(office: Headquarters, machine: Machine) -> str:
    """Have the console offer a release, and pull the plug when a part of it has come. Return the rollout's id."""
    office.web.holds_after = LARGE_BYTES // 3
    made = office.fleet("rollouts", "create", f"{BUILT_IN}/{NEWER}", "--waves", "100", "--bake", "0", "--no-guard")
    large = {path for path, content in office.web.files.items() if len(content) == LARGE_BYTES}
    until(lambda: large & {path for path, _ in office.web.asked}, BOOT_S)
    (held,) = large
    name = held.rpartition("/")[2].partition(".")[0]
    machine.until(f"find {STATE}/updates -name '*{name[:16]}*' -size +100k | grep .", within_s=ANSWER_S)
    assert office.device()["releases"] == {}, "it does its work with what ships"
    machine.pull_plug()
    office.web.holds_after = None
    return str(made["id"])


def update_is_ended(office: Headquarters, rollout: str) -> None:
    """See that it answers with what it had, then with the new release, which is kept."""
    began = time.time()
    until(lambda: is_online(office, began), 2 * BOOT_S)
    before = office.device()["releases"]
    assert office.asks("what time is it"), f"with {before or 'what ships'}"
    until(lambda: office.device()["releases"] == {BUILT_IN: NEWER}, 2 * BOOT_S)
    assert office.asks("what time is it")
    until(lambda: office.calls.get(f"/fleets/{FLEET}/rollouts/{rollout}")["state"] == "done", BOOT_S)
    (one,) = office.fleet("rollouts", "devices", rollout)
    assert (one["device"], one["job"]["state"]) == (DEVICE, "confirmed")


def test_a_card_becomes_a_device_of_a_fleet_that_is_updated_whatever_is_cut_off(
    image: Path, office: Headquarters, tmp_path: Path
) -> None:
    office.publishes()
    office.starts()
    card = customised(image, office, tmp_path)
    office.console.end()
    is_begun_and_cut_off(card, office, tmp_path / "first")
    office.starts()
    with time_server(), virt(card.disk, tmp_path / "second", like=BOARD) as machine:
        is_enrolled(card, office, machine)
        assert office.asks("what time is it")
        is_in_memory(machine, "enrolled")
        rollout = update_is_cut_off(office, machine)
    with virt(card.disk, tmp_path / "third", like=BOARD) as machine:
        update_is_ended(office, rollout)
        assert machine.tell("cat /etc/machine-id") == card.machine_id
        assert sums_of(machine, "current/key.pem", "current/certificate.pem") == card.identity
        assert len(office.calls.get(f"/fleets/{FLEET}/devices/{DEVICE}/certificates")) == 1, "it has enrolled once"
        assert "enrolling" not in machine.said()
        is_in_memory(machine, "updated")
        machine.pull_plug()
