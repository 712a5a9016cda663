"""A78: a plant's messages to devices, orders and requests for births; sessions that are stale, broken or forged."""

import json
from collections.abc import Iterable, Mapping

import pytest
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Announcement, Entity, Order, Refused
from edgeagent.act.dialects.sparkplug import MOST_ASKED_AT_ONCE, MOST_METRICS, MOST_NODES, Host, Told
from edgeagent.act.dialects.sparkplug_births import MOST_ENTITIES
from edgeagent.act.dialects.sparkplug_names import area_of, called, spoken
from edgeagent.act.dialects.sparkplug_node import ASK_LEAST_S, ASKS_IN_SILENCE
from edgeagent.act.dialects.sparkplug_payload import (
    MOST_METRICS as MOST_IN_ONE,
)
from edgeagent.act.dialects.sparkplug_payload import (
    Datatype,
    Metric,
    Payload,
    Scalar,
    decode,
    encode,
    metric_of,
)
from edgeagent.messages import Capability, Message, Observation, Value
from edgeagent.simulate.sparkplug_plant import EdgeNode, Tag, plant

PRESS = "sparkplug:Plant/Hall-one/Press/Run"
SPEED = "sparkplug:Plant/Hall-one/Press/Speed Setpoint"
BOILER = "sparkplug:Plant/Hall-one/Boiler/Temperature"
BOOLEAN, INT32, DOUBLE, STRING = Datatype.BOOLEAN, Datatype.INT32, Datatype.DOUBLE, Datatype.STRING


class World:
    """A host with its registry, and a plant whose messages reach it as they are handed on."""

    def __init__(self, node: EdgeNode | None = None, groups: tuple[str, ...] = ()) -> None:
        self.now_s = 100.0
        self.host = Host("edgeagent", groups, lambda: round(self.now_s * 1000))
        self.devices = Devices(())
        self.node = plant() if node is None else node
        self.will = self.node.death()

    def born(self) -> "World":
        self.hear(*self.node.births())
        return self

    def hear(self, *messages: Message, retained: bool = False) -> list[Message]:
        """Hand messages of the plant to the host; return what it publishes."""
        return [
            published
            for message in messages
            for published in self.apply(
                self.host.receive(message.topic, message.payload, retained=retained, now_s=self.now_s)
            )
        ]

    def apply(self, following: Iterable[object]) -> list[Message]:
        published: list[Message] = []
        for one in following:
            match one:
                case Announcement():
                    self.devices.announce(one)
                case Told():
                    self.devices.told(one.name, one.payload, self.now_s)
                case Message():
                    published.append(one)
        return published

    def entity(self, device: str) -> Entity:
        entity = self.devices.entity(device)
        assert entity is not None
        return entity

    def order(self, device: str, capability: Capability, value: Value) -> Message:
        order = self.entity(device).order(capability, value)
        assert isinstance(order, Order)
        (message,) = order.messages
        assert (message.qos, message.retain) == (0, False)
        return message

    def value(self, device: str) -> Mapping[Capability, Value]:
        return dict(self.devices.values(device))

    def is_there(self, *devices: str) -> bool:
        told = {self.devices.is_available(one) for one in devices or [one.id for one in self.devices.all_devices()]}
        assert len(told) == 1
        return told == {True}


def asks_for_birth(messages: list[Message]) -> bool:
    if not messages:
        return False
    (message,) = messages
    (metric,) = decode(message.payload).metrics
    assert (message.topic, message.qos, message.retain) == ("spBv1.0/Plant/NCMD/Hall-one", 0, False)
    return (metric.name, metric.raw) == ("Node Control/Rebirth", True)


def message(verb: str, *metrics: Metric, seq: int | None, device: str = "", node: str = "Hall-one") -> Message:
    topic = "/".join(["spBv1.0", "Plant", verb, node, *([device] if device else [])])
    return Message(topic, encode(Payload(metrics, 1, seq)))


def nbirth(*metrics: Metric, session: int = 0, node: str = "Hall-one") -> Message:
    return message("NBIRTH", metric_of(Datatype.INT64, session, name="bdSeq"), *metrics, seq=0, node=node)


def device_of(*tags: Tag, device: str = "Press", node: str = "Hall-one") -> list[Entity]:
    """What a birth of these metrics makes of a device."""
    world = World(EdgeNode("Plant", node, {device: tags})).born()
    return [world.entity(one.id) for one in world.devices.all_devices()]


# --- births


def test_a_birth_makes_devices_with_their_values() -> None:
    world = World().born()
    told = {one.name: (one.kind, *one.capabilities, world.value(one.id)) for one in world.devices.all_devices()}
    assert told == {
        "Press": ("machine", "run", {"run": "stopped"}),
        "Press speed setpoint": ("number", "setpoint", {"setpoint": 600.0}),
        "Press alarm": ("alarm", "acknowledge", {}),
        "Press pressure": ("sensor", "reading", {"reading": 182.5}),
        "Press alarm active": ("binary_sensor", "reading", {"reading": "on"}),
        "Coolant pump": ("machine", "run", {"run": "stopped"}),
        "Inlet valve": ("valve", "opening", {"opening": "closed"}),
        "Boiler temperature": ("sensor", "reading", {"reading": 78.5}),
    }
    assert {one.area for one in world.devices.all_devices()} == {"Hall one"}
    assert world.is_there()


def test_ranges_and_units_are_those_of_the_properties() -> None:
    device = World().born().entity(SPEED).device
    assert (device.ranges, device.units) == ({"setpoint": (0, 1500)}, {"setpoint": "rpm"})
    assert device.aliases == ("Press speed",)


def test_retained_births_are_ignored() -> None:
    world = World()
    assert world.hear(*world.node.births(), retained=True) == []
    assert world.devices.all_devices() == ()
    assert world.host.counts["ignored"] == 5


def test_a_repeated_birth_leaves_the_names_as_they_are() -> None:
    world = World().born()
    version = world.devices.version
    world.hear(*world.node.births())
    assert world.devices.version == version
    assert world.is_there()


@pytest.mark.parametrize(
    "birth",
    [
        message("NBIRTH", metric_of(DOUBLE, 1.0, name="Load"), seq=0),
        message("NBIRTH", metric_of(Datatype.INT64, 0, name="bdSeq"), seq=1),
        message("NBIRTH", metric_of(Datatype.INT64, 0, name="bdSeq"), seq=None),
        message("NBIRTH", metric_of(BOOLEAN, value=True, name="bdSeq"), seq=0),
        nbirth(metric_of(DOUBLE, 1.0, alias=4)),
        nbirth(metric_of(DOUBLE, 1.0, name="a", alias=4), metric_of(DOUBLE, 1.0, name="b", alias=4)),
        nbirth(metric_of(DOUBLE, 1.0, name="a"), metric_of(DOUBLE, 2.0, name="a")),
    ],
    ids=["no bdSeq", "number 1", "no number", "bdSeq is no number", "no name", "alias twice", "name twice"],
)
def test_a_birth_that_is_not_clear_is_no_birth(birth: Message) -> None:
    world = World()
    assert asks_for_birth(world.hear(birth))
    assert world.devices.all_devices() == ()
    assert world.hear(message("NDATA", seq=1)) == []  # it has just been asked


def test_a_device_whose_birth_is_not_clear_is_passed_over_and_the_node_goes_on() -> None:
    world = World().born()
    twice = metric_of(DOUBLE, 1.0, name="a", alias=4)
    assert world.hear(message("DBIRTH", twice, metric_of(DOUBLE, 1.0, name="b", alias=4), seq=5, device="Mixer")) == []
    assert world.hear(message("DDATA", metric_of(DOUBLE, 2.0, alias=4), seq=6, device="Mixer")) == []
    assert world.hear(message("DBIRTH", seq=7, device="Dryer")) == []
    garbage = Message("spBv1.0/Plant/DBIRTH/Hall-one/Mixer", b"\xff\xff\xff")
    assert world.hear(garbage, message("DDATA", metric_of(DOUBLE, 2.0, alias=4), seq=9, device="Mixer")) == []
    assert world.is_there()
    assert len(world.devices.all_devices()) == 8


def test_a_device_is_away_when_its_new_birth_cannot_be_read() -> None:
    world = World().born()
    assert world.hear(Message("spBv1.0/Plant/DBIRTH/Hall-one/Press", b"\xff\xff\xff")) == []
    assert not world.is_there(PRESS)
    assert world.is_there(BOILER)


def test_metrics_of_types_that_are_not_read_are_passed_over_and_their_data_is_no_surprise() -> None:
    world = World()
    template, unknown = Metric("Recipe", 1, 19, "", None), Metric("Odd", 2, 99, "int_value", 5)
    world.hear(nbirth(template, unknown, metric_of(DOUBLE, 1.0, name="Load", alias=3)))
    data = message(
        "NDATA", Metric(alias=1), Metric(alias=2, held="int_value", raw=6), metric_of(DOUBLE, 2.0, alias=3), seq=1
    )
    assert world.hear(data) == []
    (load,) = world.devices.all_devices()
    assert (load.id, load.name, world.value(load.id)) == (
        "sparkplug:Plant/Hall-one//Load",
        "Hall one load",
        {"reading": 2.0},
    )


def test_a_value_that_cannot_be_read_is_left_out_and_counted() -> None:
    world = World().born()
    bad = Metric(alias=world.node.alias("Boiler", "Temperature"), held="double_value", raw=float("nan"))
    good = metric_of(DOUBLE, 80.0, alias=world.node.alias("Boiler", "Temperature"))
    assert world.hear(message("DDATA", bad, seq=5, device="Boiler")) == []
    assert world.value(BOILER) == {"reading": 78.5}
    assert world.host.counts["unreadable"] == 1
    assert "finite" in world.host.refusals[-1].reason
    world.hear(message("DDATA", good, seq=6, device="Boiler"))
    assert world.value(BOILER) == {"reading": 80.0}


# --- orders


def test_an_order_goes_by_alias_and_what_the_device_then_tells_is_its_value() -> None:
    world = World().born()
    order = world.order(PRESS, "run", "running")
    (metric,) = decode(order.payload).metrics
    assert order.topic == "spBv1.0/Plant/DCMD/Hall-one/Press"
    assert (metric.name, metric.alias, metric.raw) == (None, world.node.alias("Press", "Run"), True)
    assert decode(order.payload).timestamp_ms == 100_000
    assert world.hear(*world.node.receive(order.topic, order.payload)) == []
    assert world.node.state("Press")["Run"] is True
    assert world.value(PRESS) == {"run": "running"}


def test_an_order_for_a_metric_without_an_alias_goes_by_its_name() -> None:
    world = World()
    limits: dict[str, Scalar] = {"low": -10, "high": 10}
    target = Metric("Target", None, Datatype.INT16, "int_value", 5, properties=limits)
    world.hear(nbirth(target))
    order = world.order("sparkplug:Plant/Hall-one//Target", "setpoint", -3)
    (metric,) = decode(order.payload).metrics
    assert order.topic == "spBv1.0/Plant/NCMD/Hall-one"
    assert (metric.name, metric.datatype, metric.raw) == ("Target", 2, 0xFFFFFFFD)


def test_a_set_point_is_refused_beyond_its_range_and_settles_as_its_datatype_can() -> None:
    world = World().born()
    assert isinstance(world.entity(SPEED).order("setpoint", 1501), Refused)
    order = world.entity(SPEED).order("setpoint", 900.4)
    assert isinstance(order, Order)
    assert order.reaches == 900
    short = Tag("Level SP", Datatype.FLOAT, 1.0, {"min": 0, "max": 10})
    (level,) = device_of(short)
    order = level.order("setpoint", 0.1)
    assert isinstance(order, Order)
    assert order.reaches == pytest.approx(0.1, abs=1e-8)
    assert order.reaches != 0.1


def test_a_stop_after_the_session_goes_by_name_because_aliases_may_mean_something_else() -> None:
    world = World().born()
    entity = world.entity(PRESS)
    world.node.skip()
    assert asks_for_birth(world.hear(world.node.change("Press", {"Run": True})))
    for stop in (world.order(PRESS, "run", "stopped"), *_messages(entity.order("run", "stopped"))):
        (metric,) = decode(stop.payload).metrics
        assert (metric.name, metric.alias, metric.raw) == ("Run", None, False)


def test_what_was_planned_in_the_session_before_does_not_use_its_aliases() -> None:
    world = World().born()
    entity = world.entity(PRESS)
    world.hear(*world.node.restart())
    (stale,) = _messages(entity.order("run", "stopped"))
    assert decode(stale.payload).metrics[0].alias is None
    fresh = world.order(PRESS, "run", "stopped")
    assert decode(fresh.payload).metrics[0].alias == world.node.alias("Press", "Run")


def _messages(order: Order | Refused) -> tuple[Message, ...]:
    assert isinstance(order, Order)
    return order.messages


# --- sessions


def test_a_gap_ends_the_session_nothing_is_taken_and_a_birth_is_asked_for() -> None:
    world = World().born()
    world.node.skip()
    assert asks_for_birth(world.hear(world.node.change("Boiler", {"Temperature": 99.0})))
    assert world.value(BOILER) == {"reading": 78.5}
    assert not world.is_there()
    world.hear(*world.node.births())
    assert world.is_there()
    assert world.value(BOILER) == {"reading": 99.0}


@pytest.mark.parametrize("lost", range(12))
def test_whichever_message_is_lost_the_next_one_shows_it(lost: int) -> None:
    world = World()
    told = [*world.node.births(), *(world.node.change("Boiler", {"Temperature": float(n)}) for n in range(8))]
    del told[lost]
    assert asks_for_birth(world.hear(*told))
    assert not world.devices.all_devices() or not world.is_there()


def test_messages_out_of_order_and_doubled_ones_end_the_session() -> None:
    for order in ((1, 0), (0, 0)):
        world = World().born()
        told = [world.node.change("Boiler", {"Temperature": float(n)}) for n in range(2)]
        assert asks_for_birth(world.hear(*(told[n] for n in order)))
        assert not world.is_there()


def test_data_before_a_birth_is_not_taken_and_a_birth_is_asked_for() -> None:
    world = World()
    world.node.births()
    assert asks_for_birth(world.hear(world.node.change("Press", {"Run": True})))
    assert world.devices.all_devices() == ()
    world.hear(*world.node.births())
    assert world.value(PRESS) == {"run": "running"}


def test_a_device_before_its_node_is_no_birth() -> None:
    world = World()
    _, *devices = world.node.births()
    assert asks_for_birth(world.hear(*devices))
    assert world.devices.all_devices() == ()


def test_aliases_before_births_are_not_taken() -> None:
    world = World()
    node, *_ = world.node.births()
    alias = world.node.alias("Press", "Run")
    world.hear(node)
    assert asks_for_birth(
        world.hear(message("DDATA", metric_of(BOOLEAN, value=True, alias=alias), seq=1, device="Press"))
    )
    assert world.devices.all_devices() == ()


@pytest.mark.parametrize("unborn", [Metric(alias=999), Metric(name="Nothing"), Metric()])
def test_data_with_one_metric_that_was_never_born_is_not_taken_at_all(unborn: Metric) -> None:
    world = World().born()
    good = metric_of(DOUBLE, 99.0, alias=world.node.alias("Boiler", "Temperature"))
    assert asks_for_birth(world.hear(message("DDATA", good, unborn, seq=5, device="Boiler")))
    assert world.value(BOILER) == {"reading": 78.5}
    assert not world.is_there()


def test_data_of_a_device_that_was_never_born_ends_the_session() -> None:
    world = World().born()
    assert asks_for_birth(world.hear(message("DDATA", seq=5, device="Mixer")))
    assert not world.is_there()


def test_an_alias_of_another_device_is_not_taken() -> None:
    world = World().born()
    of_press = metric_of(BOOLEAN, value=True, alias=world.node.alias("Press", "Run"))
    assert asks_for_birth(world.hear(message("DDATA", of_press, seq=5, device="Boiler")))
    assert world.value(PRESS) == {"run": "stopped"}


def test_the_numbers_go_on_from_255_at_0() -> None:
    world = World().born()
    for number in range(600):
        assert world.hear(world.node.change("Boiler", {"Temperature": float(number)})) == []
    assert world.value(BOILER) == {"reading": 599.0}
    assert world.is_there()


def test_a_death_counts_only_for_its_own_session() -> None:
    world = World().born()
    world.hear(*world.node.restart())
    assert world.hear(world.will) == []
    assert world.is_there()
    assert world.hear(world.node.last_will()) == []
    assert not world.is_there()
    assert world.host.counts["death"] == 1


@pytest.mark.parametrize("death", [b"", b"\xff", encode(Payload((metric_of(STRING, "0", name="bdSeq"),)))])
def test_a_death_that_does_not_say_whose_it_is_is_ignored(death: bytes) -> None:
    world = World().born()
    assert world.hear(Message("spBv1.0/Plant/NDEATH/Hall-one", death)) == []
    assert world.is_there()


def test_a_node_that_died_is_not_asked_any_more() -> None:
    world = World().born()
    world.node.skip()
    world.hear(world.node.change("Boiler", {"Temperature": 99.0}), world.node.last_will())
    world.now_s += 100
    assert world.host.tick(world.now_s) == ()


def test_another_session_replaces_the_one_before_and_its_devices_are_away_until_they_are_born() -> None:
    world = World().born()
    node, *devices = world.node.restart()
    assert world.hear(node) == []
    assert not world.is_there()
    assert world.hear(*devices) == []
    assert world.is_there()
    old = metric_of(BOOLEAN, value=True, alias=100)  # of the first start
    assert asks_for_birth(world.hear(message("DDATA", old, seq=5, device="Press")))
    assert world.value(PRESS) == {"run": "stopped"}


def test_a_device_dies_and_is_born_again_alone() -> None:
    world = World().born()
    assert world.hear(world.node.leave("Press")) == []
    assert not world.is_there(PRESS)
    assert world.is_there(BOILER)
    assert world.hear(world.node.come_back("Press")) == []
    assert world.is_there()


def test_data_of_a_dead_device_ends_the_session() -> None:
    world = World().born()
    alias = world.node.alias("Press", "Run")
    world.hear(world.node.leave("Press"))
    assert asks_for_birth(
        world.hear(message("DDATA", metric_of(BOOLEAN, value=True, alias=alias), seq=6, device="Press"))
    )


def test_what_is_historical_null_or_of_bad_quality_does_not_change_the_present() -> None:
    world = World().born()
    alias = world.node.alias("Boiler", "Temperature")
    for metric in (
        Metric(None, alias, None, "double_value", 10.0, is_historical=True),
        Metric(None, alias, is_null=True),
        Metric(None, alias, None, "double_value", 20.0, properties={"Quality": 500}),
    ):
        assert world.hear(message("DDATA", metric, seq=world.host.counts["data"] + 5, device="Boiler")) == []
    assert world.value(BOILER) == {"reading": 78.5}
    assert world.host.counts["data"] == 3


@pytest.mark.parametrize("verb", ["NBIRTH", "NDATA", "DDATA", "DDEATH"])
def test_truncated_payloads_are_not_taken_and_a_birth_is_asked_for(verb: str) -> None:
    world = World().born()
    whole = {
        "NBIRTH": world.node.births()[0],
        "NDATA": message("NDATA", metric_of(DOUBLE, 1.0, name="Load"), seq=5),
        "DDATA": world.node.change("Press", {"Run": True}),
        "DDEATH": world.node.leave("Press"),
    }[verb]
    assert asks_for_birth(world.hear(Message(whole.topic, whole.payload[:-1])))
    assert world.value(PRESS) == {"run": "stopped"}
    assert not world.is_there()


# --- asking


def test_a_node_is_asked_at_once_then_ever_more_rarely() -> None:
    world = World()
    asked = []
    for _ in range(200):
        asked += [world.now_s - 100] * len(world.hear(message("NDATA", seq=7)))
        world.now_s += 1
    assert asked == [0, ASK_LEAST_S, 3 * ASK_LEAST_S, 7 * ASK_LEAST_S, 15 * ASK_LEAST_S]


def test_a_request_that_got_lost_is_made_again_but_not_for_ever() -> None:
    world = World()
    assert asks_for_birth(world.hear(message("NDATA", seq=7)))
    asked = 0
    for _ in range(1000):
        world.now_s += 1
        asked += len(world.host.tick(world.now_s))
    assert asked == ASKS_IN_SILENCE - 1


def test_after_a_steady_session_the_waits_begin_anew() -> None:
    world = World()
    for _ in range(3):
        world.born()
        world.now_s += 100
        world.node.skip()
        assert asks_for_birth(world.hear(world.node.change("Boiler", {"Temperature": 1.0})))
        assert world.hear(world.node.change("Boiler", {"Temperature": 1.0})) == []
        world.now_s += ASK_LEAST_S
        assert len(world.host.tick(world.now_s)) == 1


def test_not_too_many_nodes_are_asked_at_once() -> None:
    world = World()
    strangers = [message("NDATA", seq=7, node=f"node-{number}") for number in range(50)]
    assert len(world.hear(*strangers)) == MOST_ASKED_AT_ONCE
    asked = set()
    for _ in range(3):
        world.now_s += 1
        asked |= {one.topic for one in world.host.tick(world.now_s)}
    assert len(asked) == 50 - MOST_ASKED_AT_ONCE


# --- bounds


def test_ten_thousand_strangers_do_not_fill_the_memory_nor_drive_out_who_is_there() -> None:
    world = World().born()
    for number in range(10_000):
        world.hear(message("NDATA", seq=7, node=f"node-{number}"))
    assert world.host.counts["asked"] <= MOST_ASKED_AT_ONCE
    assert world.is_there()
    assert world.hear(world.node.change("Press", {"Run": True})) == []
    assert world.value(PRESS) == {"run": "running"}


def test_when_full_a_node_without_a_session_makes_room_and_its_devices_go() -> None:
    world = World()
    load = metric_of(DOUBLE, 1.0, name="Load")
    world.hear(*(nbirth(load, node=f"node-{number}") for number in range(MOST_NODES)))
    assert len(world.devices.all_devices()) == MOST_NODES
    assert world.hear(nbirth(load, node="one-more")) == []
    assert world.host.counts["full"] == 1
    world.hear(message("NDEATH", metric_of(Datatype.INT64, 0, name="bdSeq"), seq=None, node="node-7"))
    world.hear(nbirth(load, node="one-more"))
    there = {one.id for one in world.devices.all_devices()}
    assert "sparkplug:Plant/one-more//Load" in there
    assert "sparkplug:Plant/node-7//Load" not in there


def test_metrics_are_bounded_in_the_whole_plant() -> None:
    world = World()
    metrics = [metric_of(DOUBLE, 1.0, name=f"m{number}") for number in range(MOST_IN_ONE - 1)]
    for number in range(MOST_METRICS // MOST_IN_ONE + 2):
        world.hear(nbirth(*metrics, node=f"node-{number}"))
    assert world.host.counts["birth"] == MOST_METRICS // MOST_IN_ONE
    assert world.host.counts["full"] == 2


def test_of_one_device_no_more_than_can_be_told_apart_what_can_be_ordered_first() -> None:
    tags = [Tag(f"Value {number}", DOUBLE, 1.0) for number in range(200)]
    found = device_of(*tags, Tag("Run", BOOLEAN, value=False))
    assert len(found) == MOST_ENTITIES
    assert found[0].device.kind == "machine"


def test_a_birth_of_many_metrics_in_one_folder_takes_no_longer_for_each() -> None:
    def births(of: int) -> list[Message]:
        metrics = [metric_of(BOOLEAN, value=False, name=f"folder/motor {number} running") for number in range(of)]
        return [nbirth(*metrics)]

    assert_linear(lambda told: World().hear(*told), births(190), births(1900), 10)


# --- what metrics are for


@pytest.mark.parametrize(
    ("name", "kind", "capability", "words", "device_name"),
    [
        ("Run", "machine", "run", ("running", "stopped"), "Press"),
        ("Motor", "machine", "run", ("running", "stopped"), "Press motor"),
        ("Feed/MotorEnable", "machine", "run", ("running", "stopped"), "Press feed motor"),
        ("Running", "machine", "run", ("running", "stopped"), "Press"),
        ("Inlet Valve/Open", "valve", "opening", ("open", "closed"), "Press inlet valve"),
        ("drain_valve", "valve", "opening", ("open", "closed"), "Press drain valve"),
        ("Lamp/Command", "switch", "power", ("on", "off"), "Press lamp"),
        ("Alarms/Overheat/Ack", "alarm", "acknowledge", ("now",), "Press overheat alarm"),
        ("Alarm/Acknowledge", "alarm", "acknowledge", ("now",), "Press alarm"),
    ],
)
def test_booleans_are_ordered_by_what_they_are_called(
    name: str, kind: str, capability: Capability, words: tuple[str, ...], device_name: str
) -> None:
    (found,) = device_of(Tag(name, BOOLEAN, value=False))
    (writer,) = found.writers
    assert (found.device.kind, writer.capability, writer.words, found.device.name) == (
        kind,
        capability,
        words,
        device_name,
    )
    (told,) = _messages(found.order(capability, words[0]))
    assert decode(told.payload).metrics[0].raw is True


@pytest.mark.parametrize("name", ["Door/Open", "Overheat", "Light On", "Fault", "Alarms/Overheat/Active"])
def test_booleans_that_nothing_says_are_orders_are_only_told(name: str) -> None:
    (found,) = device_of(Tag(name, BOOLEAN, value=True))
    assert (found.device.kind, found.writers) == ("binary_sensor", ())


@pytest.mark.parametrize("properties", [{"writable": False}, {"readOnly": True}, {"Read Only": True}])
@pytest.mark.parametrize(("name", "datatype", "value"), [("Run", BOOLEAN, True), ("Speed SP", INT32, 5)])
def test_what_says_that_it_is_not_writable_is_never_ordered(
    properties: Mapping[str, Scalar], name: str, datatype: Datatype, value: Scalar
) -> None:
    (found,) = device_of(Tag(name, datatype, value, {"low": 0, "high": 9, **properties}))
    assert found.writers == ()


def test_a_boolean_that_says_that_it_is_writable_is_a_switch() -> None:
    (found,) = device_of(Tag("Light", BOOLEAN, value=False, properties={"readOnly": False}))
    assert (found.device.kind, found.device.name) == ("switch", "Press light")


@pytest.mark.parametrize("order", [("Run", "Running"), ("Running", "Run")])
def test_what_runs_beside_it_tells_whether_it_runs(order: tuple[str, str]) -> None:
    (pump,) = device_of(*(Tag(name, BOOLEAN, value=False) for name in order), device="Coolant pump")
    assert [reader.topic.rpartition("/")[2] for reader in pump.readers] == ["Running"]
    (told,) = _messages(pump.order("run", "running"))
    assert decode(told.payload).metrics[0].alias == 100 + order.index("Run")


def test_a_start_with_a_stop_beside_it_is_stopped_by_it() -> None:
    tags = [Tag(name, BOOLEAN, value=False) for name in ("Start", "Stop", "Running")]
    (line,) = device_of(*tags)
    (stop,) = _messages(line.order("run", "stopped"))
    assert [(one.alias, one.raw) for one in decode(stop.payload).metrics] == [(101, True)]


@pytest.mark.parametrize(
    "tag",
    [
        Tag("Speed Setpoint", INT32, 5),
        Tag("Speed", INT32, 5, {"low": 0, "high": 9}),
        Tag("Speed SP", INT32, 5, {"low": 9, "high": 0}),
        Tag("Speed SP", INT32, 5, {"low": "a", "high": "b"}),
    ],
    ids=["no range", "no set point", "range upside down", "range of words"],
)
def test_numbers_that_cannot_be_set_are_told(tag: Tag) -> None:
    (found,) = device_of(tag)
    assert (found.device.kind, found.writers) == ("sensor", ())


def test_the_range_is_within_the_datatype() -> None:
    (found,) = device_of(Tag("Level target", Datatype.UINT8, 5, {"engLow": -100, "engHigh": 1000}))
    assert found.device.ranges == {"setpoint": (0, 255)}


def test_texts_are_told_dates_and_the_protocols_own_are_not() -> None:
    tags = [
        Tag("Product", STRING, "Lids"),
        Tag("Made", Datatype.DATETIME, 5),
        Tag("Properties/FW", STRING, "1"),
        Tag("Device Control/Reboot", BOOLEAN, value=False),
    ]
    assert [one.device.name for one in device_of(*tags)] == ["Press product"]


def test_a_text_that_cannot_be_said_is_not_a_reading() -> None:
    world = World(EdgeNode("Plant", "Hall-one", {"Press": (Tag("Product", STRING, "x" * 65),)})).born()
    assert world.value("sparkplug:Plant/Hall-one/Press/Product") == {}
    assert world.devices.counts["unreadable"] == 1


def test_metrics_of_like_names_are_called_by_their_whole_path() -> None:
    tags = [Tag(f"Line {number}/Oven/Zone/Heat", DOUBLE, 1.0) for number in (1, 2)]
    assert [one.device.name for one in device_of(*tags)] == [
        "Press line 1 oven zone heat",
        "Press line 2 oven zone heat",
    ]


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ("Press", "press"),
        ("Coolant_Pump-2", "coolant pump 2"),
        ("BoilerRoom", "boiler room"),
        ("PLC4F21", ""),
        ("0x88A1", ""),
        ("RTU-1234", ""),
        ("PRS", ""),
    ],
)
def test_ids_are_spoken_unless_they_are_codes(identity: str, words: str) -> None:
    assert " ".join(spoken(identity)) == words


def test_areas_are_told_or_follow_from_the_node() -> None:
    assert [area_of(one) for one in ("Hall-one", "edge node 2", "PLC4F21", "Gateway")] == ["Hall one", None, None, None]
    (told,) = device_of(Tag("Properties/Area", STRING, "Paint shop"), Tag("Load", DOUBLE, 1.0))
    assert told.device.area == "Paint shop"
    world = World()
    area = metric_of(STRING, "Hall two", name="Properties/Location")
    world.hear(nbirth(area), message("DBIRTH", metric_of(DOUBLE, 1.0, name="Load"), seq=1, device="Dryer"))
    assert [one.area for one in world.devices.all_devices()] == ["Hall two"]


def test_names_repeat_no_words() -> None:
    assert called(("press",), ("Line 1", "Conveyor", "Speed Setpoint")) == "Press conveyor speed setpoint"
    assert called(("press",), ("Press", "PressSpeed")) == "Press speed"


# --- the host itself


def test_the_host_says_that_it_is_there_and_its_will_bears_the_same_time() -> None:
    world = World()
    state = world.host.state
    will, birth = state.will(), state.birth()
    assert {one.topic for one in (will, birth)} == {"spBv1.0/STATE/edgeagent"}
    assert all(one.qos == 1 and one.retain for one in (will, birth))
    assert [json.loads(one.payload) for one in (will, birth)] == [
        {"online": online, "timestamp": 100_000} for online in (False, True)
    ]
    world.now_s += 1
    assert json.loads(state.birth().payload)["timestamp"] == 100_000
    assert json.loads(state.farewell().payload) == {"online": False, "timestamp": 101_000}
    assert json.loads(state.will().payload)["timestamp"] == 101_000


def test_who_says_that_the_host_is_offline_is_contradicted_once_a_second() -> None:
    world = World()
    lie = world.host.state.farewell()
    assert world.hear(lie, lie, lie) == [world.host.state.birth()]
    world.now_s += 0.5
    assert world.host.tick(world.now_s) == ()
    world.now_s += 0.5
    assert world.host.tick(world.now_s) == (world.host.state.birth(),)
    assert world.host.tick(world.now_s + 10) == ()


@pytest.mark.parametrize("payload", [b"", b"OFFLINE", b"[]", b'{"online": true}', b'{"online": 0}', b"{" * 5000])
def test_other_states_are_not_answered(payload: bytes) -> None:
    world = World()
    assert world.hear(Message("spBv1.0/STATE/edgeagent", payload)) == []
    assert world.hear(world.host.state.farewell(), retained=True) == []


def test_only_the_groups_that_are_named_are_listened_to() -> None:
    assert World().host.filters == ("spBv1.0/+/#", "spBv1.0/STATE/edgeagent")
    world = World(groups=("Other", "Another")).born()
    assert world.host.filters == ("spBv1.0/Another/#", "spBv1.0/Other/#", "spBv1.0/STATE/edgeagent")
    assert world.devices.all_devices() == ()


def test_without_a_connection_everything_is_away_and_with_a_new_one_births_are_asked_for() -> None:
    world = World().born()
    assert world.apply(world.host.lost(world.now_s)) == []
    assert not world.is_there()
    world.host.connected(world.now_s)
    assert world.host.tick(world.now_s) == ()  # those that wait for this host are born by themselves
    world.now_s += 2
    assert asks_for_birth(list(world.host.tick(world.now_s)))
    assert world.born().is_there()


# --- what nobody can publish


def test_what_the_registry_is_told_of_the_plant_is_under_names_that_no_client_can_use() -> None:
    world = World().born()
    names = {topic for one in world.devices.all_devices() for topic in world.entity(one.id).topics}
    assert names
    assert all(name.startswith("\0") for name in names)
    assert world.devices.topics == frozenset()
    for name in names:
        assert world.devices.receive(name, b"true", 1.0) == ()
        assert world.devices.receive(name, b"0", 1.0) == ()
    assert world.is_there()
    assert world.value(PRESS) == {"run": "stopped"}
    assert world.devices.counts["refused"] == 2 * len(names)


def test_a_topic_of_a_bus_is_never_told_as_if_it_were_translated() -> None:
    with pytest.raises(ValueError, match="begins with NUL"):
        World().devices.told("plant/press", b"1", 1.0)


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0",
        "spBv1.0/Plant/NBIRTH",
        "spBv1.0/Plant/NBIRTH/Hall-one/Press",
        "spBv1.0/Plant/DBIRTH/Hall-one",
        "spBv1.0/Plant/DBIRTH/Hall-one/",
        "spBv1.0//NBIRTH/Hall-one",
        "spBv1.0/Plant/NCMD/Hall-one",
        "spBv1.0/Plant/DCMD/Hall-one/Press",
        "spBv1.0/STATE/other",
        "spAv1.0/Plant/NBIRTH/Hall-one",
        "spBv1.0/Plant/NBIRTH/a\0b",
        "spBv1.0/Plant/NBIRTH/a+",
        "spBv1.0/Plant/NBIRTH/" + "x" * 129,
    ],
)
def test_what_is_no_message_of_a_node_is_ignored(topic: str) -> None:
    world = World()
    assert world.hear(Message(topic, world.node.births()[0].payload)) == []
    assert world.host.counts["ignored"] == 1


VERBS = ["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH", "NCMD", "STATE", "X"]
METRICS = st.builds(
    Metric,
    st.none() | st.sampled_from(["Run", "bdSeq", "Temperature", "Speed Setpoint", "", "\u00e9"]),
    st.none() | st.integers(99, 110) | st.integers(0, 2**64 - 1),
    st.none() | st.integers(0, 40),
    st.sampled_from(["int_value", "long_value"]),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.booleans(),
)
PAYLOADS = st.binary(max_size=100) | st.builds(
    lambda metrics, seq: encode(Payload(tuple(metrics), 1, seq)),
    st.lists(METRICS, max_size=4),
    st.none() | st.integers(0, 300),
)
TOPICS = st.tuples(
    st.just("spBv1.0"),
    st.sampled_from(["Plant", "STATE", "Other"]),
    st.sampled_from(VERBS),
    st.sampled_from(["Hall-one", "edgeagent", "node"]),
    st.none() | st.sampled_from(["Press", "Boiler", "Mixer"]),
).map(lambda parts: "/".join(part for part in parts if part is not None)) | st.text(max_size=30)


@given(st.lists(st.tuples(TOPICS, PAYLOADS, st.booleans()), max_size=12))
def test_whatever_comes_on_whatever_topic_nothing_is_raised(told: list[tuple[str, bytes, bool]]) -> None:
    world = World().born()
    for topic, payload, retained in told:
        world.now_s += 1
        published = world.hear(Message(topic, payload), retained=retained)
        published += world.host.tick(world.now_s)
        assert all(one.topic.split("/")[2] in {"NCMD", "edgeagent"} for one in published)
    world.apply(world.host.lost(world.now_s))
    assert not any(world.devices.is_available(one.id) for one in world.devices.all_devices())


@given(st.lists(st.integers(0, 19), max_size=25))
def test_in_whatever_order_messages_come_a_device_that_is_there_tells_the_truth_of_an_unbroken_session(
    order: list[int],
) -> None:
    """What is told is a beginning of what the node said, without gaps; else nothing is available."""
    world = World()
    told = [*world.node.births(), *(world.node.change("Boiler", {"Temperature": float(n)}) for n in range(15))]
    expected: int | None = None
    for number in order:
        world.hear(told[number])
        expected = 0 if number == 0 else expected + 1 if expected is not None and number == expected + 1 else None
        if world.devices.is_available(BOILER):
            assert expected is not None
            assert expected >= 4
            assert world.value(BOILER) == {"reading": 78.5 if expected == 4 else float(expected - 5)}


def test_observations_are_told_of_what_changed() -> None:
    world = World().born()
    change = world.node.change("Boiler", {"Temperature": 81.0})
    (told,) = world.host.receive(change.topic, change.payload, retained=False, now_s=world.now_s)
    assert isinstance(told, Told)
    assert world.devices.told(told.name, told.payload, 5.0) == (Observation(BOILER, {"reading": 81.0}),)
    assert world.devices.seen_s(BOILER) == 5.0
