"""What may be done by voice at once, what only after a confirmation, and what never.

The rules, in their order:
1. stopping a machine or a moving thing, locking and closing off are always free: nobody is asked before a stop;
2. the owner's class for the device, then the owner's class for the capability;
3. unlocking, opening what lets people or media through, starting a machine, switching a heater on and changing a set
   point are guarded;
4. all else is free.
"""

from collections.abc import Sequence
from typing import Literal

from edgeagent.messages import Action
from edgeagent.settings import ActingSettings, Risk

PASSAGES = frozenset({"garage", "garage_door", "gate", "door"})
_ALWAYS_FREE = frozenset({("run", "stopped"), ("opening", "stopped"), ("cleaning", "stopped"), ("lock", "locked")})


def risk_of(action: Action, settings: ActingSettings) -> Risk:
    """Return the risk class of one action."""
    if (action.capability, action.value) in _ALWAYS_FREE:
        return "free"
    by_device = {name.lower(): risk for name, risk in settings.device_risks.items()}
    if (risk := by_device.get(action.device.name.lower())) is not None:
        return risk
    if (risk := settings.risks.get(action.capability)) is not None:
        return risk
    return "guarded" if _is_guarded(action) else "free"


def worst(actions: Sequence[Action], settings: ActingSettings) -> Risk:
    """Return the highest risk class among the actions."""
    order: tuple[Literal["never", "guarded", "free"], ...] = ("never", "guarded", "free")
    risks = {risk_of(action, settings) for action in actions}
    return next((risk for risk in order if risk in risks), "free")


def _is_guarded(action: Action) -> bool:
    device = action.device
    match action.capability:
        case "lock" | "run" | "setpoint":
            return True
        case "opening" | "position":
            lets_through = device.kind == "valve" or device.device_class in PASSAGES
            return lets_through and action.value not in {"closed", 0, 0.0}
        case "power" | "mode":
            return device.kind == "climate" and action.value != "off"
        case _:
            return False
