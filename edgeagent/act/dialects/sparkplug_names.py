"""The ids and metric names of a plant, made for machines, to what people can say.

Rules:
- "SpeedSetpoint", "speed_set-point" and "Speed Setpoint" are the same words; folders are divided by "/";
- an id is a code, and no name, if it has no vowel, letters behind digits, or a long number: "PLC4F21", "0x88A1";
- what is said of a metric is its device, then the last two parts of its path, without repeating words; where that
  would be the same for two metrics of a device, the whole path;
- words that only tell what part a metric plays (Run, Open, Command, Acknowledge) are left out.
"""

import re
from collections.abc import Sequence

from edgeagent.act.dialects.schema import LONGEST_NAME

_CODE = re.compile(r"\d[a-z]|\d{3}|^[^aeiouy]*$", re.IGNORECASE)
_PLACELESS = frozenset(
    {"edge", "node", "gateway", "gw", "eon", "device", "plc", "rtu", "host", "server", "agent", "sparkplug"}
)
"""Ids of these words say what a node is, not where."""


def words_of(part: str) -> tuple[str, ...]:
    """Return the words of an id or of one part of a metric's path, in small letters."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Za-z])(?=\d)", " ", part)
    return tuple(re.sub(r"[\W_]+", " ", apart).lower().split())


def spoken(identity: str) -> tuple[str, ...]:
    """Return the words of an id, or none if it is a code."""
    return () if _CODE.search(identity) else words_of(identity)


def area_of(node: str) -> str | None:
    """Return the area that a node's id names, or None: "Hall-1" is one, "edge node 2" and "PLC4F21" are none."""
    words = spoken(node)
    says_where = any(word.isalpha() and word not in _PLACELESS for word in words)
    return _capital(words) if says_where else None


def called(owner: Sequence[str], parts: Sequence[str], *, most_parts: int = 2) -> str:
    """Return the name of what a device's metric is: the device's words and those of the path's last parts."""
    said = list(owner)
    for part in parts[-most_parts:]:
        said += [word for word in words_of(part) if word not in said or word.isdecimal()]
    return _capital(said)[:LONGEST_NAME].rstrip()


def _capital(words: Sequence[str]) -> str:
    text = " ".join(words)
    return text[:1].upper() + text[1:]
