"""A list of devices in YAML to the names that sentences can use: a test set brings its own home."""

from pathlib import Path
from typing import Any, get_args

import yaml

from edgeagent.act import names
from edgeagent.act.vocabulary import Lists, lists_of
from edgeagent.errors import SettingsError
from edgeagent.messages import Capability, Device, Kind

_CAN: dict[Kind, tuple[Capability, ...]] = {
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
        raise SettingsError(f"{where}: expected {{name, kind, area}}, found {entry!r:.80}")
    if entry["kind"] not in get_args(Kind):
        raise SettingsError(f"{where}: kind is one of {', '.join(get_args(Kind))}, not {entry['kind']!r}")
    area = entry.get("area")
    return Device(where, str(entry["name"]), entry["kind"], frozenset(_CAN[entry["kind"]]), area and str(area))


def _read(path: Path) -> list[Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", remedy="Name a readable YAML file.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not YAML: {error}", remedy="Mend the line that is named.") from error
    if not isinstance(document, list):
        raise SettingsError(f"{path}: expected a list of devices", remedy="- {name: Bed light, kind: light, area: Bedroom}")
    return document
