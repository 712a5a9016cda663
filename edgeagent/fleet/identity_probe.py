"""A knock at a broker's door with a certificate: whether it lets its owner in. Blocks; call it in a thread.

Rules:
    - To ask disturbs nobody: the client speaks a version of MQTT that does not exist, so that the broker looks at the
      certificate, answers, and hangs up before any session is touched (MQTT 5, 3.1.2.2).
    - To enter takes the session of that client id over and throws it away: whoever had it is disconnected.
"""

import socket
import ssl
from typing import Literal

from edgeagent.dial import tls_context
from edgeagent.errors import BusError
from edgeagent.settings import BrokerSettings

_NO_SUCH_VERSION = 0x7F
_MQTT_3_1_1 = 4
_CLEAN = 2
_CONNACK = 0x20
_LONGEST_ID = 64
_ANSWER_BYTES = 4
"""CONNACK of MQTT 3.1.1."""
Answer = Literal["accepted", "refused"]


def ask(broker: BrokerSettings, client_id: str = "") -> Answer:
    """Tell whether the broker takes the certificate of `broker.tls`. Raise BusError if it cannot be asked."""
    return "accepted" if _answer(broker, _connect(_NO_SUCH_VERSION, client_id))[:1] == bytes([_CONNACK]) else "refused"


def enter(broker: BrokerSettings, client_id: str) -> Answer:
    """Connect for a moment under a client id, ending that one's session. Raise BusError if nobody answers."""
    answer = _answer(broker, _connect(_MQTT_3_1_1, client_id))
    return "accepted" if len(answer) == _ANSWER_BYTES and answer[0] == _CONNACK and answer[3] == 0 else "refused"


def _connect(version: int, client_id: str) -> bytes:
    """Return a CONNECT packet without a will and without a name (MQTT 3.1.1, 3.1)."""
    name = client_id[:_LONGEST_ID].encode("ascii")
    body = b"\x00\x04MQTT" + bytes([version, _CLEAN, 0, 10]) + len(name).to_bytes(2, "big") + name
    return bytes([0x10, len(body)]) + body


def _answer(broker: BrokerSettings, packet: bytes) -> bytes:
    """Return what the broker says to a packet; nothing, where it refuses the certificate."""
    if broker.host is None or broker.tls is None:
        raise BusError("no broker with TLS is named", remedy="Set host in [broker], and [broker.tls].")
    where = f"{broker.host}:{broker.port}"
    context = tls_context(broker.tls)
    try:
        connected = socket.create_connection((broker.host, broker.port), timeout=broker.connect_timeout_s)
    except OSError as error:
        raise BusError(
            f"{where} cannot be reached: {error.strerror or error}", remedy="Check that the broker runs, and the way."
        ) from error
    with connected:
        try:
            with context.wrap_socket(connected, server_hostname=broker.host) as secured:
                secured.sendall(packet)
                return secured.recv(_ANSWER_BYTES)
        except ssl.SSLCertVerificationError as error:
            raise BusError(
                f"{where} does not prove to be {broker.host}: {error.verify_message}",
                remedy="Check the ca, and the clock.",
            ) from error
        except TimeoutError as error:
            raise BusError(f"{where} does not answer", remedy="Check that the broker runs, and the way.") from error
        except OSError:  # with TLS 1.3 a refusal comes after our side is done: an alert, or an end
            return b""
