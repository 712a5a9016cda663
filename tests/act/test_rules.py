"""The rules of the house: when they apply, and that nobody talks his way around them."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from homes import Talk, announce, asked, orders, refused
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.household import parse
from edgeagent.act.plan import Plan, Several
from edgeagent.act.rules import Circumstances, Rule, ruling
from edgeagent.act.safety import Decision, Ruling, decide
from edgeagent.messages import Action, Capability, Question, Value
from edgeagent.settings import ActingSettings

MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
PRESS_RULE = """
rules:
  - rule: The press stands still while its door is open
    orders: {devices: [Press], to: [running]}
    while: [{device: Press door, is: open}]
    say: Close its door first
"""


def hall(text: str = "") -> Devices:
    devices = Devices([HomeAssistant()], household=parse(text, "house.yaml"))
    announce(devices, "switch", "press", "Press", "Hall one", edgeagent_kind="machine")
    announce(devices, "binary_sensor", "door", "Press door", "Hall one", dev_cla="door")
    announce(devices, "sensor", "boiler", "Boiler temperature", "Boiler room", dev_cla="temperature")
    announce(devices, "cover", "garage", "Garage door", "Garage", dev_cla="garage", pos_t="gp", set_pos_t="gps")
    announce(devices, "light", "lamp", "Desk lamp", "Office", bri_cmd_t="b", bri_stat_t="lamp/bri", bri_scl=100)
    announce(devices, "light", "spot", "Spot", "Office")
    for topic, payload in (("door", "OFF"), ("boiler", "60"), ("press", "OFF"), ("lamp", "OFF"), ("garage", "closed")):
        tell(devices, topic, payload)
    return devices


def tell(devices: Devices, topic: str, payload: str) -> None:
    devices.receive(topic, payload.encode(), 0.0)


class Hall:
    """A hall with rules, in which it is a certain time, and somebody speaks at a certain place."""

    def __init__(self, text: str, *, here: str | None = None, now: datetime = MONDAY) -> None:
        self.devices = hall(text)
        self.now = now
        self.here = here
        self.rules: tuple[Rule, ...] = parse(text, "house.yaml").rules
        self.talk = Talk(self.devices, here=here, rulings=self.says)

    def says(self, action: Action) -> Ruling | None:
        return ruling(action, self.rules, Circumstances(self.devices, self.here, self.now))

    def of(self, name: str, capability: Capability, value: Value) -> str:
        (device,) = self.devices.named(name)
        found = self.says(Action("a", "u", device, capability, value))
        return "" if found is None else found.effect


def test_a_rule_refuses_while_its_state_holds_and_says_what_its_owner_wrote() -> None:
    place = Hall(PRESS_RULE)
    tell(place.devices, "door", "ON")
    assert refused(place.talk.say("start the press")) == ("not-allowed", "Close its door first")
    tell(place.devices, "door", "OFF")
    assert asked(place.talk.say("start the press")) == ("yes", "no")


def test_a_rule_without_a_sentence_of_its_own_is_named() -> None:
    place = Hall(PRESS_RULE.replace("say: Close its door first", "then: refuse"))
    tell(place.devices, "door", "ON")
    detail = "a rule forbids it: The press stands still while its door is open"
    assert refused(place.talk.say("start the press")) == ("not-allowed", detail)


def test_a_state_that_nobody_knows_counts_as_holding() -> None:
    place = Hall(PRESS_RULE)
    assert place.of("press", "run", "running") == ""
    place.devices.receive("homeassistant/binary_sensor/door/config", b"", 0.0)
    assert place.of("press", "run", "running") == "refuse", "the sensor is gone"
    announce(place.devices, "binary_sensor", "door", "Press door", "Hall one", dev_cla="door")
    assert place.of("press", "run", "running") == "refuse", "it has not told anything yet"
    tell(place.devices, "door", "OFF")
    assert place.of("press", "run", "running") == ""


def test_a_state_of_a_device_that_is_offline_counts_as_holding() -> None:
    place = Hall(PRESS_RULE)
    tell(place.devices, "door/lwt", "offline")
    assert place.of("press", "run", "running") == "refuse"
    tell(place.devices, "door/lwt", "online")
    assert place.of("press", "run", "running") == ""


def test_a_number_that_nobody_knows_counts_as_holding() -> None:
    rule = "rules: [{rule: r, orders: {kinds: [light]}, while: [{device: Boiler temperature, above: 80}]}]"
    place = Hall(rule)
    assert place.of("spot", "power", "on") == ""
    for payload, expected in (("80", ""), ("80.5", "refuse"), ("12", ""), ("-3", "")):
        tell(place.devices, "boiler", payload)
        assert place.of("spot", "power", "on") == expected, payload
    tell(place.devices, "boiler/lwt", "offline")
    assert place.of("spot", "power", "on") == "refuse"
    assert Hall(rule.replace("Boiler temperature", "Nothing")).of("spot", "power", "on") == "refuse"
    assert Hall(rule.replace("Boiler temperature", "Press")).of("spot", "power", "on") == "refuse", "it has no number"


def test_between_two_numbers_is_between() -> None:
    states = "while: [{device: Boiler temperature, above: 20, below: 70}]"
    place = Hall(f"rules: [{{rule: r, orders: {{}}, {states}}}]")
    assert place.of("spot", "power", "on") == "refuse"
    tell(place.devices, "boiler", "70")
    assert place.of("spot", "power", "on") == ""


def test_all_states_must_hold() -> None:
    states = "while: [{device: Press door, is: [open, ajar]}, {device: Desk lamp, is: 'on'}]"
    place = Hall(f"rules: [{{rule: r, orders: {{devices: [Spot]}}, {states}}}]")
    tell(place.devices, "door", "ON")
    assert place.of("spot", "power", "on") == ""
    tell(place.devices, "lamp", "ON")
    assert place.of("spot", "power", "on") == "refuse"


@pytest.mark.parametrize(
    ("day", "hour", "minute", "expected"),
    [
        (0, 21, 59, ""),
        (0, 22, 0, "refuse"),
        (0, 23, 59, "refuse"),
        (1, 0, 0, "refuse"),
        (1, 6, 59, "refuse"),
        (1, 7, 0, ""),
        (1, 23, 0, ""),  # it does not begin on a Tuesday
        (0, 3, 0, ""),  # that is the night that began on Sunday
        (4, 22, 30, "refuse"),
        (5, 6, 0, "refuse"),  # the night that began on Friday
        (5, 22, 30, ""),
    ],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_began(
    day: int, hour: int, minute: int, expected: str
) -> None:
    text = "rules: [{rule: Night, orders: {}, hours: 22:00-07:00, days: [monday, friday]}]"
    now = (MONDAY + timedelta(days=day)).replace(hour=hour, minute=minute)
    assert Hall(text, now=now).of("spot", "power", "on") == expected


@pytest.mark.parametrize(
    ("hours", "clock", "expected"),
    [
        ("08:00-17:00", (8, 0), "refuse"),
        ("08:00-17:00", (16, 59), "refuse"),
        ("08:00-17:00", (17, 0), ""),
        ("08:00-17:00", (7, 59), ""),
        ("07:00-00:00", (23, 59), "refuse"),
        ("07:00-00:00", (0, 0), ""),
        ("00:00-07:00", (0, 0), "refuse"),
        ("00:00-23:59", (23, 59), ""),
    ],
)
def test_hours_begin_with_their_first_minute_and_end_before_their_last(
    hours: str, clock: tuple[int, int], expected: str
) -> None:
    now = MONDAY.replace(hour=clock[0], minute=clock[1])
    assert Hall(f"rules: [{{rule: r, orders: {{}}, hours: {hours}}}]", now=now).of("spot", "power", "on") == expected


def test_days_alone_are_whole_days() -> None:
    text = "rules: [{rule: r, orders: {}, days: [sunday]}]"
    assert Hall(text, now=MONDAY).of("spot", "power", "on") == ""
    assert Hall(text, now=MONDAY - timedelta(days=1)).of("spot", "power", "on") == "refuse"


def test_the_hours_are_those_of_the_clock_on_the_wall_when_summer_time_ends() -> None:
    text = "rules: [{rule: r, orders: {}, hours: 02:00-03:00}]"
    zone = ZoneInfo("Europe/Berlin")
    for fold in (0, 1):
        assert Hall(text, now=datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=fold)).of("spot", "power", "on")
    assert not Hall(text, now=datetime(2026, 10, 25, 3, 0, tzinfo=zone)).of("spot", "power", "on")


@given(st.integers(0, 24 * 60 - 1), st.integers(0, 24 * 60 - 1), st.integers(0, 7 * 24 * 60))
def test_outside_of_its_hours_a_rule_is_the_complement_of_the_one_with_turned_hours(
    begins: int, ends: int, minutes: int
) -> None:
    if begins == ends:
        return

    def hours(first: int, last: int) -> str:
        return "{:02}:{:02}-{:02}:{:02}".format(*divmod(first, 60), *divmod(last, 60))

    now = MONDAY.replace(tzinfo=None) + timedelta(minutes=minutes)
    (rule,) = parse(f"rules: [{{rule: r, orders: {{}}, hours: {hours(begins, ends)}}}]", "h").rules
    (turned,) = parse(f"rules: [{{rule: r, orders: {{}}, hours: {hours(ends, begins)}}}]", "h").rules
    order = Action("a", "u", HALL.named("spot")[0], "power", "on")
    around = Circumstances(HALL, None, now)
    assert (ruling(order, [rule], around) is None) != (ruling(order, [turned], around) is None)


HALL = hall()


def test_where_an_order_was_spoken_is_the_place_of_the_device_that_heard_it() -> None:
    text = "rules: [{rule: r, orders: {devices: [Garage door], to: [open]}, spoken_in: [Terrace]}]"
    assert Hall(text, here="terrace").of("garage door", "opening", "open") == "refuse"
    assert Hall(text, here="Kitchen").of("garage door", "opening", "open") == ""
    assert Hall(text, here="terrace").of("garage door", "opening", "closed") == ""


@pytest.mark.parametrize(
    ("orders_", "device", "capability", "value", "expected"),
    [
        ("{}", "spot", "power", "on", "refuse"),
        ("{kinds: [light]}", "spot", "power", "on", "refuse"),
        ("{kinds: [light]}", "press", "run", "running", ""),
        ("{areas: [office]}", "spot", "power", "on", "refuse"),
        ("{areas: [OFFICE]}", "press", "run", "running", ""),
        ("{capabilities: [brightness]}", "desk lamp", "brightness", 50.0, "refuse"),
        ("{capabilities: [brightness]}", "desk lamp", "power", "on", ""),
        ("{to: [50]}", "desk lamp", "brightness", 50.0, "refuse"),
        ("{to: ['50']}", "desk lamp", "brightness", 50.0, "refuse"),
        ("{to: [50.5]}", "desk lamp", "brightness", 50.5, "refuse"),
        ("{devices: [office spot]}", "spot", "power", "on", "refuse"),
        ("{devices: ['homeassistant:light:spot']}", "spot", "power", "on", "refuse"),
        ("{devices: [spot], kinds: [switch]}", "spot", "power", "on", ""),
        ("{devices: [Spots]}", "spot", "power", "on", ""),
    ],
)
def test_a_rule_is_for_the_orders_that_it_names(
    orders_: str, device: str, capability: Capability, value: Value, expected: str
) -> None:
    assert Hall(f"rules: [{{rule: r, orders: {orders_}}}]").of(device, capability, value) == expected


def test_a_rule_is_for_a_renamed_device_by_either_name() -> None:
    for name in ("Spot", "Moon"):
        text = f"devices: [{{is: Spot, name: Moon}}]\nrules: [{{rule: r, orders: {{devices: [{name}]}}}}]"
        assert Hall(text).of("moon", "power", "on") == "refuse"


def test_what_refuses_wins_over_what_asks_and_the_first_is_named() -> None:
    text = """
rules:
  - {rule: one, orders: {kinds: [light]}, then: ask}
  - {rule: two, orders: {areas: [Office]}}
  - {rule: three, orders: {}}
"""
    place = Hall(text)
    found = place.says(Action("a", "u", place.devices.named("spot")[0], "power", "on"))
    assert found == Ruling("two", "refuse", "")
    lights = Hall("rules: [{rule: one, orders: {}, then: ask}, {rule: two, orders: {}, then: ask}]")
    asks = lights.says(Action("a", "u", lights.devices.named("spot")[0], "power", "on"))
    assert asks == Ruling("one", "ask", "")


@pytest.mark.parametrize("said", ["stop the press", "emergency stop", "stop everything"])
def test_no_rule_forbids_a_stop(said: str) -> None:
    place = Hall("rules: [{rule: Nothing, orders: {}}]")
    assert orders(place.talk.say(said)) == [("Press", "run", "stopped")]
    assert refused(place.talk.say("turn on the spot"))[0] == "not-allowed"


def test_a_group_with_one_device_that_is_refused_is_refused() -> None:
    place = Hall("rules: [{rule: Not the spot, orders: {devices: [Spot]}}]")
    assert refused(place.talk.say("turn on all the lights")) == ("not-allowed", "a rule forbids it: Not the spot")
    assert orders(place.talk.say("turn on the desk lamp")) == [("Desk lamp", "power", "on")]
    left = place.talk.say("turn on all the lights except the spot")
    assert orders(left) == [("Desk lamp", "power", "on")]


def test_a_rule_that_asks_makes_a_question_of_a_harmless_order() -> None:
    place = Hall("rules: [{rule: Quiet, orders: {devices: [Spot]}, then: ask}]")
    question = place.talk.say("turn on the spot")
    assert isinstance(question, Question)
    assert question.why == ('the rule "Quiet" asks first',)
    outcome = place.talk.say("yes")
    assert isinstance(outcome, Plan)
    assert outcome.actions[0].allowed_by == 'the rule "Quiet" asks first; confirmed'


def test_a_rule_that_begins_to_apply_between_question_and_yes_has_the_last_word() -> None:
    place = Hall(PRESS_RULE)
    assert asked(place.talk.say("start the press")) == ("yes", "no")
    tell(place.devices, "door", "ON")
    assert refused(place.talk.say("yes")) == ("not-allowed", "Close its door first")
    tell(place.devices, "door", "OFF")
    assert refused(place.talk.say("yes"))[0] == "nothing-to-confirm"


def test_a_rule_that_asks_and_then_refuses_refuses() -> None:
    text = "rules: [{rule: r, orders: {devices: [Spot]}, then: ask}, {rule: s, orders: {}, hours: 13:00-14:00}]"
    place = Hall(text)
    assert asked(place.talk.say("turn on the spot")) == ("yes", "no")
    place.now += timedelta(hours=1)
    assert refused(place.talk.say("yes"))[0] == "not-allowed"


def test_a_rule_ends_what_was_refused_before_only_when_it_is_said_again() -> None:
    place = Hall("rules: [{rule: Night, orders: {}, hours: 12:00-13:00}]")
    assert refused(place.talk.say("turn on the spot"))[0] == "not-allowed"
    place.now += timedelta(hours=2)
    assert refused(place.talk.say("yes"))[0] == "nothing-to-confirm"
    assert orders(place.talk.say("turn on the spot")) == [("Spot", "power", "on")]


def test_a_rule_is_asked_about_what_is_undone_too() -> None:
    place = Hall("rules: [{rule: Light stays, orders: {devices: [Spot], to: ['off']}}]")
    tell(place.devices, "spot", "OFF")
    place.talk.say("turn on the spot")
    tell(place.devices, "spot", "ON")
    assert refused(place.talk.say("undo that"))[0] == "not-allowed"


def test_what_ends_an_order_is_ruled_on_when_it_is_ordered() -> None:
    place = Hall("rules: [{rule: Light stays, orders: {devices: [Spot], to: ['off']}}]")
    assert refused(place.talk.say("turn on the spot for ten minutes"))[0] == "not-allowed"
    assert orders(place.talk.say("turn on the spot")) == [("Spot", "power", "on")]


def test_of_several_orders_the_one_that_is_refused_does_not_keep_the_other() -> None:
    place = Hall("rules: [{rule: r, orders: {devices: [Spot]}}]")
    outcome = place.talk.say("turn on the spot and turn on the desk lamp")
    assert isinstance(outcome, Several)
    assert refused(outcome.parts[0])[0] == "not-allowed"
    assert orders(outcome.parts[1]) == [("Desk lamp", "power", "on")]


def test_a_rule_never_makes_an_order_freer_than_its_owner_has_ruled() -> None:
    (spot,) = HALL.named("spot")
    order = Action("a", "u", replace(spot, risk="never"), "power", "on")
    assert decide(order, ActingSettings(), Ruling("r", "ask", "")).risk == "never"
    guarded = Action("a", "u", replace(spot, risk="guarded"), "power", "on")
    assert decide(guarded, ActingSettings(), Ruling("r", "refuse", "no")) == Decision(
        "never", 'the rule "r" refuses it', "r", "no"
    )


def test_a_rule_against_opening_is_one_against_opening_a_little() -> None:
    place = Hall("rules: [{rule: Shut, orders: {devices: [Garage door], to: [open]}}]")
    assert place.of("garage door", "opening", "open") == "refuse"
    assert place.of("garage door", "position", 50.0) == "refuse"


def test_a_rule_against_switching_on_is_one_against_dimming_up() -> None:
    place = Hall("rules: [{rule: Dark, orders: {devices: [Desk lamp], to: ['on']}}]")
    assert refused(place.talk.say("turn on the desk lamp"))[0] == "not-allowed"
    assert refused(place.talk.say("set the desk lamp to eighty percent"))[0] == "not-allowed"


def test_a_rule_knows_the_state_of_a_device_that_is_not_for_speech() -> None:
    place = Hall(f"devices: [{{is: Press door, by_voice: never}}]\n{PRESS_RULE}")
    assert place.of("press", "run", "running") == ""


def test_a_rule_knows_the_state_of_a_device_whose_name_cannot_be_spoken() -> None:
    place = Hall("rules: [{rule: r, orders: {devices: [Spot]}, while: [{device: Light, is: 'on'}]}]")
    announce(place.devices, "light", "light", "Light", "Office")
    tell(place.devices, "light", "OFF")
    assert place.of("spot", "power", "on") == ""


def test_a_state_that_was_not_told_among_others_that_were_counts_as_holding() -> None:
    place = Hall("rules: [{rule: r, orders: {devices: [Spot]}, while: [{device: Garage door, is: open}]}]")
    announce(place.devices, "cover", "gate", "Garage door", "Garage", dev_cla="garage", pos_t="gp2", set_pos_t="x")
    announce(place.devices, "climate", "heat", "Stove", "Office", temp_cmd_t="t", temp_stat_t="ts", mode_cmd_t="m")
    tell(place.devices, "ts", "21")
    rule = "rules: [{rule: r, orders: {devices: [Spot]}, while: [{device: Stove, is: heat}]}]"
    place.rules = parse(rule, "house.yaml").rules
    assert place.of("spot", "power", "on") == "refuse", "nobody knows in which mode it is"


def test_a_door_that_is_moving_is_not_closed() -> None:
    place = Hall("rules: [{rule: r, orders: {devices: [Press]}, while: [{device: Garage door, is: open}]}]")
    tell(place.devices, "garage", "opening")
    assert place.of("press", "run", "running") == "refuse"
