"""A plan of a hardened broker to the texts that Mosquitto reads: its configuration, and who may what. Pure.

Rules:
    - Devices write to topics of ours, under their own name, and to no others.
    - Mosquitto 2.0 cannot refuse what is retained to some and not to others, nor bound it by client: who may write may
      leave something there. All of it together is bounded by memory_limit: who writes more is disconnected. What claims
      leave there is taken away by a console that runs; what devices leave names them: revoke that one. Where the limit
      is reached nevertheless, raise it, reload, and start the console anew.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeagent.console.errors import ConsoleError
from edgeagent.topics import VERSION

LARGEST_PACKET_BYTES = 256 << 10
MOST_IN_FLIGHT = 2_000
"""For a console that takes thousands a second; devices ask for fewer themselves (receive maximum)."""
MOST_QUEUED = 500_000
MOST_QUEUED_BYTES = 384 << 20
"""For each session whose client is away, or slower than others tell: a console under ten thousand devices that come
back, each with some dozen messages, or five hundred with a week's. Only consoles can fill a
device's queue."""
MOST_MEMORY_BYTES = 1 << 30
"""Of the whole broker: ten thousand devices take a tenth."""
DEVICES_WRITE = ("birth", "state", "reported", "metrics", "renew", "get", "job/+", "event/+")
"""What a device tells, below its own `up/`: `edgeagent.fleet.wire`, `edgeagent.topics`."""
STATE = "/var/lib/edgeagent-broker"
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
memory_limit {MOST_MEMORY_BYTES}
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
        f"topic readwrite {start}/enrol/+/req",
        f"topic write {start}/enrol/+/rsp",
        "topic read $SYS/broker/#",
    )
    users = "\n".join("\n".join((f"user console-{name}", *ours, "")) for name in consoles)
    writes = "\n".join(f"pattern write {start}/d/%u/up/{kind}" for kind in DEVICES_WRITE)
    return f"""\
# Written by `edgeagent console broker init`; mosquitto reads it again on SIGHUP.
{writes}
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
