import json
from typing import Any

import pytest
from growth import assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeagent.act.devices import MOST_CONFLICTS, MOST_REFUSALS, Devices
from edgeagent.act.dialects.dialect import Announcement, Removal
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.names import COMMAND_WORDS, key_of, words_of


def registry(most: int = 2000) -> Devices:
    return Devices([HomeAssistant()], most=most)


def switch(devices: Devices, key: str, name: str, area: str | None = None, **fields: Any) -> None:
    config = {"name": name, "cmd_t": f"{key}/set", "stat_t": key, "avty_t": f"{key}/lwt", "uniq_id": key, **fields}
    if area is not None:
        config["dev"] = {"ids": [key], "sa": area}
    devices.receive(f"homeassistant/switch/{key}/config", json.dumps(config).encode(), 0.0)


def the_id(key: str) -> str:
    return f"homeassistant:switch:{key}"


def test_an_announced_device_is_known_and_its_topics_are_to_be_subscribed() -> None:
    devices = registry()
    switch(devices, "kettle", "Kettle", "Kitchen")
    assert [device.name for device in devices.all_devices()] == ["Kettle"]
    assert devices.topics == {"kettle", "kettle/lwt"}
    assert devices.filters == ("homeassistant/+/+/config", "homeassistant/+/+/+/config")
    assert devices.entity(the_id("kettle")) is not None


def test_what_a_device_tells_is_kept_with_its_time() -> None:
    devices = registry()
    switch(devices, "kettle", "Kettle")
    assert devices.seen_s(the_id("kettle")) is None
    told = devices.receive("kettle", b"ON", 12.5)
    assert [dict(observation.values) for observation in told] == [{"power": "on"}]
    assert devices.values(the_id("kettle")) == {"power": "on"}
    assert devices.seen_s(the_id("kettle")) == 12.5
    assert devices.receive("elsewhere", b"ON", 13.0) == ()


def test_a_device_is_there_until_it_says_otherwise() -> None:
    devices = registry()
    assert not devices.is_available(the_id("kettle"))
    switch(devices, "kettle", "Kettle")
    assert devices.is_available(the_id("kettle"))
    devices.receive("kettle/lwt", b"offline", 1.0)
    assert not devices.is_available(the_id("kettle"))
    devices.receive("kettle/lwt", b"online", 2.0)
    assert devices.is_available(the_id("kettle"))


def test_the_version_rises_with_devices_names_and_areas_and_not_with_states() -> None:
    devices = registry()
    switch(devices, "kettle", "Kettle", "Kitchen")
    first = devices.version
    devices.receive("kettle", b"ON", 1.0)
    devices.receive("kettle/lwt", b"offline", 1.0)
    switch(devices, "kettle", "Kettle", "Kitchen")
    assert devices.version == first
    switch(devices, "kettle", "Water boiler", "Kitchen")
    second = devices.version
    assert second > first
    switch(devices, "kettle", "Water boiler", "Office")
    third = devices.version
    assert third > second
    devices.receive("homeassistant/switch/kettle/config", b"", 2.0)
    assert devices.version > third


def test_a_repeated_announcement_keeps_what_is_known_of_the_device() -> None:
    devices = registry()
    switch(devices, "kettle", "Kettle")
    devices.receive("kettle", b"ON", 1.0)
    switch(devices, "kettle", "Boiler")
    assert devices.values(the_id("kettle")) == {"power": "on"}
    switch(devices, "kettle", "Boiler", stat_t="kettle/new")
    assert devices.values(the_id("kettle")) == {}
    assert devices.topics == {"kettle/new", "kettle/lwt"}


def test_a_removed_device_leaves_nothing_behind() -> None:
    devices = registry()
    switch(devices, "kettle", "Kettle")
    devices.receive("homeassistant/switch/kettle/config", b"", 1.0)
    assert devices.all_devices() == ()
    assert devices.topics == frozenset()
    assert devices.named("kettle") == ()
    assert devices.values(the_id("kettle")) == {}
    assert devices.entity(the_id("kettle")) is None
    devices.receive("homeassistant/switch/never/config", b"", 1.0)


def test_a_device_that_claims_anothers_id_is_shown_and_does_not_replace_it() -> None:
    devices = registry()
    switch(devices, "door", "Front door")
    config = {"name": "Evil", "cmd_t": "evil/set", "uniq_id": "door"}
    devices.receive("homeassistant/switch/evil/config", json.dumps(config).encode(), 1.0)
    entity = devices.entity(the_id("door"))
    assert entity is not None
    assert entity.device.name == "Front door"
    assert [(one.device.name, one.claimed_by, one.held_by) for one in devices.conflicts] == [
        ("Evil", "homeassistant/switch/evil/config", "homeassistant/switch/door/config")
    ]
    assert devices.named("evil") == ()
    assert devices.counts["conflict"] == 1
    devices.receive("homeassistant/switch/evil/config", b"", 2.0)
    assert devices.conflicts == ()
    assert devices.named("front door") != ()


def test_the_second_claimant_gets_the_id_only_when_the_first_is_gone_and_it_announces_itself_anew() -> None:
    devices = registry()
    switch(devices, "door", "Front door")
    claim = json.dumps({"name": "New door", "cmd_t": "n/set", "uniq_id": "door"}).encode()
    devices.receive("homeassistant/switch/new/config", claim, 1.0)
    devices.receive("homeassistant/switch/door/config", b"", 2.0)
    assert devices.all_devices() == ()
    devices.receive("homeassistant/switch/new/config", claim, 3.0)
    assert [device.name for device in devices.all_devices()] == ["New door"]
    assert devices.conflicts == ()


def test_two_devices_of_one_name_are_both_kept_and_told_apart_by_area() -> None:
    devices = registry()
    switch(devices, "h1", "Heater", "Bedroom")
    switch(devices, "h2", "Heater", "Bathroom")
    assert [device.area for device in devices.named("Heater")] == ["Bedroom", "Bathroom"]
    assert [device.id for device in devices.named("heater", "bathroom")] == [the_id("h2")]
    assert [device.id for device in devices.named("bedroom heater")] == [the_id("h1")]
    assert devices.named("heater", "attic") == ()


def test_devices_are_found_by_kind_and_area() -> None:
    devices = registry()
    switch(devices, "a", "Kettle", "Kitchen")
    switch(devices, "b", "Pump", "Garden")
    assert len(devices.of_kind("switch")) == 2
    assert [device.name for device in devices.of_kind("switch", "garden")] == ["Pump"]
    assert devices.of_kind("light") == ()


def test_names_are_found_however_they_are_spelled() -> None:
    devices = registry()
    switch(devices, "a", "Anna's_Lamp2")
    for spelling in ("anna's lamp 2", "Annas Lamp 2", "ANNA\u2019S LAMP2"):
        assert len(devices.named(spelling)) == 1


def test_a_name_that_starts_with_its_area_may_be_said_without_it_unless_it_is_anothers() -> None:
    devices = registry()
    switch(devices, "a", "Kitchen kettle", "Kitchen")
    assert devices.names().devices["kettle"] == (the_id("a"),)
    switch(devices, "b", "Office kettle", "Office")
    assert "kettle" not in devices.names().devices
    switch(devices, "c", "Kettle", "Attic")
    assert devices.names().devices["kettle"] == (the_id("c"),)


def test_names_for_speech_are_grouped_by_kind_and_capability_with_areas() -> None:
    devices = registry()
    switch(devices, "a", "Kettle", "Kitchen")
    names = devices.names()
    assert names.by_kind == {"switch": ("kettle", "kitchen kettle")}
    assert names.by_capability == {"power": ("kettle", "kitchen kettle")}
    assert names.areas == {"kitchen": "kitchen"}
    assert devices.names() is names


def test_names_that_cannot_be_said_or_are_commands_are_left_out_with_the_reason() -> None:
    devices = registry()
    for number, name in enumerate(["💡💡", "Off", "turn on", "0x00158d0001abcdef", "a b c d e f g h i", "Everything"]):
        switch(devices, str(number), name)
    switch(devices, "light", "Light", "Kitchen")
    names = devices.names()
    assert set(names.devices) == {"kitchen light"}
    assert len(names.left_out) == 7
    assert all(left.reason for left in names.left_out)


def test_names_become_plain_words() -> None:
    assert words_of("Küche_Lampe2 💡") == "küche lampe 2"
    assert words_of("  TV-Corner (left)  ") == "tv corner left"
    assert words_of("'Tis Anna\u2019s") == "tis anna's"
    assert words_of("\u200b\u202e") == ""
    assert key_of("Anna's") == "annas"


@settings(deadline=None)
@given(st.text(max_size=40))
def test_words_are_lower_case_without_doubled_spaces_and_stay_as_they_are(name: str) -> None:
    words = words_of(name)
    assert words == " ".join(words.split())
    assert words_of(words) == words
    assert all(letter.isalnum() or letter in "' " or not letter.isascii() for letter in words)


def test_no_command_word_is_a_name() -> None:
    devices = registry()
    for word in sorted(COMMAND_WORDS):
        switch(devices, word, word)
    assert devices.names().devices == {}


def test_a_flood_of_devices_takes_linear_time() -> None:
    def flood(count: int) -> None:
        devices = registry(most=100)
        for number in range(count):
            switch(devices, f"d{number}", f"Device {number}")
        devices.names()

    assert_linear(flood, 500, 5000, times=10)


def test_a_flood_of_ten_thousand_devices_is_bounded_and_the_first_go_on_working() -> None:
    devices = registry(most=500)
    for number in range(10_000):
        switch(devices, f"d{number}", f"Device {number}")
    devices.names()
    assert len(devices.all_devices()) == 500
    assert len(devices.topics) == 1000
    assert devices.counts["full"] == 9500
    assert len(devices.refusals) == MOST_REFUSALS
    devices.receive("d3", b"ON", 1.0)
    assert devices.values(the_id("d3")) == {"power": "on"}
    devices.receive("homeassistant/switch/d3/config", b"", 2.0)
    switch(devices, "late", "Late")
    assert devices.named("late") != ()


def test_one_announcement_of_many_components_does_not_pass_the_bound() -> None:
    devices = registry(most=5)
    components = {str(n): {"p": "switch", "name": f"S{n}", "cmd_t": f"{n}/set", "uniq_id": str(n)} for n in range(50)}
    devices.receive("homeassistant/device/many/config", json.dumps({"cmps": components}).encode(), 0.0)
    assert len(devices.all_devices()) == 5
    assert devices.counts["full"] == 45


def test_devices_on_one_topic_are_announced_and_removed_in_linear_time() -> None:
    def come_and_go(count: int) -> None:
        devices = registry()
        for number in range(count):
            switch(devices, f"d{number}", f"Device {number}", avty_t="bridge/state", stat_t="bridge/state")
        devices.receive("bridge/state", b"online", 1.0)
        for number in range(count):
            devices.receive(f"homeassistant/switch/d{number}/config", b"", 2.0)
        assert devices.topics == frozenset()

    assert_linear(come_and_go, 200, 2000, times=10)


def test_conflicts_are_bounded() -> None:
    devices = registry()
    switch(devices, "door", "Front door")
    for number in range(1000):
        config = {"name": "Evil", "cmd_t": "evil/set", "uniq_id": "door"}
        devices.receive(f"homeassistant/switch/evil{number}/config", json.dumps(config).encode(), 1.0)
    assert len(devices.conflicts) == MOST_CONFLICTS
    assert devices.counts["conflict"] == 1000


def test_a_hostile_announcement_is_refused_shown_and_the_rest_works() -> None:
    devices = registry()
    for payload in (
        b"garbage",
        b"[" * 60_000,
        b"x" * 70_000,
        b'{"name": "a\\u0000b", "cmd_t": "a"}',
        b'{"cmd_t": "#"}',
    ):
        devices.receive("homeassistant/switch/evil/config", payload, 0.0)
    devices.receive("homeassistant/switch/ev\x1bil/config", b"{}", 0.0)
    assert devices.counts["refused"] == 6
    assert all(left.subject.isprintable() and left.reason.isprintable() for left in devices.refusals)
    switch(devices, "kettle", "Kettle")
    assert devices.named("kettle") != ()


def test_an_announcement_that_goes_bad_leaves_the_device_as_it_was() -> None:
    devices = registry()
    switch(devices, "kettle", "Kettle")
    devices.receive("homeassistant/switch/kettle/config", b"garbage", 1.0)
    assert devices.named("kettle") != ()


def test_a_state_that_cannot_be_read_is_counted_each_time_and_shown_once() -> None:
    devices = registry()
    switch(devices, "kettle", "Kettle")
    for _ in range(100):
        assert devices.receive("kettle", b"\xff", 1.0) == ()
    assert devices.counts["unreadable"] == 100
    assert len(devices.refusals) == 1


def test_what_has_no_voice_is_kept_apart_from_what_is_refused() -> None:
    devices = registry()
    switch(devices, "signal", "Signal", ent_cat="diagnostic")
    assert not devices.refusals
    assert len(devices.left_out) == 1


def test_a_huge_state_that_two_thousand_devices_hear_is_read_once_for_all_of_them() -> None:
    devices = registry()
    for number in range(2000):
        switch(devices, f"d{number}", f"Device {number}", stat_t="shared", val_tpl="{{ value_json.state }}")

    def hear(keys: int) -> None:
        payload = json.dumps({"state": "ON", **{f"k{n}": n for n in range(keys)}}).encode()
        assert len(devices.receive("shared", payload, 1.0)) == 2000

    hear(45)
    assert_linear(hear, 45, 4500, times=4)  # reading it 2,000 times would take fifty times as long


class Careless:
    """A dialect with a mistake in it."""

    name = "careless"
    filters = ("careless/#",)

    def source(self, topic: str) -> str:
        return topic

    def discover(self, topic: str, payload: bytes) -> Announcement | Removal:
        raise IndexError(topic, payload)


def test_a_dialect_that_fails_deafens_nobody(caplog: pytest.LogCaptureFixture) -> None:
    devices = Devices([Careless(), HomeAssistant()])
    assert devices.receive("careless/x", b"{}", 0.0) == ()
    assert devices.counts["refused"] == 1
    assert "its reader failed" in devices.refusals[-1].reason
    assert "IndexError" in caplog.text
    devices.receive("homeassistant/switch/s/config", b'{"name": "Lamp", "cmd_t": "c"}', 0.0)
    assert [device.name for device in devices.all_devices()] == ["Lamp"]
