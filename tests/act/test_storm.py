"""A storm of orders (A66): what is still done, what is refused, and what is made safe."""

from collections.abc import Mapping

import pytest
from homes import announce, deliver, everything, known
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.storm import WINDOW_S, Storm, safe_actions
from edgeagent.messages import Capability, Device, Value
from edgeagent.simulate.house import house, plant


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def nothing(_: Device) -> Mapping[Capability, Value]:
    return {}


def test_as_many_orders_as_are_allowed_go_and_one_more_is_too_many() -> None:
    storm = Storm(5, Clock())
    assert [storm.order() for _ in range(6)] == ["go"] * 5 + ["too-many"]


def test_at_twice_as_many_it_is_a_storm_and_that_is_told_once() -> None:
    storm = Storm(5, Clock())
    verdicts = [storm.order() for _ in range(30)]
    assert verdicts == ["go"] * 5 + ["too-many"] * 4 + ["storm"] + ["too-many"] * 20


def test_a_limit_of_one_is_a_limit() -> None:
    storm = Storm(1, Clock())
    assert [storm.order() for _ in range(4)] == ["go", "storm", "too-many", "too-many"]


def test_who_orders_all_day_at_a_bearable_pace_is_never_refused() -> None:
    clock = Clock()
    storm = Storm(60, clock)
    for _ in range(1000):
        assert storm.order() == "go"
        clock.now_s += 1.02


def test_too_many_that_are_no_storm_are_over_when_the_first_of_them_are_a_minute_old() -> None:
    clock = Clock()
    storm = Storm(3, clock)
    for _ in range(3):
        storm.order()
        clock.now_s += 10
    assert storm.order() == "too-many"
    clock.now_s = 50.0 + WINDOW_S + 0.1
    assert storm.order() == "too-many", "the one that was refused counts"
    clock.now_s += 20
    assert storm.order() == "go"


def test_a_storm_is_over_after_a_minute_of_silence_and_not_before() -> None:
    clock = Clock()
    storm = Storm(3, clock)
    for _ in range(6):
        storm.order()
    for _ in range(10):
        clock.now_s += WINDOW_S - 1
        assert storm.order() == "too-many"
    clock.now_s += WINDOW_S + 0.1
    assert storm.order() == "go"


def test_a_second_storm_is_told_too() -> None:
    clock = Clock()
    storm = Storm(2, clock)
    assert [storm.order() for _ in range(4)][-1] == "storm"
    clock.now_s += WINDOW_S + 0.1
    assert [storm.order() for _ in range(4)] == ["go", "go", "too-many", "storm"]


@given(st.integers(1, 20), st.lists(st.floats(0, 90), max_size=200))
def test_in_no_minute_do_more_go_than_are_allowed(most: int, waits_s: list[float]) -> None:
    clock = Clock()
    storm = Storm(most, clock)
    went: list[float] = []
    for wait_s in waits_s:
        clock.now_s += wait_s
        if storm.order() == "go":
            went.append(clock.now_s)
    for at_s in went:
        assert sum(at_s - WINDOW_S < other <= at_s for other in went) <= most


def made_safe(devices: Devices) -> list[tuple[str, str, Value]]:
    done = safe_actions(devices, nothing, "u7")
    assert len({action.id for action in done}) == len(done)
    assert all(action.utterance == "u7" and action.allowed_by for action in done)
    return [(action.device.name, action.capability, action.value) for action in done]


def test_machines_are_stopped_whatever_they_say_of_themselves() -> None:
    place = plant()
    devices = known(place)
    assert made_safe(devices) == [("Conveyor", "run", "stopped"), ("Coolant pump", "run", "stopped")]
    deliver(devices, place.leave("conveyor"))
    assert len(made_safe(devices)) == 2


@pytest.mark.parametrize(("state", "is_stopped"), [("opening", True), ("closing", True), ("open", False)])
def test_covers_are_stopped_where_they_move(state: str, *, is_stopped: bool) -> None:
    place = house()
    devices = known(place)
    deliver(devices, place.change("living_room_blinds", {"state": state, "position": 40}))
    assert made_safe(devices) == ([("Living room blinds", "opening", "stopped")] if is_stopped else [])


def test_nothing_else_is_touched() -> None:
    assert {capability for _, capability, _ in made_safe(everything())} == {"run"}


def test_a_safe_state_goes_before_a_stop() -> None:
    devices = known(plant())

    def runs(device: Device) -> Mapping[Capability, Value]:
        return {"run": "running"} if device.name == "Coolant pump" else {}

    done = {action.device.name: action.value for action in safe_actions(devices, runs, "u")}
    assert done == {"Conveyor": "stopped", "Coolant pump": "running"}


def test_of_several_safe_states_a_device_takes_those_that_it_can() -> None:
    devices = known()
    announce(devices, "light", "lamp", "Lamp", bri_cmd_t="b", bri_stat_t="c")

    def dim(_: Device) -> Mapping[Capability, Value]:
        return {"brightness": 10.0, "power": "on", "lock": "locked"}

    done = [(action.capability, action.value) for action in safe_actions(devices, dim, "u")]
    assert done == [("brightness", 10.0), ("power", "on")]


def test_a_cover_that_moves_is_stopped_where_its_safe_state_is_for_something_else() -> None:
    place = house()
    devices = known(place)
    deliver(devices, place.change("living_room_blinds", {"state": "closing", "position": 40}))

    def strange(device: Device) -> Mapping[Capability, Value]:
        return {"power": "off"} if device.kind == "cover" else {}

    assert [action.value for action in safe_actions(devices, strange, "u")] == ["stopped"]
