"""A list of devices in YAML to the names that sentences can use: a test set brings its own home."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from edgeagent.act import names
from edgeagent.act.vocabulary import Lists, lists_of
from edgeagent.errors import SettingsError
from edgeagent.grammar.commands import read_yaml
from edgeagent.messages import Capability, Device, Kind, Value

_EXAMPLE = "For example - {name: Bed light, kind: light, area: Bedroom}"
CAN: dict[Kind, tuple[Capability, ...]] = {
    "light": ("power", "brightness", "color"),
    "switch": ("power",),
    "cover": ("opening", "position"),
    "lock": ("lock",),
    "climate": ("power", "target_temperature", "mode"),
    "fan": ("power", "speed"),
    "media": ("power", "playback", "volume"),
    "vacuum": ("cleaning",),
    "scene": ("activate",),
    "valve": ("opening",),
    "machine": ("run",),
    "alarm": ("acknowledge",),
    "number": ("setpoint",),
    "sensor": ("reading",),
    "binary_sensor": ("reading",),
}


class Household:
    """Devices that are always there and have told nothing: what planning must know of a home."""

    def __init__(self, devices: Sequence[Device]) -> None:
        """Take the devices."""
        self._devices = {device.id: device for device in devices}
        self.collected = names.collect(devices)
        self._by_key: dict[str, list[str]] = {}
        for name, ids in self.collected.devices.items():
            self._by_key.setdefault(names.key_of(name), []).extend(ids)

    @property
    def lists(self) -> Lists:
        """Return the lists of names."""
        return lists_of(self.collected)

    def everything(self) -> tuple[Device, ...]:
        """Return every device."""
        return tuple(self._devices.values())

    def named(self, name: str, area: str | None = None) -> tuple[Device, ...]:
        """Return the devices that are called so, in that area if one is given."""
        key = names.key_of(name)
        found = dict.fromkeys(self._by_key.get(key, []))
        if not found:  # a label may name what nobody can say, such as curtains that are called "Curtains"
            spelled = ((one, f"{one.area} {one.name}") for one in self._devices.values())
            found = dict.fromkeys(one.id for one, whole in spelled if key in map(names.key_of, (one.name, whole)))
        return self._in(area, (self._devices[one] for one in found))

    def of_kind(self, kind: Kind, area: str | None = None) -> tuple[Device, ...]:
        """Return the devices of that kind, in that area if one is given."""
        return self._in(area, (one for one in self._devices.values() if one.kind == kind))

    def all_devices(self) -> tuple[Device, ...]:
        """Return every device."""
        return tuple(self._devices.values())

    def values(self, device: str) -> Mapping[Capability, Value]:  # noqa: ARG002  # what planning asks for
        """Return nothing: no device has told anything."""
        return {}

    def is_available(self, device: str) -> bool:
        """Tell that every device is there."""
        return device in self._devices

    def _in(self, area: str | None, devices: Iterable[Device]) -> tuple[Device, ...]:
        return tuple(one for one in devices if area is None or names.key_of(one.area or "") == names.key_of(area))


def household(path: Path) -> Household:
    """Return the devices in a file. Raise SettingsError naming the entry that is wrong."""
    return Household([_device(entry, f"{path}[{number}]") for number, entry in enumerate(_read(path))])


def names_of(path: Path | None) -> Lists:
    """Return the lists of names of the devices in a file (`- {name, kind, area}`); none without one.

    Raise SettingsError naming the entry that is wrong.
    """
    devices = [] if path is None else [_device(entry, f"{path}[{number}]") for number, entry in enumerate(_read(path))]
    return lists_of(names.collect(devices))


def _device(entry: Any, where: str) -> Device:
    if not isinstance(entry, dict) or not {"name", "kind"} <= set(entry):
        raise SettingsError(f"{where}: expected {{name, kind, area}}, found {entry!r:.80}", remedy=_EXAMPLE)
    kind, area = entry["kind"], entry.get("area")
    if kind not in get_args(Kind):
        raise SettingsError(f"{where}: kind is one of {', '.join(get_args(Kind))}, not {kind!r:.60}", remedy=_EXAMPLE)
    for said in (entry["name"], area or ""):
        if isinstance(said, bool) or not isinstance(said, str | int | float):
            raise SettingsError(f"{where}: expected a name, found {said!r:.60}", remedy="Put it in quotes.")
    return Device(where, str(entry["name"]), kind, frozenset(CAN[kind]), str(area) if area else None)


def _read(path: Path) -> list[Any]:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", remedy="Name a readable YAML file.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}", remedy="Save the file as UTF-8.") from error
    document = read_yaml(text, str(path))
    if not isinstance(document, list):
        raise SettingsError(f"{path}: expected a list of devices", remedy=_EXAMPLE)
    return document
