"""Questions about state to answers in words, from what the devices last told."""

from collections.abc import Callable, Mapping, Sequence

from edgeagent.messages import Capability, Device, Value

Values = Callable[[str], Mapping[Capability, Value]]

_ASKED: Sequence[Capability] = ("power", "opening", "lock", "run", "playback", "cleaning", "reading")
_SPOKEN_STATES: Mapping[str, str] = {"shut": "closed", "playing": "playing", "running": "running"}
_DEVICE_CLASS_WORDS: Mapping[str, tuple[str, str]] = {
    "door": ("open", "closed"),
    "garage_door": ("open", "closed"),
    "window": ("open", "closed"),
    "opening": ("open", "closed"),
    "lock": ("unlocked", "locked"),
    "motion": ("seeing motion", "quiet"),
    "occupancy": ("occupied", "empty"),
    "moisture": ("wet", "dry"),
    "smoke": ("seeing smoke", "clear"),
    "battery": ("low", "charged"),
    "running": ("running", "stopped"),
    "problem": ("in trouble", "fine"),
}


def state_of(devices: Sequence[Device], asked: str, values: Values) -> str | None:
    """Answer "is it …?" for one device, or "how is it?" where nothing particular was asked; None if nobody knows."""
    if not devices:
        return None
    device = devices[0]
    told = values(device.id)
    states = [_in_words(device, capability, told[capability]) for capability in _ASKED if capability in told]
    if not states:
        return f"{device.name} has not said." if asked else None
    if not asked:
        return f"{device.name} is {states[0]}."
    wanted = _SPOKEN_STATES.get(asked, asked)
    if wanted in states:
        return f"Yes, {device.name} is {asked}."
    return f"No, {device.name} is {states[0]}."


def reading(devices: Sequence[Device], quantity: str, values: Values, here: str | None) -> str | None:
    """Answer "what is the temperature?": of the devices, the one that measures it, here first; None if none does."""
    measuring = [device for device in devices if _measures(device, quantity) and "reading" in values(device.id)]
    measuring.sort(key=lambda device: here is None or (device.area or "").casefold() != here.casefold())
    if not measuring:
        return _from_climate(devices, quantity, values)
    device = measuring[0]
    value, unit = values(device.id)["reading"], device.units.get("reading", "")
    return f"{device.name}: {value:g} {unit}".rstrip() + "." if isinstance(value, float) else f"{device.name}: {value}."


def _from_climate(devices: Sequence[Device], quantity: str, values: Values) -> str | None:
    for device in devices:
        value = values(device.id).get("target_temperature")
        if quantity in {"", "temperature"} and device.kind == "climate" and value is not None:
            return f"{device.name} is set to {value:g} degrees." if isinstance(value, float) else None
    return None


def _measures(device: Device, quantity: str) -> bool:
    if "reading" not in device.capabilities:
        return False
    return not quantity or quantity == device.device_class or quantity in device.name.casefold()


def _in_words(device: Device, capability: Capability, value: Value) -> str:
    words = _DEVICE_CLASS_WORDS.get(device.device_class or "")
    if capability == "reading" and words is not None and value in {"on", "off"}:
        return words[0 if value == "on" else 1]
    return f"{value:g}" if isinstance(value, float) else str(value)
