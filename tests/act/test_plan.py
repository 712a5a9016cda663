import pytest
from homes import NOON, Talk, announce, asked, command, deliver, everything, known, orders, planned, refused, told

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.plan import ABOUT_BEFORE, Plan, TimerOrder
from edgeagent.grammar import commands
from edgeagent.messages import Command, Rejection, Value
from edgeagent.simulate.house import house, plant


def covers(*described: tuple[str, str, str | None]) -> Devices:
    """Make covers of (name, area, device class)."""
    devices = Devices([HomeAssistant()])
    for number, (name, area, device_class) in enumerate(described):
        fields = {} if device_class is None else {"dev_cla": device_class}
        announce(devices, "cover", f"cover{number}", name, area, **fields)
    return devices


def cover_command(intent: str, said: str) -> Command:
    return command(intent, kind="cover", **{"class": said})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("turn on the kettle", [("Kettle", "power", "on")]),
        ("turn all the lights on", [("Kitchen light", "power", "on"), ("Living room light", "power", "on")]),
        ("lights on in the kitchen", [("Kitchen light", "power", "on")]),
        ("set the kitchen light to forty percent", [("Kitchen light", "brightness", 40.0)]),
        ("set the kitchen light to zero percent", [("Kitchen light", "power", "off")]),
        ("make the living room light blue", [("Living room light", "color", "blue")]),
        ("close the blinds", [("Living room blinds", "opening", "closed")]),
        ("open the blinds halfway", [("Living room blinds", "position", 50.0)]),
        ("stop the blinds", [("Living room blinds", "opening", "stopped")]),
        ("lock the door", [("Front door", "lock", "locked")]),
        ("lock all the doors", [("Front door", "lock", "locked")]),
        ("set the heating in the bedroom to nineteen", [("Heater", "target_temperature", 19.0)]),
        ("set the heating in the bedroom to sixty eight degrees fahrenheit", [("Heater", "target_temperature", 20.0)]),
        ("set the bedroom fan to low", [("Bedroom fan", "speed", 25.0)]),
        ("set the bedroom fan to high", [("Bedroom fan", "speed", 100.0)]),
        ("set the bedroom fan to zero percent", [("Bedroom fan", "power", "off")]),
        ("stop the conveyor", [("Conveyor", "run", "stopped")]),
        ("close the inlet valve", [("Inlet valve", "opening", "closed")]),
        ("acknowledge all alarms", [("Line alarm", "acknowledge", "now")]),
        ("acknowledge the alarm", [("Line alarm", "acknowledge", "now")]),
        ("emergency stop", [("Conveyor", "run", "stopped"), ("Coolant pump", "run", "stopped")]),
    ],
)
def test_a_sentence_becomes_orders(said: str, expected: list[tuple[str, str, Value]]) -> None:
    assert orders(Talk(everything()).say(said)) == expected


@pytest.mark.parametrize("name", ["common", "home", "plant"])
def test_every_intent_of_the_command_sets_is_planned_for(name: str) -> None:
    templates = commands.built_in([name]).templates
    answers = {"confirm", "deny", "choose", *ABOUT_BEFORE}  # the dialogue's
    slots: dict[str, Value] = {"kind": "light", "direction": "up", "duration": 60.0, "quantity": "temperature"}
    values = dict.fromkeys(("brightness", "position", "speed", "volume", "temperature", "value"), 20.0)
    values |= dict.fromkeys(("kelvin", "tilt", "percent"), 20.0)
    words = {"color": "red", "mode": "heat", "option": "eco", "said": "hello", "arming": "armed_home"}
    for intent in {template.intent for template in templates} - answers:
        outcome = planned(command(intent, **slots, **values, **words), everything())
        assert not isinstance(outcome, Rejection) or outcome.detail != "nothing here can do that", intent


def test_an_intent_of_the_owners_own_is_passed_on_and_one_without_its_value_refused() -> None:
    assert told(planned(command("launch_rocket"), everything())) == "I have passed that on."
    assert refused(planned(command("set_brightness", kind="light"), everything()))[0] == "not-able"
    assert refused(planned(command("adjust_volume", kind="media"), everything()))[0] == "not-able"


def test_time_and_date_are_told_and_timers_are_passed_on() -> None:
    talk = Talk(everything())
    assert told(talk.say("what time is it")) == f"It is {NOON:%H:%M}."
    assert told(talk.say("what day is it")) == "It is Saturday, November 21."
    assert isinstance(talk.say("set a timer for five minutes"), TimerOrder)


def test_help_names_what_can_be_spoken_to() -> None:
    assert told(planned(command("help"), known(plant()))).startswith("You can speak to Conveyor, Coolant pump")
    assert "Boiler temperature" not in told(planned(command("help"), known(plant())))
    assert told(planned(command("help"), Devices([HomeAssistant()]))) == "No device has been found yet."


def test_a_kind_in_two_rooms_is_asked_about_unless_one_of_them_is_here() -> None:
    assert asked(Talk(everything()).say("turn on the lights")) == ("Kitchen", "Living room")
    assert orders(Talk(everything(), here="kitchen").say("turn on the lights")) == [("Kitchen light", "power", "on")]
    assert orders(Talk(everything(), here="Attic").say("close the blinds")) == [
        ("Living room blinds", "opening", "closed")
    ]


def test_here_is_refused_where_nobody_knows_where_here_is() -> None:
    reason, detail = refused(Talk(everything()).say("turn on the lights in here"))
    assert (reason, "where I am" in detail) == ("no-such-device", True)
    assert refused(Talk(everything()).say("how warm is it in here"))[1] == detail


def test_two_devices_of_one_name_are_asked_about_and_the_one_here_is_meant() -> None:
    assert asked(Talk(everything()).say("turn off the heater")) == ("Bedroom", "Bathroom")
    outcome = Talk(everything(), here="Bathroom").say("turn off the heater")
    assert isinstance(outcome, Plan)
    assert [action.device.area for action in outcome.actions] == ["Bathroom"]


def test_two_devices_that_nothing_tells_apart_are_refused_with_the_way_out() -> None:
    devices = known(house())
    for key in ("one", "two"):
        announce(devices, "switch", key, "Pump", "Cellar")
    reason, detail = refused(planned(command("turn_on", name="pump"), devices))
    assert (reason, detail.startswith("there are 2 called Pump")) == ("not-able", True)


def test_a_device_that_is_not_there_or_not_able_is_said_so() -> None:
    devices = everything()
    assert refused(planned(command("turn_on", name="toaster"), devices))[1] == "there is no toaster"
    assert refused(planned(command("turn_on", name="kettle", area="bedroom"), devices))[1].endswith("in the bedroom")
    assert refused(planned(command("set_color", name="kettle", color="red"), devices)) == (
        "not-able",
        "Kettle cannot do that",
    )
    assert refused(planned(command("turn_on"), devices))[1] == "no device was named"
    assert refused(planned(command("turn_on", kind="submarine"), devices))[1] == "no device was named"


def test_areas_are_the_same_however_they_are_spelled() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "light", "a", "Lamp", "Living_Room2")
    announce(devices, "light", "b", "Spot", "living room 2")
    both = [("Lamp", "power", "on"), ("Spot", "power", "on")]
    assert orders(planned(command("turn_on", kind="light", area="living room 2"), devices)) == both
    assert orders(planned(command("turn_on", kind="light"), devices)) == both


def test_the_windows_are_only_covers_of_that_class() -> None:
    devices = covers(("Left pane", "Office", "window"), ("Roller", "Office", "blind"), ("Door", "Garage", "garage"))
    assert orders(Talk(devices).say("close the windows")) == [("Left pane", "opening", "closed")]
    assert orders(Talk(devices).say("close all the windows")) == [("Left pane", "opening", "closed")]
    assert refused(Talk(devices).say("close the curtains")) == (
        "no-such-device",
        "there is no curtain that can do that",
    )
    assert refused(Talk(devices).say("close all the awnings"))[0] == "no-such-device"
    assert orders(Talk(devices).say("close the garage")) == [("Door", "opening", "closed")]


def test_blinds_and_shades_are_mixed_up_by_people() -> None:
    devices = covers(("Roller", "Office", "shade"), ("Left pane", "Office", "window"))
    assert orders(planned(cover_command("close", "blind"), devices)) == [("Roller", "opening", "closed")]


def test_covers_without_a_class_go_by_their_name() -> None:
    devices = covers(("Office Skylight", "Office", None), ("Left pane", "Office", "window"), ("Thing", "Office", None))
    assert [name for name, _, _ in orders(planned(cover_command("close", "window"), devices))] == [
        "Office Skylight",
        "Left pane",
    ]
    only_names = covers(("Big Curtain", "Office", "shade"), ("Pane", "Office", "window"))
    assert orders(planned(cover_command("open", "curtain"), only_names)) == [("Big Curtain", "opening", "open")]


def test_what_comes_one_at_a_time_is_asked_about() -> None:
    devices = everything()
    assert asked(planned(command("start_machine", kind="machine"), devices)) == ("Conveyor", "Coolant pump")
    assert asked(planned(command("stop_machine"), devices)) == ("Conveyor", "Coolant pump")
    announce(devices, "lock", "back", "Back door", "Hall")
    assert asked(planned(command("unlock", kind="lock"), devices)) == ("Front door", "Back door")
    announce(devices, "button", "alarm2", "Fire alarm", "Hall one", edgeagent_kind="alarm")
    assert asked(planned(command("acknowledge_alarm", kind="alarm"), devices)) == ("Line alarm", "Fire alarm")
    assert len(orders(planned(command("acknowledge_alarm", kind="alarm", scope="all"), devices))) == 2


def test_many_choices_are_understood_but_not_all_read_out() -> None:
    devices = Devices([HomeAssistant()])
    for number in range(9):
        announce(devices, "light", f"l{number}", f"Lamp {number}", f"Room {number}")
    outcome = planned(command("turn_on", kind="light"), devices)
    assert len(asked(outcome)) == 9
    assert str(getattr(outcome, "prompt", "")).endswith("the room 3 or 5 others?")


def test_brighter_counts_from_what_the_light_told_and_a_light_that_is_off_counts_as_nothing() -> None:
    place = house()
    devices = known(place)
    talk = Talk(devices, here="Kitchen")
    assert orders(talk.say("brighter")) == [("Kitchen light", "brightness", 20.0)]
    deliver(devices, place.change("kitchen_light", {"POWER": "ON", "Dimmer": 90}))
    assert orders(talk.say("brighter")) == [("Kitchen light", "brightness", 100.0)]
    deliver(devices, place.change("kitchen_light", {"Dimmer": 10}))
    assert orders(talk.say("dim the lights")) == [("Kitchen light", "brightness", 1.0)]


def test_dimming_a_light_that_is_off_does_not_switch_it_on() -> None:
    assert told(Talk(known(house()), here="Kitchen").say("dim the lights")) == "Kitchen light is off."


def test_degrees_are_converted_only_where_the_other_scale_was_said() -> None:
    devices = Devices([HomeAssistant()])
    fields = {"temp_cmd_t": "t", "temp_stat_t": "s"}
    announce(devices, "climate", "c", "Stove", None, **fields)
    announce(devices, "climate", "f", "Furnace", None, temp_unit="F", **fields)
    announce(devices, "climate", "b", "Tank", None, min_temp=30, max_temp=90, **fields)

    def ordered(name: str, degrees: float, text: str = "") -> Value:
        return orders(planned(command("set_temperature", text, name=name, temperature=degrees), devices))[0][2]

    assert ordered("stove", 70.0, "set the stove to seventy degrees fahrenheit") == 21.0
    assert ordered("stove", 21.5) == 21.5
    assert ordered("furnace", 70.0) == 70.0
    assert ordered("furnace", 20.0, "set the furnace to twenty degrees celsius") == 68.0
    for name, other_scale in (("stove", 45.0), ("furnace", 20.0)):
        guess = planned(command("set_temperature", name=name, temperature=other_scale), devices)
        assert refused(guess)[0] == "out-of-range", "who wants it warmer must not get seven degrees"
    assert ordered("tank", 60.0) == 60.0
    assert ordered("tank", 95.0, "set the tank to ninety five degrees fahrenheit") == 35.0
    assert refused(planned(command("set_temperature", name="stove", temperature=95.5), devices))[0] == "out-of-range"


def test_another_unit_and_a_value_out_of_range_are_refused() -> None:
    talk = Talk(everything())
    assert refused(talk.say("set the line speed to four bar")) == (
        "out-of-range",
        "Line speed is set in rpm, not in bar",
    )
    assert refused(talk.say("set the line speed to two thousand rpm"))[1] == "Line speed takes 0 to 1500 rpm, not 2000"
    nan = planned(command("set_point", name="line speed", value=float("nan")), everything())
    assert refused(nan)[0] == "out-of-range"


def test_one_that_is_offline_is_refused_and_of_a_group_it_stays_to_be_reported() -> None:
    place = house()
    devices = known(place)
    deliver(devices, place.leave("kitchen_light"))
    assert refused(Talk(devices).say("turn on the kitchen light")) == ("offline", "Kitchen light is offline")
    assert len(orders(Talk(devices).say("turn on all the lights"))) == 2
    deliver(devices, place.leave("living_room_light"))
    assert refused(Talk(devices).say("turn on all the lights")) == ("offline", "all of them are offline")


def test_a_stop_is_planned_for_a_machine_that_is_offline() -> None:
    place = plant()
    devices = known(place)
    for key in ("conveyor", "coolant_pump"):
        deliver(devices, place.leave(key))
    assert orders(Talk(devices).say("stop the conveyor")) == [("Conveyor", "run", "stopped")]
    assert len(orders(Talk(devices).say("stop everything"))) == 2


def test_the_emergency_stop_stops_what_moves_and_is_refused_only_where_nothing_can_be_stopped() -> None:
    place = house()
    devices = known(place)
    talk = Talk(devices)
    assert refused(talk.say("emergency stop"))[1] == "there is no machine to stop"
    deliver(devices, place.change("living_room_blinds", {"state": "closing", "position": 60}))
    assert orders(talk.say("emergency stop")) == [("Living room blinds", "opening", "stopped")]


def test_louder_is_refused_where_the_volume_is_not_known() -> None:
    assert refused(planned(command("adjust_volume", direction="up"), everything()))[1].startswith("there is no player")
