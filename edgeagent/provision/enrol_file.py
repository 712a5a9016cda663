"""The two files that a boot partition carries for a new device: `seed.toml`, open, and `enrol.toml`, secret.

Rules:
    - What an editor on another system makes of a file is taken: a byte order mark, and lines that end in CRLF.
    - A mistake is told with file, line, key and what was expected. What is secret is in no message and no repr.
    - Of a PEM only its blocks are kept: what stands around them, as `openssl x509 -text` prints it, is for people.
    - A token is for one serial number (A63). With `any_board` that number was made up for a card, before anybody knew
      the board that it goes into: whoever holds the card can enrol once, until `expires`.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from edgeagent.errors import EdgeAgentError, SettingsError
from edgeagent.fleet.identity import chain, public_key
from edgeagent.fleet.identity_keys import public_part
from edgeagent.provision.errors import ImageError
from edgeagent.settings import Settings, parse_as

FOLDER = "edgeagent"
"""On the boot partition, for all files of ours."""
SEED, ENROL = "seed.toml", "enrol.toml"
BUNDLE, BUNDLE_HASH = "bundle.tar", "bundle.sha256"
LARGEST_BYTES = 64 << 10
"""Two certificates, a key and some names have 4 kB."""
BROKER_PORT, ENROLMENT_PORT = 8883, 8884
_HIDDEN = f", found {SecretStr('hidden')!r}"
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _plain(text: str) -> str:
    """Return a name of one line. Raise ValueError if it holds what nobody can see."""
    if _CONTROL.search(text) or "\n" in text or "\r" in text:
        raise ValueError("expected one line without control characters")
    return text


def _sealed(found: object) -> SecretStr:
    """Hide a secret before it is looked at, so that no complaint shows it."""
    return found if isinstance(found, SecretStr) else SecretStr(found if isinstance(found, str) else "")


def _token(secret: SecretStr) -> SecretStr:
    found = secret.get_secret_value().strip()
    if not 8 <= len(found) <= 128 or not re.fullmatch(r"[A-Za-z0-9 -]+", found):  # noqa: PLR2004  # what a console reads
        raise ValueError("expected the token as the console has shown it: five groups of four")
    return SecretStr(found)


def _key(secret: SecretStr) -> SecretStr:
    pem = _blocks(secret.get_secret_value())
    try:
        public_part(pem.encode())
    except EdgeAgentError as error:
        raise ValueError("expected a private key on a curve, in PEM") from error
    return SecretStr(pem)


def _certificates(pem: str) -> str:
    pem = _blocks(pem)
    try:
        for one in chain(pem.encode(), "PEM"):
            public_key(one)
    except EdgeAgentError as error:
        raise ValueError("expected one certificate or more, in PEM") from error
    return pem


def _blocks(text: str) -> str:
    """Return the blocks of a PEM, and nothing else: no CRLF, a line end at the end of each."""
    return "".join(
        "\n".join(line.strip() for line in found[0].splitlines()) + "\n" for found in _PEM_BLOCK.finditer(text)
    )


def _root(text: str) -> str:
    """Return a root of trust in one line; its signature does not hang on blanks. Raise ValueError if it is none."""
    try:
        found = json.loads(text)
        is_root = found["signed"]["_type"] == "root" and bool(found["signatures"])
    except (ValueError, TypeError, LookupError, RecursionError):
        is_root = False
    if not is_root:
        raise ValueError("expected a root of trust, as in N.root.json")
    return json.dumps(found, separators=(",", ":"))


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A name on the bus that is a host name, too."""
Plain = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Token = Annotated[SecretStr, PlainValidator(_token), BeforeValidator(_sealed)]
Key = Annotated[SecretStr, PlainValidator(_key), BeforeValidator(_sealed)]
Certificates = Annotated[str, AfterValidator(_certificates)]


class Seed(Settings):
    """What a device is to be, without a secret: from it come its first settings."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    """Form of this file."""
    name: Name = "edgeagent"
    """Name of the device until it is enrolled, and of the host."""
    fleet: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = "home"
    """Name of the fleet that it belongs to."""
    area: Plain | None = None
    """The room that it stands in."""
    board: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] | None = None
    """Profile of the board; when absent, it is found out."""
    hat: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] | None = None
    """Profile of the sound board on it; when absent, it is found out."""
    microphone: Plain | None = None
    """Name of the sound card; when absent, the system's default."""
    broker_host: Plain | None = None
    """The MQTT broker that the devices of the house are on; when absent, edgeagent starts its own."""
    broker_port: Port = 1883
    """Port of that broker."""
    update_url: Annotated[str, Field(pattern=r"^https?://[^\s]{1,400}$")] | None = None
    """Where signed releases come from; when absent, they come over the fleet's broker, if a root of trust is there."""
    update_root: Annotated[str, Field(max_length=32 << 10), AfterValidator(_root)] | None = None
    """Whose releases are trusted: a root of trust (TUF), which is public."""
    built: AwareDatetime
    """When this was written: no clock is earlier than that."""


class EnrolFile(Settings):
    """What one device needs to get its identity, once. Deleted when it has it."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    """Form of this file."""
    fleet: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    """Name of the fleet."""
    broker_host: Plain
    """Host name or address of the fleet's broker, as in its certificate."""
    broker_port: Port = BROKER_PORT
    """Where devices connect."""
    enrolment_port: Port = ENROLMENT_PORT
    """Where claims connect."""
    serial: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")] | None = None
    """Serial number that the token was made for; when absent, the board's own is told."""
    any_board: bool = False
    """The serial number is the card's, not the board's: it is told as it stands here."""
    expires: AwareDatetime
    """Until when the console takes the token."""
    token: Token
    """The one-time token."""
    ca: Certificates
    """The authority of the fleet."""
    claim_key: Key
    """The claim's key."""
    claim: Certificates
    """The claim certificate."""

    @field_validator("any_board")
    @classmethod
    def _has_a_serial(cls, found: object, info: ValidationInfo) -> object:
        if found and info.data.get("serial") is None:
            raise ValueError("any_board needs a serial: the one that the token was made for")
        return found

    @field_validator("claim")  # of the two the one that may be shown
    @classmethod
    def _fits_its_key(cls, claim: str, info: ValidationInfo) -> str:
        key: SecretStr | None = info.data.get("claim_key")
        if key and public_key(chain(claim.encode(), "claim")[0]) != public_part(key.get_secret_value().encode()):
            raise ValueError("claim_key is not the key of claim: take both from the same folder")
        return claim

    def is_expired(self, now: float) -> bool:
        """Tell whether the console takes the token no more."""
        return now >= self.expires.timestamp()


def expected(key: str, said: str) -> str:
    """Return what is expected of a value in a seed, in words; `said` is the complaint about it."""
    if key == "name":
        return "expected 1 to 63 small letters, digits and hyphens, none first or last"
    if key == "fleet":
        return "expected 1 to 64 small letters, digits and hyphens"
    return said.removeprefix("Value error, ")


Card = TypeVar("Card", Seed, EnrolFile)
_REMEDIES: dict[type[Settings], str] = {
    Seed: "Mend seed.toml on the boot partition, or write it anew with `edgeagent image customise`.",
    EnrolFile: "Write enrol.toml anew with `edgeagent image customise` and a new token.",
}


def read(kind: type[Card], raw: bytes, path: Path | str) -> Card:
    """Read a file of this kind. Raise ImageError naming file, line, key and what was expected, and no secret."""
    remedy = _REMEDIES[kind]
    if len(raw) > LARGEST_BYTES:
        raise ImageError(f"{path}: larger than {LARGEST_BYTES >> 10} KiB", remedy=remedy)
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ImageError(f"{path}: not UTF-8 at byte {error.start}", remedy="Save the file as UTF-8.") from error
    if not text.strip("\0 \n\t"):
        raise ImageError(f"{path}: empty, or only zeros: it was not written to its end", remedy=remedy)
    try:
        return parse_as(kind, text, str(path), remedy=remedy)
    except SettingsError as error:
        said = str(error).replace(_HIDDEN, "")
        raise ImageError(said, remedy=error.remedy) from None  # what it came from may hold what was found


def read_seed(raw: bytes, path: Path | str = SEED) -> Seed:
    """Read `seed.toml`. Raise ImageError."""
    return read(Seed, raw, path)


def read_enrol_file(raw: bytes, path: Path | str = ENROL) -> EnrolFile:
    """Read `enrol.toml`. Raise ImageError."""
    return read(EnrolFile, raw, path)


def written(card: Seed | EnrolFile) -> bytes:
    """Return the file that `read` makes this of. With an EnrolFile, what is returned is secret."""
    lines = [f"{key} = {_toml(value)}" for key, value in card if value is not None]
    return ("\n".join(lines) + "\n").encode()


def _toml(value: Any) -> str:
    match value:
        case SecretStr():
            return _toml(value.get_secret_value())
        case bool() | int():
            return json.dumps(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case str() if "\n" in value:
            return f'"""\n{value}"""'  # blocks of PEM alone have several lines: nothing in them is to be escaped
    return json.dumps(value, ensure_ascii=False)
