"""A Wi-Fi name and passphrase as people give them to what goes onto a card: octets, and a derived key.

Rules:
    - The passphrase stays here: the key is PBKDF2-SHA1 over the name's octets, 4096 rounds (IEEE 802.11i, H.4).
    - A line end that came with a paste is no part of a name or a secret.
    - A name is octets, in whatever encoding; it is text where everybody agrees on it, else octets by number.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass, field

from edgeagent.provision.errors import ImageError

LONGEST_NAME = 32
"""Octets."""
_ROUNDS, _KEY_BYTES = 4096, 32
_SHORTEST, _LONGEST = 8, 63
_KEY = re.compile(r"[0-9a-fA-F]{64}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_NAMESPACE = uuid.UUID("6f1f6e57-6d6a-5d6e-8f9e-0c5a3f7c2b11")


@dataclass(frozen=True, slots=True)
class Wifi:
    """A network to join. `key` has 64 hexadecimal digits, or none for an open network."""

    name: bytes
    key: str = field(repr=False)
    country: str
    is_hidden: bool = False

    @property
    def plain(self) -> str | None:
        """The name, if no file format can take it for something else: letters of any script, digits, ` -_.`.

        One that begins with a hyphen is an option to raspberrypi-sys-mods.
        """
        try:
            text = self.name.decode()
        except UnicodeDecodeError:
            return None
        fits = text.isprintable() and text == text.strip() and not re.search(r"^-|[\\;\"'#=\[\]{}<>|&$`*?!%,:]", text)
        return text if fits else None

    @property
    def numbers(self) -> str:
        """The name as NetworkManager's key files take any octets: `104;105;`."""
        return "".join(f"{octet};" for octet in self.name)

    @property
    def shown(self) -> str:
        """The name for people."""
        return ascii(self.name.decode(errors="backslashreplace")) if self.plain is None else self.plain

    def connection(self) -> str:
        """Return NetworkManager's key file for it."""
        security = f"\n[wifi-security]\nkey-mgmt=wpa-psk\npsk={self.key}\n" if self.key else ""
        return (
            f"[connection]\nid=edgeagent-wifi\nuuid={uuid.uuid5(_NAMESPACE, self.name.hex())}\ntype=wifi\n"
            f"\n[wifi]\nmode=infrastructure\nssid={self.numbers}\nhidden={str(self.is_hidden).lower()}\n{security}"
            "\n[ipv4]\nmethod=auto\n\n[ipv6]\naddr-gen-mode=default\nmethod=auto\n"
        )


def wifi(name: str | bytes, passphrase: str = "", *, country: str, is_hidden: bool = False) -> Wifi:
    """Return the network of this name. Raise ImageError for a name, passphrase or country that cannot be.

    The passphrase is one of 8 to 63 characters, a key of 64 hexadecimal digits, or empty for an open network.
    """
    octets = (name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")).strip(b"\r\n")
    if not 0 < len(octets) <= LONGEST_NAME or b"\0" in octets:
        raise ImageError(
            f"the Wi-Fi name has {len(octets)} octets, expected 1 to {LONGEST_NAME}", remedy="Check the name (SSID)."
        )
    if not _COUNTRY.fullmatch(country.strip().upper()):
        raise ImageError(
            f"Wi-Fi country {country!r:.20}: expected two letters such as DE",
            remedy="Give the country that the device is in: without it the radio stays off.",
        )
    return Wifi(octets, _key(octets, passphrase.strip("\r\n")), country.strip().upper(), is_hidden)


def _key(name: bytes, passphrase: str) -> str:
    if not passphrase:
        return ""
    if _KEY.fullmatch(passphrase):
        return passphrase.lower()
    secret = passphrase.encode()
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise ImageError(
            f"the Wi-Fi passphrase has {len(secret)} octets, expected {_SHORTEST} to {_LONGEST}",
            remedy="Check the passphrase; a key has 64 hexadecimal digits.",
        )
    return hashlib.pbkdf2_hmac("sha1", secret, name, _ROUNDS, _KEY_BYTES).hex()
