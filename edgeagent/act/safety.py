"""What may be done by voice at once, what only after a confirmation, and what never.

The rules, in their order:
1. stopping what runs or moves, and locking, are always free: nobody is asked before a stop;
2. the owner's class for the device, then the owner's class for the capability;
3. unlocking, opening what lets people or media through, starting a machine, switching a heater on and changing a set
   point are guarded;
4. all else is free.
"""

from collections.abc import Sequence
from typing import Literal

from edgeagent.act.names import key_of
from edgeagent.messages import Action, Capability, Device, Value
from edgeagent.settings import ActingSettings, Risk

PASSAGES = frozenset({"garage", "garage_door", "gate", "door"})
"""Device classes of covers that keep people out. A cover without a class goes by the words of its names and area."""
_RELEASES = PASSAGES | {"unlock", "lock", "opener", "valve"}
"""Words in the name of a scene or a button that may let people or media through: what it does, nobody tells us."""
_STOPS: frozenset[tuple[Capability, Value]] = frozenset(
    {("run", "stopped"), ("opening", "stopped"), ("cleaning", "stopped")}
)
_BY_SEVERITY: tuple[Literal["never", "guarded", "free"], ...] = ("never", "guarded", "free")


def is_stop(capability: Capability, value: Value) -> bool:
    """Tell whether this stops something: never asked about, and tried even where the device says that it is away."""
    return (capability, value) in _STOPS


def risk_of(action: Action, settings: ActingSettings) -> Risk:
    """Return the risk class of one action."""
    if is_stop(action.capability, action.value) or (action.capability, action.value) == ("lock", "locked"):
        return "free"
    if (risk := _of_device(action.device, settings)) is not None:
        return risk
    if (risk := settings.risks.get(action.capability)) is not None:
        return risk
    return "guarded" if _is_guarded(action) else "free"


def worst(actions: Sequence[Action], settings: ActingSettings) -> Risk:
    """Return the highest risk class among the actions."""
    risks = {risk_of(action, settings) for action in actions}
    return next((risk for risk in _BY_SEVERITY if risk in risks), "free")


def _of_device(device: Device, settings: ActingSettings) -> Risk | None:
    """Return the owner's class for any of the device's names, the severest where there are several."""
    names = {key_of(name) for name in (device.name, *device.aliases)}
    names |= {key_of(f"{device.area} {name}") for name in names} if device.area else set()
    risks = {risk for name, risk in settings.device_risks.items() if key_of(name) in names}
    return next((risk for risk in _BY_SEVERITY if risk in risks), None)


def _is_guarded(action: Action) -> bool:
    device = action.device
    match action.capability:
        case "lock" | "run" | "setpoint":
            return True
        case "opening" | "position":
            return action.value not in {"closed", 0} and (device.kind == "valve" or _is_passage(device))
        case "power" | "mode":
            return device.kind == "climate" and action.value != "off"
        case "activate":
            return device.kind == "machine" or bool(_RELEASES & set(key_of(device.name).split()))
        case _:
            return False


def _is_passage(device: Device) -> bool:
    if device.device_class is not None:
        return device.device_class in PASSAGES
    called = (device.name, *device.aliases, device.area or "")
    words = {word for name in called for word in key_of(name).split()}
    return any(word.startswith(tuple(PASSAGES)) for word in words)  # garagedoor and gates, too
