"""What the kernel shows of a board, to the profile that fits it and to the sound hardware that is on it.

Rules:
- the device tree's `compatible` decides, most specific name first; the model's text changes from system to system;
- sound hardware is known by its EEPROM, else by I2C where the owner had that asked, else by the name of its sound
  card, else by the card's driver if it records; an EEPROM that nobody knows says nothing;
- an unknown board is a generic one of its architecture, with a note; a 32-bit system is refused: the libraries that
  compute models are made for 64 bits only.
"""

import platform
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeagent.board.errors import BoardError
from edgeagent.board.nouns import BoardProfile, HatProfile

TREE = Path("sys/firmware/devicetree/base")
"""Not /proc/device-tree: this one is there under every hardening of a unit."""
_CARDS = Path("proc/asound/cards")
_CARD = re.compile(r"^ *(\d{1,2}) \[([^\]]{1,32})\]: ([^\n]{1,80}?) - ([^\n]{1,200})$", re.MULTILINE)
_LONGEST_READ = 16_384
_MOST_HATS = 16
_ARCHITECTURES = {"aarch64": "aarch64", "arm64": "aarch64", "x86_64": "x86_64", "amd64": "x86_64"}

Probe = Callable[[Collection[int]], frozenset[int]]
"""Asks the header's I2C bus which of these addresses answer. Raises BoardError if it cannot be asked."""
Evidence = Literal["eeprom", "i2c", "card", "driver", "owner"]


@dataclass(frozen=True, slots=True)
class Card:
    """A sound card, as the kernel calls it."""

    number: int
    id: str
    driver: str
    name: str
    records: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What the kernel shows of the hardware. `eeproms` are vendor and product of each HAT."""

    architecture: str
    compatible: tuple[str, ...] = ()
    model: str = ""
    eeproms: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    i2c: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class FoundBoard:
    """The profile that fits, and what is to be said of that."""

    profile: BoardProfile
    note: str = ""


@dataclass(frozen=True, slots=True)
class FoundHat:
    """A profile that fits, by what, and the sound card that the kernel made of it."""

    profile: HatProfile
    by: Evidence
    card: Card | None = None


def architecture(machine: str = "", *, is_64_bit: bool = sys.maxsize > 1 << 32) -> str:
    """Return aarch64 or x86_64. Raise BoardError on all else, also where a 64-bit kernel runs 32-bit programs."""
    named = machine or platform.machine()
    known = _ARCHITECTURES.get(named.lower())
    if known is not None and is_64_bit:
        return known
    found = f"a 32-bit system on {named}" if known is not None else (named or "an unknown processor")
    raise BoardError(
        f"this is {found}: edgeagent needs a 64-bit system on ARM (aarch64) or a PC (x86_64)",
        remedy="Flash the 64-bit Raspberry Pi OS; boards older than Raspberry Pi 3 and Zero 2 W cannot run it.",
    )


def nothing_probed(addresses: Collection[int]) -> frozenset[int]:
    """Ask nobody: what is done unless the owner wants the I2C bus asked."""
    del addresses
    return frozenset()


def look(
    root: Path = Path("/"),
    *,
    machine: str = "",
    addresses: Collection[int] = (),
    probe: Probe = nothing_probed,
) -> Seen:
    """Return what is there below `root`; `machine` is as `uname -m` says it, by default here.

    Raise BoardError if the system is no 64-bit one, or I2C cannot be asked.
    """
    tree = root / TREE
    return Seen(
        architecture=architecture(machine),
        compatible=tuple(name for name in _text(tree / "compatible").split("\0") if name),
        model=" ".join(_text(tree / "model").strip("\0").split())[:200],
        eeproms=tuple(_eeproms(tree)),
        cards=tuple(_cards(root)),
        i2c=probe(addresses),
    )


def board_of(seen: Seen, boards: Mapping[str, BoardProfile]) -> FoundBoard:
    """Return the profile that fits. Raise BoardError if there is not even a generic one."""
    by_name = {name: board for board in boards.values() for name in board.match.compatible}
    known = next((by_name[name] for name in seen.compatible if name in by_name), None)
    if known is not None:
        return FoundBoard(known)
    generic = next((one for one in boards.values() if one.match.architecture == seen.architecture), None)
    if generic is None:
        raise BoardError(
            f"no profile for {_described(seen)}, nor a generic one for {seen.architecture}",
            remedy="Write one into /etc/edgeagent/hardware/boards; hardware/README.md says how.",
        )
    if seen.compatible or seen.model:
        return FoundBoard(generic, f"no profile knows {_described(seen)}: it is taken for {generic.id}")
    return FoundBoard(generic)


def hats_of(seen: Seen, hats: Mapping[str, HatProfile]) -> tuple[FoundHat, ...]:
    """Return the sound hardware that is there, best known first, each once."""
    found: dict[str, FoundHat] = {}
    for hat, by in _evidence(seen, hats):
        found.setdefault(hat.id, FoundHat(hat, by, card_of(hat, seen.cards)))
    sure = [one for one in found.values() if one.by != "driver"]
    taken = {one.card for one in sure}
    return (*sure, *(one for one in found.values() if one.by == "driver" and one.card not in taken))


def named_hat(name: str, seen: Seen, hats: Mapping[str, HatProfile]) -> FoundHat:
    """Return the sound hardware that the owner names. Raise BoardError if there is no such profile."""
    if name not in hats:
        raise BoardError(f"no sound hardware {name!r}", remedy=f"Choose one of {', '.join(sorted(hats))}.")
    return FoundHat(hats[name], "owner", card_of(hats[name], seen.cards))


def card_of(hat: HatProfile, cards: Collection[Card]) -> Card | None:
    """Return the sound card that the kernel made of it, if it did."""
    by_name = (card for card in cards if _is_named(card, hat.match.card_names))
    by_driver = (card for card in cards if card.records and card.driver.lower() in hat.match.card_drivers)
    return next(by_name, None) or next(by_driver, None)


def _evidence(seen: Seen, hats: Mapping[str, HatProfile]) -> Iterator[tuple[HatProfile, Evidence]]:
    for hat in hats.values():
        if any(_has_words(eeprom, words) for eeprom in seen.eeproms for words in hat.match.eeprom_products):
            yield hat, "eeprom"
    for hat in hats.values():
        if seen.i2c.intersection(hat.match.i2c_addresses):
            yield hat, "i2c"
    for hat in hats.values():
        if any(_is_named(card, hat.match.card_names) for card in seen.cards):
            yield hat, "card"
    for hat in hats.values():
        if hat.match.card_drivers and card_of(hat, seen.cards) is not None:
            yield hat, "driver"


def _has_words(eeprom: str, words: str) -> bool:
    there = eeprom.lower()
    return all(word in there for word in words.split())


def _is_named(card: Card, names: Collection[str]) -> bool:
    called = f"{card.id} {card.name}".lower()
    return any(name in called for name in names)


def _described(seen: Seen) -> str:
    return f"{seen.model or 'this board'} ({', '.join(seen.compatible[:3]) or 'which names no compatible'})"


def _eeproms(tree: Path) -> Iterator[str]:
    """Yield vendor and product of each HAT; a HAT+ may be one of several, as hat_1 (HAT+ specification)."""
    for folder in sorted(tree.glob("hat*"))[:_MOST_HATS]:
        said = f"{_text(folder / 'vendor')} {_text(folder / 'product')}"
        if said.strip("\0 "):
            yield " ".join(said.replace("\0", " ").split())[:200]


def _cards(root: Path) -> Iterator[Card]:
    for number, identity, driver, name in _CARD.findall(_text(root / _CARDS)):
        records = next((root / "proc/asound").glob(f"card{number}/pcm*c"), None) is not None
        yield Card(int(number), identity.strip(), driver.strip(), name.strip(), records)


def _text(path: Path) -> str:
    """Return what a small file holds, empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_READ).decode("utf-8", "replace")
    except OSError:
        return ""
