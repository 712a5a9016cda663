"""Names and ports to the files of a hardened broker: Mosquitto's configuration, who may what, certificates.

    authority/   the roots and their keys; only the console needs it
    broker/      what mosquitto reads: mosquitto.conf, acl, enrolment-acl, certificates, lists of revocations
    console/     ca.pem, console.pem, console.key: the console's own access
    devices/     ca.pem, claim.pem, claim.key: what goes into the devices' images

Rules:
    - A client is who its certificate says: user name and client id are its common name. Otherwise whoever has any
      certificate could take another's session over, on either port: mosquitto has one table of client ids for both.
    - So devices of a batch, which share a claim, take turns in asking for their identity; none takes a second.
    - What is written a second time is what was written the first time; keys are never written over.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeagent.console.authority import Authority, Pair, Revoked, issued_of
from edgeagent.console.authority_roots import issued_from, name_in, revoked_in
from edgeagent.console.broker_conf import STATE, Plan, access, configuration, enrolment_access
from edgeagent.console.certificates import parted
from edgeagent.console.errors import ConsoleError
from edgeagent.files import write_durably

__all__ = ["STATE", "Plan", "access", "configuration", "enrolment_access", "init", "next_steps", "renew", "revoke"]

ETC = "/etc/edgeagent-broker"
GROUP = "mosquitto"


def init(folder: Path, plan: Plan, now: float) -> Authority:
    """Write everything anew. Raise ConsoleError if there is something already, or it cannot be written."""
    folder = folder.absolute()
    if re.search(r"[\s#]", str(folder)):
        raise ConsoleError(f"{folder}: mosquitto reads no paths with spaces", remedy="Name another folder.")
    authority = Authority.init(folder / "authority", plan.names[0], now)
    with _told(folder):
        _write(folder, authority, plan, now)
    return authority


def renew(folder: Path, plan: Plan, now: float) -> Authority:
    """Write configuration and certificates again, by the authority that is there. Raise ConsoleError.

    Owners and groups stay. What was replaced is not revoked, since devices' images may hold it: it is kept below
    authority/replaced, without its key, for `revoke`.
    """
    folder = folder.absolute()
    authority = Authority.open(folder / "authority")
    with _told(folder):
        _check_owners(folder)
        _write(folder, authority, plan, now)
    return authority


def revoke(folder: Path, certificate: Path, now: float) -> int:
    """Let nobody in with a claim's or a console's certificate any more, and return how many of that kind are revoked.

    Raise ConsoleError if it is none of ours. The broker must be started anew: it keeps connections that there are.
    """
    authority = Authority.open(folder / "authority")
    with _told(folder):
        content = certificate.read_bytes()
    try:
        is_claim = name_in(content).startswith("claim-")
        serial = issued_from(content, authority.claims if is_claim else authority.trusted)
    except ValueError as error:
        remedy = "Name a claim.pem, or a console-NAME.pem."
        raise ConsoleError(f"{certificate}: no certificate of this authority: {error}", remedy=remedy) from error
    if not is_claim and not name_in(content).startswith("console-"):
        raise ConsoleError(f"{certificate}: no claim and no console", remedy="Revoke devices on the console's pages.")
    crl = folder / "broker" / ("claims-crl.pem" if is_claim else "crl.pem")
    with _told(folder):
        previous = crl.read_bytes()
    own, others = (previous, b"") if is_claim else parted(previous, authority)
    listed = {one.serial: one for one in (*(revoked_in(own) if own else ()), Revoked(serial, now))}
    written = (authority.claims_crl if is_claim else authority.crl)(listed.values(), own, now)
    with _told(folder):
        _text(crl, written + others)
    return len(listed)


def next_steps(folder: Path, plan: Plan, fleet: str) -> str:
    """Return what is to be done now, for a person."""
    folder, host = folder.absolute(), plan.names[0]
    return f"""\
{folder}: made.

1. Keep a copy of {folder}/authority somewhere safe, not on this machine.
2. Whose files these are: the console signs with authority/ and writes broker/crl.pem; mosquitto only reads broker/.
     chown -R edgeagent-console {folder} && chgrp {GROUP} {folder}/broker/server.key
3. The broker, with the units of systemd/broker/ (they expect this folder at {ETC}):
     systemctl disable --now mosquitto
     systemctl enable --now edgeagent-broker.service edgeagent-broker.path
4. The console's settings:
     [broker]
     host = "{host}"
     port = {plan.port}
     [broker.tls]
     ca = "{folder}/console/ca.pem"
     certificate = "{folder}/console/console-{plan.consoles[0]}.pem"
     key = "{folder}/console/console-{plan.consoles[0]}.key"
     [authority]
     folder = "{folder}"
5. Into the devices' image: {folder}/devices (ca.pem, claim.pem, claim.key). Then, on each device, with a token that
   the console has made for its serial number (`edgeagent identity --serial` prints that):
     edgeagent enrol --broker {host}:{plan.port} --enrolment-port {plan.enrolment_port} --fleet {fleet} \\
       --ca ca.pem --claim claim.pem --claim-key claim.key
6. The broker's, consoles' and claims' certificates last 825 days: edgeagent console broker renew {folder}
"""


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConsoleError(
            f"{error.filename or folder}: cannot be read or written: {error.strerror or error}",
            remedy="Name a folder that can be written to, on a disk with room.",
        ) from error


def _write(folder: Path, authority: Authority, plan: Plan, now: float) -> None:
    broker = folder / "broker"
    for inner, mode in ((folder, 0o755), (broker, 0o755), (folder / "console", 0o700), (folder / "devices", 0o700)):
        inner.mkdir(mode=0o700, exist_ok=True)
        inner.chmod(mode)  # whatever the umask: mosquitto's user must get through
    trusted = authority.trusted.encode() + _outside(plan.outside_ca)
    _pair(broker / "server", authority.server_certificate(plan.names, now))
    _text(broker / "ca.pem", trusted)
    _text(broker / "claims.pem", authority.claims.encode())
    if not (broker / "crl.pem").exists():
        _text(broker / "crl.pem", authority.crl((), b"", now) + _outside(plan.outside_crl))
    if not (broker / "claims-crl.pem").exists():
        _text(broker / "claims-crl.pem", authority.claims_crl((), b"", now))
    _text(broker / "acl", access(plan.consoles).encode())
    _text(broker / "enrolment-acl", enrolment_access().encode())
    _text(broker / "mosquitto.conf", configuration(broker, plan).encode())
    _text(folder / "console" / "ca.pem", trusted)
    for name in plan.consoles:
        _set_aside(folder, folder / "console" / f"console-{name}.pem")
        _pair(folder / "console" / f"console-{name}", authority.console_certificate(name, now))
    _text(folder / "devices" / "ca.pem", trusted)
    _set_aside(folder, folder / "devices" / "claim.pem")
    _pair(folder / "devices" / "claim", authority.claim_certificate(plan.batch, now))
    _for_mosquitto(broker)


def _outside(file: Path | None) -> bytes:
    return b"" if file is None else file.read_bytes()


def _set_aside(folder: Path, certificate: Path) -> None:
    if certificate.exists():
        content = certificate.read_bytes()
        serial = issued_of(content.decode()).serial
        replaced = folder / "authority" / "replaced"
        replaced.mkdir(mode=0o700, exist_ok=True)
        _text(replaced / f"{certificate.stem}-{serial}.pem", content)


def _pair(path: Path, pair: Pair) -> None:
    _written(path.with_name(path.name + ".key"), pair.key, 0o600)
    _text(path.with_name(path.name + ".pem"), pair.certificate)


def _text(path: Path, content: bytes) -> None:
    _written(path, content, 0o644)


def _written(path: Path, content: bytes, mode: int) -> None:
    """Write a file whose owner and group stay; a new one has its folder's."""
    before = (path if path.exists() else path.parent).stat()
    write_durably(path, content, mode=mode)
    if os.geteuid() == 0 or path.stat().st_gid != before.st_gid:
        os.chown(path, before.st_uid if os.geteuid() == 0 else -1, before.st_gid)


def _check_owners(folder: Path) -> None:
    """Raise ConsoleError if who runs this could not leave the files to those who have them."""
    ours = {os.getegid(), *os.getgroups()}
    for path in (file for part in ("broker", "console", "devices") for file in (folder / part).glob("*")):
        found = path.stat()
        if os.geteuid() and (found.st_uid != os.geteuid() or found.st_gid not in ours):
            raise ConsoleError(f"{path}: belongs to others, who must keep it", remedy="Do this as root.")


def _for_mosquitto(broker: Path) -> None:
    """Let mosquitto's user read its key, where there is one and we may."""
    with suppress(LookupError, PermissionError):
        shutil.chown(broker / "server.key", group=GROUP)
        (broker / "server.key").chmod(0o640)
