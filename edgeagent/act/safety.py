"""What may be done by voice at once, what only after a confirmation, and what never.

The rules, in their order:
1. stopping what runs or moves is always free: nobody is asked before a stop, and no rule forbids one;
2. a rule of the house (rules.py): what it refuses is never done; what it asks for is guarded at least;
3. locking is free;
4. the owner's class for the device, then the owner's class for the capability;
5. unlocking, opening what lets people or media through, disarming, starting a machine, switching a heater on and
   changing a set point are guarded;
6. all else is free.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edgeagent.act.names import key_of
from edgeagent.messages import Action, Capability, Device, Risk, Value
from edgeagent.settings import ActingSettings

PASSAGES = frozenset({"garage", "garage_door", "gate", "door"})
"""Device classes of covers that keep people out. A cover without a class goes by the words of its names and area."""
_RELEASES = PASSAGES | {"unlock", "lock", "opener", "valve"}
"""Words in the name of a scene or a button that may let people or media through: what it does, nobody tells us."""
_STOPS: frozenset[tuple[Capability, Value]] = frozenset(
    {("run", "stopped"), ("opening", "stopped"), ("cleaning", "stopped")}
)
Effect = Literal["refuse", "ask"]
_LAST_WORDS = [[word] for word in sorted(_RELEASES)]
"""A switch whose name ends so is taken for what it names: a gate opener, a main valve; a garage light is a light."""
_BY_SEVERITY: tuple[Literal["never", "guarded", "free"], ...] = ("never", "guarded", "free")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules of the house say of an action: by which rule, and what the person is told."""

    rule: str
    effect: Effect
    say: str


def is_stop(capability: Capability, value: Value) -> bool:
    """Tell whether this stops something: never asked about, and tried even where the device says that it is away."""
    return (capability, value) in _STOPS


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to happen with an action, and why in words. `say` is what a rule wants the person to be told."""

    risk: Risk
    because: str
    rule: str = ""
    say: str = ""


def decide(action: Action, settings: ActingSettings, ruling: Ruling | None = None) -> Decision:
    """Return what is to happen with an action on which the house's rules have said this."""
    if is_stop(action.capability, action.value):
        return Decision("free", "a stop is always free")
    if ruling is not None and ruling.effect == "refuse":
        return Decision("never", f'the rule "{ruling.rule}" refuses it', ruling.rule, ruling.say)
    own = _by_class(action, settings)
    if ruling is not None and own.risk == "free":
        return Decision("guarded", f'the rule "{ruling.rule}" asks first', ruling.rule, ruling.say)
    return own


def risk_of(action: Action, settings: ActingSettings) -> Risk:
    """Return the risk class of an action on which no rule of the house says anything."""
    return decide(action, settings).risk


def worst(decisions: Iterable[Decision]) -> Decision:
    """Return the first of the severest decisions; free where there is none."""
    everyone = list(decisions)
    chosen = (one for risk in _BY_SEVERITY for one in everyone if one.risk == risk)
    return next(chosen, Decision("free", "there is nothing to decide"))


def _by_class(action: Action, settings: ActingSettings) -> Decision:
    if (action.capability, action.value) == ("lock", "locked"):
        return Decision("free", "locking is free")
    if (risk := _of_device(action.device, settings)) is not None:
        return Decision(risk, f"its owner has made {action.device.name} {risk}")
    if (risk := settings.risks.get(action.capability)) is not None:
        return Decision(risk, f"its owner has made {action.capability} {risk}")
    if _is_guarded(action):
        return Decision("guarded", f"{action.capability} of {action.device.name} is guarded")
    return Decision("free", f"{action.capability} is free")


def names_of(device: Device) -> frozenset[str]:
    """Return the keys of everything that a device is called, with its area and without."""
    names = {key_of(name) for name in (device.name, *device.aliases)}
    return frozenset(names | ({key_of(f"{device.area} {name}") for name in names} if device.area else set()))


def _of_device(device: Device, settings: ActingSettings) -> Risk | None:
    """Return the owner's class for the device or any of its names, the severest where there are several."""
    names = names_of(device)
    risks = {risk for name, risk in settings.device_risks.items() if key_of(name) in names}
    risks |= {device.risk} if device.risk is not None else set()
    return next((risk for risk in _BY_SEVERITY if risk in risks), None)


def _is_guarded(action: Action) -> bool:
    device = action.device
    match action.capability:
        case "lock" | "run" | "setpoint":
            return True
        case "opening" | "position":
            return action.value not in {"closed", 0} and (device.kind == "valve" or _is_passage(device))
        case "power" | "mode" if device.kind == "climate":
            return action.value != "off"
        case "power":
            return device.kind == "switch" and action.value == "on" and key_of(device.name).split()[-1:] in _LAST_WORDS
        case "arming":
            return action.value == "disarmed"
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
