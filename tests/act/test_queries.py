import pytest
from homes import Talk, announce, asked, command, deliver, everything, known, planned, refused, told

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.simulate.house import house


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("is the front door locked", "Yes, Front door is locked."),
        ("is the front door unlocked", "No, Front door is locked."),
        ("is the kettle on", "No, Kettle is off."),
        ("are the living room blinds shut", "No, Living room blinds is open."),
        ("is the conveyor running", "No, Conveyor is stopped."),
        ("is the inlet valve closed", "Yes, Inlet valve is closed."),
        ("what is the status of the bedroom fan", "Bedroom fan is off."),
        ("what is the status of the line speed", "Line speed is set to 600 rpm."),
        ("what is the status of the bedroom heater", "Heater is off, set to 18 °C."),
        ("what's the outdoor temperature", "Outdoor temperature: 11.5 °C."),
        ("how warm is it in the bedroom", "Heater: 19.2 °C, set to 18 °C."),
        ("what is the boiler temperature", "Boiler temperature: 78.5 °C."),
    ],
)
def test_a_question_is_answered_from_what_was_told(said: str, expected: str) -> None:
    assert told(Talk(everything()).say(said)) == expected


def test_what_nobody_was_named_for_is_told_of_here_or_of_everywhere() -> None:
    assert told(Talk(everything(), here="Bathroom").say("what is the temperature")) == "Heater: 19.2 °C, set to 18 °C."
    everywhere = told(Talk(everything()).say("what is the temperature"))
    assert everywhere.startswith("Heater in the Bedroom: 19.2 °C, set to 18 °C. Heater in the Bathroom: 19.2")
    assert everywhere.count("°C, set") == 2


def test_what_nobody_measures_is_refused_and_never_another_rooms() -> None:
    assert refused(Talk(everything()).say("how humid is it"))[1] == "nothing here tells that"
    assert refused(Talk(everything()).say("how warm is it in the hall"))[0] == "no-such-device"
    assert refused(Talk(everything()).say("how fast is the conveyor running"))[1] == "conveyor does not tell that"
    assert refused(planned(command("get_state", name="toaster"), everything()))[1] == "there is no toaster"
    assert (
        refused(planned(command("get_state", state="on"), everything()))[1] == "there is nothing here that tells that"
    )
    assert refused(planned(command("get_value"), everything()))[0] == "no-such-device"
    assert refused(planned(command("get_value", name="toaster"), everything()))[1] == "there is no toaster"


def test_a_device_that_has_said_nothing_is_said_so() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "pump", "Pump")
    announce(devices, "sensor", "mist", "Mist", dev_cla="humidity", unit_of_meas="%")
    assert told(planned(command("get_state", name="pump", state="on"), devices)) == "Pump has not said."
    assert told(planned(command("get_value", quantity="humidity"), devices)) == "Mist has not said."


def test_what_a_device_that_is_offline_told_is_told_as_old() -> None:
    place = house()
    devices = known(place)
    deliver(devices, place.leave("outdoor_temperature"))
    assert told(Talk(devices).say("what is the outdoor temperature")).endswith("11.5 °C. But it is offline now.")


def test_of_two_of_one_name_the_one_counts_that_can_tell() -> None:
    devices = known(house())
    announce(devices, "binary_sensor", "contact", "Front door", "Hall", dev_cla="door")
    devices.receive("contact", b"ON", 1.0)
    locked, closed = (command("get_state", name="front door", state=state) for state in ("locked", "closed"))
    assert told(planned(locked, devices)) == "Yes, Front door is locked."
    assert told(planned(closed, devices)) == "No, Front door is open."


def test_which_one_is_asked_for_a_reading_too_and_the_answer_is_told() -> None:
    talk = Talk(everything())
    assert asked(talk.say("what's the temperature of the heater")) == ("Bedroom", "Bathroom")
    assert told(talk.say("the bathroom")) == "Heater: 19.2 °C, set to 18 °C."


def test_a_sensor_that_is_called_after_a_device_answers_for_it() -> None:
    devices = known(house())
    announce(devices, "sensor", "watts", "Kettle power", "Kitchen", dev_cla="power", unit_of_meas="W")
    devices.receive("watts", b"1850", 1.0)
    assert told(planned(command("get_value", name="kettle", quantity="power"), devices)) == "Kettle power: 1850 W."


@pytest.mark.parametrize(
    ("quantity", "fields", "name"),
    [
        ("pressure", {"dev_cla": "atmospheric_pressure"}, "Barometer"),
        ("speed", {"unit_of_meas": "rpm"}, "Spindle"),
        ("volume_flow_rate", {}, "Main flow"),
        ("carbon_dioxide", {}, "Office carbon dioxide"),
        ("level", {}, "Tank level"),
    ],
)
def test_a_quantity_is_found_by_class_unit_or_name(quantity: str, fields: dict[str, str], name: str) -> None:
    devices = known(house())
    announce(devices, "sensor", "it", name, **fields)
    announce(devices, "sensor", "other", f"{quantity}less thing", dev_cla="battery")
    devices.receive("it", b"7", 1.0)
    devices.receive("other", b"8", 1.0)
    assert told(planned(command("get_value", quantity=quantity), devices)).startswith(f"{name}: 7")


def test_long_numbers_are_told_as_people_say_them() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "sensor", "meter", "Meter", dev_cla="energy", unit_of_meas="kWh")
    devices.receive("meter", b"1234567.891", 1.0)
    assert told(planned(command("get_value", name="meter"), devices)) == "Meter: 1234567.89 kWh."


def test_a_sensor_that_says_only_on_is_not_taken_for_open() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "binary_sensor", "thing", "Thing")
    devices.receive("thing", b"ON", 1.0)
    assert told(planned(command("get_state", name="thing", state="open"), devices)) == "Thing is on."


def test_a_question_about_a_kind_is_answered_for_all_of_it() -> None:
    devices = everything()
    assert told(Talk(devices).say("is the door locked")) == "Yes, Front door is locked."
    assert told(Talk(devices).say("are any lights on")).startswith(("No, none of them is on", "Yes: "))
    assert told(Talk(devices).say("are the lights in the kitchen off")) == told(
        Talk(devices).say("is the light in the kitchen off")
    )
    assert told(Talk(devices).say("is the valve closed")).endswith("is closed.")
