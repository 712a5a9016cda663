"""Certificates of simulated devices: found in a folder, and used for one connection."""

import ssl
from functools import cache
from pathlib import Path

from edgeagent.errors import BusError

CA = "ca.pem"


def device_context(folder: Path, device: str) -> ssl.SSLContext:
    """Return what a device needs for a connection. Raise BusError if its certificate cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=_authority(folder / CA))
        context.load_cert_chain(folder / f"{device}.pem", folder / f"{device}.key")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise BusError(
            f"the certificate of {device} in {folder} cannot be used: {error}",
            remedy=f"Put {CA}, and for each device NAME.pem and NAME.key, into {folder}.",
        ) from error
    return context


@cache
def _authority(file: Path) -> str:
    return file.read_text(encoding="ascii")
