"""One device with its entities as Home Assistant's MQTT discovery wants it announced. Pure.

Home Assistant's own rules (homeassistant/components/mqtt: schemas.py, config.py and a file per platform):
- the device has an identifier, the origin a name, every component a `platform` and a `unique_id`;
- what only tells needs a `state_topic` (event, sensor, binary_sensor, update), what is ordered a `command_topic`;
- a component of nothing but its platform takes away the entity that an earlier announcement made;
- a state of "None" is an unknown one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeagent import __version__, topics

ORIGIN = "edgeagent"
"""Our own dialect leaves out what is announced under this name: a voice device is nothing to speak to by voice."""
EVENT_TYPES = ("command", "done", "failed", "rejected", "ambiguous", "wake")
ON, OFF, PRESS = "ON", "OFF", "PRESS"
MOST_SENSITIVE = 0.99
"""A cutoff of zero would take every sound for the wake word."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What an announcement depends on."""

    address: topics.Address
    area: str | None
    has_wake_words: bool
    has_model: bool

    @property
    def object_id(self) -> str:
        """The device's name in discovery: of letters, digits, "_" and "-"; unique, as names on the bus hold no "_"."""
        return f"edgeagent_{self.address.fleet}_{self.address.device}"

    @property
    def orders(self) -> str:
        """Where Home Assistant's orders come in, less the last level."""
        return f"{self.address.up.removesuffix('/up')}/dn/ha"

    @property
    def told(self) -> str:
        """Where we tell Home Assistant, less the last level."""
        return f"{self.address.up}/ha"


def announcement(shown: Shown) -> dict[str, Any]:
    """Return the payload of the announcement."""
    name = shown.address.device
    device: dict[str, Any] = {
        "identifiers": [shown.object_id],
        "name": ORIGIN if name == ORIGIN else f"{ORIGIN} {name}",
        "manufacturer": ORIGIN,
        "model": "Voice control",
        "sw_version": __version__,
    }
    if shown.area is not None:
        device["suggested_area"] = shown.area
    components = {**_what_is_said(shown), **_controls(shown), **_diagnostics(shown)}
    return {
        "device": device,
        "origin": {"name": ORIGIN, "sw_version": __version__},
        "availability_topic": f"{shown.address.up}/state",
        "availability_template": "{{ 'online' if value_json.online else 'offline' }}",
        "components": {
            key: config if config.keys() == {"platform"} else {**config, "unique_id": f"{shown.object_id}_{key}"}
            for key, config in components.items()
        },
    }


def _what_is_said(shown: Shown) -> Mapping[str, dict[str, Any]]:
    return {
        "command": {
            "platform": "event",
            "name": "Command",
            "icon": "mdi:microphone-message",
            "state_topic": f"{shown.told}/event",
            "event_types": list(EVENT_TYPES),
        },
        "answer": {
            "platform": "sensor",
            "name": "Last answer",
            "icon": "mdi:message-reply-text",
            "state_topic": f"{shown.told}/answer",
        },
    }


def _controls(shown: Shown) -> Mapping[str, dict[str, Any]]:
    fraction = {"platform": "number", "entity_category": "config", "state_topic": f"{shown.told}/condition", "min": 0}
    return {
        "mute": {
            "platform": "switch",
            "name": "Mute",
            "icon": "mdi:microphone-off",
            "command_topic": f"{shown.orders}/mute",
            "state_topic": f"{shown.address.up}/state",
            "value_template": "{{ 'ON' if value_json.muted else 'OFF' }}",
            "payload_on": ON,
            "payload_off": OFF,
        },
        "listen": {
            "platform": "button",
            "name": "Listen",
            "icon": "mdi:ear-hearing",
            "command_topic": f"{shown.orders}/listen",
            "payload_press": PRESS,
        },
        "threshold": {
            **fraction,
            "name": "Confidence threshold",
            "icon": "mdi:gauge",
            "command_topic": f"{shown.orders}/threshold",
            "value_template": "{{ value_json.threshold }}",
            "max": 1,
            "step": 0.01,
        },
        "sensitivity": {
            **fraction,
            "name": "Wake word sensitivity",
            "icon": "mdi:tune-vertical",
            "command_topic": f"{shown.orders}/sensitivity",
            "value_template": "{{ value_json.sensitivity }}",
            "max": MOST_SENSITIVE,
            "step": 0.01,
        }
        if shown.has_wake_words
        else {"platform": "number"},
    }


def _diagnostics(shown: Shown) -> Mapping[str, dict[str, Any]]:
    def sensor(name: str, field: str, **more: Any) -> dict[str, Any]:
        return {
            "platform": "sensor",
            "name": name,
            "entity_category": "diagnostic",
            "state_topic": f"{shown.told}/condition",
            "value_template": f"{{{{ value_json.{field} }}}}",
            **more,
        }

    return {
        "model": {
            "platform": "update",
            "name": "Command model",
            "entity_category": "diagnostic",
            "state_topic": f"{shown.told}/model",
        }
        if shown.has_model
        else {"platform": "update"},
        "decision": sensor(
            "Decision time",
            "decision_ms",
            device_class="duration",
            unit_of_measurement="ms",
            state_class="measurement",
        ),
        "devices": sensor("Devices", "devices", icon="mdi:devices", state_class="measurement"),
        "version": sensor("Version", "version", icon="mdi:tag"),
        "started": sensor("Started", "started", device_class="timestamp"),
        "hearing": {
            "platform": "binary_sensor",
            "name": "Hearing",
            "entity_category": "diagnostic",
            "device_class": "problem",
            "state_topic": f"{shown.told}/condition",
            "value_template": "{{ 'OFF' if value_json.hears else 'ON' }}",
            "payload_on": ON,
            "payload_off": OFF,
        },
    }
