"""Wishes for tests."""

from datetime import UTC, datetime
from pathlib import Path

from edgeagent.console.authority import Authority
from edgeagent.provision.bundle import packed
from edgeagent.provision.enrol_file import EnrolFile, Seed
from edgeagent.provision.wifi import wifi
from edgeagent.provision.wishes import Wishes

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxvbmcgZW5vdWdoIHRvIGJlIGEga2V5IG9mIHNzaA it's me"
HASH = "$6$saltsalt$abcdefghijklmnopqrstuvwxyz0123456789./ABCDEFG"
FULL = Wishes(
    hostname="kitchen",
    user="ada",
    ssh_keys=(KEY,),
    wifi=wifi("Zuhause", "correct horse", country="DE"),
    locale="de_DE.UTF-8",
    keyboard="de",
    timezone="Europe/Berlin",
    bundle=Path("bundle.tar"),
)
BOOT = "/boot/firmware"
BUILT = datetime(2026, 11, 1, tzinfo=UTC)
SEED = Seed(name="kitchen", fleet="home", area="Küche", built=BUILT)
TOKEN = "ABCD-EFGH-JKLM-NPQR-STUV"  # noqa: S105  # of no console


def enrolment(folder: Path, **changed: object) -> EnrolFile:
    """Return what a console gives out for one device."""
    authority = Authority.init(folder / "authority", "acme", BUILT.timestamp())
    claim = authority.claim_certificate("one", BUILT.timestamp())
    return EnrolFile.model_validate(
        {
            "fleet": "home",
            "broker_host": "broker.home",
            "serial": "10000000abcdef01",
            "expires": datetime(2027, 1, 1, tzinfo=UTC),
            "token": TOKEN,
            "ca": authority.trusted,
            "claim": claim.certificate.decode(),
            "claim_key": claim.key.decode(),
        }
        | changed
    )


def small_bundle(folder: Path, python: str = "3.11", *, more: bytes = b"") -> Path:
    """Make a bundle with two files in it, and an installer that says so."""
    installer, unit = folder / "install.sh", folder / "edgeagent.service"
    installer.write_text("#!/bin/sh\necho installed\n")
    unit.write_bytes(b"[Service]\nExecStart=/bin/true\n" + more)
    target = folder / "bundle.tar"
    packed({"install.sh": installer, "systemd/edgeagent.service": unit}, target, python=python)
    return target
