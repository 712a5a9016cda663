"""What is said in the demo, by whom, and what must come of it in the house."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Result = Literal["done", "question", "rejected", "answered"]


@dataclass(frozen=True, slots=True)
class Scene:
    """One spoken sentence. `voice` is one of flite's; `noise_db` is its distance from a kitchen's noise, None: quiet.

    `result` is the last step that must come; `house` what the things must be in the end, as far as it is looked at.
    """

    name: str
    said: str
    voice: Literal["slt", "rms", "awb"]
    result: Result
    remark: str = ""
    noise_db: float | None = None
    house: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


SCENES: tuple[Scene, ...] = (
    Scene("kitchen-light", "turn on the kitchen light", "slt", "done", house={"kitchen_light": {"POWER": "ON"}}),
    Scene(
        "forty-percent",
        "set the living room light to forty percent",
        "rms",
        "done",
        house={"living_room_light": {"state": "ON", "brightness": 102}},
    ),
    Scene(
        "close-blinds",
        "could you close the living room blinds please",
        "slt",
        "done",
        "with kitchen noise",
        noise_db=24.0,
        house={"living_room_blinds": {"position": 0}},
    ),
    Scene(
        "unlock",
        "unlock the front door",
        "rms",
        "question",
        "guarded: it asks first",
        house={"front_door": {"state": "LOCKED"}},
    ),
    Scene("yes", "yes please", "rms", "done", "and now it may", house={"front_door": {"state": "UNLOCKED"}}),
    Scene(
        "heater",
        "turn on the heater",
        "awb",
        "question",
        "ambiguous: there are two",
        house={
            "bedroom_heater": {"system_mode": "off"},
            "bathroom_heater": {"system_mode": "off"},
        },
    ),
    Scene(
        "lock",
        "lock the front door",
        "slt",
        "done",
        "locking is always free",
        house={"front_door": {"state": "LOCKED"}, "bedroom_heater": {"system_mode": "off"}},
    ),
    Scene("radio", "the weather forecast for tomorrow promises heavy rain", "rms", "rejected", "not a command"),
    Scene(
        "bedroom-heater",
        "set the bedroom heater to twenty one degrees",
        "slt",
        "done",
        house={
            "bedroom_heater": {"occupied_heating_setpoint": 21.0},
            "bathroom_heater": {"occupied_heating_setpoint": 18.0},
        },
    ),
    Scene("timer", "set a timer for ten minutes", "awb", "answered", "with kitchen noise", noise_db=24.0),
    Scene(
        "all-off",
        "turn off all the lights",
        "rms",
        "done",
        house={"kitchen_light": {"POWER": "OFF"}, "living_room_light": {"state": "OFF"}},
    ),
)
