"""What a command asks for to the value that one device is ordered to take, in its own unit and range. Pure.

The rules:
- "brighter" and "louder" count from what the device last told; a light that is off counts as 0;
- nothing at all (0 percent of brightness or speed) is off;
- degrees are the device's own; converted only where the other scale was said: a guess can move it the wrong way;
- another unit than the device's, and a value outside its range, are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeagent.messages import Capability, Command, Device, Value

LEAST_BRIGHTNESS = 1.0
"""Dimming does not switch off."""
BRIGHTNESS_WHERE_UNTOLD = 50.0

_UNITS: Mapping[str, frozenset[str]] = {
    "rpm": frozenset({"rpm", "r/min", "1/min"}),
    "bar": frozenset({"bar"}),
    "percent": frozenset({"%", "percent"}),
    "degrees": frozenset({"°c", "°f", "c", "f", "degrees", "celsius", "fahrenheit"}),
    "litres per minute": frozenset({"l/min", "lpm"}),
}
_CELSIUS = frozenset({"°c", "c", "celsius"})
_FAHRENHEIT = frozenset({"°f", "f", "fahrenheit"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a capability: a value, or a step from the value that it has."""

    capability: Capability
    value: Value
    is_step: bool = False


def amount(
    command: Command, device: Device, wish: Wish, told: Mapping[Capability, Value]
) -> tuple[Capability, Value] | str:
    """Return the capability and the value to order, or in words what is wrong with it. `told` is the device's state."""
    capability, value = wish.capability, wish.value
    if isinstance(value, str):
        return capability, value
    if wish.is_step:
        before = _before(capability, told)
        if before is None:
            return f"{device.name} has not told its {capability}"
        least = LEAST_BRIGHTNESS if capability == "brightness" else 0.0
        return capability, min(100.0, max(least, before + value))
    if value == 0 and capability in {"brightness", "speed"} and "power" in device.capabilities:
        return "power", "off"
    if capability == "target_temperature" or (capability == "setpoint" and command.slot("unit") == "degrees"):
        value = _in_own_degrees(command, device, capability, value)
    return _complaint(command, device, capability, value) or (capability, value)


def is_dark(wish: Wish, told: Mapping[Capability, Value]) -> bool:
    """Tell whether it would be dimmed but is off: that must not switch it on."""
    is_dimmed = wish.capability == "brightness" and wish.is_step and isinstance(wish.value, float) and wish.value < 0
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


def _complaint(command: Command, device: Device, capability: Capability, value: float) -> str | None:
    unit, own = command.slot("unit"), device.units.get(capability)
    if unit is not None and own is not None and own.lower() not in _UNITS.get(str(unit), {str(unit)}):
        return f"{device.name} is set in {own}, not in {unit}"
    if capability not in device.ranges:
        return None
    low, high = device.ranges[capability]
    if low <= value <= high:  # false for NaN
        return None
    return f"{device.name} takes {low:g} to {high:g}{f' {own}' if own else ''}, not {value:g}"
