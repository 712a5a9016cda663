"""The owner's file about the house: what it changes, and what it says of a mistake in it."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from homes import Talk, announce, asked, orders, refused
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.household import NOTHING_SAID, Household, load, parse
from edgeagent.act.safety import decide
from edgeagent.act.storm import safe_actions
from edgeagent.errors import SettingsError
from edgeagent.messages import Action, Device
from edgeagent.settings import ActingSettings


def said(text: str) -> Household:
    return parse(text, "house.yaml")


def home(text: str) -> Devices:
    devices = Devices([HomeAssistant()], household=said(text))
    announce(devices, "switch", "shelly", "Shelly 3EM", "Kitchen")
    announce(devices, "light", "lamp", "Desk lamp", "Living room")
    announce(devices, "light", "other", "Ceiling lamp", "Bedroom")
    announce(devices, "switch", "press", "Press", "Hall", edgeagent_kind="machine")
    return devices


def words(devices: Devices) -> set[str]:
    return set(devices.names().devices)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("things: []", "things: is not known here"),
        ("[]", "the whole"),
        ("42", "the whole"),
        ("devices:", "devices: "),
        ("devices: kettle", "devices: "),
        ("devices: [{name: x}]", "devices[1].is: Field required"),
        ("devices: [{is: ''}]", "devices[1].is: "),
        ("devices: [{is: a}, {is: 5}]", "devices[2].is: "),
        ("devices: [{is: a, nam: b}]", "devices[1].nam: is not known here"),
        ("devices: [{is: a, name: '!!'}]", "devices[1].name: nothing that can be said"),
        ("devices: [{is: a, area: '\U0001f4a1'}]", "devices[1].area: nothing that can be said"),
        ("devices: [{is: a, aliases: tea}]", "devices[1].aliases: "),
        ("devices: [{is: a, aliases: [tea, '']}]", "devices[1].aliases[2]: "),
        ("devices: [{is: a, risk: high}]", "devices[1].risk: "),
        ("devices: [{is: a, by_voice: perhaps}]", "devices[1].by_voice: "),
        ("devices: [{is: a, safe: {powr: 'off'}}]", "devices[1].safe.powr"),
        ("devices: [{is: a, safe: {power: [1]}}]", "devices[1].safe.power"),
        ("areas: [Kitchen]", "areas: "),
        ("areas: {Kitchen: cookery}", "areas.Kitchen: "),
        ("areas: {Kitchen: ['!!']}", "areas.Kitchen[1]: nothing that can be said"),
        ("areas: {Kitchen: [den], Hall: [Den]}", "areas: 'Den' is 'Kitchen' and 'Hall'"),
        ("rules: {a: b}", "rules: "),
        ("rules: [{orders: {}}]", "rules[1].rule: Field required"),
        ("rules: [{rule: a}]", "rules[1].orders: Field required"),
        ("rules: [{rule: a, orders: {device: [x]}}]", "rules[1].orders.device: is not known here"),
        ("rules: [{rule: a, orders: {devices: x}}]", "rules[1].orders.devices: "),
        ("rules: [{rule: a, orders: {kinds: [lamp]}}]", "rules[1].orders.kinds[1]: "),
        ("rules: [{rule: a, orders: {capabilities: [power, fly]}}]", "rules[1].orders.capabilities[2]: "),
        ("rules: [{rule: a, orders: {to: open}}]", "rules[1].orders.to: "),
        ("rules: [{rule: a, orders: {to: [~]}}]", "rules[1].orders.to[1]: "),
        ("rules: [{rule: a, orders: {}, then: forbid}]", "rules[1].then: it should be 'refuse' or 'ask'"),
        ("rules: [{rule: a, orders: {}, hours: '7-9'}]", "rules[1].hours: "),
        ("rules: [{rule: a, orders: {}, hours: 25:00-07:00}]", "rules[1].hours: "),
        ("rules: [{rule: a, orders: {}, hours: '22:00-07:00\n'}]", "rules[1].hours: "),
        ("rules: [{rule: a, orders: {}, hours: 22:00}]", "rules[1].hours: "),
        ("rules: [{rule: a, orders: {}, days: monday}]", "rules[1].days: "),
        ("rules: [{rule: a, orders: {}, days: [monday, someday]}]", "rules[1].days[2]: "),
        ("rules: [{rule: a, orders: {}, spoken_in: Hall}]", "rules[1].spoken_in: "),
        ("rules: [{rule: a, orders: {}, while: {device: x, is: open}}]", "rules[1].while: "),
        (
            "rules: [{rule: a, orders: {}, while: [{device: x}]}]",
            "rules[1].while[1]: expected `is`",
        ),
        ("rules: [{rule: a, orders: {}, while: [{is: open}]}]", "rules[1].while[1].device: Field required"),
        ("rules: [{rule: a, orders: {}, while: [{device: x, is: on}]}]", "rules[1].while[1].is"),
        ("rules: [{rule: a, orders: {}, while: [{device: x, above: .nan}]}]", "rules[1].while[1].above: "),
        ("rules: [{rule: a, orders: {}, while: [{device: x, below: much}]}]", "rules[1].while[1].below: "),
        ("rules: [{rule: a, orders: {}, say: 5}]", "rules[1].say: "),
        ("devices: [{is: a, is: b}]", "'is' stands here twice"),
        ("devices: [{is: a}]\ndevices: []", "'devices' stands here twice"),
        ("devices: [{is: !!python/object:os.system x}]", "not YAML"),
        ("devices: [\x00]", "not YAML"),
        ("devices: &a [*a]", "more than"),
    ],
)
def test_a_mistake_is_an_error_that_names_its_place(text: str, place: str) -> None:
    with pytest.raises(SettingsError) as error:
        said(text)
    assert str(error.value).startswith("house.yaml: ")
    assert place in str(error.value)
    assert error.value.remedy
    assert len(str(error.value)) < 600


def test_a_bomb_of_aliases_is_refused_before_it_is_read() -> None:
    bomb = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, after in zip("abcdefg", "bcdefgh", strict=True):
        bomb.append(f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]")
    with pytest.raises(SettingsError, match="more than"):
        said("\n".join(bomb))


def test_a_deep_nest_is_refused() -> None:
    with pytest.raises(SettingsError):
        said("devices: " + "[" * 5000 + "]" * 5000)


def complaint(text: str) -> str:
    try:
        said(text)
    except SettingsError as error:
        return str(error)
    return "house.yaml: none"


@given(st.text(max_size=60))
def test_whatever_is_written_is_understood_or_an_error_of_the_settings(text: str) -> None:
    assert complaint(text).startswith("house.yaml: ")


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_KEYS = st.sampled_from(["is", "in", "name", "area", "rule", "orders", "while", "hours", "days", "to", "safe", "power"])


@given(st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4)))
def test_values_of_wrong_types_are_errors_of_the_settings(value: object) -> None:
    for text in ({"devices": [value]}, {"areas": {"Hall": value}}, {"rules": [value]}):
        assert complaint(yaml.safe_dump(text)).startswith("house.yaml: ")


def test_an_empty_file_says_nothing() -> None:
    assert said("") == NOTHING_SAID
    assert said("# nothing yet\n") == NOTHING_SAID


def test_a_file_is_read_with_its_mark_and_a_missing_or_foreign_or_huge_one_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "house.yaml"
    file.write_bytes(b"\xef\xbb\xbfdevices: [{is: Kettle}]\n")
    assert load(file).devices[0].is_ == "Kettle"
    file.write_bytes(b"devices: [{is: K\xff}]")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(file)
    file.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        load(file)
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path)


def test_a_renamed_device_is_called_so_and_still_by_its_own_name() -> None:
    talk = Talk(home("devices: [{is: Shelly 3EM, name: Workshop fan, area: Workshop, aliases: [big fan]}]"))
    for name in ("workshop fan", "big fan", "workshop big fan", "shelly three em"):
        assert orders(talk.say(f"turn on the {name}")) == [("Workshop fan", "power", "on")], name
    assert "kitchen shelly 3 em" not in words(talk.devices)
    assert "kitchen" not in talk.devices.names().areas
    assert "workshop" in talk.devices.names().areas


@pytest.mark.parametrize("is_", ["shelly 3em", "SHELLY_3EM", "'homeassistant:switch:shelly'", "Shelly 3 EM"])
def test_a_device_is_meant_by_any_spelling_of_its_name_and_by_its_id(is_: str) -> None:
    assert "fan" not in words(home(f"devices: [{{is: {is_}, name: Wind maker}}]"))
    assert "wind maker" in words(home(f"devices: [{{is: {is_}, name: Wind maker}}]"))


def test_of_two_of_one_name_the_area_tells_which_is_meant() -> None:
    devices = Devices([HomeAssistant()], household=said("devices: [{is: Heater, in: bath, name: Towel rail}]"))
    announce(devices, "climate", "a", "Heater", "Bath", temp_cmd_t="a")
    announce(devices, "climate", "b", "Heater", "Bedroom", temp_cmd_t="b")
    assert [device.name for device in devices.all_devices()] == ["Towel rail", "Heater"]


def test_what_is_said_later_of_a_device_wins() -> None:
    text = "devices: [{is: Press, name: One}, {is: Press, name: Two, risk: never}, {is: Press, risk: guarded}]"
    (press,) = home(text).named("two")
    assert press.risk == "guarded"


def test_a_device_that_is_not_there_is_no_mistake() -> None:
    assert "desk lamp" in words(home("devices: [{is: Dishwasher, name: Washer, by_voice: never}]"))


@pytest.mark.parametrize("never", ["never", "no", "'never'"])
def test_a_device_that_is_not_for_speech_is_in_no_sentence(never: str) -> None:
    talk = Talk(home(f"devices: [{{is: Desk lamp, by_voice: {never}}}]"))
    assert "desk lamp" not in words(talk.devices)
    assert refused(talk.say("turn on the desk lamp"))[0] == "not-a-command"
    assert orders(talk.say("turn on all the lights")) == [("Ceiling lamp", "power", "on")]
    assert "living room" not in talk.devices.names().areas


def test_what_else_an_area_is_called_is_understood_and_only_of_areas_that_are_there() -> None:
    talk = Talk(home("areas: {living_room: [lounge, front room, Room 2], Attic: [loft]}"))
    for area in ("lounge", "front room", "living room", "room two"):
        assert orders(talk.say(f"turn on the lights in the {area}")) == [("Desk lamp", "power", "on")], area
    assert "loft" not in talk.devices.names().areas


def test_a_name_of_an_area_that_is_another_area_stays_with_that_one() -> None:
    talk = Talk(home("areas: {Living room: [bedroom]}"))
    assert orders(talk.say("turn on the lights in the bedroom")) == [("Ceiling lamp", "power", "on")]


def test_the_owners_risk_is_the_devices() -> None:
    devices = home(
        "devices: [{is: Desk lamp, risk: guarded}, {is: Ceiling lamp, risk: never}, {is: Press, risk: free}]"
    )
    talk = Talk(devices)
    assert asked(talk.say("turn on the desk lamp")) == ("yes", "no")
    assert refused(talk.say("turn on the ceiling lamp"))[0] == "not-by-voice"
    assert orders(Talk(home("devices: [{is: Press, risk: free}]")).say("start the press")) == [
        ("Press", "run", "running")
    ]


def test_the_severest_of_file_and_settings_counts() -> None:
    (lamp,) = home("devices: [{is: Desk lamp, name: Work light, risk: free}]").named("work light")
    order = Action("a", "u", lamp, "power", "on")
    for name in ("desk lamp", "work light", "living room work light"):
        assert decide(order, ActingSettings(device_risks={name: "never"})).risk == "never"


def test_a_rename_that_cannot_be_said_is_told_of() -> None:
    devices = home("devices: [{is: Desk lamp, name: the and}]")
    assert [one.subject for one in devices.names().left_out if "piece of a sentence" in one.reason]


def made_safe(text: str) -> list[tuple[str, str, object]]:
    devices = home(text)
    done = safe_actions(devices, said(text).safe_states, "u")
    return sorted((action.device.id.rpartition(":")[2], action.capability, action.value) for action in done)


def test_safe_states_are_found_by_name_and_by_the_name_before() -> None:
    safe = "safe: {power: 'off'}"
    stopped = ("press", "run", "stopped")
    assert made_safe(f"devices: [{{is: Shelly 3EM, {safe}}}]") == [stopped, ("shelly", "power", "off")]
    assert made_safe(f"devices: [{{is: Shelly 3EM, name: Fan, {safe}}}]") == [stopped, ("shelly", "power", "off")]


def test_a_safe_state_that_a_device_cannot_take_is_left_out_and_a_machine_is_stopped_all_the_same() -> None:
    assert made_safe("devices: [{is: Press, safe: {brightness: 5}}]") == [("press", "run", "stopped")]
    assert made_safe("devices: [{is: Press, safe: {run: running}}]") == [("press", "run", "running")]


def test_safe_states_are_found_by_the_id() -> None:
    safe = made_safe("devices: [{is: 'homeassistant:switch:shelly', safe: {power: 'off'}}]")
    assert ("shelly", "power", "off") in safe


def test_a_safe_state_is_only_for_the_device_in_its_area() -> None:
    text = "devices: [{is: Lamp, in: Bath, safe: {power: 'off'}}]"
    devices = Devices([HomeAssistant()], household=said(text))
    announce(devices, "light", "a", "Lamp", "Bath")
    announce(devices, "light", "b", "Lamp", "Bedroom")
    done = safe_actions(devices, said(text).safe_states, "u")
    assert [action.device.area for action in done] == ["Bath"]


def test_a_device_that_is_not_for_speech_is_made_safe_all_the_same() -> None:
    text = "devices: [{is: Shelly 3EM, by_voice: never, safe: {power: 'off'}}]"
    assert ("shelly", "power", "off") in made_safe(text)


def test_the_emergency_stop_stops_a_machine_that_is_not_for_speech() -> None:
    talk = Talk(home("devices: [{is: Press, by_voice: never}]"))
    announce(talk.devices, "switch", "saw", "Saw", "Hall", edgeagent_kind="machine")
    assert ("Press", "run", "stopped") in orders(talk.say("emergency stop"))


def test_a_state_without_quotes_is_understood_or_an_error() -> None:
    try:
        told = said("devices: [{is: Kettle, safe: {power: off}}]")
    except SettingsError:
        return
    assert told.devices[0].safe == {"power": "off"}


def test_what_a_rule_is_for_without_quotes_is_understood_or_an_error() -> None:
    try:
        told = said("rules: [{rule: Not the kettle, orders: {devices: [Kettle], to: [on]}}]")
    except SettingsError:
        return
    assert told.rules[0].orders.values == {"on"}


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(SettingsError, match="above"):
        said("rules: [{rule: a, orders: {}, while: [{device: Boiler, above: yes}]}]")


@pytest.mark.parametrize(
    "rule",
    [
        "orders: {to: [Open]}",
        "orders: {}, hours: 22:00-22:00",
        "orders: {}, while: [{device: x, is: []}]",
        "orders: {}, while: [{device: x, is: ''}]",
        "orders: {}, while: [{device: x, is: open, above: 3}]",
        "orders: {}, while: [{device: x, above: 9, below: 3}]",
    ],
)
def test_a_rule_that_can_never_apply_is_an_error_or_understood(rule: str) -> None:
    try:
        (told,) = said(f"rules: [{{rule: a, {rule}}}]").rules
    except SettingsError:
        return
    assert told.orders.values == {"open"}


def test_a_rule_may_name_an_area_by_what_else_it_is_called() -> None:
    told = said("areas: {Living room: [lounge]}\nrules: [{rule: a, orders: {areas: [Lounge]}, spoken_in: [lounge]}]")
    assert told.rules[0].orders.areas == told.rules[0].spoken_in == {"living room"}


def test_a_rule_may_name_a_device_with_a_colon_in_its_name() -> None:
    told = said("rules: [{rule: a, orders: {devices: ['Line 1: press']}}]")
    assert "line 1 press" in told.rules[0].orders.devices


def test_a_device_keeps_all_else_that_it_was() -> None:
    device = Device("x:1", "Lamp", "light", frozenset({"power"}), "Hall", thing="mac:1", ranges={"power": (0, 1)})
    seen = said("devices: [{is: 'x:1', name: Moon}]").as_said(device)
    assert seen == replace(device, name="Moon", aliases=("Lamp",))
