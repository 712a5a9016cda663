"""What was spoken of before: it, the same, no I meant the other one, and a time said after the order."""

from dataclasses import replace

import pytest
from homes import Talk, announce, asked, command, known, orders, refused

from edgeagent.act.context import AMENDED_S, CORRECTED_S, ORDERED_S, SPOKEN_OF_S
from edgeagent.act.devices import Devices
from edgeagent.act.plan import Later, Plan, Planned, Several, TimerOrder
from edgeagent.act.safety import Ruling
from edgeagent.messages import Action, Answer, Question, Value

STATES = {
    "lamp": "ON",
    "lamp/bri": "30",
    "spot": "OFF",
    "kettle": "OFF",
    "fan": "OFF",
    "front": "LOCKED",
    "back": "LOCKED",
    "blind/pos": "30",
    "tank": "50",
}


def home() -> Devices:
    devices = known()
    announce(devices, "light", "lamp", "Desk lamp", "Office", bri_cmd_t="l", bri_stat_t="lamp/bri", bri_scl=100)
    announce(devices, "light", "spot", "Spot", "Bedroom", bri_cmd_t="s", bri_stat_t="spot/bri", bri_scl=100)
    announce(devices, "switch", "kettle", "Kettle", "Kitchen")
    announce(devices, "switch", "fan", "Fan plug", "Office")
    announce(devices, "lock", "front", "Front door", "Hall")
    announce(devices, "lock", "back", "Back door", "Shed")
    announce(devices, "cover", "blind", "Office blind", "Office", pos_t="blind/pos", set_pos_t="blind/set")
    announce(devices, "climate", "tank", "Tank", "Cellar", temp_cmd_t="t", temp_stat_t="tank", min_temp=30, max_temp=95)
    announce(devices, "climate", "boiler", "Boiler", "Attic", temp_cmd_t="u", temp_stat_t="v", min_temp=30, max_temp=95)
    for topic, payload in STATES.items():
        devices.receive(topic, payload.encode(), 0.0)
    return devices


def talk() -> Talk:
    return Talk(home())


def tell(one: Talk, topic: str, payload: str) -> None:
    one.devices.receive(topic, payload.encode(), 0.0)


def later(outcome: Planned) -> tuple[list[tuple[str, Value]], list[tuple[str, Value]]]:
    assert isinstance(outcome, Later), outcome
    begins = [(action.device.name, action.value) for action in outcome.plan.actions]
    return begins, [(action.device.name, action.value) for action in outcome.ends]


def actions_of(outcome: Planned) -> list[Action]:
    match outcome:
        case Plan():
            return list(outcome.actions)
        case Later():
            return [*outcome.plan.actions, *outcome.ends]
        case Several():
            return [action for part in outcome.parts for action in actions_of(part)]
        case _:
            return []


@pytest.mark.parametrize("it", ["it", "that", "them", "those"])
def test_it_is_what_was_ordered_last(it: str) -> None:
    one = talk()
    one.say("turn on the kettle")
    assert orders(one.say(f"turn {it} off")) == [("Kettle", "power", "off")]
    one.say("turn on the spot")
    assert orders(one.say(f"turn {it} off again")) == [("Spot", "power", "off")]


def test_it_is_what_was_asked_about_last() -> None:
    one = talk()
    one.say("turn on the kettle")
    assert isinstance(one.say("is the spot on"), Answer)
    assert orders(one.say("turn it on")) == [("Spot", "power", "on")]


def test_they_are_all_that_was_ordered() -> None:
    one = talk()
    one.say("turn on all the lights")
    both = [("Desk lamp", "power", "off"), ("Spot", "power", "off")]
    assert orders(one.say("turn them off")) == both
    assert orders(one.say("turn them off")) == both


def test_of_nothing_nothing_is_meant() -> None:
    for said in ("turn it on", "set it to fifty percent", "turn it up", "unlock it", "a bit more", "close it"):
        assert refused(talk().say(said))[0] == "nothing-meant", said


def test_it_is_forgotten_after_two_minutes_and_not_before() -> None:
    one = talk()
    one.say("turn on the kettle")
    one.now_s += SPOKEN_OF_S
    assert orders(one.say("turn it off")) == [("Kettle", "power", "off")]
    one.now_s += SPOKEN_OF_S + 0.1
    assert refused(one.say("turn it on"))[0] == "nothing-meant"


def test_it_is_nothing_that_cannot_do_it() -> None:
    one = talk()
    one.say("turn on the kettle")
    assert refused(one.say("unlock it"))[0] == "nothing-meant"
    assert refused(one.say("make it blue"))[0] == "nothing-meant"
    assert refused(one.say("set it to fifty percent"))[0] == "nothing-meant"


def test_it_is_not_what_was_refused_or_only_asked_about_before_doing_it() -> None:
    one = talk()
    one.say("turn on the kettle")
    one.say("unlock the front door")
    one.say("no")
    assert orders(one.say("turn it off")) == [("Kettle", "power", "off")]


def test_unlocking_it_is_asked_about_and_locking_it_is_not() -> None:
    one = talk()
    assert isinstance(one.say("is the front door locked"), Answer)
    question = one.say("unlock it")
    assert isinstance(question, Question)
    assert question.prompt == "Shall I unlock the Front door in the Hall? Say yes or no."
    assert orders(one.say("yes")) == [("Front door", "lock", "unlocked")]
    assert orders(one.say("lock it")) == [("Front door", "lock", "locked")]


def test_a_device_that_is_gone_is_not_it() -> None:
    one = talk()
    one.say("turn on the kettle")
    one.devices.receive("homeassistant/switch/kettle/config", b"", 0.0)
    assert refused(one.say("turn it off"))[0] == "nothing-meant"


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("turn on the desk lamp", "set it to fifty percent", ("Desk lamp", "brightness", 50.0)),
        ("turn on the desk lamp", "set it to half", ("Desk lamp", "brightness", 50.0)),
        ("turn on the desk lamp", "turn it up", ("Desk lamp", "brightness", 50.0)),
        ("turn on the desk lamp", "a bit less", ("Desk lamp", "brightness", 10.0)),
        ("open the office blind", "set it to half", ("Office blind", "position", 50.0)),
        ("set the tank to sixty degrees", "turn it up", ("Tank", "target_temperature", 51.0)),
    ],
)
def test_percent_and_steps_are_of_what_it_is(first: str, then: str, expected: tuple[str, str, Value]) -> None:
    one = talk()
    one.say(first)
    assert orders(one.say(then)) == [expected]


@pytest.mark.parametrize("said", ["do the same in the bedroom", "the same for the bedroom", "the same to the bedroom"])
def test_the_same_elsewhere_is_the_same_of_that_kind_there(said: str) -> None:
    one = talk()
    one.say("set the desk lamp to eighty percent")
    assert orders(one.say(said)) == [("Spot", "brightness", 80.0)]


def test_the_same_with_another_is_the_same_with_that() -> None:
    one = talk()
    one.say("turn on the kettle")
    assert orders(one.say("do the same with the fan plug")) == [("Fan plug", "power", "on")]
    assert orders(one.say("the same with the spot")) == [("Spot", "power", "on")]


def test_the_same_that_is_guarded_is_asked_about() -> None:
    one = talk()
    one.say("unlock the front door")
    one.say("yes")
    assert asked(one.say("the same with the back door")) == ("yes", "no")
    assert orders(one.say("yes")) == [("Back door", "lock", "unlocked")]


def test_the_same_of_long_ago_means_nothing() -> None:
    one = talk()
    assert refused(one.say("the same in the bedroom"))[0] == "nothing-meant"
    one.say("turn on the desk lamp")
    one.now_s += ORDERED_S + 0.1
    assert refused(one.say("the same in the bedroom"))[0] == "nothing-meant"


def test_what_was_not_done_is_not_the_same() -> None:
    one = talk()
    one.say("unlock the front door")
    one.say("no")
    assert refused(one.say("the same with the back door"))[0] == "nothing-meant"


@pytest.mark.parametrize("said", ["no the fan plug", "i meant the fan plug", "sorry i mean the fan plug"])
def test_a_correction_takes_back_what_was_done_and_does_the_other(said: str) -> None:
    one = talk()
    one.say("turn on the kettle")
    tell(one, "kettle", "ON")
    assert orders(one.say(said)) == [("Kettle", "power", "off"), ("Fan plug", "power", "on")]
    assert orders(one.say("turn it off")) == [("Fan plug", "power", "off")]


def test_a_correction_by_area_means_that_kind_there() -> None:
    one = talk()
    one.say("turn off the desk lamp")
    tell(one, "lamp", "OFF")
    assert orders(one.say("no the bedroom")) == [("Desk lamp", "power", "on"), ("Spot", "power", "off")]


def test_a_correction_to_the_same_device_does_not_first_take_it_back() -> None:
    one = talk()
    one.say("turn on the kettle")
    tell(one, "kettle", "ON")
    assert orders(one.say("no the kettle")) == [("Kettle", "power", "on")]


def test_a_correction_of_what_nobody_knows_the_way_back_from_does_the_other_all_the_same() -> None:
    one = talk()
    one.devices.receive("homeassistant/switch/kettle/config", b"", 0.0)
    announce(one.devices, "switch", "kettle", "Kettle", "Kitchen")
    one.say("turn on the kettle")
    assert orders(one.say("no the fan plug")) == [("Fan plug", "power", "on")]


def test_a_correction_that_comes_late_means_nothing() -> None:
    one = talk()
    one.say("turn on the kettle")
    one.now_s += CORRECTED_S
    assert isinstance(one.say("no the fan plug"), Plan)
    one.now_s += CORRECTED_S + 0.1
    assert refused(one.say("no the spot"))[0] == "nothing-meant"


def test_a_correction_of_a_question_asks_about_the_other_and_drops_the_first() -> None:
    one = talk()
    one.say("unlock the front door")
    question = one.say("no the back door")
    assert isinstance(question, Question)
    assert question.prompt == "Shall I unlock the Back door in the Shed? Say yes or no."
    assert orders(one.say("yes")) == [("Back door", "lock", "unlocked")]
    assert refused(one.say("yes"))[0] == "nothing-to-confirm"


def test_a_correction_while_which_one_is_open_answers_it() -> None:
    one = talk()
    assert asked(one.say("unlock the door")) == ("Hall", "Shed")
    assert asked(one.say("no the shed")) == ("yes", "no")
    assert orders(one.say("yes")) == [("Back door", "lock", "unlocked")]


def test_a_correction_to_what_is_not_able_leaves_what_was_done() -> None:
    one = talk()
    one.say("turn on the kettle")
    tell(one, "kettle", "ON")
    assert refused(one.say("no the front door"))[0] == "not-able"


def test_a_time_said_after_an_order_ends_it() -> None:
    one = talk()
    one.say("turn on the kettle")
    tell(one, "kettle", "ON")
    assert later(one.say("for ten minutes")) == ([], [("Kettle", "off")])


def test_a_delay_said_after_an_order_takes_it_back_and_does_it_then() -> None:
    one = talk()
    one.say("turn on the kettle")
    tell(one, "kettle", "ON")
    outcome = one.say("in ten minutes")
    assert isinstance(outcome, Several)
    now, then = outcome.parts
    assert orders(now) == [("Kettle", "power", "off")]
    assert later(then) == ([("Kettle", "on")], [])
    assert isinstance(then, Later)
    assert then.plan.command.when is not None
    assert then.plan.command.when.delay_s == 600.0


@pytest.mark.parametrize("said", ["for ten minutes", "in ten minutes"])
def test_a_time_that_comes_late_or_after_nothing_means_nothing(said: str) -> None:
    one = talk()
    assert refused(one.say(said))[0] == "nothing-meant"
    one.say("turn on the kettle")
    one.now_s += AMENDED_S + 0.1
    assert refused(one.say(said))[0] == "nothing-meant"


def test_an_end_that_would_be_guarded_is_asked_about_when_it_is_said_afterwards_too() -> None:
    one = talk()
    tell(one, "front", "UNLOCKED")
    assert orders(one.say("lock the front door")) == [("Front door", "lock", "locked")]
    tell(one, "front", "LOCKED")
    question = one.say("for ten minutes")
    assert isinstance(question, Question)
    assert question.prompt == "Shall I unlock the Front door in the Hall for 10 minutes? Say yes or no."
    assert later(one.say("yes")) == ([], [("Front door", "unlocked")])


def test_a_delay_of_what_has_no_way_back_is_refused_and_says_so() -> None:
    one = talk()
    announce(one.devices, "scene", "movie", "Movie night")
    one.say("activate movie night")
    assert refused(one.say("in ten minutes"))[0] == "not-able"


def test_it_after_a_delayed_order_is_its_device() -> None:
    one = talk()
    one.say("turn on the kettle in ten minutes")
    assert orders(one.say("turn it on")) == [("Kettle", "power", "on")]


def test_a_question_about_a_corrected_order_says_what_it_opens() -> None:
    one = talk()
    one.say("unlock the front door")
    one.say("yes")
    tell(one, "front", "UNLOCKED")
    question = one.say("no the back door")
    assert isinstance(question, Question)
    assert "unlock the Back door" in question.prompt


@pytest.mark.parametrize("said", ["no the fan plug", "in ten minutes"])
def test_the_actions_of_one_sentence_have_different_ids(said: str) -> None:
    one = talk()
    one.say("turn on the kettle")
    tell(one, "kettle", "ON")
    actions = actions_of(one.say(said))
    assert len({action.id for action in actions}) == len(actions) == 2


def test_a_rule_that_begins_to_apply_to_one_of_two_actions_refuses_at_the_yes() -> None:
    ruled: list[str] = []

    def rulings(action: Action) -> Ruling | None:
        return Ruling("r", "refuse", "") if action.device.name in ruled else None

    one = Talk(home(), rulings=rulings)
    one.say("unlock the front door")
    one.say("yes")
    tell(one, "front", "UNLOCKED")
    assert asked(one.say("no the back door")) == ("yes", "no")
    ruled.append("Front door")
    assert refused(one.say("yes"))[0] == "not-allowed"


def test_a_correction_of_an_order_for_later_undoes_nothing_else() -> None:
    one = talk()
    one.say("turn off the desk lamp")
    tell(one, "lamp", "OFF")
    one.say("turn on the kettle in ten minutes")
    assert later(one.say("no the fan plug")) == ([("Fan plug", "on")], [])


def test_another_delay_for_an_order_for_later_undoes_nothing_else() -> None:
    one = talk()
    one.say("turn off the desk lamp")
    tell(one, "lamp", "OFF")
    one.say("turn on the kettle in ten minutes")
    assert [action.device.name for action in actions_of(one.say("in five minutes"))] == ["Kettle"]


def test_a_length_for_an_order_for_later_ends_it_after_it_has_begun() -> None:
    one = talk()
    one.say("turn on the kettle in ten minutes")
    outcome = one.say("for five minutes")
    assert isinstance(outcome, Later)
    assert outcome.plan.command.when is not None
    assert outcome.plan.command.when.delay_s == 600.0


def test_a_length_said_after_a_number_was_set_puts_it_back_as_it_was() -> None:
    one = talk()
    one.say("set the desk lamp to eighty percent")
    tell(one, "lamp/bri", "80")
    assert later(one.say("for ten minutes")) == ([], [("Desk lamp", 30.0)])


@pytest.mark.parametrize("said", ["no the boiler", "the same with the boiler"])
def test_degrees_keep_their_scale_elsewhere(said: str) -> None:
    one = talk()
    assert orders(one.say("set the tank to ninety five degrees fahrenheit")) == [("Tank", "target_temperature", 35.0)]
    assert ("Boiler", "target_temperature", 35.0) in orders(one.say(said))


@pytest.mark.parametrize("intent", ["same", "correct"])
def test_what_refers_to_the_order_before_is_asked_about_where_it_is_in_doubt(intent: str) -> None:
    one = talk()
    one.say("turn on the kettle")
    tell(one, "kettle", "ON")
    outcome = one.obey(replace(command(intent, "fan too", name="fan plug"), utterance="u9", doubt="it may be another"))
    assert asked(outcome) == ("yes", "no")


def test_a_time_afterwards_is_asked_about_where_it_is_in_doubt() -> None:
    one = talk()
    one.say("turn on the kettle")
    tell(one, "kettle", "ON")
    outcome = one.obey(replace(command("amend", "or ten", amend="for", duration=600.0), doubt="it may be another"))
    assert asked(outcome) == ("yes", "no")


def test_no_to_a_question_about_a_timer_is_no() -> None:
    one = talk()
    assert asked(one.obey(replace(command("cancel_timer", "drop it"), doubt="it may mean another thing")))
    assert not isinstance(one.say("no the kitchen"), TimerOrder)


def test_putting_back_in_the_same_sentence_does_not_undo_another_order() -> None:
    one = talk()
    one.say("turn off the desk lamp")
    tell(one, "lamp", "OFF")
    assert "Desk lamp" not in {
        action.device.name for action in actions_of(one.say("turn on the kettle and put it back"))
    }


def test_undo_takes_back_all_of_a_sentence() -> None:
    one = talk()
    one.say("turn on the kettle and turn on the fan plug")
    tell(one, "kettle", "ON")
    tell(one, "fan", "ON")
    assert len(orders(one.say("undo that"))) == 2
