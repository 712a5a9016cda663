"""What a filter of devices says, as nouns."""

from dataclasses import dataclass
from typing import Literal

Comparison = Literal["<", "<=", ">", ">=", "=", "!="]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with wildcards, as pieces: a text, or None for any text ("*"), or 1 for any one letter ("?")."""

    pieces: tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """`online`, `offline`, `muted`."""

    name: str


@dataclass(frozen=True, slots=True)
class Like:
    """`name:kit*`: a field matches a pattern, whatever the case of its letters."""

    field: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Tagged:
    """`tag:floor=2`: a tag is there, with a value that matches."""

    key: str
    pattern: Pattern | None


@dataclass(frozen=True, slots=True)
class Versioned:
    """`version<0.6`: the program, or (with a family) a release, has a version that compares so; None: it is there."""

    family: str | None
    comparison: Comparison | None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Aged:
    """`seen>7d`: something was longer ago than so many seconds; what never was is longer ago than anything."""

    field: str
    comparison: Comparison
    age_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """`gauge:temperature_c>70`: a value that the device measures."""

    key: str
    comparison: Comparison
    value: float


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    what: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """All of these; none of them is everything."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Any:
    """One of these at least."""

    parts: tuple["Condition", ...]


Condition = Flag | Like | Tagged | Versioned | Aged | Measured | Not | All | Any
