import pytest

from edgeagent.answer.sentences import of_outcomes, of_question, of_rejection
from edgeagent.messages import Action, Answer, Capability, Device, Outcome, Question, Rejection, RejectionReason, Value


def outcome(name: str, capability: Capability, value: Value, reason: str = "", area: str | None = None) -> Outcome:
    device = Device(name, name, "light", frozenset({capability}), area, units={"setpoint": "rpm"})
    return Outcome(Action("u1.1", "u1", device, capability, value), "failed" if reason else "done", 0.1, reason)


@pytest.mark.parametrize(
    ("capability", "value", "expected"),
    [
        ("power", "on", "Thing on."),
        ("opening", "closed", "Thing closed."),
        ("lock", "unlocked", "Thing unlocked."),
        ("brightness", 40.0, "Thing at 40 percent."),
        ("target_temperature", 21.5, "Thing set to 21.5 degrees."),
        ("color", "red", "Thing is red."),
        ("mode", "fan_only", "Thing set to fan only."),
        ("setpoint", 1234567.0, "Thing set to 1234567 rpm."),
        ("volume", 0.0, "Thing muted."),
        ("volume", 30.0, "Thing at 30 percent."),
        ("playback", "next", "Thing on to the next."),
        ("playback", "paused", "Thing paused."),
        ("acknowledge", "now", "Thing acknowledged."),
        ("activate", "now", "Thing done."),
    ],
)
def test_what_was_done_is_said(capability: Capability, value: Value, expected: str) -> None:
    assert of_outcomes("u1", [outcome("Thing", capability, value)]) == Answer("u1", expected)


def test_what_failed_comes_first_with_its_reason_and_then_what_was_done() -> None:
    answer = of_outcomes("u1", [outcome("Lamp", "power", "on"), outcome("Spot", "power", "on", "is offline")])
    assert answer == Answer("u1", "Spot is offline. Lamp on.", is_trouble=True)


def test_devices_of_one_name_are_told_apart_by_their_area() -> None:
    heaters = [
        outcome("Heater", "power", "off", area="Bedroom"),
        outcome("Heater", "power", "off", "is offline", "Bath"),
    ]
    assert of_outcomes("u1", heaters).text == "Heater in the Bath is offline. Heater in the Bedroom off."


def test_different_values_are_told_each_and_many_devices_are_counted() -> None:
    two = [outcome("Lamp", "brightness", 20.0), outcome("Spot", "brightness", 60.0)]
    assert of_outcomes("u1", two).text == "Lamp at 20 percent. Spot at 60 percent."
    many = [outcome(f"Lamp {number}", "power", "off") for number in range(4)]
    assert of_outcomes("u1", many).text == "4 devices off."
    assert of_outcomes("u1", many[:3]).text == "Lamp 0, Lamp 1, Lamp 2 off."
    assert of_outcomes("u1", []).text == "There was nothing to do."


def test_every_machine_that_could_not_be_stopped_is_named() -> None:
    stops = [outcome(f"Press {number}", "run", "stopped", "is offline and did not answer") for number in range(5)]
    text = of_outcomes("u1", stops).text
    assert all(f"Press {number} is offline and did not answer." in text for number in range(5))


@pytest.mark.parametrize(
    ("reason", "detail", "expected"),
    [
        ("no-such-device", "there is no toaster", "There is no toaster."),
        ("out-of-range", "", "I cannot do that."),
        ("offline", "Kettle is offline", "Kettle is offline."),
        ("offline", "", "I cannot reach the devices."),
        ("unsure", "it could mean open or close", "I am not sure what you mean."),
        ("nothing-to-confirm", "no question is open", "There is nothing to confirm."),
        ("not-by-voice", "its owner has ruled that out", "That may not be done by voice."),
    ],
)
def test_a_refusal_says_why(reason: RejectionReason, detail: str, expected: str) -> None:
    assert of_rejection(Rejection("u1", reason, "text", detail)) == Answer("u1", expected, is_trouble=True)


def test_the_television_gets_no_answer() -> None:
    assert of_rejection(Rejection("u1", "not-speech-we-know", "text", "detail")) is None


def test_a_question_is_asked_as_it_is() -> None:
    assert of_question(Question("u1", "which", "Which one?", ("a",))) == Answer("u1", "Which one?")
