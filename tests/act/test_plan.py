import pytest
from homes import NOON, Talk, announce, asked, command, deliver, everything, known, orders, planned, refused, told

from edgeagent.act.amounts import Wish, amount
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.plan import ABOUT_BEFORE, Plan, Several, TimerOrder
from edgeagent.grammar import commands
from edgeagent.messages import Capability, Command, Device, Rejection, Value
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


def lamps() -> Devices:
    devices = known(plant())
    announce(devices, "light", "desk", "Desk lamp", "Office", bri_cmd_t="d", bri_stat_t="desk/bri", bri_scl=100)
    announce(devices, "light", "spot", "Spot", "Bedroom", bri_cmd_t="s", bri_stat_t="spot/bri", bri_scl=100)
    announce(devices, "light", "shelf", "Shelf lamp", "Bedroom")
    announce(devices, "number", "feed", "Feed pressure", "Hall one", unit_of_meas="bar", min=0, max=10, stat_t="feed")
    announce(devices, "number", "oil", "Oil pressure", "Hall one", unit_of_meas="psi", min=0, max=200, stat_t="oil")
    announce(devices, "number", "bath", "Bath", "Hall one", unit_of_meas="°C", min=0, max=90, stat_t="bath")
    announce(devices, "number", "kiln", "Kiln", "Hall one", unit_of_meas="°F", min=0, max=2000, stat_t="kiln")
    announce(devices, "number", "drive", "Drive", "Hall one", unit_of_meas="Hz", min=0, max=60, stat_t="drive")
    for topic, payload in (("desk", "ON"), ("desk/bri", "60"), ("spot", "ON"), ("spot/bri", "90"), ("shelf", "ON")):
        devices.receive(topic, payload.encode(), 0.0)
    return devices


def confirmed(said: str) -> list[tuple[str, str, Value]]:
    talk = Talk(lamps())
    assert asked(talk.say(said)) == ("yes", "no")
    return orders(talk.say("yes"))


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("turn off all the lights but the bedroom", ["Desk lamp"]),
        ("turn off all the lights except the desk lamp", ["Spot", "Shelf lamp"]),
        ("turn off all the lights except for the spot and the shelf lamp", ["Desk lamp"]),
        ("turn off all the lights apart from the ones in the office", ["Spot", "Shelf lamp"]),
        ("turn off the lights except the spot", ["Desk lamp", "Shelf lamp"]),
        ("turn off the lights in the bedroom except the spot", ["Shelf lamp"]),
        ("turn all the lights off but not the bedroom", ["Desk lamp"]),
    ],
)
def test_all_but_some_is_the_rest(said: str, left: list[str]) -> None:
    assert [name for name, _, _ in orders(Talk(lamps()).say(said))] == left


def test_an_exception_of_what_is_none_of_them_or_all_of_them_is_refused() -> None:
    talk = Talk(lamps())
    detail = "what you except is none of them"
    assert refused(talk.say("turn off the lights in the bedroom except the desk lamp")) == ("no-such-device", detail)
    assert refused(talk.say("turn off all the lights except the conveyor")) == ("no-such-device", detail)
    nothing = planned(command("turn_off", kind="light", scope="all", except_area="hall one"), talk.devices)
    assert refused(nothing) == ("no-such-device", detail)
    both = "turn off all the lights except the office and the bedroom"
    assert refused(talk.say(both)) == ("no-such-device", "nothing is left then")


def test_half_is_half_of_what_it_was_and_at_least_what_is_seen() -> None:
    devices = lamps()
    talk = Talk(devices)
    assert orders(talk.say("dim the desk lamp by half")) == [("Desk lamp", "brightness", 30.0)]
    devices.receive("desk/bri", b"1", 0.0)
    assert orders(talk.say("dim the desk lamp by half")) == [("Desk lamp", "brightness", 1.0)]
    devices.receive("desk", b"OFF", 0.0)
    assert told(talk.say("dim the desk lamp by half")) == "Desk lamp is off."


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("brighten the desk lamp by ten percent", 70.0),
        ("dim the desk lamp by ten percent", 50.0),
        ("brighten the desk lamp by fifty percent", 100.0),
        ("dim the desk lamp by ninety percent", 1.0),
        ("brighten the desk lamp", 80.0),
    ],
)
def test_a_step_may_be_said_in_percent_and_ends_at_the_limits(said: str, expected: float) -> None:
    assert orders(Talk(lamps()).say(said)) == [("Desk lamp", "brightness", expected)]


def test_degrees_by_steps_end_at_the_devices_own_limits() -> None:
    devices = Devices([HomeAssistant()])
    fields = {"temp_cmd_t": "t", "min_temp": 16, "max_temp": 22}
    announce(devices, "climate", "c", "Stove", "Office", temp_stat_t="c", **fields)
    talk = Talk(devices)
    assert refused(talk.say("turn up the stove")) == ("out-of-range", "Stove has not told its target temperature")
    for before, said, expected in (
        (b"20", "turn up the stove by two degrees", 22.0),
        (b"21.5", "turn up the stove", 22.0),
        (b"16.5", "turn down the stove by ten degrees", 16.0),
        (b"20", "turn down the stove by half a degree", 19.5),
    ):
        devices.receive("c", before, 0.0)
        assert orders(talk.say(said)) == [("Stove", "target_temperature", expected)], said


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("set the feed pressure to four bar", ("Feed pressure", "setpoint", 4.0)),
        ("set the feed pressure to sixty psi", ("Feed pressure", "setpoint", 4.137)),
        ("set the oil pressure to four bar", ("Oil pressure", "setpoint", 58.015)),
        ("set the oil pressure to sixty pounds", ("Oil pressure", "setpoint", 60.0)),
        ("set the feed pressure to four hundred kilopascal", ("Feed pressure", "setpoint", 4.0)),
        ("set the line speed to nine hundred rpm", ("Line speed", "setpoint", 900.0)),
        ("set the line speed to twenty hertz", ("Line speed", "setpoint", 1200.0)),
        ("set the bath to sixty degrees", ("Bath", "setpoint", 60.0)),
        ("set the bath to one hundred and forty degrees fahrenheit", ("Bath", "setpoint", 60.0)),
        ("set the kiln to one hundred degrees celsius", ("Kiln", "setpoint", 212.0)),
    ],
)
def test_a_unit_of_the_same_quantity_is_converted(said: str, expected: tuple[str, str, Value]) -> None:
    assert confirmed(said) == [expected]


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ("set the feed pressure to ten rpm", "Feed pressure is set in bar, not in rpm"),
        ("set the feed pressure to two hundred psi", "Feed pressure takes 0 to 10 bar, not 13.79"),
        ("set the oil pressure to twenty bar", "Oil pressure takes 0 to 200 psi, not 290.075"),
        ("set the bath to four bar", "Bath is set in °C, not in bar"),
        ("set the line speed to forty degrees", "Line speed is set in rpm, not in degrees"),
        ("set the bath to two hundred degrees", "Bath takes 0 to 90 °C, not 200"),
    ],
)
def test_a_unit_of_another_quantity_and_what_is_out_of_range_when_converted_are_refused(said: str, detail: str) -> None:
    assert refused(Talk(lamps()).say(said)) == ("out-of-range", detail)


def test_help_with_a_device_is_what_can_be_said_to_it_and_makes_it_spoken_of() -> None:
    talk = Talk(lamps())
    text = told(talk.say("what can i say to the desk lamp"))
    assert text == "Say: turn the desk lamp on or off; or: set the desk lamp to fifty percent."
    assert orders(talk.say("turn it off")) == [("Desk lamp", "power", "off")]
    assert told(talk.say("what can i do with the conveyor")) == "Say: start or stop the conveyor."
    assert refused(planned(command("help", name="toaster"), lamps())) == ("no-such-device", "there is no toaster")


@pytest.mark.parametrize(
    "said",
    ["turn the desk lamp on", "set the desk lamp to fifty percent", "start the conveyor", "open the inlet valve"],
)
def test_what_help_tells_is_understood(said: str) -> None:
    assert not isinstance(Talk(lamps()).say(said), Rejection)


def test_it_by_percent_is_what_it_can() -> None:
    devices = lamps()
    ids = {device.name: device.id for device in devices.all_devices()}
    half = command("set_percent", reference="last", percent=50.0)
    assert orders(planned(half, devices, spoken_of=[ids["Spot"]])) == [("Spot", "brightness", 50.0)]
    assert refused(planned(half, devices, spoken_of=[ids["Conveyor"]]))[0] == "nothing-meant"
    assert refused(planned(half, devices, spoken_of=["gone"]))[0] == "nothing-meant"
    assert refused(planned(half, devices))[0] == "nothing-meant"
    none = command("set_percent", reference="last")
    assert refused(planned(none, devices, spoken_of=[ids["Spot"]]))[0] == "not-able"


def test_it_that_is_offline_is_refused() -> None:
    devices = lamps()
    devices.receive("desk/lwt", b"offline", 0.0)
    (desk,) = devices.named("desk lamp")
    assert refused(planned(command("turn_off", reference="last"), devices, spoken_of=[desk.id]))[0] == "offline"


def test_the_scale_of_one_order_is_not_that_of_the_other() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "climate", "a", "Tank", "Cellar", temp_cmd_t="a", temp_stat_t="b", min_temp=30, max_temp=95)
    announce(devices, "climate", "c", "Stove", "Office", temp_cmd_t="c", temp_stat_t="d")
    outcome = Talk(devices).say("set the tank to ninety degrees and set the stove to seventy degrees fahrenheit")
    assert isinstance(outcome, Several)
    assert [orders(part)[0][2] for part in outcome.parts] == [90.0, 21.0]


@pytest.mark.parametrize(("can", "before", "step", "expected"), [("color_temperature", 3000.0, -500.0, 2500.0)])
def test_a_step_of_what_has_no_limits_is_not_cut_at_a_hundred(
    can: Capability, before: float, step: float, expected: float
) -> None:
    device = Device("x", "Thing", "light", frozenset({can}))
    wish = Wish(can, step, is_step=True)
    assert amount(command("adjust"), device, wish, {can: before}) == (can, expected)


def test_a_fan_that_is_slowed_down_to_nothing_is_switched_off() -> None:
    fan = Device("x", "Fan", "fan", frozenset({"power", "speed"}))
    assert amount(command("adjust_speed"), fan, Wish("speed", -25.0, is_step=True), {"speed": 25.0}) == ("power", "off")


def test_an_exception_in_a_question_is_an_exception() -> None:
    devices = lamps()
    asks = command("get_state", kind="light", state="on", scope="all", except_name="spot")
    outcome = planned(asks, devices)
    assert isinstance(outcome, Rejection) or "Spot" not in told(outcome)
