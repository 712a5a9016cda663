"""Many devices to a folder each with what its card needs, or to an image each, and a sheet to print.

Rules:
    - All lines of the table are right, and nothing that is there would be written over, before a token is asked for.
    - A console makes all tokens of a fleet or none; asked again, it withdraws those that were not used. So a run that
      broke off is simply made once more, into an empty folder.
    - What holds a token can be read by its owner alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgeagent.files import write_durably
from edgeagent.provision.batch_rows import Row
from edgeagent.provision.devices import size_said
from edgeagent.provision.enrol_file import ENROL, FOLDER, SEED, EnrolFile, Seed, written
from edgeagent.provision.errors import ImageError

MOST_AT_ONCE = 500
"""Of tokens, in one question to a console."""
SHEET = "sheet.html"
_SECRET_FOLDER = 0o700
_AS_NEW = "Is the console as new as this program?"


@dataclass(frozen=True, slots=True)
class Token:
    """A one-time token, and until when it is good."""

    secret: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What all devices of a batch enrol with, but for the token: where, and the fleet's CA and claim, as PEM."""

    broker_host: str
    broker_port: int
    enrolment_port: int
    ca: str
    claim: str
    claim_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Who:
    """For whom a token was made; without a serial number, for the board's own."""

    fleet: str
    serial: str | None
    any_board: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What was made for a device: its row, its token where it has one, and where it lies."""

    row: Row
    token: Token | None
    path: Path


Ask = Callable[[str, Mapping[str, Any]], Any]
"""POST to a console's API: a path and a body to the answer."""
MakeImage = Callable[[Path, Seed, EnrolFile | None], None]
"""Makes a device's image, for its owner alone, at a path that is free."""


def tokens_in(rows: Iterable[Row]) -> dict[str, Token]:
    """Return the tokens that stand in the table, by the device's name."""
    return {row.seed.name: Token(row.token, row.expires) for row in rows if row.token and row.expires}


def tokens_of(rows: Sequence[Row], ask: Ask, days: int) -> dict[str, Token]:
    """Have a console make a token for each row, fleet by fleet. Raise ImageError if it answers something else."""
    found: dict[str, Token] = {}
    for fleet in dict.fromkeys(row.seed.fleet for row in rows):
        wanted = [row for row in rows if row.seed.fleet == fleet]
        for start in range(0, len(wanted), MOST_AT_ONCE):
            some = wanted[start : start + MOST_AT_ONCE]
            devices = [{"serial": row.serial, "device": row.seed.name, "tags": dict(row.tags)} for row in some]
            found |= _answered(ask(f"/fleets/{fleet}/tokens", {"devices": devices, "days": days}), some)
    return found


def _answered(answer: Any, rows: Sequence[Row]) -> dict[str, Token]:
    try:
        found = {str(one["device"]): Token(str(one["secret"]), _moment(one["expires"])) for one in answer}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ImageError("the console's answer holds no tokens", remedy=_AS_NEW) from error
    if found.keys() != {row.seed.name for row in rows}:
        raise ImageError("the console has answered with tokens for other devices", remedy=_AS_NEW)
    return found


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def enrol_file(who: Who, token: Token, with_: Enrolment) -> EnrolFile:
    """Return what a device enrols with. Raise ImageError if the claim is none, without showing it."""
    given = asdict(who) | asdict(with_) | {"expires": token.expires, "token": token.secret}
    try:
        return EnrolFile.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(one) for one in first["loc"]) or "enrolment"
        raise ImageError(
            f"{where}: {first['msg']}", remedy="Look at --broker, --ca, --claim, --claim-key, --serial and the token."
        ) from None  # what it came from holds secrets


def check_free(folder: Path, rows: Iterable[Row]) -> None:
    """See that nothing stands where something will be made. Raise ImageError if it does."""
    there = [path.name for row in rows for path in (folder / row.seed.name, image_path(folder, row)) if path.exists()]
    if (folder / SHEET).exists():
        there.append(SHEET)
    if there:
        raise ImageError(
            f"{folder}: {', '.join(there[:5])} {'is' if len(there) == 1 else 'are'} there already",
            remedy="Name an empty folder, or remove them.",
        )


def check_room(folder: Path, rows: Sequence[Row], each_bytes: int, free_bytes: int) -> None:
    """See that the disk has room for an image each. Raise ImageError if it has not."""
    need = each_bytes * len(rows)
    if need > free_bytes:
        raise ImageError(
            f"{folder}: {len(rows)} images need {size_said(need)}, {size_said(free_bytes)} are free",
            remedy="Leave --image away: a folder for each device has a few kB; copy it onto the card's boot partition.",
        )


def image_path(folder: Path, row: Row) -> Path:
    """Return where a device's image lies."""
    return folder / f"{row.seed.name}.img"


def write_folders(
    folder: Path, rows: Sequence[Row], tokens: Mapping[str, Token], with_: Enrolment | None
) -> list[Made]:
    """Make a folder for each device, to be copied onto its boot partition."""
    cards = [(row, _card(row, tokens, with_)) for row in rows]
    made = []
    for row, enrol in cards:
        path = folder / row.seed.name
        for one in (folder, path, path / FOLDER):
            _make_folder(one)
        write_durably(path / FOLDER / SEED, written(row.seed), mode=0o644)
        if enrol is not None:
            write_durably(path / FOLDER / ENROL, written(enrol))
        made.append(Made(row, tokens.get(row.seed.name), path))
    return made


def write_images(
    folder: Path,
    rows: Sequence[Row],
    tokens: Mapping[str, Token],
    with_: Enrolment | None,
    make: MakeImage,
) -> list[Made]:
    """Make an image for each device."""
    cards = [(row, _card(row, tokens, with_)) for row in rows]
    _make_folder(folder)
    made = []
    for row, enrol in cards:
        path = image_path(folder, row)
        make(path, row.seed, enrol)
        made.append(Made(row, tokens.get(row.seed.name), path))
    return made


def _card(row: Row, tokens: Mapping[str, Token], with_: Enrolment | None) -> EnrolFile | None:
    token = tokens.get(row.seed.name)
    if token is None or with_ is None:
        return None
    return enrol_file(Who(row.seed.fleet, row.serial, row.any_board), token, with_)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=_SECRET_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{path}: cannot be made: {error.strerror}", remedy="Name another folder.") from error
