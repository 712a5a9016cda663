"""Filters of devices: what they say, what they mean on real rows, and where their mistakes are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from edgeagent.console import filter_nouns as nouns
from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.filter_text import parsed
from edgeagent.console.filters import compiled
from edgeagent.console.tables import Device, Fleet, Installed, Tag

NOW = 1_000_000.0
DAY_S = 86_400.0


@dataclass(frozen=True)
class Row:
    """A device as the reference sees it."""

    fields: dict[str, Any]
    tags: dict[str, str]
    releases: dict[str, str]


ROWS = [
    Row(
        {
            "name": f"{kind}-{number}",
            "title": title,
            "area": area,
            "board": board,
            "version": version,
            "online": number % 2 == 0,
            "muted": number % 5 == 0,
            "seen": seen,
            "health": ("ok", "warn", "bad")[number % 3],
            "gauges": gauges,
            "created": NOW - number * DAY_S,
        },
        tags,
        releases,
    )
    for number, (kind, title, area, board, version, seen, gauges, tags, releases) in enumerate(
        [
            ("kit", "Kitchen", "Ground floor", "rpi4", "0.5.1", NOW - 60, {"temperature_c": 71.5}, {"floor": "2"}, {}),
            ("kit", "50% off_er", "", "rpi5", "0.6", NOW - 8 * DAY_S, {}, {"floor": "1", "vip": ""}, {"cmd": "1.2"}),
            ("hall", "Häll", "a\\b", "rpi4", "0.10.0", None, {"temperature_c": 20.0}, {}, {"cmd": "1.10.0"}),
            (
                "hall",
                "",
                "_",
                "generic",
                "0.6.0rc1",
                NOW,
                {"load": 0.5},
                {"Floor": "two words"},
                {"cmd": "x", "m": "3"},
            ),
            ("attic", "'; DROP TABLE devices; --", "%", "", "", NOW - DAY_S, {}, {"floor": "*"}, {"cmd": "1.2.0"}),
            ("attic", 'say "hi"', "A*B", "RPI4", "unknown", NOW + 50, {"load": 2.0}, {"floor": "20"}, {"m": "3.0.1"}),
        ]
    )
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('filters')}/console.db")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
        session.flush()
        for row in ROWS:
            device = Device(fleet="home", **row.fields)
            session.add(device)
            session.flush()
            session.add_all(Tag(device=device.id, key=key, value=value) for key, value in row.tags.items())
            installed = [Installed(device=device.id, family=one, version=two) for one, two in row.releases.items()]
            session.add_all(installed)
    yield database
    database.close()


def found(database: Database, text: str) -> set[str]:
    with database.reading() as session:
        return set(session.scalars(select(Device.name).where(compiled(text, now=NOW))))


def reference(what: nouns.Condition, row: Row) -> bool:  # noqa: C901, PLR0912
    """What a filter means, in Python."""
    match what:
        case nouns.Flag("offline"):
            return not row.fields["online"]
        case nouns.Flag(name):
            return bool(row.fields[name])
        case nouns.Like(field, pattern):
            return matches(pattern, row.fields[field])
        case nouns.Tagged(key, None):
            return key in row.tags
        case nouns.Tagged(key, nouns.Pattern() as pattern):
            return key in row.tags and matches(pattern, row.tags[key])
        case nouns.Versioned(None, comparison, version):
            return compared(row.fields["version"], comparison, version)
        case nouns.Versioned(str() as family, None):
            return family in row.releases
        case nouns.Versioned(str() as family, comparison, version):
            return family in row.releases and compared(row.releases[family], comparison, version)
        case nouns.Aged(field, comparison, age_s):
            at = row.fields["seen" if field == "seen" else "created"]
            age = float("inf") if at is None else NOW - at
            return {"<": age < age_s, "<=": age <= age_s, ">": age > age_s, ">=": age >= age_s}[comparison]
        case nouns.Measured(key, comparison, value):
            has = row.fields["gauges"].get(key)
            return has is not None and holds(has, comparison, value)
        case nouns.Not(inner):
            return not reference(inner, row)
        case nouns.All(parts):
            return all(reference(part, row) for part in parts)
        case nouns.Any(parts):
            return any(reference(part, row) for part in parts)
    raise AssertionError(what)


def matches(pattern: nouns.Pattern, text: str) -> bool:
    wild: dict[str | int | None, str] = {None: ".*", 1: "."}
    written = "".join(wild.get(piece) or re.escape(lower(str(piece))) for piece in pattern.pieces)
    return re.fullmatch(written, lower(text), re.DOTALL) is not None


def lower(text: str) -> str:
    """As SQLite does it: ASCII alone."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def numbers(version: str) -> tuple[list[int], bool] | None:
    read = re.match(r"[vV]?(\d+(?:\.\d+)*)(rc)?", version)
    if read is None:
        return None
    parts = [int(part) for part in read[1].split(".")]
    return parts + [0] * (6 - len(parts)), read[2] is None


def compared(version: str, comparison: str | None, other: str) -> bool:
    mine, theirs = numbers(version), numbers(other)
    return mine is not None and theirs is not None and holds(mine, comparison, theirs)


def holds(one: Any, comparison: str | None, other: Any) -> bool:
    return bool(
        {"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other, "=": one == other}.get(
            str(comparison), one != other
        )
    )


VALUES = st.sampled_from(
    [
        "kit*",
        "*",
        "hall-?",
        "*2*",
        '"A*B"',
        '"50% off_er"',
        "50%*",
        "*_*",
        "rpi4",
        "%",
        "_",
        '"say \\"hi\\""',
        "*a\\b*",
        '""',
        "h?ll",
    ]
)
COMPARISONS = st.sampled_from(["<", "<=", ">", ">=", "=", "!="])
VERSIONS = st.sampled_from(["0.5.1", "0.6", "0.6.0", "0.10", "1.2", "1.2.0", "1.10", "0.6rc1", "3", "v3.0.1"])
TERMS = st.one_of(
    st.sampled_from(["online", "offline", "muted"]),
    st.builds("{}:{}".format, st.sampled_from(["name", "title", "area", "board", "version"]), VALUES),
    st.builds("health:{}".format, st.sampled_from(["ok", "warn", "bad"])),
    st.builds("tag:{}".format, st.sampled_from(["floor", "Floor", "vip", "nothing"])),
    st.builds(
        "tag:{}={}".format, st.sampled_from(["floor", "vip"]), st.sampled_from(["2", "2*", "1", '"*"', '""', "?"])
    ),
    st.builds("version{}{}".format, COMPARISONS, VERSIONS),
    st.builds("release:{}{}{}".format, st.sampled_from(["cmd", "m"]), COMPARISONS, VERSIONS),
    st.sampled_from(["release:cmd", "release:m", "release:none"]),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["seen", "added"]),
        st.sampled_from("<>"),
        st.sampled_from(["7d", "2m", "1.5d", "0s"]),
    ),
    st.builds(
        "gauge:{}{}{}".format,
        st.sampled_from(["load", "temperature_c"]),
        COMPARISONS,
        st.sampled_from(["0.5", "70", "-3"]),
    ),
)
FILTERS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner),
        st.builds("{} and {} or {}".format, inner, inner, inner),
    ),
    max_leaves=6,
)


@given(FILTERS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_filter_finds_what_it_says(database: Database, text: str) -> None:
    said = parsed(text)
    assert found(database, text) == {row.fields["name"] for row in ROWS if reference(said, row)}


@given(st.text(max_size=80))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_is_a_filter_or_a_mistake_with_its_column_a82(database: Database, text: str) -> None:
    try:
        found(database, text)
    except ConsoleError as mistake:
        complaint, remedy = str(mistake), mistake.remedy
        place = re.match(r"filter, column (\d+): ", complaint)
        assert place is not None
        assert 1 <= int(place[1]) <= len(text) + 1
        assert remedy
    assert len(found(database, "")) == len(ROWS)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", {row.fields["name"] for row in ROWS}),
        ("   ", {row.fields["name"] for row in ROWS}),
        ("version<0.10", {"kit-0", "kit-1", "hall-3"}),
        ("version>=0.6", {"kit-1", "hall-2"}),
        ("release:cmd>=1.2 and release:cmd<1.10", {"kit-1", "attic-4"}),
        ("seen>7d", {"kit-1", "hall-2"}),
        ("tag:floor=2 and not board:rpi5", {"kit-0"}),
        ('title:"50% off_er"', {"kit-1"}),
        ("area:%", {"attic-4"}),
        ('area:"A*B"', {"attic-5"}),
        ('tag:floor="*"', {"attic-4"}),
        ("gauge:temperature_c>70", {"kit-0"}),
        ("not gauge:temperature_c>70", {row.fields["name"] for row in ROWS} - {"kit-0"}),
        ("online or muted and board:rpi5", {"kit-0", "hall-2", "attic-4"}),
    ],
)
def test_what_a_filter_finds(database: Database, text: str, names: set[str]) -> None:
    assert found(database, text) == names


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("onlin", "column 1: expected a condition, found 'onlin'; did you mean online?"),
        ("tag:a and nme:x", "column 11: expected a condition, found 'nme:x'; did you mean name?"),
        ("(online", 'column 8: expected ")", found the end'),
        ("online offline", 'column 8: expected "and", "or" or the end, found \'offline\''),
        ("not", "column 4: expected a condition, found the end"),
        ("name:", "column 5: expected name: and a name"),
        ("tag:a<3", "column 6: expected = and the tag's value"),
        ('name:"x', 'column 6: a quotation mark (") that is not closed'),
        ("seen>7", "column 6: expected an age"),
        ("seen=7d", "column 6: expected an age to be < or > of"),
        ("version<x", "column 9: expected a version"),
        ("gauge:t>hot", "column 9: expected a number"),
        ("health:good", "column 8: expected ok, warn, bad, found 'good'"),
        ("a\0", "column 2: a control character"),
        ("name:\ud800", "column 6: a control character, or half of one"),
        ("name:*********", "column 6: more than 8 stars"),
        ("(" * 21 + "online" + ")" * 21, "column 21: parentheses or nots in one another, deeper than 20"),
        ("not " * 5_000, "column 1001: a filter has at most 1000 characters"),
        (" or ".join(["muted"] * 51), "column 451: more than 50 conditions"),
    ],
)
def test_a_mistake_is_named_with_its_column_and_what_was_expected(text: str, complaint: str) -> None:
    with pytest.raises(ConsoleError) as caught:
        compiled(text)
    assert complaint in str(caught.value)
    assert "tag:floor=2" in caught.value.remedy


@pytest.mark.parametrize(
    "text", ["name:\"' OR '1'='1\"", 'tag:"a\'; DROP TABLE devices; --"', "title:*'*", "release:\"x') OR ('1'='1\""]
)
def test_what_is_typed_never_becomes_a_part_of_the_statement_a82(database: Database, text: str) -> None:
    found(database, text)
    assert len(found(database, "")) == len(ROWS)
    statement = str(compiled(text, now=NOW).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "'" not in statement.replace("ESCAPE '\\\\'", "")
