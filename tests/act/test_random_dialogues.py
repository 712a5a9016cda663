"""Ten thousand dialogues of anything that anybody may say: nothing guarded is ever done without a plain yes to it.

What is guarded stands here again, device by device, written from the rules and not from the code that applies them.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import pytest
from homes import announce, deliver, known, planned
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Order
from edgeagent.act.dialogue import Dialogue
from edgeagent.act.plan import Later, Plan, Planned, Several
from edgeagent.act.safety import Ruling
from edgeagent.act.vocabulary import lists_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.messages import Action, Command, Interpretation, Question, Rejection, Value
from edgeagent.settings import ActingSettings
from edgeagent.simulate.house import House, house, plant
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed

SETTINGS = ActingSettings()
NOISE = ""
GAPS_S = (0.5, 1.0, 3.0, 9.9, 10.1, 30.0, 130.0, 700.0)
GAP_WEIGHTS = (8, 8, 4, 2, 2, 1, 1, 1)
ASKED_BY_A_RULE, REFUSED_BY_A_RULE = "Kettle", "Coolant pump"

Way = Callable[[str, Value], bool]


def _opens(capability: str, value: Value) -> bool:
    return (capability == "opening" and value == "open") or (capability == "position" and value != 0)


OUGHT_TO_BE_CONFIRMED: Mapping[str, Way] = {
    "Front door": lambda capability, value: (capability, value) == ("lock", "unlocked"),
    "Heater": lambda capability, value: capability in {"power", "mode"} and value != "off",
    "Conveyor": lambda capability, value: (capability, value) == ("run", "running"),
    "Coolant pump": lambda capability, value: (capability, value) == ("run", "running"),
    "Inlet valve": _opens,
    "Garage door": _opens,
    "Yard gate": _opens,
    "Line speed": lambda capability, _: capability == "setpoint",
    "House alarm": lambda capability, value: (capability, value) == ("arming", "disarmed"),
    "Door opener": lambda capability, _: capability == "activate",
    "Cutter": lambda capability, _: capability == "activate",
    "Kettle": lambda capability, value: (capability, value) == ("power", "on"),  # a rule of the house asks first
}
AFFIRMS = re.compile(
    r"(please )?(yes|yeah|okay|ok|yep|yup|sure|correct|affirmative|do it|go ahead|go for it|i'm sure|i am sure"
    r"|of course|that's right|that is right|that's correct|confirm|i confirm)\b"
    r"( (please|do it|go ahead|that's right|do that|i'm sure|i am sure|of course|it|that))*"
)
PRONE = (
    "unlock the front door", "turn on the bedroom heater", "turn on the heater", "set the bathroom heater to heat",
    "start the conveyor", "start the coolant pump", "open the inlet valve", "set the line speed to nine hundred",
    "open the garage door", "open the yard gate", "disarm the house alarm", "activate the door opener",
    "start the cutter", "turn on the kettle", "turn off the kettle", "turn off the bedroom heater", "open everything",
    "turn on all the heaters", "lock the front door", "close the garage door", "stop the conveyor",
    "set the garage door to forty percent", "turn on the kitchen light", "close the inlet valve",
)  # fmt: skip
ANSWERS = (
    "yes", "yes", "yes", "yes please", "okay do it", "go ahead", "confirm", "no", "no thanks", "never mind",
    "the bedroom one", "the bathroom one", "in the bedroom", "the front door", "the garage door", NOISE, NOISE,
    "purple monkey dishwasher", "yes and unlock the front door", "yes open the garage door", "no the bathroom",
    "no the garage door", "i meant the kettle", "sorry the conveyor", "undo that", "put it back the way it was",
    "turn it on", "turn it off", "open it", "close it", "unlock it", "start it", "stop", "stop it", "emergency stop",
    "for ten minutes", "in ten minutes", "for one second", "do the same in the bathroom", "the bathroom too",
    "also the garage door", "what is planned", "cancel all plans", "set it to fifty percent", "turn it up",
)  # fmt: skip
TIMES = ("in ten minutes", "for ten minutes", "at seven", "tomorrow at eight", "in an hour", "for half an hour")


@dataclass
class Home:
    """Both virtual houses, and what else lets somebody in; they answer orders as soon as these are given."""

    devices: Devices
    houses: tuple[House, ...]
    interpreter: Interpreter
    understood: dict[str, Interpretation] = field(default_factory=dict)

    def hear(self, uid: str, text: str) -> Interpretation:
        if text == NOISE:
            return Rejection(uid, "not-speech-we-know")
        if text not in self.understood:
            self.understood[text] = self.interpreter.interpret(typed("u", text))
        heard = self.understood[text]
        if isinstance(heard, Command):
            return replace(heard, utterance=uid, then=tuple(replace(one, utterance=uid) for one in heard.then))
        return heard

    def carry_out(self, action: Action) -> None:
        entity = self.devices.entity(action.device.id)
        order = None if entity is None else entity.order(action.capability, action.value)
        for message in order.messages if isinstance(order, Order) else ():
            for one in self.houses:
                deliver(self.devices, tuple(told for _, told in one.receive(message.topic, message.payload)))


@lru_cache(maxsize=1)
def home() -> Home:
    houses = (house(), plant())
    devices = known(*houses)
    announce(devices, "cover", "garage", "Garage door", "Garage", dev_cla="garage", pos_t="g/p", set_pos_t="g/s")
    announce(devices, "cover", "gate", "Yard gate", "Garden")
    announce(devices, "alarm_control_panel", "alarm", "House alarm", "Hall")
    announce(devices, "button", "opener", "Door opener", "Hall")
    announce(devices, "button", "cutter", "Cutter", "Hall one", edgeagent_kind="machine")
    built_in = commands.built_in(("home", "plant")).with_names(lists_of(devices.names()))
    return Home(devices, houses, Interpreter(compile_commands(built_in), unsure_below=0.5))


@lru_cache(maxsize=2)
def sentences(count: int) -> tuple[str, ...]:
    """Of the grammar, of several orders, with times and corrections, and with a word lost."""
    draw, grammar = random.Random(7), home().interpreter.automaton  # noqa: S311 - a sample

    def one() -> str:
        return draw.choice(PRONE) if draw.random() < 0.5 else " ".join(grammar.generate(draw))

    made = []
    for _ in range(count):
        kind, text = draw.random(), one()
        if kind < 0.15:
            text = f"{text} and {one()}"
        elif kind < 0.20:
            text = f"{text} and {one()} and then {one()}"
        elif kind < 0.35:
            text = f"{text} {draw.choice(TIMES)}"
        elif kind < 0.40:
            text = f"{draw.choice(TIMES)} {text} and {one()} {draw.choice(TIMES)}"
        elif kind < 0.45:
            text = f"{text} no wait {one()}"
        elif kind < 0.50:
            words = text.split()
            del words[draw.randrange(len(words))]
            text = " ".join(words) or "yes"
        made.append(text)
    return tuple(made)


class Talk:
    """A dialogue, beside the oracle that sees only what was said, when, and what came of it."""

    def __init__(self, place: Home, counts: Counter[str]) -> None:
        self.home = place
        self.counts = counts
        self.now_s = 0.0
        self.is_refused = False
        self.dialogue = Dialogue(SETTINGS, lambda: self.now_s, self._ruling, place.devices.values)
        self._asked: Question | None = None
        self._asked_s = 0.0
        self._said = 0
        self.so_far: list[str] = []
        self.confirmed: set[str] = set()

    @property
    def is_asked(self) -> bool:
        return self._asked is not None

    def _ruling(self, action: Action) -> Ruling | None:
        if action.device.name == ASKED_BY_A_RULE and action.value == "on":
            return Ruling("somebody is in the kitchen", "ask", "")
        if self.is_refused and action.device.name == REFUSED_BY_A_RULE and action.capability == "run":
            return Ruling("no coolant", "refuse", "There is no coolant.")
        return None

    def say(self, text: str) -> None:
        self._said += 1
        self.so_far.append(f"{self.now_s:g} {text!r}")
        heard = self.home.hear(f"u{self._said}", text)
        if not isinstance(heard, Command):
            self.dialogue.misunderstood(heard)
            self._asked = self._asked if text == NOISE else None
            return
        found = self.dialogue.next(heard, lambda one: planned(one, self.home.devices, None, self.dialogue.spoken_of))
        parts = found.parts if isinstance(found, Several) else (found,)
        self._judge(text, parts)
        for part in parts:
            if isinstance(part, Plan):
                self.dialogue.note(part, self.home.devices.values)
                for action in part.actions:
                    self.home.carry_out(action)
        last = parts[-1]
        self._asked = last if isinstance(last, Question) and last.kind == "confirm" else None
        self._asked_s = self.now_s
        self.counts["asked"] += self._asked is not None

    def _judge(self, text: str, parts: Sequence[Planned]) -> None:
        is_yes = self._asked is not None and AFFIRMS.fullmatch(text) is not None
        in_time = self.now_s - self._asked_s <= SETTINGS.confirm_within_s
        for number, part in enumerate(parts):
            for action in _actions(part):
                self.counts["actions"] += 1
                assert not (
                    self.is_refused and action.device.name == REFUSED_BY_A_RULE and action.value == "running"
                ), f"a rule refuses {action}: {self.so_far}"
                if not _ought_to_be_confirmed(action):
                    continue
                is_about_it = self._asked is not None and _is_named(action, self._asked.prompt)
                assert is_yes, f"nobody said yes to {action}: {self.so_far}"
                assert in_time, f"too late for {action}: {self.so_far}"
                assert is_about_it, f"{self._asked} is not about {action}: {self.so_far}"
                assert number == 0, f"{action} comes after what was said yes to: {self.so_far}"
                self.counts["confirmed"] += 1
                self.confirmed.add(action.device.name)


def _actions(part: Planned) -> Iterator[Action]:
    match part:
        case Plan(actions=actions):
            yield from actions
        case Later(plan=plan, ends=ends):
            yield from (*plan.actions, *ends)
        case Several(parts=parts):
            for one in parts:
                yield from _actions(one)


def _ought_to_be_confirmed(action: Action) -> bool:
    way = OUGHT_TO_BE_CONFIRMED.get(action.device.name)
    return action.value != "stopped" and way is not None and way(action.capability, action.value)


def _is_named(action: Action, prompt: str) -> bool:
    return action.device.name.lower() in prompt.lower() or " more" in prompt


def talk(seed: int, pool: Sequence[str], counts: Counter[str]) -> None:
    draw = random.Random(seed)  # noqa: S311 - a sample
    person = Talk(home(), counts)
    for _ in range(draw.randrange(4, 12)):
        person.now_s += draw.choices(GAPS_S, GAP_WEIGHTS)[0]
        person.is_refused = draw.random() < 0.2
        answers = 0.75 if person.is_asked else 0.35
        person.say(draw.choice(ANSWERS) if draw.random() < answers else draw.choice(pool))
    counts["dialogues"] += 1


def check(dialogues: int, pool: Sequence[str], first_seed: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(first_seed, first_seed + dialogues):
        talk(seed, pool, counts)
    print(dict(counts))  # noqa: T201 - how much was tried: pytest -s
    assert counts["dialogues"] == dialogues
    assert counts["confirmed"] > 100, "too little was confirmed to prove anything"
    assert counts["actions"] > counts["confirmed"]


def test_in_ten_thousand_dialogues_nothing_guarded_is_done_without_a_yes() -> None:
    check(10_000, sentences(3_000), first_seed=1)


@pytest.mark.slow
def test_in_a_hundred_thousand_dialogues_nothing_guarded_is_done_without_a_yes() -> None:
    check(100_000, sentences(20_000), first_seed=1_000_000)


@how(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PRONE + ANSWERS), st.sampled_from(GAPS_S), st.booleans()), max_size=8))
def test_no_short_dialogue_does_what_is_guarded_without_a_yes(steps: list[tuple[str, float, bool]]) -> None:
    person = Talk(home(), Counter())
    for text, gap_s, is_refused in steps:
        person.now_s += gap_s
        person.is_refused = is_refused
        person.say(text)


def test_every_device_that_ought_to_be_asked_about_can_be_ordered_after_a_yes() -> None:
    done: set[str] = set()
    for text in PRONE:
        person = Talk(home(), Counter())
        for said in (text, "yes"):
            person.say(said)
        done |= person.confirmed
    assert done == set(OUGHT_TO_BE_CONFIRMED)
