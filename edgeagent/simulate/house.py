"""A virtual house and a virtual plant: announcements out, orders in, states out. Pure: the bus is somebody else's."""

import json
from collections.abc import Iterable
from typing import Literal

from edgeagent.messages import Message
from edgeagent.simulate.appliances import (
    Appliance,
    State,
    blinds,
    button,
    dimmer,
    fan,
    heater,
    setpoint,
    simple,
    zigbee_light,
)
from edgeagent.simulate.native_appliances import homie_relay, tasmota_plug, zigbee_lamp

Fault = Literal["none", "dead", "lying"]
"""dead: takes orders and does not answer; lying: answers every order with the state that it had before."""


class House:
    """Things with their states. Whoever holds it publishes what comes out, and hands in what was published."""

    def __init__(self, appliances: Iterable[Appliance], *, delay_s: float = 0.05) -> None:
        """Start with everything in its initial state; each answer comes `delay_s` after the one before."""
        self._appliances = {appliance.key: appliance for appliance in appliances}
        self._states: dict[str, State] = {key: one.initial for key, one in self._appliances.items()}
        self._faults: dict[str, Fault] = {}
        self._gone: set[str] = set()
        self._delay_s = delay_s

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the names by which faults are set."""
        return tuple(self._appliances)

    def announcements(self) -> tuple[Message, ...]:
        """Return what the things publish when they start: announcement, availability and state, all retained."""
        there = [key for key in self._appliances if key not in self._gone]
        announced = {self._appliances[key].discovery_topic: self._announced(key) for key in there}
        return (*announced.values(), *(message for key in there for message in self._state(key)))

    def subscriptions(self) -> tuple[str, ...]:
        """Return the topics on which orders come in."""
        return tuple(topic for appliance in self._appliances.values() for topic in appliance.commands)

    def receive(self, topic: str, payload: bytes) -> tuple[tuple[float, Message], ...]:
        """Carry out an order; return what is published in answer, each with its delay in seconds from now."""
        order = payload.decode("utf-8", errors="replace")
        answers: list[tuple[float, Message]] = []
        for key, appliance in self._appliances.items():
            if topic not in appliance.commands or key in self._gone:
                continue
            fault = self._faults.get(key, "none")
            before = self._states[key]
            following = appliance.react(before, topic, order)
            if not following or fault == "dead":
                continue
            told = (before,) if fault == "lying" else following
            self._states[key] = told[-1]
            for number, state in enumerate(told, start=1):
                answers += [(self._delay_s * number, message) for message in _told(appliance, state)]
        return tuple(answers)

    def state(self, key: str) -> State:
        """Return what a thing really is."""
        return self._states[key]

    def change(self, key: str, state: State) -> tuple[Message, ...]:
        """Change a thing by hand, as its own button would; return what it then publishes."""
        self._states[key] = {**self._states[key], **state}
        return _told(self._appliances[key], self._states[key])

    def break_down(self, key: str, fault: Fault) -> None:
        """Give a thing a fault; `none` mends it."""
        if key not in self._appliances:
            raise KeyError(key)
        self._faults[key] = fault

    def leave(self, key: str, *, removed: bool = False) -> tuple[Message, ...]:
        """Take a thing away; return its last will and, if it is removed for good, the end of its announcement."""
        self._gone.add(key)
        appliance = self._appliances[key]
        will = _presence(appliance, there=False)
        return (will, self._announced(key)) if removed else (will,)

    def come_back(self, key: str) -> tuple[Message, ...]:
        """Bring a thing back; return what it publishes when it starts."""
        self._gone.discard(key)
        return self._start(key)

    def _start(self, key: str) -> tuple[Message, ...]:
        return (self._announced(key), *self._state(key))

    def _state(self, key: str) -> tuple[Message, ...]:
        appliance = self._appliances[key]
        return (_presence(appliance, there=True), *_told(appliance, self._states[key]))

    def _announced(self, key: str) -> Message:
        """Return what is announced on the thing's topic: by it alone, or by the bridge that it is behind."""
        topic = self._appliances[key].discovery_topic
        there = [
            one.announcement
            for one in self._appliances.values()
            if one.discovery_topic == topic and one.key not in self._gone
        ]
        if topic.endswith("/bridge/devices"):
            return Message(topic, json.dumps(there).encode(), retain=True)
        return Message(topic, json.dumps(there[0]).encode() if there else b"", retain=True)


def house(*, delay_s: float = 0.05) -> House:
    """Return a home: two heaters share the name Heater, and the lock and the heaters are guarded."""
    lock = {"LOCK": "LOCKED", "UNLOCK": "UNLOCKED"}
    switch = {"ON": "ON", "OFF": "OFF"}
    degrees = {"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"}
    return House(
        (
            dimmer("kitchen_light", "Kitchen light", "Kitchen"),
            zigbee_light("living_room_light", "Living room light", "Living room"),
            heater("bedroom_heater", "Bedroom"),
            heater("bathroom_heater", "Bathroom"),
            blinds("living_room_blinds", "Living room blinds", "Living room"),
            simple("lock", "front_door", "Front door", "Hall", "LOCKED", lock),
            simple("switch", "kettle", "Kettle", "Kitchen", "OFF", switch, device_class="outlet"),
            fan("bedroom_fan", "Bedroom fan", "Bedroom"),
            simple("sensor", "outdoor_temperature", "Outdoor temperature", "Garden", "11.5", {}, **degrees),
        ),
        delay_s=delay_s,
    )


def mixed_house(*, delay_s: float = 0.05) -> House:
    """Return a home in four dialects."""
    return House(
        (
            dimmer("kitchen_light", "Kitchen light", "Kitchen"),
            tasmota_plug("DC4F224A1B2C", "coffee", "Coffee machine"),
            zigbee_lamp("zigbee2mqtt", "0x001788010bcf9a41", "study/desk_lamp"),
            zigbee_lamp("zigbee2mqtt", "0x001788010bcf9a42", "Floor lamp"),
            homie_relay("pond", "Pond pump"),
        ),
        delay_s=delay_s,
    )


def small_house(*, delay_s: float = 0.05) -> House:
    """Return a home of six devices: two lights, blinds, a guarded lock, and two heaters of one name."""
    return House(
        (
            dimmer("kitchen_light", "Kitchen light", "Kitchen"),
            zigbee_light("living_room_light", "Living room light", "Living room"),
            blinds("living_room_blinds", "Living room blinds", "Living room"),
            simple("lock", "front_door", "Front door", "Hall", "LOCKED", {"LOCK": "LOCKED", "UNLOCK": "UNLOCKED"}),
            heater("bedroom_heater", "Bedroom"),
            heater("bathroom_heater", "Bathroom"),
        ),
        delay_s=delay_s,
    )


def plant(*, delay_s: float = 0.05) -> House:
    """Return a plant: two machines, a valve, a boiler, a set point and an alarm."""
    run = {"START": "RUNNING", "STOP": "STOPPED"}
    machine = {
        "edgeagent_kind": "machine",
        "payload_on": "START",
        "payload_off": "STOP",
        "state_on": "RUNNING",
        "state_off": "STOPPED",
    }
    valve = {"OPEN": "open", "CLOSE": "closed"}
    boiler = {"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"}
    return House(
        (
            simple("switch", "conveyor", "Conveyor", "Hall one", "STOPPED", run, **machine),
            simple("switch", "coolant_pump", "Coolant pump", "Hall one", "STOPPED", run, **machine),
            simple("valve", "inlet_valve", "Inlet valve", "Hall one", "closed", valve),
            simple("sensor", "boiler_temperature", "Boiler temperature", "Boiler room", "78.5", {}, **boiler),
            setpoint("line_speed", "Line speed", "Hall one", 600, 0, 1500, "rpm"),
            button("line_alarm", "Line alarm", "Hall one", edgeagent_kind="alarm"),
        ),
        delay_s=delay_s,
    )


def _told(appliance: Appliance, state: State) -> tuple[Message, ...]:
    return tuple(Message(topic, text.encode(), retain=True) for topic, text in appliance.tell(state).items())


def _presence(appliance: Appliance, *, there: bool) -> Message:
    payload = appliance.there_gone[0 if there else 1]
    return Message(appliance.availability_topic, payload.encode(), retain=True)
