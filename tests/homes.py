"""Real registries fed by real announcements, and talks with them through the real grammar."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.dialogue import Dialogue, Rulings
from edgeagent.act.plan import Plan, Planned, Several, plan
from edgeagent.act.vocabulary import lists_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.messages import Answer, Command, Device, Interpretation, Message, Question, Rejection, Slot, Value
from edgeagent.settings import ActingSettings
from edgeagent.simulate.house import House, house, plant
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed

NOON = datetime(2026, 11, 21, 12, 5, tzinfo=UTC)
SETTINGS = ActingSettings()


def known(*places: House) -> Devices:
    devices = Devices([HomeAssistant()])
    for place in places:
        deliver(devices, place.announcements())
        deliver(devices, place.announcements())  # retained states come again after the subscription
    return devices


def everything() -> Devices:
    return known(house(), plant())


def deliver(devices: Devices, messages: tuple[Message, ...]) -> None:
    for message in messages:
        devices.receive(message.topic, message.payload, 0.0)


def announce(devices: Devices, component: str, key: str, name: str, area: str | None = None, **fields: Any) -> Device:
    config = {"name": None, "uniq_id": key, "stat_t": key, "avty_t": f"{key}/lwt", **fields}
    config["dev"] = {"ids": [key], "name": name} | ({} if area is None else {"sa": area})
    if component not in {"sensor", "binary_sensor"}:
        config.setdefault("cmd_t", f"{key}/set")
    devices.receive(f"homeassistant/{component}/{key}/config", json.dumps(config).encode(), 0.0)
    entity = devices.entity(f"homeassistant:{component}:{key}")
    assert entity is not None, devices.refusals
    return entity.device


def command(intent: str, text: str = "", /, **slots: Value) -> Command:
    return Command("u1", intent, tuple(Slot(name, value, str(value)) for name, value in slots.items()), text, 1, 0.9)


def planned(one: Command, devices: Devices, here: str | None = None, spoken_of: Sequence[str] = ()) -> Planned:
    return plan(one, devices, here, lambda: NOON, spoken_of)


@lru_cache(maxsize=8)
def _interpreter(lists: tuple[tuple[str, tuple[tuple[str, Value], ...]], ...]) -> Interpreter:
    built_in = commands.built_in(("home", "plant")).with_names(dict(lists))
    return Interpreter(compile_commands(built_in), unsure_below=0.5)


class Talk:
    """A person who speaks to a home; the clock stands still unless it is moved."""

    def __init__(
        self,
        devices: Devices,
        *,
        here: str | None = None,
        settings: ActingSettings = SETTINGS,
        rulings: Rulings = lambda _: None,
    ) -> None:
        self.devices = devices
        self.now_s = 100.0
        self._here = here
        self.dialogue = Dialogue(settings, lambda: self.now_s, rulings, devices.values)
        self._count = 0

    @property
    def interpreter(self) -> Interpreter:
        return _interpreter(tuple(lists_of(self.devices.names()).items()))

    def say(self, text: str) -> Planned:
        self._count += 1
        return self.hear(self.interpreter.interpret(typed(f"u{self._count}", text)))

    def hear(self, heard: Interpretation) -> Planned:
        if isinstance(heard, Command):
            return self.obey(heard)
        self.dialogue.misunderstood(heard)
        return heard

    def obey(self, one: Command) -> Planned:
        outcome = self.dialogue.next(
            one, lambda alone: planned(alone, self.devices, self._here, self.dialogue.spoken_of)
        )
        for part in outcome.parts if isinstance(outcome, Several) else (outcome,):
            if isinstance(part, Plan):
                self.dialogue.note(part, self.devices.values)
        return outcome


def orders(outcome: Planned) -> list[tuple[str, str, Value]]:
    assert isinstance(outcome, Plan), outcome
    return [(action.device.name, action.capability, action.value) for action in outcome.actions]


def asked(outcome: Planned) -> tuple[str, ...]:
    assert isinstance(outcome, Question), outcome
    return outcome.choices


def refused(outcome: Planned) -> tuple[str, str]:
    assert isinstance(outcome, Rejection), outcome
    return outcome.reason, outcome.detail


def told(outcome: Planned) -> str:
    assert isinstance(outcome, Answer), outcome
    return outcome.text
