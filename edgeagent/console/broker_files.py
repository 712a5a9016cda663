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

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgeagent.console.authority import Authority, Pair, Revoked
from edgeagent.console.authority_roots import issued_from, revoked_in
from edgeagent.console.errors import ConsoleError
from edgeagent.files import write_durably
from edgeagent.topics import VERSION

LARGEST_PACKET_BYTES = 256 << 10
MOST_IN_FLIGHT = 2_000
"""For a console that takes thousands a second; devices ask for fewer themselves (receive maximum)."""
MOST_QUEUED = 100_000
MOST_QUEUED_BYTES = 64 << 20
"""For each session whose client is away: a console that restarts under ten thousand devices. Only consoles can fill a
device's queue."""
STATE = "/var/lib/edgeagent-broker"
ETC = "/etc/edgeagent-broker"
GROUP = "mosquitto"
_NAME = r"[a-z0-9][a-z0-9-]{0,40}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A broker: its names (host names and addresses, the first is the one to use), ports, and consoles."""

    names: Sequence[str]
    port: int = 8883
    enrolment_port: int = 8884
    consoles: Sequence[str] = ("1",)
    batch: str = "1"
    """Of devices, that share a claim certificate."""
    bind: str = ""
    """The address on which it listens; all, where empty."""
    state: Path = Path(STATE)
    """Where mosquitto keeps sessions and what is retained."""
    outside_ca: Path | None = None
    """PEM file with the roots of an authority outside that signs devices; whatever name it signs, the broker takes."""
    outside_crl: Path | None = None
    """PEM file with that one's list of revoked certificates: without one mosquitto takes none of its certificates."""

    def __post_init__(self) -> None:
        """Raise ConsoleError if something cannot be."""
        for what, name in (*(("console", name) for name in self.consoles), ("batch", self.batch)):
            if not re.fullmatch(_NAME, name):
                raise ConsoleError(f"{name!r:.80} cannot name a {what}", remedy="Use small letters, digits, hyphens.")
        for name in self.names:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}", name):
                raise ConsoleError(f"{name!r:.80} is no host name", remedy="Give the name that devices will use.")
        if (self.outside_ca is None) != (self.outside_crl is None):
            raise ConsoleError("an authority outside comes with its list of revocations", remedy="Give both files.")
        if not self.names or self.port == self.enrolment_port:
            raise ConsoleError("a broker needs a name, and two ports", remedy="Give --name and two different ports.")


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
    """Write configuration and certificates again, by the authority that is there. Raise ConsoleError."""
    folder = folder.absolute()
    authority = Authority.open(folder / "authority")
    with _told(folder):
        _write(folder, authority, plan, now)
    return authority


def revoke_claim(folder: Path, claim: Path, now: float) -> int:
    """Let nobody ask with a claim any more, and return how many are revoked. Raise ConsoleError if it is none of ours.

    The broker must read its files again: edgeagent-broker.path sees to that.
    """
    authority = Authority.open(folder / "authority")
    crl = folder / "broker" / "claims-crl.pem"
    with _told(folder):
        content, previous = claim.read_bytes(), crl.read_bytes()
    try:
        serial = issued_from(content, authority.claims)
    except ValueError as error:
        raise ConsoleError(f"{claim}: no claim of this authority: {error}", remedy="Name its claim.pem.") from error
    listed = {one.serial: one for one in (*revoked_in(previous), Revoked(serial, now))}
    with _told(folder):
        _text(crl, authority.claims_crl(listed.values(), previous, now))
    return len(listed)


def configuration(folder: Path, plan: Plan) -> str:
    """Return mosquitto.conf for what lies in a folder."""
    return f"""\
# Written by `edgeagent console broker init`. For Mosquitto 2.0 and later.
# Nothing of a listener's own may stand before the first of them: mosquitto would open port 1883 for it.
per_listener_settings true

persistence true
persistence_location {plan.state}/
autosave_interval 60
persistent_client_expiration 14d
max_packet_size {LARGEST_PACKET_BYTES}
max_inflight_messages {MOST_IN_FLIGHT}
max_queued_messages {MOST_QUEUED}
max_queued_bytes {MOST_QUEUED_BYTES}
max_keepalive 600
set_tcp_nodelay true
sys_interval 60
log_dest stderr
log_type error
log_type warning
log_type notice

# Devices and consoles: who they are is what their certificate says.
listener {plan.port}{plan.bind and " " + plan.bind}
protocol mqtt
allow_anonymous false
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
crlfile {folder}/crl.pem
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_zero_length_clientid false
max_qos 1
tls_version tlsv1.2
acl_file {folder}/acl

# Claims: a certificate that many devices share, for nothing but asking for one's own.
listener {plan.enrolment_port}{plan.bind and " " + plan.bind}
protocol mqtt
allow_anonymous false
cafile {folder}/claims.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
crlfile {folder}/claims-crl.pem
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_zero_length_clientid false
max_connections 200
max_qos 1
tls_version tlsv1.2
acl_file {folder}/enrolment-acl
"""


def access(consoles: Sequence[str]) -> str:
    """Return who may what where devices connect: %u is the name in the certificate."""
    start = f"ea/{VERSION}/+"
    ours = (
        f"topic read {start}/d/+/up/#",
        f"topic write {start}/d/+/dn/#",
        f"topic write {start}/all/dn/#",
        f"topic read {start}/enrol/+/req",
        f"topic write {start}/enrol/+/rsp",
        "topic read $SYS/broker/#",
    )
    users = "\n".join("\n".join((f"user console-{name}", *ours, "")) for name in consoles)
    return f"""\
# Written by `edgeagent console broker init`; mosquitto reads it again on SIGHUP.
pattern write {start}/d/%u/up/#
pattern read {start}/d/%u/dn/#
pattern read {start}/all/dn/#

{users}"""


def enrolment_access() -> str:
    """Return who may what where claims connect. What another reads of an answer is a certificate without its key."""
    start = f"ea/{VERSION}/+/enrol/+"
    return f"""\
# Written by `edgeagent console broker init`; mosquitto reads it again on SIGHUP.
pattern write {start}/req
pattern read {start}/rsp
"""


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
        inner.mkdir(exist_ok=True)
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
        _pair(folder / "console" / f"console-{name}", authority.console_certificate(name, now))
    _text(folder / "devices" / "ca.pem", trusted)
    _pair(folder / "devices" / "claim", authority.claim_certificate(plan.batch, now))
    _for_mosquitto(broker)


def _outside(file: Path | None) -> bytes:
    return b"" if file is None else file.read_bytes()


def _pair(path: Path, pair: Pair) -> None:
    write_durably(path.with_name(path.name + ".key"), pair.key)
    _text(path.with_name(path.name + ".pem"), pair.certificate)


def _text(path: Path, content: bytes) -> None:
    write_durably(path, content, mode=0o644)


def _for_mosquitto(broker: Path) -> None:
    """Let mosquitto's user read its key, where there is one and we may."""
    with suppress(LookupError, PermissionError):
        shutil.chown(broker / "server.key", group=GROUP)
        (broker / "server.key").chmod(0o640)
