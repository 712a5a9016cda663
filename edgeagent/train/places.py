"""Made-up homes and plants: random names of devices and areas, so that a model does not learn names by heart."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from edgeagent.act import names
from edgeagent.act.vocabulary import Lists, lists_of
from edgeagent.errors import SettingsError
from edgeagent.evaluate.household import CAN
from edgeagent.grammar.commands import read_yaml
from edgeagent.messages import Device, Kind

MOST_OF_A_KIND = 4
_AT_HOME: tuple[Kind, ...] = (
    *("light", "light", "switch", "cover", "lock", "climate", "fan", "media", "vacuum"),
    *("scene", "sensor", "binary_sensor"),
)
_AT_A_PLANT: tuple[Kind, ...] = ("machine", "machine", "valve", "alarm", "number", "sensor", "light")


@dataclass(frozen=True, slots=True)
class NameStock:
    """What names are made of: areas by place, and for each kind first and last parts and whole names."""

    areas: Mapping[str, Sequence[str]]
    things: Mapping[str, Mapping[str, Sequence[str]]]


def load_names(path: Path) -> NameStock:
    """Return the stock in a YAML file. Raise SettingsError if it has another form."""
    try:
        document = read_yaml(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", remedy="Name a readable YAML file.") from error
    if not isinstance(document, dict) or set(document) != {"areas", "things"}:
        raise SettingsError(
            f"{path}: expected the keys areas and things", remedy="See models/recipes/english/names.yaml."
        )
    things: Any = document["things"]
    for kind, parts in things.items():
        if kind not in get_args(Kind) or set(parts) != {"first", "last", "whole"}:
            raise SettingsError(f"{path}: {kind}: expected a kind of device with first, last and whole", remedy="")
    return NameStock(document["areas"], things)


def random_place(stock: NameStock, random_: random.Random, *, is_plant: bool) -> Lists:
    """Return the lists of names of a home or a plant that nobody has."""
    areas = random_.sample(list(stock.areas["plant" if is_plant else "home"]), k=random_.randint(3, 9))
    devices = []
    for kind in _AT_A_PLANT if is_plant else _AT_HOME:
        for number in range(random_.randint(1, MOST_OF_A_KIND)):
            name = _name(stock.things[kind], random_)
            area = random_.choice(areas) if random_.random() < 0.85 else None
            devices.append(Device(f"{kind}{number}{name}", name, kind, frozenset(CAN[kind]), area))
    return lists_of(names.collect(devices))


def _name(parts: Mapping[str, Sequence[str]], random_: random.Random) -> str:
    if random_.random() < 0.4:
        return random_.choice(parts["whole"])
    return f"{random_.choice(parts['first'])} {random_.choice(parts['last'])}"
