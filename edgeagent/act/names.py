"""Devices to what people call them: plain lower-case words, by name, alias, area and name, and name without area.

Rules:
- letters and digits stay but are split apart; punctuation and emoji go; an apostrophe stays inside a word;
- a device is called by its name and aliases, and by its area before each of them;
- where a name starts with its area, the rest is a name too, but only if it is nobody else's;
- what is empty, a command word, a piece of a sentence, or an address is no name, and is left out with the reason.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from edgeagent.grammar.spoken import is_readable
from edgeagent.messages import Capability, Device, Kind

Group = TypeVar("Group", Kind, Capability)

_ACTIONS = """
on off open close closed opened shut start stop halt pause resume run set turn switch dim up down raise lower
lock unlock locked unlocked increase decrease activate acknowledge confirm yes no yeah nope okay ok cancel never
mind nevermind help repeat again undo and or then not all every everything everywhere any the a an it them that
this these those here there now what which who when where how is are in at to of for with my please percent
degrees half full emergency
"""
_THINGS = """
light lights lamps switches plugs outlets covers blinds curtains shutters doors windows locks heaters heating
fans valves scenes machines alarms sensors device devices room rooms area house home timer timers time date
temperature brightness color colour speed position volume mode
"""
_ACTION_WORDS = frozenset(_ACTIONS.split())
_PIECES = """all every everything everywhere any the a an in at to turn switch set please"""
_NEVER_FIRST = frozenset(_PIECES.split())
_NEVER_LAST = frozenset(["on", "off", "open", "closed", "please"])
_JOINING = """and or then not don't never please all every everything everywhere"""
_NEVER_INSIDE = frozenset(_JOINING.split())
COMMAND_WORDS = _ACTION_WORDS | frozenset(_THINGS.split())
"""Words of the built-in sentences. A device of such a name would make an everyday sentence mean that device."""
MOST_OPTIONS = 500
"""Words that selects can be set to, of all devices together."""
MOST_WORDS = 8
"""A name of more words is a description that nobody says."""
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}|[0-9a-f]{12,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not taken, and why. `subject` is a topic or a name, shortened and printable."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Names:
    """What can be said.

    `devices` goes from a name to the ids of all that are called so, in the registry's order; `areas` from what an area
    is called to its name. `options` are what selects can be set to.
    """

    devices: Mapping[str, tuple[str, ...]]
    by_kind: Mapping[Kind, tuple[str, ...]]
    by_capability: Mapping[Capability, tuple[str, ...]]
    areas: Mapping[str, str]
    options: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def unique(self) -> frozenset[str]:
        """Return the names of which each belongs to one device."""
        return frozenset(name for name, owners in self.devices.items() if len(owners) == 1)


def words_of(text: str) -> str:
    """Return a name as words of speech, or nothing: "Küche_Lampe2 💡" is "küche lampe 2"."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    spaced = re.sub(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", " ", plain)
    kept = "".join(letter if _is_kept(letter) else " " for letter in spaced)
    return " ".join(word for raw in kept.split() if (word := raw.strip("'")))


def key_of(text: str) -> str:
    """Return what two spellings of one name have in common, for looking it up."""
    return words_of(text).replace("'", "")


def collect(
    devices: Iterable[Device],
    command_words: frozenset[str] = COMMAND_WORDS,
    *,
    area_aliases: Mapping[str, str] = MappingProxyType({}),
    options: Iterable[str] = (),
) -> Names:
    """Return the names of devices and areas; `area_aliases` go from what an area is called besides to its name."""
    everyone = list(devices)
    called: dict[str, list[Device]] = {}
    left_out: list[LeftOut] = []
    for device in everyone:
        for name, reason in _candidates(device, command_words):
            if reason:
                left_out.append(LeftOut(name[:64] or device.id[:64], reason))
            else:
                called.setdefault(name, []).append(device)
    for name, owners in _short_names(everyone).items():
        if len(owners) == 1 and name not in called and not _why_not(name, command_words):
            called[name] = owners
    areas = {area: area for device in everyone if (area := words_of(device.area or ""))}
    areas |= {
        also: words_of(area) for also, area in area_aliases.items() if words_of(area) in areas and also not in areas
    }
    options = sorted({said for option in options if (said := words_of(option)) and is_readable(said)})
    return Names(
        {name: tuple(device.id for device in owners) for name, owners in called.items()},
        _grouped((name, device.kind) for name, owners in called.items() for device in owners),
        _grouped((name, can) for name, owners in called.items() for device in owners for can in device.capabilities),
        {said: areas[said] for said in sorted(areas) if not _why_not(said, command_words)},
        tuple(options)[:MOST_OPTIONS],
        tuple(left_out),
    )


def _candidates(device: Device, command_words: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield each name once, with the reason why it cannot be one, or nothing."""
    area = words_of(device.area or "")
    seen: set[str] = set()
    for spelled in (device.name, *device.aliases):
        name = words_of(spelled)
        if name in seen:
            continue
        seen.add(name)
        is_address = _ADDRESS.search(spelled) is not None
        yield name, "an address, not a name" if is_address else _why_not(name, command_words)
        longer = f"{area} {name}"
        if area and name and not is_address and not f"{name} ".startswith(f"{area} ") and longer not in seen:
            seen.add(longer)
            yield longer, _why_not(longer, command_words)


def _short_names(devices: Iterable[Device]) -> dict[str, list[Device]]:
    short: dict[str, list[Device]] = {}
    for device in devices:
        area = words_of(device.area or "")
        rests = {words_of(name).removeprefix(f"{area} ") for name in (device.name, *device.aliases)} if area else set()
        for rest in rests - {words_of(device.name), *map(words_of, device.aliases)}:
            short.setdefault(rest, []).append(device)
    return short


def _why_not(name: str, command_words: frozenset[str]) -> str:
    words = name.split()
    if not words:
        return "nothing that can be said is left of it"
    if len(words) > MOST_WORDS:
        return f"more than {MOST_WORDS} words"
    if not is_readable(name):
        return "letters that cannot be spoken"
    if name in command_words or all(word in _ACTION_WORDS for word in words):
        return "words of the commands"
    if words[0] in _NEVER_FIRST or words[-1] in _NEVER_LAST or not _NEVER_INSIDE.isdisjoint(words):
        return "a piece of a sentence, not a name"
    return ""


def _grouped(pairs: Iterable[tuple[str, Group]]) -> dict[Group, tuple[str, ...]]:
    groups: dict[Group, dict[str, None]] = {}
    for name, group in pairs:
        groups.setdefault(group, {})[name] = None
    return {group: tuple(names) for group, names in groups.items()}


def _is_kept(letter: str) -> bool:
    return letter.isalnum() or letter in "' " or unicodedata.combining(letter) > 0
