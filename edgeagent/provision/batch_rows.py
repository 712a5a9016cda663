"""A table of devices, as a spreadsheet saves it, to what each of them is to be; or every mistake in it, with its line.

Rules:
    - Columns are found by the names in the first line, in any order; `name` alone must be there. They are separated by
      commas, semicolons or tabs, whichever the first line has.
    - A byte order mark, lines that end in CRLF, empty lines, and Excel's own first line `sep=;` are taken.
    - No name, serial number or token is there twice.
    - A line without a serial number makes a card for any board: it gets a number of its own, of its name.
    - A serial number that a spreadsheet has turned into 1E+15 is a mistake: digits are lost.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError

from edgeagent.provision.enrol_file import Seed, expected
from edgeagent.provision.errors import ImageError

MOST_ROWS = 5_000
MOST_TOLD = 50
"""Mistakes that are named; whoever has more begins with these."""
MOST_TAGS = 32
RESERVED = ("claim-", "console-")
"""Names that begin so have other rights at the broker."""
SEEDED = ("name", "fleet", "area", "board", "hat", "microphone")
COLUMNS = (*SEEDED, "serial", "tags", "token", "expires")
_SEPARATORS = (",", ";", "\t")
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?:=[^\s=]{0,200})?")
_TOKEN = re.compile(r"[A-Za-z0-9 -]{8,128}")
REMEDY = f"Mend these lines; nothing was made. Columns: {', '.join(COLUMNS)}."


@dataclass(frozen=True, slots=True)
class Known:
    """What names in the table may stand for, and what holds where a line says nothing."""

    boards: frozenset[str]
    hats: frozenset[str]
    now: datetime
    fleet: str = "home"
    broker_host: str | None = None
    broker_port: int = 1883
    shared: Mapping[str, str | None] = field(default_factory=dict)
    """What else the seeds of all of them say, by key."""


@dataclass(frozen=True, slots=True)
class Row:
    """A device of the table. `any_board` says that the serial number was made up; a token is there where it was given.

    A token is secret, and in no repr.
    """

    line: int
    seed: Seed
    serial: str
    any_board: bool
    tags: Mapping[str, str]
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


def read_rows(text: str, name: str, known: Known) -> list[Row]:
    """Return the devices of a table. Raise ImageError naming all mistakes, each with its line."""
    lines = list(_lines(text, name))
    if not lines:
        raise ImageError(f"{name}: is empty", remedy=REMEDY)
    columns = _columns(lines[0], name)
    rows, mistakes = [], []
    for number, cells in lines[1:]:
        if len(cells) > len(columns):
            mistakes.append((number, f"has {len(cells)} columns, the first line {len(columns)}"))
            continue
        told = dict(zip(columns, cells, strict=False))
        wrong = list(_mistakes(told, known))
        mistakes += [(number, one) for one in wrong]
        if not wrong:
            rows.append(_row(number, told, known))
    mistakes += _twice(rows)
    if mistakes:
        raise _told(name, sorted(mistakes))
    if not 1 <= len(rows) <= MOST_ROWS:
        raise ImageError(f"{name}: {len(rows)} devices, 1 to {MOST_ROWS} were expected", remedy=REMEDY)
    return rows


def _lines(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Return where each line begins, and its cells."""
    separator, skipped = None, 0
    if found := re.match(r"sep=([,;\t])\r?\n", text, re.IGNORECASE):
        separator, skipped = found[1], 1
        text = text[found.end() :]
    head = text.lstrip("\r\n").partition("\n")[0]
    separator = separator or max(_SEPARATORS, key=head.count)
    reader, begins = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            while stripped and not stripped[-1]:
                stripped.pop()
            if stripped:
                yield begins + skipped, stripped
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ImageError(
            f"{name}:{reader.line_num + skipped}: {error}", remedy="Save the table as CSV again."
        ) from error


def _columns(first: tuple[int, list[str]], name: str) -> list[str]:
    columns = [cell.lower() for cell in first[1]]
    wrong = [f"there is no column {one!r:.40}" for one in columns if one not in COLUMNS]
    wrong += [f"the column {one} is there twice" for one in COLUMNS if columns.count(one) > 1]
    if "name" not in columns:
        wrong.append("the column name is missing")
    if wrong:
        raise _told(name, [(first[0], one) for one in wrong])
    return columns


def _mistakes(told: Mapping[str, str], known: Known) -> Iterator[str]:
    try:
        _seed(told, known)
    except ValidationError as error:
        for one in error.errors():
            key = str(one["loc"][0]) if one["loc"] else ""
            yield f"{key} {told.get(key, '')!r:.80}: {expected(key, one['msg'])}"
    if told.get("name", "").startswith(RESERVED):
        yield f"name {told['name']!r:.80}: names that begin with {' or '.join(RESERVED)} are reserved"
    for column, names in (("board", known.boards), ("hat", known.hats)):
        if told.get(column) and told[column] not in names:
            yield f"{column} {told[column]!r:.80}: no profile is called so; there are {', '.join(sorted(names))}"
    serial = told.get("serial", "")
    if _ROUNDED.fullmatch(serial):
        yield f"serial {serial!r:.80}: a spreadsheet has made a number of it; format the column as text"
    elif serial and not _SERIAL.fullmatch(serial):
        yield f"serial {serial!r:.80}: expected up to 64 letters, digits and . _ : -"
    yield from _wrong_tags(told.get("tags", ""))
    if told.get("token") and not _TOKEN.fullmatch(told["token"]):
        yield "token: expected it as the console has shown it: five groups of four"
    yield from _wrong_time(told, known)


def _wrong_tags(text: str) -> Iterator[str]:
    tags = text.split()
    for one in tags:
        if not _TAG.fullmatch(one):
            yield f"tags {one!r:.80}: expected key or key=value, separated by spaces"
    if len(tags) > MOST_TAGS:
        yield f"tags: {len(tags)} of them, at most {MOST_TAGS}"


def _wrong_time(told: Mapping[str, str], known: Known) -> Iterator[str]:
    text = told.get("expires", "")
    if not text:
        if told.get("token"):
            yield "expires: a token was given, and not until when it is good"
        return
    when = _time(text)
    if when is None:
        yield f"expires {text!r:.80}: expected a day, as 2026-12-31"
    elif when <= known.now:
        yield f"expires {text!r:.80}: that is over"


def _seed(told: Mapping[str, str], known: Known) -> Seed:
    given: dict[str, object] = {key: told[key] for key in SEEDED if told.get(key)}
    given.setdefault("fleet", known.fleet)
    given.setdefault("name", "")  # the default is no name for one of many
    return Seed.model_validate(
        given
        | dict(known.shared)
        | {"built": known.now, "broker_host": known.broker_host, "broker_port": known.broker_port}
    )


def _row(line: int, told: Mapping[str, str], known: Known) -> Row:
    seed = _seed(told, known)
    return Row(
        line=line,
        seed=seed,
        serial=told.get("serial") or f"card-{seed.name}"[:64],
        any_board=not told.get("serial"),
        tags={key: value for key, _, value in (one.partition("=") for one in told.get("tags", "").split())},
        token=told.get("token") or None,
        expires=_time(told.get("expires", "")),
    )


def _twice(rows: list[Row]) -> list[tuple[int, str]]:
    seen: dict[tuple[str, str], int] = {}
    found = []
    for row in rows:
        for what, value in (("name", row.seed.name), ("serial", row.serial), ("token", row.token)):
            if value is None:
                continue
            before = seen.setdefault((what, value), row.line)
            if before != row.line:
                shown = "" if what == "token" else f" {value!r:.80}"  # a token is secret
                found.append((row.line, f"{what}{shown}: is in line {before} already"))
    return found


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _told(name: str, mistakes: list[tuple[int, str]]) -> ImageError:
    lines = [f"{name}:{line}: {what}" for line, what in mistakes[:MOST_TOLD]]
    if len(mistakes) > MOST_TOLD:
        lines.append(f"{name}: and {len(mistakes) - MOST_TOLD} more")
    return ImageError("\n".join(lines), remedy=REMEDY)
