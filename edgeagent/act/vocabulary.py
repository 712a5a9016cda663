"""What devices are called to the lists that sentence templates name: {light}, {cover}, {area} and so on."""

from collections.abc import Iterable, Mapping

from edgeagent.act.names import Names
from edgeagent.grammar.spoken import spell_out
from edgeagent.messages import Capability, Kind, Value

Lists = Mapping[str, tuple[tuple[str, Value], ...]]

_BY_KIND: Mapping[str, Kind] = {
    "light": "light",
    "switch": "switch",
    "cover": "cover",
    "fan": "fan",
    "media": "media",
    "vacuum": "vacuum",
    "sensor": "sensor",
    "binary_sensor": "binary_sensor",
    "valve": "valve",
    "select": "select",
    "text": "text",
    "panel": "alarm_panel",
}
_BY_CAPABILITY: Mapping[str, Capability] = {
    "switchable": "power",
    "dimmable": "brightness",
    "colorable": "color",
    "lock": "lock",
    "climate": "target_temperature",
    "scene": "activate",
    "machine": "run",
    "alarm": "acknowledge",
    "setpoint": "setpoint",
    "whitable": "color_temperature",
    "tiltable": "tilt",
}


def lists_of(names: Names) -> Lists:
    """Return every list of names; those for which there is no device are empty."""
    lists = {name: _entries(names.by_kind.get(kind, ())) for name, kind in _BY_KIND.items()}
    lists |= {name: _entries(names.by_capability.get(can, ())) for name, can in _BY_CAPABILITY.items()}
    areas = tuple((spoken, name) for said, name in names.areas.items() if (spoken := " ".join(spell_out(said))))
    return lists | {"device": _entries(names.devices), "area": areas, "option": _entries(names.options)}


def _entries(spoken: Iterable[str]) -> tuple[tuple[str, Value], ...]:
    """Pair what is said, numbers spelled out, with the name that the registry knows."""
    return tuple((said, name) for name in spoken if (said := " ".join(spell_out(name))))
