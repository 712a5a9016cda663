"""A broker's address to a connected socket, and how long to wait before the next try. No thread but the resolver's.

Rules:
    - Every wait can be cancelled and ends in time; each address of a name gets its share of it.
    - TLS 1.2 is the least; the broker's certificate and name are always checked.
    - What was sent and is not confirmed by the other side within STALE_S ends the connection: an order that the network
      delays is never carried out late (RFC 5482). A silent connection is probed by the kernel too (RFC 1122, 4.2.3.6).
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Callable

from edgeagent.errors import BusError
from edgeagent.settings import BrokerSettings, TlsSettings

STALE_S = 5
"""No device waits longer than this for an order (ActingSettings.deadline_s)."""
PROBE_AFTER_S = 30
"""A broker may switch MQTT's own pings off; then this is what notices that it is gone."""
MOST_DOUBLINGS = 30
"""2**30 s are 34 years: far above any setting, far below an overflow."""


def wait_s(failures: int, least_s: float, most_s: float, fraction: float) -> float:
    """Return the wait before the next try: full jitter, `fraction` (0..1) of a bound that doubles with every failure.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("Full Jitter")
    """
    return fraction * min(most_s, least_s * 2.0 ** min(failures, MOST_DOUBLINGS))


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Read the certificates. Raise BusError if one cannot be read or does not fit its key."""
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(tls.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate is not None and tls.key is not None:
            context.load_cert_chain(str(tls.certificate), str(tls.key.expanduser()))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise BusError(
            f"the certificates for the broker cannot be used: {error}",
            remedy="Check the paths in [broker.tls]: ca, certificate and key are PEM files, and the key fits.",
        ) from error
    return context


async def dial(settings: BrokerSettings) -> socket.socket:
    """Connect to the broker. Raise BusError if it is absent, does not answer in time, or is not whom we trust."""
    host, port = settings.host, settings.port
    if host is None:
        raise BusError("no broker is named", remedy="Set host in [broker].")
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            connected = await _connect(host, port, settings.connect_timeout_s)
            return connected if settings.tls is None else await _shake_hands(connected, host, settings.tls)
    except ssl.SSLCertVerificationError as error:
        raise BusError(
            f"{where} does not prove to be {host}: {error.verify_message}",
            remedy=f"Give in [broker.tls] the ca that signed this broker's certificate; it must be made for {host!r}.",
        ) from error
    except ssl.SSLError as error:
        raise BusError(
            f"{where} does not agree on TLS: {error.reason or error}",
            remedy="Check that this port speaks TLS 1.2 or later, and which client certificate it asks for.",
        ) from error
    except TimeoutError as error:
        raise BusError(
            f"{where} does not answer within {settings.connect_timeout_s:g} s",
            remedy="Check that the broker runs, and the way to it: address, cable, firewall.",
        ) from error
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that cannot be a name
        raise BusError(
            f"{where} cannot be reached: {_reason(error)}",
            remedy="Check host and port in [broker], and that the broker runs.",
        ) from error


def _reason(error: OSError | UnicodeError) -> str:
    # asyncio puts its own words in place of the system's; resolvers have negative numbers and words of their own.
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else str(error)


def hang_up(connected: socket.socket, *, discard: bool) -> None:
    """Close a socket; with `discard` what the kernel still holds to send is thrown away: nothing arrives late."""
    with contextlib.suppress(OSError):  # the other side may have closed it first
        if discard:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connected.close()


async def _connect(host: str, port: int, timeout_s: float) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in found:
        try:
            async with asyncio.timeout(timeout_s / len(found)):
                return await _connect_to(family, kind, protocol, address)
        except OSError as error:  # TimeoutError is one
            problem = error
    raise problem


async def _connect_to(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    connected = socket.socket(family, kind, protocol)
    try:
        connected.settimeout(0)
        # Without it small packets wait 40 ms for a delayed acknowledgement: 3 instead of 50 MB/s, measured.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALE_S * 1000)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER_S)
        await asyncio.get_running_loop().sock_connect(connected, address)
    except BaseException:
        connected.close()
        raise
    return connected


async def _shake_hands(connected: socket.socket, host: str, tls: TlsSettings) -> ssl.SSLSocket:
    loop = asyncio.get_running_loop()
    try:
        # Read anew for every connection, so that a renewed certificate is used without a restart.
        secured = tls_context(tls).wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        connected.close()
        raise
    try:
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await _ready(secured, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(secured, loop.add_writer, loop.remove_writer)
            else:
                return secured
    except BaseException:
        secured.close()
        raise


async def _ready(secured: ssl.SSLSocket, watch: Callable[..., None], forget: Callable[[ssl.SSLSocket], bool]) -> None:
    ready = asyncio.Event()
    watch(secured, ready.set)
    try:
        await ready.wait()
    finally:
        forget(secured)
