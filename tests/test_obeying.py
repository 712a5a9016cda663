"""From an interpretation to outcomes in a virtual house: at once, later, in a storm, and in a dry run."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from homes import announce, command, deliver

from edgeagent.act.acknowledgements import Expectations
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.dialogue import Dialogue
from edgeagent.act.household import parse
from edgeagent.act.perform import is_harmless_twice
from edgeagent.act.rules import Circumstances, ruling
from edgeagent.act.safety import Ruling
from edgeagent.act.storm import Storm
from edgeagent.agenda import Agenda
from edgeagent.errors import BusError
from edgeagent.messages import (
    Action,
    Answer,
    Capability,
    Command,
    Device,
    Interpretation,
    Kind,
    Message,
    Outcome,
    Published,
    Question,
    Rejection,
    Step,
    Value,
    When,
)
from edgeagent.obeying import Surroundings, carry_out_due, obey
from edgeagent.settings import ActingSettings
from edgeagent.simulate.house import House, house, plant

SETTINGS = ActingSettings(deadline_s=0.05, hold_s=0.01)


class Place:
    """A house on a wire, with somebody who listens to everything that is told."""

    def __init__(
        self,
        place: House,
        *,
        rules: str = "",
        path: Path | None = None,
        settings: ActingSettings = SETTINGS,
        is_dry_run: bool = False,
    ) -> None:
        self.house = place
        self.household = parse(rules, "house.yaml")
        self.devices = Devices([HomeAssistant()], household=self.household)
        self.expectations = Expectations()
        self.steps: list[Step] = []
        self.sent: list[tuple[str, bytes]] = []
        self.is_down = False
        self.now_s = 100.0
        self.agenda = Agenda(path)
        self.before_sending: Callable[[], None] = lambda: None
        for _ in range(2):
            deliver(self.devices, place.announcements())
        self.around = Surroundings(
            self.devices,
            self.expectations,
            self,
            Dialogue(settings, lambda: self.now_s, self._rulings, self.devices.values),
            self.household,
            Storm(settings.orders_per_minute, lambda: self.now_s),
            self.agenda,
            (),
            settings,
            None,
            self.steps.append,
            is_dry_run=is_dry_run,
        )

    async def order(self, message: Message) -> None:
        self.before_sending()
        if self.is_down:
            raise BusError("not connected")
        self.sent.append((message.topic, message.payload))
        for delay_s, answer in self.house.receive(message.topic, message.payload):
            asyncio.get_running_loop().call_later(delay_s, self.hear, answer)

    def hear(self, message: Message) -> None:
        for observation in self.devices.receive(message.topic, message.payload, 1.0):
            self.expectations.observe(observation)

    def tell(self, key: str, state: dict[str, object]) -> None:
        deliver(self.devices, self.house.change(key, state))

    def say(self, *said: Interpretation) -> tuple[Outcome, ...]:
        async def all_of_it() -> tuple[Outcome, ...]:
            outcomes: tuple[Outcome, ...] = ()
            for one in said:
                outcomes += await obey(one, self.around)
            return outcomes

        return asyncio.run(all_of_it())

    def wait(self) -> None:
        """Make everything that is planned due now, and carry it out."""
        self.pass_by(1e6)
        asyncio.run(carry_out_due(self.around))

    def pass_by(self, seconds: float) -> None:
        """Let everything that is planned be due so much earlier, but what begins never be missed."""
        planned = self.agenda.schedule.planned
        self.agenda.schedule.remove(planned)
        for one in planned:
            due_s = max(one.due_s - seconds, time.time() - 5.0)
            self.agenda.schedule.add(one.actions, due_s, one.text, is_end=one.is_end)

    def told(self) -> list[str]:
        return [step.text for step in self.steps if isinstance(step, Answer)]

    def _rulings(self, action: Action) -> Ruling | None:
        now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        return ruling(action, self.household.rules, Circumstances(self.devices, None, now))


def at(place: Place, name: str) -> Device:
    return place.devices.named(name)[0]


def done(outcomes: tuple[Outcome, ...]) -> list[tuple[str, Value, str]]:
    return [(one.action.device.name, one.action.value, one.status) for one in outcomes]


def later(name: str, when: When, intent: str = "turn_on") -> Command:
    return replace(command(intent, f"{intent} {name}", name=name), when=when)


SOON = When(delay_s=600.0)
FOR_A_WHILE = When(lasts_s=600.0)
HOME = 0.001


def home() -> House:
    return house(delay_s=HOME)


def test_an_order_is_reported_published_done_and_told_in_this_order() -> None:
    place = Place(home())
    assert done(place.say(command("turn_on", name="kettle"))) == [("Kettle", "on", "done")]
    assert [type(step) for step in place.steps] == [Command, Published, Outcome, Answer]
    assert place.told() == ["Kettle on."]


def test_the_orders_of_a_sentence_have_their_own_outcomes() -> None:
    place = Place(home())
    place.house.break_down("kettle", "dead")
    said = replace(command("turn_on", name="kettle"), then=(command("turn_on", name="kitchen light"),))
    assert done(place.say(said)) == [("Kettle", "on", "failed"), ("Kitchen light", "on", "done")]
    assert len([step for step in place.steps if isinstance(step, Command)]) == 2


def test_of_a_sentence_the_question_comes_last_and_no_drops_the_rest() -> None:
    place = Place(home())
    rest = (command("unlock", name="front door"), command("turn_on", name="kitchen light"))
    assert done(place.say(replace(command("turn_on", name="kettle"), then=rest))) == [("Kettle", "on", "done")]
    assert isinstance(place.steps[-2], Question)
    place.say(command("deny"), command("confirm"))
    assert len(place.sent) == 1


def test_a_yes_carries_out_the_question_and_the_rest_of_the_sentence() -> None:
    place = Place(home())
    said = replace(command("unlock", name="front door"), then=(command("turn_on", name="kettle"),))
    assert place.say(said) == ()
    assert place.sent == []
    expected = [("Front door", "unlocked", "done"), ("Kettle", "on", "done")]
    assert done(place.say(command("confirm"), command("confirm"))) == expected


def test_an_order_for_later_is_put_off_and_carried_out_when_it_is_due() -> None:
    place = Place(home())
    assert place.say(later("kettle", SOON)) == ()
    assert place.told() == ["Kettle on in 10 minutes."]
    asyncio.run(carry_out_due(place.around))
    assert place.sent == []
    place.wait()
    assert place.house.state("kettle") == {"state": "ON"}
    assert place.agenda.schedule.planned == ()
    place.wait()
    assert len(place.sent) == 1


def test_an_order_for_a_while_is_done_and_ended() -> None:
    place = Place(home())
    assert done(place.say(later("kettle", FOR_A_WHILE))) == [("Kettle", "on", "done")]
    assert place.told() == ["Kettle on.", "Kettle off in 10 minutes."]
    place.wait()
    assert place.house.state("kettle") == {"state": "OFF"}


def test_the_end_is_on_disk_before_the_beginning_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "agenda.json"
    place = Place(home(), path=path)
    there: list[int] = []
    place.before_sending = lambda: there.append(len(Agenda(path).schedule.planned))
    place.say(later("kettle", FOR_A_WHILE))
    assert there == [1]


def test_what_could_not_begin_at_all_has_no_end() -> None:
    place = Place(home())
    place.is_down = True
    assert done(place.say(later("kettle", FOR_A_WHILE))) == [("Kettle", "on", "failed")]
    assert place.agenda.schedule.planned == ()


def test_what_was_planned_is_not_done_to_a_device_that_is_called_otherwise_or_gone() -> None:
    place = Place(home())
    place.say(later("kettle", SOON))
    announce(place.devices, "switch", "kettle", "Saw", "Kitchen")
    place.wait()
    assert place.sent == []
    assert place.told()[-1] == "Kettle has changed since you asked."
    place = Place(home())
    place.say(later("kettle", SOON))
    deliver(place.devices, place.house.leave("kettle", removed=True))
    place.wait()
    assert place.told()[-1] == "Kettle is not there any more."


def test_a_guarded_order_for_later_is_asked_about_once_and_not_again_when_it_is_due() -> None:
    place = Place(home())
    place.say(later("front door", SOON, "unlock"))
    assert place.agenda.schedule.planned == ()
    place.say(command("confirm"))
    assert len(place.agenda.schedule.planned) == 1
    place.wait()
    assert place.house.state("front_door") == {"state": "UNLOCKED"}


RULE = "rules: [{rule: Not the kettle, orders: {devices: [Kettle]}, while: [{device: Kitchen light, is: 'on'}]}]"


def test_a_rule_that_holds_at_the_time_leaves_a_planned_order_undone_and_says_so() -> None:
    place = Place(home(), rules=RULE)
    place.say(later("kettle", SOON))
    place.tell("kitchen_light", {"POWER": "ON"})
    place.wait()
    assert place.sent == []
    assert place.told()[-1] == 'Kettle is left alone: the rule "Not the kettle" refuses it.'
    (outcome,) = [step for step in place.steps if isinstance(step, Outcome)]
    assert outcome.status == "failed"


def test_a_rule_leaves_only_that_device_of_a_planned_group_undone() -> None:
    rules = "rules: [{rule: r, orders: {areas: [Kitchen]}, while: [{device: Kettle, is: 'on'}]}]"
    place = Place(home(), rules=rules)
    place.say(replace(command("turn_on", kind="light", scope="all"), when=SOON))
    place.tell("kettle", {"state": "ON"})
    place.wait()
    assert place.house.state("kitchen_light")["POWER"] == "OFF"
    assert place.house.state("living_room_light")["state"] == "ON"


def test_what_begins_too_late_is_told_and_not_done() -> None:
    place = Place(home())
    place.say(later("kettle", SOON))
    (plan,) = place.agenda.schedule.planned
    place.agenda.schedule.remove([plan])
    place.agenda.schedule.add(plan.actions, time.time() - 3600, plan.text)
    asyncio.run(carry_out_due(place.around))
    assert place.sent == []
    assert place.told()[-1].startswith("Missed: Kettle on")


def test_a_timer_that_is_up_is_told_once() -> None:
    place = Place(home())
    place.say(command("start_timer", duration=0.001, label="tea"))
    time.sleep(0.01)
    asyncio.run(carry_out_due(place.around))
    asyncio.run(carry_out_due(place.around))
    assert place.told() == ["0 seconds for the tea, starting now.", "Your 0 second tea timer is up."]


def test_without_an_agenda_timers_and_plans_are_refused_and_nothing_is_done() -> None:
    place = Place(home())
    around = replace(place.around, agenda=None)

    async def all_of_it() -> None:
        for one in (command("start_timer", duration=5.0), later("kettle", SOON), later("kettle", FOR_A_WHILE)):
            assert await obey(one, around) == ()
        await carry_out_due(around)

    asyncio.run(all_of_it())
    assert place.sent == []
    assert set(place.told()) == {"Timers and plans are kept by the daemon: speak to it."}


def test_a_disk_that_refuses_is_told_and_does_not_keep_the_order(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = Place(home(), path=tmp_path / "file" / "agenda.json")
    assert done(place.say(later("kettle", FOR_A_WHILE))) == [("Kettle", "on", "done")]
    assert place.told()[0].startswith("I cannot write that down:")
    place.wait()
    assert place.house.state("kettle") == {"state": "OFF"}


def many(count: int) -> list[Interpretation]:
    return [replace(command("lock", name="front door"), utterance=f"u{number}") for number in range(count)]


FEW = ActingSettings(deadline_s=0.05, hold_s=0.001, orders_per_minute=3)


def test_too_many_orders_are_refused_and_answers_and_questions_and_stops_are_not_counted() -> None:
    place = Place(plant(delay_s=HOME), settings=FEW)
    stop = command("stop_machine", name="conveyor")
    for one in (stop, command("emergency_stop"), command("deny"), command("get_time")) * 3:
        place.say(one)
    close = command("close", name="inlet valve")
    assert len(place.say(close, close, close)) == 3
    assert place.say(close) == ()
    assert place.told()[-1] == "One moment, I am busy."
    assert done(place.say(stop)) == [("Conveyor", "stopped", "done")]


def test_a_storm_makes_safe_once_and_is_over_after_a_minute() -> None:
    rules = "devices: [{is: Inlet valve, safe: {opening: closed}}]"
    place = Place(plant(delay_s=HOME), settings=FEW, rules=rules)
    place.tell("conveyor", {"state": "RUNNING"})
    place.tell("inlet_valve", {"state": "open"})
    silence = command("acknowledge_alarm", name="line alarm")
    for _ in range(5):
        place.say(silence)
    before = len(place.sent)
    expected = {("Conveyor", "stopped", "done"), ("Coolant pump", "stopped", "done"), ("Inlet valve", "closed", "done")}
    assert set(done(place.say(silence))) == expected
    assert len(place.sent) == before + 3
    assert "Too many orders. I make everything safe." in place.told()
    for _ in range(20):
        assert place.say(silence) == ()
    place.now_s += 60.5
    assert len(place.say(silence)) == 1


def test_a_storm_in_a_house_without_anything_to_make_safe_says_so() -> None:
    place = Place(home(), settings=FEW)
    place.say(*many(6))
    assert "Too many orders. I do nothing for a minute." in place.told()


def test_an_order_that_gets_no_answer_is_told_twice_where_that_is_harmless() -> None:
    place = Place(home())
    place.house.break_down("kettle", "dead")
    place.say(command("turn_on", name="kettle"))
    assert len(place.sent) == 2
    place = Place(home())
    place.house.break_down("front_door", "dead")
    place.say(command("unlock", name="front door"), command("confirm"))
    assert len(place.sent) == 1
    place = Place(plant(delay_s=HOME))
    place.house.break_down("conveyor", "dead")
    place.say(command("start_machine", name="conveyor"), command("confirm"))
    assert len(place.sent) == 1


def test_a_device_that_obeys_when_it_is_told_again_has_done_it() -> None:
    place = Place(home())
    place.house.break_down("kettle", "dead")

    def mend() -> None:
        if place.sent:
            place.house.break_down("kettle", "none")

    place.before_sending = mend
    assert done(place.say(command("turn_on", name="kettle"))) == [("Kettle", "on", "done")]
    assert len([step for step in place.steps if isinstance(step, Published)]) == 2


@pytest.mark.parametrize(
    ("kind", "capability", "value", "expected"),
    [
        ("light", "power", "on", True),
        ("light", "brightness", 5.0, True),
        ("climate", "target_temperature", 5.0, True),
        ("media", "playback", "next", False),
        ("media", "playback", "playing", False),
        ("cover", "opening", "open", False),
        ("cover", "opening", "stopped", False),
        ("cover", "position", 50.0, False),
        ("machine", "power", "on", False),
        ("machine", "run", "running", False),
        ("valve", "power", "on", False),
        ("lock", "lock", "unlocked", False),
        ("number", "setpoint", 5.0, False),
        ("scene", "activate", "now", False),
        ("vacuum", "cleaning", "cleaning", False),
        ("alarm_panel", "arming", "disarmed", False),
    ],
)
def test_only_a_value_that_a_device_is_to_have_is_harmless_twice(
    kind: Kind, capability: Capability, value: Value, *, expected: bool
) -> None:
    device = Device("x", "X", kind, frozenset({capability}))
    assert is_harmless_twice(Action("a", "u", device, capability, value)) is expected


def test_a_device_that_jumps_back_at_once_has_failed() -> None:
    place = Place(home(), settings=ActingSettings(deadline_s=0.5, hold_s=0.2))

    async def run() -> tuple[Outcome, ...]:
        loop = asyncio.get_running_loop()
        for message in house().change("kettle", {"state": "OFF"}):
            loop.call_later(0.05, place.hear, message)
        return await obey(command("turn_on", name="kettle"), place.around)

    (outcome,) = asyncio.run(run())
    assert (outcome.status, outcome.reason) == ("failed", "went back to off")


def test_a_dry_run_publishes_nothing_and_shows_what_it_would_have() -> None:
    place = Place(home(), is_dry_run=True)
    assert place.say(command("turn_on", name="kettle")) == ()
    place.say(command("unlock", name="front door"), command("confirm"))
    place.say(*many(200))
    assert place.sent == []
    published = [step for step in place.steps if isinstance(step, Published)]
    assert [(one.action.device.name, one.message.payload) for one in published[:2]] == [
        ("Kettle", b"ON"),
        ("Front door", b"UNLOCK"),
    ]


def test_a_dry_run_carries_out_nothing_that_was_planned(tmp_path: Path) -> None:
    path = tmp_path / "agenda.json"
    Place(home(), path=path).say(later("kettle", SOON))
    place = Place(home(), path=path, is_dry_run=True)
    place.wait()
    assert place.sent == []


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import importlib.util
spec = importlib.util.spec_from_file_location("test_obeying", Path(sys.argv[1]) / "test_obeying.py")
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
place = tests.Place(tests.home(), path=Path(sys.argv[2]))
place.before_sending = lambda: os.kill(os.getpid(), signal.SIGKILL)
tests.{what}(place)
"""


def order_for_a_while(place: Place) -> None:
    place.say(later("kettle", FOR_A_WHILE))


def wait_for_all(place: Place) -> None:
    place.wait()


def killed(what: Callable[[Place], None], path: Path) -> None:
    """Do something in a child that is killed when the first order is about to be sent."""
    program = CHILD.replace("{what}", what.__name__)
    child = subprocess.run([sys.executable, "-c", program, str(Path(__file__).parent), str(path)], check=False)
    assert child.returncode == -signal.SIGKILL


def test_who_is_killed_between_writing_and_beginning_ends_it_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "agenda.json"
    killed(order_for_a_while, path)
    place = Place(home(), path=path)
    place.tell("kettle", {"state": "ON"})
    place.wait()
    assert place.house.state("kettle") == {"state": "OFF"}


def test_who_is_killed_while_he_carries_out_a_plan_does_not_carry_it_out_twice(tmp_path: Path) -> None:
    path = tmp_path / "agenda.json"
    Place(home(), path=path).say(later("kettle", SOON))
    killed(wait_for_all, path)
    place = Place(home(), path=path)
    place.wait()
    assert place.sent == []


def planned(place: Place) -> list[tuple[str, Value]]:
    return [(action.device.name, action.value) for one in place.agenda.schedule.planned for action in one.actions]


def test_who_is_killed_while_he_ends_something_ends_it_after_the_restart(tmp_path: Path) -> None:
    path = tmp_path / "agenda.json"
    Place(home(), path=path).say(later("kettle", FOR_A_WHILE))
    killed(wait_for_all, path)
    place = Place(home(), path=path)
    place.tell("kettle", {"state": "ON"})
    place.wait()
    assert place.house.state("kettle") == {"state": "OFF"}


def test_an_end_is_tried_again_when_the_device_is_back() -> None:
    place = Place(home())
    place.say(later("kettle", FOR_A_WHILE))
    deliver(place.devices, place.house.leave("kettle"))
    place.wait()
    deliver(place.devices, place.house.come_back("kettle"))
    place.wait()
    assert place.house.state("kettle") == {"state": "OFF"}


def test_what_has_begun_late_is_ended_all_the_same() -> None:
    place = Place(house(delay_s=0.2))

    async def run() -> None:
        await obey(later("kettle", FOR_A_WHILE), place.around)
        await asyncio.sleep(0.3)

    asyncio.run(run())
    assert place.devices.values(at(place, "kettle").id)["power"] == "on"
    assert planned(place) == [("Kettle", "off")]


def test_what_cannot_be_ended_does_not_begin() -> None:
    place = Place(home())
    for _ in range(99):
        place.agenda.schedule.add((Action("a", "u", at(place, "kettle"), "power", "off"),), 1e12, "x")
    place.say(later("kitchen light", When(delay_s=600.0, lasts_s=600.0)))
    assert place.told()[-1] == "100 orders are planned already."
    assert ("Kitchen light", "on") not in planned(place)


@pytest.mark.parametrize("when", [SOON, FOR_A_WHILE])
def test_a_dry_run_plans_nothing_and_says_what_it_would_have(when: When) -> None:
    place = Place(home(), is_dry_run=True)
    place.say(later("kettle", when))
    assert planned(place) == []
    assert len(place.steps) > 1


@pytest.mark.parametrize("first", ["emergency_stop", "get_time"])
def test_what_follows_a_stop_or_a_question_is_counted(first: str) -> None:
    place = Place(plant(delay_s=HOME), settings=FEW)
    one = replace(command(first), then=(command("close", name="inlet valve"),))
    for _ in range(10):
        place.say(one)
    assert sum(topic.endswith("inlet_valve/set") for topic, _ in place.sent) <= 3


def test_every_order_of_a_sentence_is_counted() -> None:
    place = Place(plant(delay_s=HOME), settings=FEW)
    close = command("close", name="inlet valve")
    place.say(replace(close, then=(close, close)), close)
    assert len(place.sent) <= 3


def test_a_stop_that_follows_another_order_is_done_though_there_are_too_many() -> None:
    place = Place(plant(delay_s=HOME), settings=FEW)
    close = command("close", name="inlet valve")
    place.say(close, close, close)
    place.tell("conveyor", {"state": "RUNNING"})
    place.say(replace(close, then=(command("stop_machine", name="conveyor"),)))
    assert place.house.state("conveyor") == {"state": "STOPPED"}


def test_a_yes_in_a_storm_starts_nothing() -> None:
    place = Place(plant(delay_s=HOME), settings=FEW)
    close = command("close", name="inlet valve")
    place.say(close, close, command("start_machine", name="conveyor"))
    place.say(close, close, close, close)
    place.say(command("confirm"))
    assert place.house.state("conveyor") == {"state": "STOPPED"}


def test_what_a_rule_says_is_said() -> None:
    rules = "rules: [{rule: Not the kettle, orders: {devices: [Kettle]}, say: The kettle is broken}]"
    place = Place(home(), rules=rules)
    place.say(command("turn_on", name="kettle"))
    assert place.told() == ["The kettle is broken."]


def test_an_order_for_the_next_century_is_refused() -> None:
    place = Place(home())
    place.say(later("kettle", When(delay_s=3.24e9)))
    assert planned(place) == []


def test_what_was_refused_is_reported_as_it_is() -> None:
    place = Place(home())
    place.say(Rejection("u1", "unsure", "what", "two meanings"))
    assert [type(step) for step in place.steps] == [Rejection, Answer]
