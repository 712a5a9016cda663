import pytest
from homes import announce

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.safety import decide, is_stop, risk_of, worst
from edgeagent.messages import Action, Capability, Device, Risk, Value
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
