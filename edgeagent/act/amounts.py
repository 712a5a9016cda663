"""What a command asks for to the value that one device is ordered to take, in its own unit and range. Pure.

The rules:
- "brighter" and "louder" count from what the device last told; a light that is off counts as 0; a step ends at the
  device's own limits;
- nothing at all (0 percent of brightness or speed) is off;
- degrees are the device's own; converted only where the other scale was said: a guess can move it the wrong way;
- another unit is converted where both measure the same; other units, and a value outside of its range, are refused.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgeagent.messages import Capability, Command, Device, Value

LEAST_BRIGHTNESS = 1.0
"""Dimming does not switch off."""
BRIGHTNESS_WHERE_UNTOLD = 50.0
_PERCENTAGES: frozenset[Capability] = frozenset({"brightness", "position", "tilt", "speed", "volume"})
_PERCENT = (0.0, 100.0)
_ANY = (-math.inf, math.inf)

_UNITS: Mapping[str, frozenset[str]] = {
    "rpm": frozenset({"rpm", "r/min", "1/min"}),
    "bar": frozenset({"bar"}),
    "percent": frozenset({"%", "percent"}),
    "degrees": frozenset({"°c", "°f", "c", "f", "degrees", "celsius", "fahrenheit"}),
    "litres per minute": frozenset({"l/min", "lpm"}),
}
_SIZES: Mapping[str, Mapping[str, float]] = {
    "pressure": {"bar": 1.0, "mbar": 0.001, "psi": 0.0689476, "kpa": 0.01, "pa": 1e-5, "mpa": 10.0, "hpa": 0.001},
    "turning": {"rpm": 1.0, "r/min": 1.0, "1/min": 1.0, "hz": 60.0, "1/s": 60.0},
    "time": {"s": 1.0, "seconds": 1.0, "min": 60.0, "minutes": 60.0, "h": 3600.0, "hours": 3600.0, "ms": 0.001},
    "flow": {"l/min": 1.0, "lpm": 1.0, "litres per minute": 1.0, "m³/h": 16.6667, "l/h": 1 / 60, "gpm": 3.78541},
    "length": {
        "mm": 1.0,
        "millimetres": 1.0,
        "cm": 10.0,
        "centimetres": 10.0,
        "m": 1000.0,
        "metres": 1000.0,
        "in": 25.4,
    },
}
"""What one of each unit is in the first of its kind."""
_CELSIUS = frozenset({"°c", "c", "celsius"})
_FAHRENHEIT = frozenset({"°f", "f", "fahrenheit"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a capability: a value, a step from the value that it has, or a factor of it."""

    capability: Capability
    value: Value
    is_step: bool = False
    is_factor: bool = False


def amount(
    command: Command, device: Device, wish: Wish, told: Mapping[Capability, Value]
) -> tuple[Capability, Value] | str:
    """Return the capability and the value to order, or in words what is wrong with it. `told` is the device's state."""
    capability, value = wish.capability, wish.value
    if isinstance(value, str):
        return capability, value
    if wish.is_step or wish.is_factor:
        before = _before(capability, told)
        if before is None:
            return f"{device.name} has not told its {capability.replace('_', ' ')}"
        low, high = device.ranges.get(capability, _PERCENT if capability in _PERCENTAGES else _ANY)
        least = max(low, LEAST_BRIGHTNESS) if capability == "brightness" else low
        stepped = before * value if wish.is_factor else before + value
        ended = min(high, max(least, round(stepped, 3)))
        is_out = ended == 0 and capability == "speed" and "power" in device.capabilities
        return ("power", "off") if is_out else (capability, ended)
    if value == 0 and capability in {"brightness", "speed"} and "power" in device.capabilities:
        return "power", "off"
    if capability == "target_temperature" or (capability == "setpoint" and command.slot("unit") == "degrees"):
        value = _in_own_degrees(command, device, capability, value)
    elif capability == "setpoint":
        value = _in_own_unit(command, device, value)
    return _complaint(command, device, capability, value) or (capability, value)


def is_dark(wish: Wish, told: Mapping[Capability, Value]) -> bool:
    """Tell whether it would be dimmed but is off: that must not switch it on."""
    less = 0.0 if wish.is_step else 1.0 if wish.is_factor else -1.0
    is_dimmed = wish.capability == "brightness" and isinstance(wish.value, float) and wish.value < less
    return is_dimmed and told.get("power") == "off"


def _before(capability: Capability, told: Mapping[Capability, Value]) -> float | None:
    if capability == "brightness" and told.get("power") == "off":
        return 0.0
    before = told.get(capability, BRIGHTNESS_WHERE_UNTOLD if capability == "brightness" else None)
    return None if isinstance(before, str) else before


def _in_own_degrees(command: Command, device: Device, capability: Capability, value: float) -> float:
    own = device.units.get(capability, "").lower()
    words = set(command.text.split())
    if own in _CELSIUS and "fahrenheit" in words:
        return round((value - 32) / 1.8 * 2) / 2
    if own in _FAHRENHEIT and "celsius" in words:
        return float(round(value * 1.8 + 32))
    return value


def _in_own_unit(command: Command, device: Device, value: float) -> float:
    """Return a value in the device's unit, where the one that was said measures the same."""
    said, own = str(command.slot("unit") or "").lower(), device.units.get("setpoint", "").lower()
    sizes = next((sizes for sizes in _SIZES.values() if said in sizes and own in sizes), None)
    return value if sizes is None or said == own else round(value * sizes[said] / sizes[own], 3)


def _are_convertible(said: str, own: str) -> bool:
    return any(said in sizes and own in sizes for sizes in _SIZES.values())


def _complaint(command: Command, device: Device, capability: Capability, value: float) -> str | None:
    unit, own = command.slot("unit"), device.units.get(capability)
    is_strange = unit is not None and own is not None and own.lower() not in _UNITS.get(str(unit), {str(unit)})
    if is_strange and not _are_convertible(str(unit).lower(), str(own).lower()):
        return f"{device.name} is set in {own}, not in {unit}"
    if capability not in device.ranges:
        return None
    low, high = device.ranges[capability]
    if low <= value <= high:  # false for NaN
        return None
    return f"{device.name} takes {low:g} to {high:g}{f' {own}' if own else ''}, not {value:g}"
