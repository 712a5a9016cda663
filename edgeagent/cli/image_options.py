"""The options by which several commands of `edgeagent image` learn what a device is to be, and their meaning."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeagent.cli.image_shown import checked_text
from edgeagent.errors import SettingsError

if TYPE_CHECKING:
    from edgeagent.provision.batch import Enrolment
    from edgeagent.provision.enrol_file import EnrolFile, Seed

# A subcommand loads only what it needs.
# ruff: noqa: PLC0415

BROKER_PORT, ENROLMENT_PORT, HOUSE_PORT = 8883, 8884, 1883
LONGEST_TOKEN = 200

Name = Annotated[str | None, typer.Option(help="Name of the device and of the host, as kitchen-1.")]
Fleet = Annotated[str | None, typer.Option(help="Name of the fleet that it belongs to.")]
Area = Annotated[str | None, typer.Option(help="The room that it stands in.")]
Board = Annotated[str | None, typer.Option(help="Profile of the board; else it is found out.")]
Hat = Annotated[str | None, typer.Option(help="Profile of the sound board on it; else it is found out.")]
Microphone = Annotated[str | None, typer.Option(help="Name of the sound card; else the system's default.")]
House = Annotated[str | None, typer.Option("--house-broker", help="MQTT broker of the house, as HOST or HOST:PORT.")]
Broker = Annotated[str | None, typer.Option(help="The fleet's broker, as HOST or HOST:PORT, for enrolling.")]
Ca = Annotated[Path | None, typer.Option(help="PEM file with the authority of the fleet.")]
Claim = Annotated[Path | None, typer.Option(help="PEM file with the claim certificate.")]
ClaimKey = Annotated[Path | None, typer.Option(help="PEM file with the claim's key.")]
EnrolmentPort = Annotated[int, typer.Option(help="Port on which claims connect.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the one-time token, - for input.")]
Serial = Annotated[str | None, typer.Option(help="Serial number that the token was made for; else the board's own.")]
AnyBoard = Annotated[bool, typer.Option("--any-board", help="The serial number is the card's: any board may take it.")]
Days = Annotated[int, typer.Option(min=1, max=90, help="How many days the token is good.")]
Bundle = Annotated[Path | None, typer.Option(help="The agent, as `edgeagent image bundle` makes it.")]
UpdateUrl = Annotated[str | None, typer.Option(help="Where signed releases come from; else over the fleet's broker.")]
UpdateRoot = Annotated[Path | None, typer.Option(help="Whose releases are trusted: N.root.json of the publisher.")]

PasswordHash = Annotated[Path | None, typer.Option(help="File with the hash of the password (openssl passwd -6).")]
WifiPassword = Annotated[Path | None, typer.Option(help="File with its passphrase; else you are asked.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was said of a device; None where nothing was."""

    name: str | None
    fleet: str | None
    area: str | None
    board: str | None
    hat: str | None
    microphone: str | None
    house: str | None
    update_url: str | None = None
    update_root: Path | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was said at all."""
        return all(getattr(self, key) is None for key in self.__slots__)


@dataclass(frozen=True, slots=True)
class Way:
    """How a device enrols: options as they were given."""

    broker: str | None
    enrolment_port: int
    ca: Path | None
    claim: Path | None
    claim_key: Path | None


@dataclass(frozen=True, slots=True)
class TokenWanted:
    """A token as it was given: in which file, for which serial number, for how long."""

    file: Path | None
    serial: str | None
    any_board: bool
    days: int


def seed_of(wanted: Wanted, now: datetime) -> "Seed | None":
    """Return the seed; None where nothing was said. Raise SettingsError if something cannot be."""
    from pydantic import ValidationError

    from edgeagent.provision.enrol_file import Seed, expected

    if wanted.is_empty:
        return None
    host, port = where(wanted.house, HOUSE_PORT) if wanted.house else (None, HOUSE_PORT)
    given = {key: getattr(wanted, key) for key in ("name", "fleet", "area", "board", "hat", "microphone")}
    given |= updates(wanted.update_url, wanted.update_root)
    said = {key: value for key, value in given.items() if value is not None}
    _check_profiles(wanted)
    try:
        return Seed.model_validate(said | {"broker_host": host, "broker_port": port, "built": now})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise SettingsError(
            f"--{key.replace('_', '-')} {given.get(key)!r:.80}: {expected(key, first['msg'])}", remedy="See --help."
        ) from error


def updates(url: str | None, root: Path | None) -> dict[str, str | None]:
    """Return what a seed says of updates. Raise UpdateError if the root of trust is none, or not signed by itself."""
    if root is None:
        return {"update_url": url, "update_root": None}
    from edgeagent.update.roots import look_at_root

    content, _ = look_at_root(root)
    return {"update_url": url, "update_root": content.decode()}


def device_of(wanted: Wanted, way: Way, token: TokenWanted) -> "tuple[Seed | None, EnrolFile | None]":
    """Return the two files of a device; None for one of which nothing was said. Raise SettingsError or ImageError."""
    moment = now()
    seed = seed_of(wanted, moment)
    fleet = wanted.fleet or (seed.fleet if seed else "home")
    return seed, enrol_file_of(way, token, fleet, moment)


def _check_profiles(wanted: Wanted) -> None:
    from edgeagent.board.profiles import boards, hats

    for option, name, known in (("board", wanted.board, boards), ("hat", wanted.hat, hats)):
        if name is not None and name not in (names := known()):
            raise SettingsError(
                f"--{option} {name!r:.80}: no profile is called so", remedy=f"One of: {', '.join(names)}"
            )


def enrolment_of(way: Way) -> "Enrolment | None":
    """Return what devices enrol with, but for the token; None where nothing was said. Raise SettingsError."""
    from edgeagent.provision.batch import Enrolment

    if way.broker is None and way.ca is None and way.claim is None and way.claim_key is None:
        return None
    if way.broker is None or way.ca is None or way.claim is None or way.claim_key is None:
        raise SettingsError("to enrol takes four things", remedy="Give --broker, --ca, --claim and --claim-key.")
    host, port = where(way.broker, BROKER_PORT)
    ca, claim = checked_text(way.ca, "the authority"), checked_text(way.claim, "the claim certificate")
    return Enrolment(host, port, way.enrolment_port, ca, claim, checked_text(way.claim_key, "the claim's key"))


def enrol_file_of(way: Way, wanted: TokenWanted, fleet: str, now: datetime) -> "EnrolFile | None":
    """Return what one device enrols with; None where nothing was said. Raise SettingsError or ImageError."""
    from edgeagent.provision.batch import Token, Who, enrol_file

    with_ = enrolment_of(way)
    if with_ is None:
        if wanted.file is not None:
            raise SettingsError("a token alone enrols nobody", remedy="Give --broker, --ca, --claim and --claim-key.")
        return None
    if wanted.file is None:
        raise SettingsError("to enrol takes a token", remedy="Put it into a file: --token-file FILE, or - for input.")
    text = sys.stdin.readline(LONGEST_TOKEN) if str(wanted.file) == "-" else checked_text(wanted.file, "the token")
    token = Token(text.strip(), now + timedelta(days=wanted.days))
    return enrol_file(Who(fleet, wanted.serial, wanted.any_board), token, with_)


def where(text: str, port: int) -> tuple[str, int]:
    """Return host and port of HOST, HOST:PORT or [ADDRESS]:PORT. Raise SettingsError if it is none."""
    host, colon, told = text.rpartition(":")
    if not colon or told.endswith("]") or (":" in host and not host.startswith("[")):
        host, told = text, str(port)
    if not host.strip("[]") or not told.isdecimal() or not 0 < int(told) < 1 << 16:
        raise SettingsError(f"{text!r:.100}: expected HOST or HOST:PORT", remedy="As: broker.example:8883")
    return host.strip("[]"), int(told)


def now() -> datetime:
    """Return this moment, in whole seconds as files keep it."""
    return datetime.now(UTC).replace(microsecond=0)
