from dataclasses import replace
from typing import get_args

import pytest
from homes import announce
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.safety import Decision, Ruling, decide, is_stop, risk_of, worst
from edgeagent.messages import Action, Capability, Device, Kind, Risk, Value
from edgeagent.settings import ActingSettings

SETTINGS = ActingSettings()


def device(component: str, name: str = "Thing", **fields: str) -> Device:
    return announce(Devices([HomeAssistant()]), component, "it", name, "Hall", **fields)


def risk(what: Device, capability: Capability, value: Value, settings: ActingSettings = SETTINGS) -> Risk:
    return risk_of(Action("u1.1", "u1", what, capability, value), settings)


@pytest.mark.parametrize(
    ("component", "fields", "capability", "value", "expected"),
    [
        ("light", {}, "power", "on", "free"),
        ("lock", {}, "lock", "locked", "free"),
        ("lock", {}, "lock", "unlocked", "guarded"),
        ("cover", {"dev_cla": "garage"}, "opening", "open", "guarded"),
        ("cover", {"dev_cla": "gate", "set_pos_t": "x"}, "position", 10.0, "guarded"),
        ("cover", {"dev_cla": "gate", "set_pos_t": "x"}, "position", 0.0, "free"),
        ("cover", {"dev_cla": "garage"}, "opening", "closed", "free"),
        ("cover", {"dev_cla": "garage"}, "opening", "stopped", "free"),
        ("cover", {"dev_cla": "blind"}, "opening", "open", "free"),
        ("cover", {"name": "Garage door"}, "opening", "open", "guarded"),
        ("valve", {}, "opening", "open", "guarded"),
        ("valve", {}, "opening", "closed", "free"),
        ("climate", {"mode_cmd_t": "x"}, "power", "on", "guarded"),
        ("climate", {"mode_cmd_t": "x"}, "mode", "heat", "guarded"),
        ("climate", {"mode_cmd_t": "x"}, "mode", "off", "free"),
        ("number", {}, "setpoint", 5.0, "guarded"),
        ("switch", {"edgeagent_kind": "machine"}, "run", "running", "guarded"),
        ("switch", {"edgeagent_kind": "machine"}, "run", "stopped", "free"),
        ("button", {"edgeagent_kind": "machine"}, "activate", "now", "guarded"),
        ("button", {}, "activate", "now", "free"),
        ("button", {"name": "Door opener"}, "activate", "now", "guarded"),
        ("scene", {"name": "Unlock everything"}, "activate", "now", "guarded"),
    ],
)
def test_the_built_in_risk(
    component: str, fields: dict[str, str], capability: Capability, value: Value, expected: Risk
) -> None:
    assert risk(device(component, **fields), capability, value) == expected


def test_the_owner_rules_by_any_name_of_a_device_and_the_severest_counts() -> None:
    lamp = device("light", "Night_Lamp")
    for name in ("night lamp", "Night Lamp", "hall night lamp"):
        assert risk(lamp, "power", "on", ActingSettings(device_risks={name: "never"})) == "never"
    both = ActingSettings(device_risks={"night lamp": "free", "hall night lamp": "guarded"})
    assert risk(lamp, "power", "on", both) == "guarded"


def test_the_owners_word_on_a_device_goes_before_that_on_a_capability() -> None:
    settings = ActingSettings(device_risks={"Thing": "free"}, risks={"lock": "never"})
    assert risk(device("lock"), "lock", "unlocked", settings) == "free"
    assert risk(device("lock", "Other"), "lock", "unlocked", settings) == "never"


def test_a_stop_and_locking_stay_free_whatever_the_owner_rules() -> None:
    settings = ActingSettings(device_risks={"Thing": "never"}, risks={"run": "never", "lock": "never"})
    assert risk(device("switch", edgeagent_kind="machine"), "run", "stopped", settings) == "free"
    assert risk(device("lock"), "lock", "locked", settings) == "free"
    assert is_stop("opening", "stopped")
    assert not is_stop("opening", "closed")


def test_the_worst_of_several_counts_and_of_none_nothing() -> None:
    actions = [Action("a", "u", device("light"), "power", "on"), Action("b", "u", device("lock"), "lock", "unlocked")]
    assert worst(decide(one, SETTINGS) for one in actions).risk == "guarded"
    strict = ActingSettings(risks={"power": "never"})
    assert worst(decide(one, strict) for one in actions).risk == "never"
    assert worst([]).risk == "free"


@pytest.mark.parametrize(
    ("component", "fields", "capability", "value", "expected"),
    [
        ("alarm_control_panel", {}, "arming", "disarmed", "guarded"),
        ("alarm_control_panel", {}, "arming", "armed_away", "free"),
        ("cover", {"name": "Shed", "dev_cla": "door"}, "position", 1.0, "guarded"),
        ("cover", {"name": "Sliding gates"}, "opening", "open", "guarded"),
        ("cover", {"name": "Blind", "set_pos_t": "x"}, "position", 100.0, "free"),
        ("valve", {}, "opening", "stopped", "free"),
        ("climate", {"mode_cmd_t": "x"}, "power", "off", "free"),
        ("climate", {"temp_cmd_t": "x"}, "target_temperature", 30.0, "free"),
        ("vacuum", {}, "cleaning", "stopped", "free"),
        ("button", {"name": "Gas valve"}, "activate", "now", "guarded"),
    ],
)
def test_more_of_the_built_in_risks(
    component: str, fields: dict[str, str], capability: Capability, value: Value, expected: Risk
) -> None:
    what = Device("x", fields.get("name", "Thing"), _KINDS[component], frozenset({capability}), "Hall")
    what = replace(what, device_class=fields.get("dev_cla"))
    assert risk(what, capability, value) == expected


_KINDS: dict[str, Kind] = {
    "alarm_control_panel": "alarm_panel",
    "cover": "cover",
    "valve": "valve",
    "climate": "climate",
    "vacuum": "vacuum",
    "button": "scene",
}


@given(
    st.sampled_from([("run", "stopped"), ("opening", "stopped"), ("cleaning", "stopped")]),
    st.sampled_from(get_args(Kind)),
    st.sampled_from([None, *get_args(Risk)]),
    st.sampled_from(["never", "guarded", "free"]),
    st.sampled_from([None, Ruling("r", "refuse", "no"), Ruling("r", "ask", "")]),
)
def test_a_stop_is_free_for_every_kind_whatever_anybody_says(
    stop: tuple[Capability, Value], kind: Kind, own: Risk | None, risk_: Risk, ruled: Ruling | None
) -> None:
    what = Device("x", "Thing", kind, frozenset({stop[0]}), "Hall", risk=own)
    strict = ActingSettings(risks={stop[0]: risk_}, device_risks={"Thing": risk_})
    assert decide(Action("a", "u", what, *stop), strict, ruled).risk == "free"


@given(
    st.sampled_from(get_args(Capability)),
    st.sampled_from(["on", "off", "open", "closed", "unlocked", "locked", "running", "now", "heat", 0.0, 50.0]),
    st.sampled_from(get_args(Kind)),
    st.sampled_from([None, *get_args(Risk)]),
)
def test_a_rule_only_ever_makes_it_stricter_and_every_decision_says_why(
    capability: Capability, value: Value, kind: Kind, own: Risk | None
) -> None:
    order = Action("a", "u", Device("x", "Thing", kind, frozenset({capability}), risk=own), capability, value)
    severity = ["free", "guarded", "never"]
    alone = decide(order, SETTINGS)
    for ruled in (Ruling("r", "ask", "say"), Ruling("r", "refuse", "say")):
        decision = decide(order, SETTINGS, ruled)
        assert severity.index(decision.risk) >= severity.index(alone.risk)
        assert decision.because
    assert alone.because


def test_of_several_decisions_the_first_of_the_severest_is_told() -> None:
    first, second = Decision("never", "one"), Decision("never", "two")
    assert worst([Decision("guarded", "x"), first, second]) is first
    assert worst([Decision("free", "y"), Decision("guarded", "x")]).because == "x"


@pytest.mark.parametrize("name", ["Garage", "Gate opener", "Front door lock", "Main valve"])
def test_a_switch_that_is_called_like_what_lets_in_is_asked_about(name: str) -> None:
    assert risk(device("switch", name), "power", "on") == "guarded"
