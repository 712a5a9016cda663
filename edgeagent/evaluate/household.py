"""A list of devices in YAML to the names that sentences can use: a test set brings its own home."""

from pathlib import Path
from typing import Any, get_args

from edgeagent.act import names
from edgeagent.act.vocabulary import Lists, lists_of
from edgeagent.errors import SettingsError
from edgeagent.grammar.commands import read_yaml
from edgeagent.messages import Capability, Device, Kind

_EXAMPLE = "For example - {name: Bed light, kind: light, area: Bedroom}"
CAN: dict[Kind, tuple[Capability, ...]] = {
    "light": ("power", "brightness", "color"),
    "switch": ("power",),
    "cover": ("opening", "position"),
    "lock": ("lock",),
    "climate": ("target_temperature", "mode"),
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
