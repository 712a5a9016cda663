from dataclasses import replace

import pytest
from homes import Talk, announce, asked, command, deliver, everything, known, orders, refused, told
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeagent.act.plan import Later, Plan, Planned, Several, TimerOrder
from edgeagent.act.safety import risk_of
from edgeagent.messages import Action, Command, Question, Rejection, Slot, When
from edgeagent.settings import ActingSettings
from edgeagent.simulate.house import house

UNLOCKED = [("Front door", "lock", "unlocked")]


def test_a_guarded_action_is_asked_about_and_done_once_it_is_confirmed() -> None:
    talk = Talk(everything())
    question = talk.say("unlock the front door")
    assert isinstance(question, Question)
    assert question.prompt == "Shall I unlock the Front door in the Hall? Say yes or no."
    assert (question.kind, question.choices) == ("confirm", ("yes", "no"))
    outcome = talk.say("yes")
    assert orders(outcome) == UNLOCKED
    assert isinstance(outcome, Plan)
    assert {action.utterance for action in outcome.actions} == {outcome.command.utterance} == {"u2"}


def test_confirming_twice_acts_once() -> None:
    talk = Talk(everything())
    talk.say("unlock the front door")
    talk.say("yes")
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


@pytest.mark.parametrize("said", ["yeah no", "no", "nope", "never mind", "no don't", "what time is it", "yesterday"])
def test_what_is_no_plain_yes_does_not_confirm(said: str) -> None:
    talk = Talk(everything())
    talk.say("unlock the front door")
    assert not isinstance(talk.say(said), Plan)


def test_a_yes_comes_too_late_after_the_expiry_and_in_time_just_before() -> None:
    talk = Talk(everything())
    talk.say("unlock the front door")
    talk.now_s += 10.5
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"
    talk.say("unlock the front door")
    talk.now_s += 9.5
    assert orders(talk.say("yes")) == UNLOCKED


def test_a_yes_to_nothing_is_refused() -> None:
    talk = Talk(everything())
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"
    assert refused(talk.say("the bedroom"))[0] == "nothing-to-confirm"
    assert told(talk.say("no")) == "There is nothing to cancel."


@pytest.mark.parametrize(
    "between", ["turn on the kettle", "no", "emergency stop", "the bedroom", "turn off the heater"]
)
def test_another_command_in_between_drops_the_question(between: str) -> None:
    talk = Talk(everything())
    talk.say("unlock the front door")
    talk.say(between)
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


@pytest.mark.parametrize(
    ("heard", "is_open"),
    [
        (Rejection("u2", "not-a-command", "yeah no", 'none begins "yeah"'), False),
        (Rejection("u2", "unsure", "no do", "it could mean deny or cancel"), False),
        (Rejection("u2", "not-speech-we-know", "yes", "the sound bears it out by 0.10"), True),
        (Rejection("u2", "no-words", "", "no words that can be read"), True),
        (Rejection("u2", "not-a-command", "", "no words that can be read"), False),
    ],
)
def test_words_that_we_do_not_know_drop_the_question_and_mere_sound_does_not(
    heard: Rejection, *, is_open: bool
) -> None:
    talk = Talk(everything())
    talk.say("unlock the front door")
    talk.dialogue.misunderstood(heard)
    assert isinstance(talk.say("yes"), Plan) is is_open


@pytest.mark.parametrize("said", ["the bedroom", "in the bedroom", "the bedroom one", "the bedroom heater"])
def test_the_answer_to_which_one_narrows(said: str) -> None:
    talk = Talk(everything())
    assert asked(talk.say("set the heater to twenty degrees")) == ("Bedroom", "Bathroom")
    outcome = talk.say(said)
    assert isinstance(outcome, Plan)
    assert [(action.device.area, action.value) for action in outcome.actions] == [("Bedroom", 20.0)]


def test_an_answer_that_was_not_offered_does_nothing_and_leaves_the_question_open_but_no_longer() -> None:
    talk = Talk(everything())
    talk.say("turn off the heater")
    assert refused(talk.say("the kitchen"))[1] == "Which one: the bedroom or the bathroom"
    assert refused(talk.say("the front door"))[0] == "no-such-device"
    talk.now_s += 9.0
    assert refused(talk.say("the kitchen"))[0] == "no-such-device"
    assert len(orders(talk.say("the bathroom"))) == 1
    talk.say("turn off the heater")
    talk.now_s += 9.0
    talk.say("the kitchen")
    talk.now_s += 2.0
    assert refused(talk.say("the bathroom"))[0] == "nothing-to-confirm"


def test_a_yes_is_no_answer_to_which_one() -> None:
    talk = Talk(everything())
    talk.say("turn on the heater")
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


def test_a_guarded_action_is_confirmed_after_it_was_told_which_one() -> None:
    talk = Talk(everything())
    assert asked(talk.say("turn on the heater")) == ("Bedroom", "Bathroom")
    question = talk.say("the bedroom")
    assert isinstance(question, Question)
    assert question.prompt == "Shall I switch on the Heater in the Bedroom? Say yes or no."
    assert orders(talk.say("yes")) == [("Heater", "power", "on")]


def test_two_questions_in_a_row_remember_the_first_answer() -> None:
    devices = everything()
    for key, area in (("a", "Hall"), ("b", "Shed")):
        announce(devices, "lock", f"{key}1", f"{key} left lock", area)
        announce(devices, "lock", f"{key}2", f"{key} right lock", area)
    devices.receive("homeassistant/lock/front_door/config", b"", 0.0)
    talk = Talk(devices)
    assert asked(talk.obey(command("unlock", kind="lock"))) == ("Hall", "Shed")
    assert asked(talk.obey(command("choose", area="shed"))) == ("b left lock", "b right lock")
    assert asked(talk.obey(command("choose", name="b right lock"))) == ("yes", "no")
    assert orders(talk.obey(command("confirm"))) == [("b right lock", "lock", "unlocked")]


def test_the_question_says_how_many_more_there_are() -> None:
    devices = known(house())
    for number in range(4):
        announce(devices, "lock", f"l{number}", f"Lock {number}")
    question = Talk(devices).obey(command("unlock", kind="lock", scope="all"))
    assert isinstance(question, Question)
    assert "and the Lock 1 and 2 more?" in question.prompt


def test_what_the_owner_ruled_out_is_not_even_asked_about() -> None:
    talk = Talk(everything(), settings=ActingSettings(device_risks={"front door": "never"}))
    assert refused(talk.say("unlock the front door"))[0] == "not-by-voice"
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"
    assert orders(talk.say("lock the front door")) == [("Front door", "lock", "locked")]


def test_the_emergency_stop_is_never_asked_about() -> None:
    never = ActingSettings(device_risks={"Conveyor": "never", "Coolant pump": "guarded"}, risks={"run": "never"})
    assert len(orders(Talk(everything(), settings=never).say("emergency stop"))) == 2


def test_a_device_that_left_between_question_and_answer_is_left_to_performing() -> None:
    place = house()
    devices = known(place)
    talk = Talk(devices)
    talk.say("unlock the front door")
    deliver(devices, place.leave("front_door"))
    assert orders(talk.obey(command("confirm"))) == UNLOCKED


HOME = everything()
COMMANDS = [
    command(intent, **slots)
    for intent, slots in [
        ("confirm", {}),
        ("deny", {}),
        ("choose", {"area": "bedroom"}),
        ("choose", {"area": "hall"}),
        ("choose", {"name": "conveyor"}),
        ("choose", {"name": "coolant pump"}),
        ("unlock", {"name": "front door"}),
        ("unlock", {"kind": "lock", "scope": "all"}),
        ("lock", {"name": "front door"}),
        ("turn_on", {"name": "heater"}),
        ("turn_on", {"kind": "climate", "scope": "all"}),
        ("turn_on", {"name": "kettle"}),
        ("start_machine", {"kind": "machine"}),
        ("stop_machine", {"name": "conveyor"}),
        ("open", {"name": "inlet valve"}),
        ("get_state", {"name": "front door", "state": "locked"}),
        ("emergency_stop", {}),
        ("launch_rocket", {}),
    ]
] + [command("set_point", name="line speed", value=900.0)]


def _guarded(outcome: Planned) -> bool:
    return isinstance(outcome, Plan) and any(risk_of(one, ActingSettings()) != "free" for one in outcome.actions)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(COMMANDS), st.sampled_from([0.0, 1.0, 9.0, 11.0])), max_size=30))
def test_nothing_guarded_is_ever_done_but_by_a_confirmation_right_after_its_question(
    steps: list[tuple[Command, float]],
) -> None:
    talk = Talk(HOME)
    before: Planned | None = None
    for number, (one, waits_s) in enumerate(steps):
        talk.now_s += waits_s
        outcome = talk.obey(replace(one, utterance=f"u{number}"))
        if _guarded(outcome):
            assert one.intent == "confirm"
            assert isinstance(before, Question)
            assert before.kind == "confirm"
            assert waits_s <= ActingSettings().confirm_within_s
        before = outcome


@given(st.text(max_size=20))
def test_no_made_up_answer_chooses_a_device(text: str) -> None:
    talk = Talk(HOME)
    talk.obey(command("turn_off", name="heater"))
    outcome = talk.obey(Command("u2", "choose", (Slot("area", text, text),), text, 1, 0.9))
    offered = {"bedroom", "bathroom", "bedroom heater", "bathroom heater"}
    assert isinstance(outcome, Rejection) or " ".join(text.lower().split()) in offered


@pytest.mark.parametrize("between", ["\u043d\u0435\u0442", "\U0001f6ab", "...", "\u4e0d\u8981", "5 / 6"])
def test_what_was_typed_and_cannot_be_read_drops_the_question(between: str) -> None:
    talk = Talk(everything())
    talk.say("unlock the front door")
    heard = talk.say(between)
    assert isinstance(heard, Rejection)
    talk.dialogue.misunderstood(heard)
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


def test_what_was_understood_with_a_doubt_is_asked_about_whatever_its_risk() -> None:
    talk = Talk(everything())
    unsure = replace(command("turn_on", "kill the kettle", name="kettle"), doubt="it may mean another thing")
    question = talk.obey(unsure)
    assert isinstance(question, Question)
    assert question.prompt == "Shall I switch on the Kettle in the Kitchen? Say yes or no."
    assert orders(talk.say("yes")) == [("Kettle", "power", "on")]
    talk.obey(unsure)
    assert told(talk.say("no")) == "All right."
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


def test_a_timer_that_was_understood_with_a_doubt_is_asked_about_too() -> None:
    talk = Talk(everything())
    question = talk.obey(replace(command("cancel_timer", "drop it"), doubt="it may mean another thing"))
    assert isinstance(question, Question)
    assert question.prompt == "Shall I cancel the timer? Say yes or no."
    assert isinstance(talk.say("yes"), TimerOrder)


def test_a_question_is_answered_in_spite_of_a_doubt() -> None:
    talk = Talk(everything())
    assert told(talk.obey(replace(command("get_time", "time"), doubt="it may mean another thing"))) == "It is 12:05."


def parts(outcome: Planned) -> tuple[Planned, ...]:
    assert isinstance(outcome, Several), outcome
    return outcome.parts


def test_several_orders_in_one_sentence_are_done_one_after_the_other() -> None:
    lamp, kettle = parts(Talk(everything()).say("turn on the kitchen light and turn off the kettle"))
    assert orders(lamp) == [("Kitchen light", "power", "on")]
    assert orders(kettle) == [("Kettle", "power", "off")]
    assert isinstance(lamp, Plan)
    assert isinstance(kettle, Plan)
    assert lamp.actions[0].id != kettle.actions[0].id


def test_what_must_be_asked_stops_those_that_follow_until_it_is_answered() -> None:
    talk = Talk(everything())
    question = talk.say("unlock the front door and turn on the kettle and turn on the kitchen light")
    assert asked(question) == ("yes", "no")
    door, kettle, light = parts(talk.say("yes"))
    assert orders(door) == UNLOCKED
    assert orders(kettle) == [("Kettle", "power", "on")]
    assert orders(light) == [("Kitchen light", "power", "on")]
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


@pytest.mark.parametrize("answer", ["no", "never mind", "turn off the kettle", "stop", "what time is it"])
def test_who_does_not_say_yes_drops_the_rest_of_the_sentence(answer: str) -> None:
    talk = Talk(everything())
    kettle, question = parts(talk.say("turn on the kettle and unlock the front door and turn on the kitchen light"))
    assert orders(kettle) == [("Kettle", "power", "on")]
    assert asked(question) == ("yes", "no")
    talk.say(answer)
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


def test_two_guarded_orders_of_a_sentence_are_asked_about_one_by_one() -> None:
    talk = Talk(everything())
    assert asked(talk.say("unlock the front door and start the conveyor")) == ("yes", "no")
    door, question = parts(talk.say("yes"))
    assert orders(door) == UNLOCKED
    assert isinstance(question, Question)
    assert question.prompt.startswith("Shall I start the Conveyor")
    assert orders(talk.say("yes")) == [("Conveyor", "run", "running")]


def test_the_second_question_of_a_sentence_expires_as_the_first_does() -> None:
    talk = Talk(everything())
    talk.say("unlock the front door and start the conveyor")
    talk.now_s += 9.5
    talk.say("yes")
    talk.now_s += 9.5
    assert orders(talk.say("yes")) == [("Conveyor", "run", "running")]
    talk.say("unlock the front door and start the conveyor")
    talk.say("yes")
    talk.now_s += 10.5
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


def test_which_one_in_the_middle_of_a_sentence_goes_on_with_the_rest() -> None:
    talk = Talk(everything())
    assert asked(talk.say("turn off the heater and turn on the kettle")) == ("Bedroom", "Bathroom")
    assert refused(talk.say("the kitchen"))[0] == "no-such-device"
    heater, kettle = parts(talk.say("the bathroom"))
    assert orders(heater) == [("Heater", "power", "off")]
    assert orders(kettle) == [("Kettle", "power", "on")]


def test_a_refusal_in_the_middle_of_a_sentence_does_not_keep_the_rest() -> None:
    talk = Talk(everything(), settings=ActingSettings(device_risks={"kettle": "never"}))
    kettle, light = parts(talk.say("turn on the kettle and turn on the kitchen light"))
    assert refused(kettle)[0] == "not-by-voice"
    assert orders(light) == [("Kitchen light", "power", "on")]


def test_a_stop_while_a_question_is_open_drops_it_and_stops_what_moves() -> None:
    place = house()
    devices = known(place)
    talk = Talk(devices)
    talk.say("unlock the front door")
    assert told(talk.say("stop")) == "All right."
    talk.say("unlock the front door")
    deliver(devices, place.change("living_room_blinds", {"state": "closing", "position": 60}))
    assert orders(talk.say("stop")) == [("Living room blinds", "opening", "stopped")]
    assert refused(talk.say("yes"))[0] == "nothing-to-confirm"


def test_a_stop_with_nothing_moving_and_nothing_open_says_so() -> None:
    assert refused(Talk(everything()).say("stop")) == ("nothing-meant", "nothing is moving")


def test_a_stop_stops_what_was_spoken_of_though_it_does_not_say_that_it_moves() -> None:
    talk = Talk(everything())
    talk.say("open the living room blinds")
    assert orders(talk.say("stop")) == [("Living room blinds", "opening", "stopped")]


def test_a_guarded_order_for_later_is_asked_about_at_once() -> None:
    talk = Talk(everything())
    question = talk.say("unlock the front door in ten minutes")
    assert isinstance(question, Question)
    assert question.prompt == "Shall I unlock the Front door in the Hall in 10 minutes? Say yes or no."
    outcome = talk.say("yes")
    assert isinstance(outcome, Later)
    assert [action.value for action in outcome.plan.actions] == ["unlocked"]
    assert outcome.plan.actions[0].allowed_by.endswith("; confirmed")


def test_an_end_that_would_be_guarded_is_asked_about_before_it_begins() -> None:
    talk = Talk(everything())
    talk.say("turn off the heater for an hour")
    question = talk.say("the bedroom")
    assert isinstance(question, Question)
    assert question.prompt == "Shall I switch off the Heater in the Bedroom for 1 hour? Say yes or no."
    outcome = talk.say("yes")
    assert isinstance(outcome, Later)
    assert orders(outcome.plan) == [("Heater", "power", "off")]
    assert [(end.value, end.allowed_by) for end in outcome.ends] == [
        ("on", "power of Heater is guarded; confirmed"),
    ]


def test_an_order_for_a_while_without_a_way_back_is_refused() -> None:
    talk = Talk(everything())
    assert refused(talk.say("activate party time for ten minutes"))[0] in {"not-a-command", "not-able"}
    devices = known()
    announce(devices, "scene", "movie", "Movie night")
    assert refused(Talk(devices).say("activate movie night for ten minutes"))[0] == "not-able"


def test_a_stop_for_a_while_or_for_later_is_done_at_once() -> None:
    for said in ("stop the conveyor for ten minutes", "stop the conveyor in ten minutes"):
        assert orders(Talk(everything()).say(said)) == [("Conveyor", "run", "stopped")], said


def test_a_time_for_several_orders_is_asked_about() -> None:
    talk = Talk(everything())
    question = talk.say("turn on the kettle and turn on the kitchen light in ten minutes")
    assert isinstance(question, Question)
    assert question.why == ("the time may be meant for all of it, or for the last order only",)
    assert refused(talk.say("no thanks at all"))[0] == "not-a-command"


def test_a_doubt_and_a_guard_are_both_told() -> None:
    unsure = replace(command("unlock", "free the door", name="front door"), doubt="it may mean another thing")
    question = Talk(everything()).obey(unsure)
    assert isinstance(question, Question)
    assert question.why == ("it may mean another thing", "lock of Front door is guarded")


def test_a_plan_that_was_cancelled_with_a_doubt_is_asked_about() -> None:
    talk = Talk(everything())
    assert asked(talk.obey(replace(command("cancel_plans", scope="all"), doubt="it may mean another thing")))
    assert isinstance(talk.say("yes"), TimerOrder)


def test_a_compound_with_a_doubt_in_its_second_order_asks_about_that_one() -> None:
    talk = Talk(everything())
    doubtful = replace(command("turn_off", name="kitchen light"), doubt="it may mean another thing")
    kettle, question = parts(talk.obey(replace(command("turn_on", name="kettle"), then=(doubtful,))))
    assert orders(kettle) == [("Kettle", "power", "on")]
    assert asked(question) == ("yes", "no")
    assert orders(talk.say("yes")) == [("Kitchen light", "power", "off")]


STEPS = [
    *COMMANDS,
    *(
        replace(one, when=When(delay_s=60.0))
        for one in COMMANDS
        if one.intent in {"unlock", "turn_on", "start_machine"}
    ),
    *(replace(one, when=When(lasts_s=60.0)) for one in COMMANDS if one.intent in {"unlock", "lock", "turn_on"}),
    *(replace(command("turn_on", name="kettle"), then=(one,)) for one in COMMANDS[6:]),
    *(replace(one, then=(command("unlock", name="front door"),)) for one in COMMANDS[6:]),
    command("same", name="front door"),
    command("same", area="hall"),
    command("correct", name="front door"),
    command("correct", name="conveyor"),
    command("amend", amend="for", duration=60.0),
    command("amend", amend="in", duration=60.0),
    command("undo"),
    command("stop"),
    command("unlock", reference="last"),
    command("turn_on", reference="last"),
]


def _planned_in(outcome: Planned) -> tuple[Action, ...]:
    match outcome:
        case Plan():
            return outcome.actions
        case Later():
            return (*outcome.plan.actions, *outcome.ends)
        case Several():
            return tuple(action for part in outcome.parts for action in _planned_in(part))
        case _:
            return ()


def _is_question(outcome: Planned | None) -> bool:
    last = outcome.parts[-1] if isinstance(outcome, Several) else outcome
    return isinstance(last, Question) and last.kind == "confirm"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from([0.0, 1.0, 9.0, 11.0])), max_size=30))
def test_whatever_is_said_nothing_guarded_is_done_now_or_planned_but_by_a_yes_to_a_question(
    steps: list[tuple[Command, float]],
) -> None:
    talk = Talk(HOME)
    before: Planned | None = None
    for number, (one, waits_s) in enumerate(steps):
        talk.now_s += waits_s
        rest = tuple(replace(other, utterance=f"u{number}") for other in one.then)
        outcome = talk.obey(replace(one, utterance=f"u{number}", then=rest))
        guarded = [action for action in _planned_in(outcome) if risk_of(action, ActingSettings()) != "free"]
        assert not guarded or (one.intent == "confirm" and _is_question(before) and waits_s <= 10.0), guarded
        assert all(action.allowed_by for action in guarded)
        before = outcome


def test_a_stop_says_why_it_is_allowed_while_a_question_is_open_too() -> None:
    talk = Talk(everything())
    talk.say("open the living room blinds")
    talk.say("unlock the front door")
    outcome = talk.say("stop")
    assert isinstance(outcome, Plan)
    assert outcome.actions[0].allowed_by == "a stop is always free"


def test_a_stop_while_a_question_is_open_does_not_swallow_the_rest_of_the_sentence() -> None:
    talk = Talk(everything())
    talk.say("open the living room blinds")
    talk.say("start the conveyor")
    outcome = talk.say("stop and lock the front door")
    assert ("Front door", "locked") in {(action.device.name, action.value) for action in _planned_in(outcome)}
