"""The owner's file about the house: what devices are called, where they stand, their risks, and rules. YAML to values.

    devices:
      - is: Shelly 3EM                    # what it calls itself, or its id; with `in` its area, where two are called so
        name: Workshop fan
        area: Workshop
        aliases: [big fan]
      - {is: Server plug, by_voice: never}
      - {is: Boiler, risk: guarded, safe: {power: "off"}}
    areas:
      Living room: [lounge, front room]   # what else an area is called
    rules:
      - rule: The press stands still while its door is open
        orders: {devices: [Press], to: [running]}
        while: [{device: Press door, is: open}]
      - rule: No music at night
        orders: {kinds: [media], to: [playing]}
        hours: 22:00-07:00
        days: [sunday, monday, tuesday, wednesday, thursday]
        then: ask
      - rule: Nobody opens the garage from the terrace
        orders: {devices: [Garage door], to: [open]}
        spoken_in: [Terrace]

Rules of the file: what is wrong in it is an error with its place; a device that is not there (yet) is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edgeagent.act.names import key_of, words_of
from edgeagent.act.rules import Holds, Orders, Rule
from edgeagent.act.safety import Effect, names_of
from edgeagent.errors import SettingsError
from edgeagent.files import read_text
from edgeagent.grammar.commands import read_yaml
from edgeagent.messages import Capability, Device, Kind, Risk, Value
from edgeagent.strict import Strict

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_DAYS: tuple[Day, ...] = get_args(Day)
_EXAMPLE = "For example - {is: Kettle, name: Tea kettle, area: Kitchen}; see `edgeagent/act/household.py`."


def _sayable(name: str) -> str:
    if not words_of(name):
        raise ValueError("nothing that can be said is left of it")
    return name


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_sayable)]


QUOTES = "put it into quotes: without them YAML takes on, off, yes and no for truth values"


def _no_truth(value: object) -> object:
    """YAML takes on, off, yes and no for truth values, and pydantic those for numbers."""
    if isinstance(value, bool):
        raise ValueError(QUOTES)  # noqa: TRY004 - pydantic turns ValueError into a complaint
    return value


Number = Annotated[float, BeforeValidator(_no_truth)]
Said = Annotated[str | float, BeforeValidator(_no_truth)]
Names = Annotated[tuple[Name, ...], Field(max_length=64)]


class _Form(Strict):
    """An entry of the file; a list may stand for a tuple."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SaidDevice(_Form):
    """What the owner says of one device."""

    is_: Annotated[str, Field(alias="is", min_length=1, max_length=300)]
    in_: Annotated[str | None, Field(alias="in")] = None
    name: Name | None = None
    area: Name | None = None
    aliases: Annotated[tuple[Name, ...], Field(max_length=16)] = ()
    risk: Risk | None = None
    by_voice: Literal["yes", "never"] = "yes"
    safe: Annotated[dict[Capability, Said], Field(max_length=8)] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, entry: Any) -> Any:
        """YAML takes yes and no for truth values."""
        if isinstance(entry, dict) and isinstance(entry.get("by_voice"), bool):
            return {**entry, "by_voice": "yes" if entry["by_voice"] else "never"}
        return entry


class _Orders(_Form):
    devices: Names = ()
    kinds: tuple[Kind, ...] = ()
    areas: Names = ()
    capabilities: tuple[Capability, ...] = ()
    to: Annotated[tuple[Said, ...], Field(max_length=64)] = ()


class _State(_Form):
    device: Annotated[str, Field(min_length=1, max_length=300)]
    is_: Annotated[str | tuple[str, ...] | None, Field(alias="is")] = None
    above: Number | None = None
    below: Number | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "_State":
        has_number = self.above is not None or self.below is not None
        if not (self.is_ or has_number) or (self.is_ is not None and has_number):
            raise ValueError("expected `is` with a word, or `above`, `below` or both with numbers")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError("expected `above` to be less than `below`")
        return self


class _Rule(_Form):
    rule: Annotated[str, Field(min_length=1, max_length=200)]
    orders: _Orders
    while_: Annotated[tuple[_State, ...], Field(alias="while", max_length=16)] = ()
    hours: Annotated[str | None, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")] = None
    days: tuple[Day, ...] = ()
    spoken_in: Names = ()
    then: Effect = "refuse"
    say: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _can_apply(self) -> "_Rule":
        begins, _, ends = (self.hours or "").partition("-")
        if self.hours is not None and begins == ends:
            raise ValueError("hours: expected an end that is not the beginning; leave it out for all day")
        return self


class _File(_Form):
    devices: tuple[SaidDevice, ...] = ()
    areas: dict[Name, Names] = Field(default_factory=dict)
    rules: tuple[_Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Household:
    """What the owner has said. `areas` goes from what an area is called besides to its name."""

    devices: tuple[SaidDevice, ...] = ()
    areas: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def as_said(self, device: Device) -> Device | None:
        """Return a device as its owner sees it; None if it is not for speech. What is said later wins."""
        found = device
        for said in self.devices:
            if not _is_meant(said, device):
                continue
            if said.by_voice == "never":
                return None
            name = said.name or found.name
            own = () if said.name is None or said.name == device.name else (device.name,)
            found = replace(
                found,
                name=name,
                area=said.area or found.area,
                aliases=tuple(dict.fromkeys((*found.aliases, *own, *said.aliases))),
                risk=said.risk or found.risk,
            )
        return found

    def safe_states(self, device: Device) -> Mapping[Capability, Value]:
        """Return what a device is to be put into when orders come in a storm."""
        states: dict[Capability, Value] = {}
        for said in self.devices:
            is_there = said.in_ is None or said.area is not None or key_of(said.in_) == key_of(device.area or "")
            is_so = said.is_ == device.id or key_of(said.is_) in names_of(device)
            if is_so and (is_there or said.is_ == device.id):
                states.update(said.safe)
        return states


NOTHING_SAID = Household()


def load(path: Path) -> Household:
    """Read the file. Raise SettingsError naming the entry and the field that is wrong."""
    return parse(read_text(path, "Name a readable file: [acting] house_file."), str(path))


def parse(text: str, name: str) -> Household:
    """Make it of a YAML text; `name` is the file's name in messages. Raise SettingsError as `load` does."""
    document = read_yaml(text, name)
    try:
        file = _File.model_validate({} if document is None else document)
    except ValidationError as error:
        raise SettingsError(f"{name}: {_complaint(error)}", remedy=_EXAMPLE) from error
    areas: dict[str, str] = {}
    for area, others in file.areas.items():
        for other in others:
            if areas.setdefault(words_of(other), area) != area:
                taken = areas[words_of(other)]
                remedy = "Call one of them otherwise."
                raise SettingsError(f"{name}: areas: {other!r} is {taken!r} and {area!r}", remedy=remedy)
    return Household(file.devices, areas, tuple(_rule(rule, areas) for rule in file.rules))


def _complaint(error: ValidationError) -> str:
    details = error.errors(include_url=False)[0]
    parts: list[str] = []
    for part in details["loc"]:
        if isinstance(part, int) and parts:
            parts[-1] += f"[{part + 1}]"
        elif str(part) not in {"str", "float"} and not str(part).startswith(("tuple[", "function-")):
            parts.append(str(part).removesuffix("_"))
    found = details["input"]
    shown = "" if isinstance(found, dict | list) or details["type"] == "missing" else f", found {found!r:.60}"
    message = details["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if details["type"] == "extra_forbidden":
        return f"{'.'.join(parts)}: is not known here"
    return f"{'.'.join(parts) or 'the whole'}: {message}{shown}"


def _is_meant(said: SaidDevice, device: Device) -> bool:
    if said.is_ == device.id:
        return True
    if said.in_ is not None and key_of(said.in_) != key_of(device.area or ""):
        return False
    return bool(key_of(said.is_)) and key_of(said.is_) in {key_of(name) for name in (device.name, *device.aliases)}


def _rule(told: _Rule, areas: Mapping[str, str]) -> Rule:
    def keys(names: tuple[str, ...]) -> frozenset[str]:
        return frozenset(key_of(areas.get(words_of(name), name)) for name in names)

    orders = Orders(
        frozenset(known for one in told.orders.devices for known in (one, key_of(one))),
        frozenset(told.orders.kinds),
        keys(told.orders.areas),
        frozenset(told.orders.capabilities),
        frozenset(one.lower() if isinstance(one, str) else f"{one:g}" for one in told.orders.to),
    )
    begins, _, ends = (told.hours or "").partition("-")
    return Rule(
        told.rule,
        orders,
        told.then,
        tuple(_state(state) for state in told.while_),
        (time.fromisoformat(begins), time.fromisoformat(ends)) if told.hours else None,
        frozenset(_DAYS.index(day) for day in told.days),
        keys(told.spoken_in),
        told.say,
    )


def _state(told: _State) -> Holds:
    words = () if told.is_ is None else (told.is_,) if isinstance(told.is_, str) else told.is_
    return Holds(told.device, frozenset(word.lower() for word in words), told.above, told.below)
