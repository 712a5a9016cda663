"""Home Assistant's things that switch and move: switch, lock, cover, valve, fan, vacuum."""

from typing import Annotated

from pydantic import Field

from edgeagent.act.dialects.channels import (
    PERCENT,
    UNKNOWN,
    Channels,
    number,
    number_reader,
    number_writer,
    opened,
    text_reader,
    words_reader,
    words_writer,
)
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Reader, Values
from edgeagent.act.dialects.homeassistant_schema import ComponentConfig, SwitchedConfig
from edgeagent.act.dialects.schema import CheckedTemplate, Payload, Text, Topic
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Value


class SwitchConfig(SwitchedConfig):
    """A switch; with `edgeagent_kind: machine`, something that runs and stops."""

    def channels(self) -> Channels:
        """Map power, or run for a machine."""
        if self.edgeagent_kind != "machine":
            return Channels("switch", self.power_readers(), self.power_writers())
        runs = {"on": "running", "off": "stopped"}
        states = {payload: runs[word] for payload, word in self.states.items()}
        payloads = {"running": self.payload_on, "stopped": self.payload_off}
        return Channels(
            "machine",
            words_reader(self.state_topic, self.value_template, "run", states),
            words_writer(self.command_topic, self.command_template, "run", payloads),
        )


class LockConfig(ComponentConfig):
    """A lock. Moving and jammed are told as they are: neither is what was ordered."""

    command_topic: Topic
    payload_lock: Payload = "LOCK"
    payload_unlock: Payload = "UNLOCK"
    state_locked: Payload = "LOCKED"
    state_unlocked: Payload = "UNLOCKED"
    state_locking: Payload = "LOCKING"
    state_unlocking: Payload = "UNLOCKING"
    state_jammed: Payload = "JAMMED"

    def channels(self) -> Channels:
        """Map lock."""
        states = {
            self.state_locked: "locked",
            self.state_unlocked: "unlocked",
            self.state_locking: "locking",
            self.state_unlocking: "unlocking",
            self.state_jammed: "jammed",
        }
        payloads = {"locked": self.payload_lock, "unlocked": self.payload_unlock}
        return Channels(
            "lock",
            words_reader(self.state_topic, self.value_template, "lock", states),
            words_writer(self.command_topic, self.command_template, "lock", payloads),
        )


class CoverConfig(ComponentConfig):
    """Blinds, garage doors, gates. A payload that is null cannot be ordered."""

    payload_open: Payload | None = "OPEN"
    payload_close: Payload | None = "CLOSE"
    payload_stop: Payload | None = "STOP"
    state_open: Payload = "open"
    state_opening: Payload = "opening"
    state_closed: Payload = "closed"
    state_closing: Payload = "closing"
    state_stopped: Payload = "stopped"
    position_open: int = 100
    position_closed: int = 0
    position_topic: Topic | None = None
    position_template: CheckedTemplate | None = None
    set_position_topic: Topic | None = None
    set_position_template: CheckedTemplate | None = None

    def channels(self) -> Channels:
        """Map opening and position."""
        if self.position_open == self.position_closed:
            raise PayloadError("position_open: the same as position_closed")
        states = {
            self.state_open: "open",
            self.state_opening: "opening",
            self.state_closed: "closed",
            self.state_closing: "closing",
            self.state_stopped: "stopped",
        }
        payloads = {"open": self.payload_open, "closed": self.payload_close, "stopped": self.payload_stop}
        return Channels(
            "cover",
            (
                *words_reader(self.state_topic, self.value_template, "opening", states),
                *text_reader(self.position_topic, self.position_template, self._position, "position", "opening"),
            ),
            (
                *words_writer(self.command_topic, self.command_template, "opening", payloads),
                *number_writer(
                    self.set_position_topic, self.set_position_template, "position", self._raw, self._percent_open
                ),
            ),
            {"position": PERCENT},
            {"position": "%"},
        )

    def _raw(self, percent: float) -> float:
        return round(self.position_closed + percent / 100 * (self.position_open - self.position_closed))

    def _percent_open(self, raw: float) -> float:
        percent = round((raw - self.position_closed) / (self.position_open - self.position_closed) * 100)
        return float(min(max(percent, 0), 100))

    def _position(self, text: str) -> Values:
        return (
            {} if text in UNKNOWN else opened(self._percent_open(number(text)), has_state=self.state_topic is not None)
        )


class ValveConfig(CoverConfig):
    """A valve. With `reports_position` its command topic takes, and its state topic tells, percent open."""

    payload_stop: Payload | None = None
    reports_position: bool = False

    def channels(self) -> Channels:
        """Map opening, and position where it is reported."""
        if not self.reports_position:
            simple = super().channels()
            return Channels("valve", simple.readers, simple.writers)
        writers = number_writer(self.command_topic, self.command_template, "position", self._raw, self._percent_open)
        ends = {"open": str(self.position_open), "closed": str(self.position_closed), "stopped": self.payload_stop}
        return Channels(
            "valve",
            text_reader(self.state_topic, self.value_template, self._state, "position", "opening"),
            (*writers, *words_writer(self.command_topic, self.command_template, "opening", ends)),
            {"position": PERCENT},
            {"position": "%"},
        )

    def _state(self, text: str) -> Values:
        """Read a position, or JSON with state and position."""
        if not text.startswith("{"):
            return {} if text in UNKNOWN else opened(self._percent_open(number(text)), has_state=False)
        told = parse(text, largest=LARGEST_PAYLOAD_BYTES)
        values: dict[Capability, Value] = {}
        if told.get("position") is not None:
            values.update(opened(self._percent_open(number(str(told["position"]))), has_state=False))
        moving = {self.state_opening: "opening", self.state_closing: "closing"}
        state = told.get("state", self.state_open)
        if not isinstance(state, str):
            raise PayloadError(f"state: expected a word, found {state!a:.40}")
        if state in moving:
            values["opening"] = moving[state]
        return values


class FanConfig(SwitchedConfig):
    """A fan; its speeds are the steps from `speed_range_min` to `speed_range_max`."""

    percentage_command_topic: Topic | None = None
    percentage_command_template: CheckedTemplate | None = None
    percentage_state_topic: Topic | None = None
    percentage_value_template: CheckedTemplate | None = None
    speed_range_min: Annotated[int, Field(ge=1)] = 1
    speed_range_max: Annotated[int, Field(ge=1, le=65535)] = 100

    def channels(self) -> Channels:
        """Map power and speed."""
        if self.speed_range_min >= self.speed_range_max:
            raise PayloadError("speed_range_max: expected more than speed_range_min")
        return Channels(
            "fan",
            (
                *self.power_readers(),
                *number_reader(self.percentage_state_topic, self.percentage_value_template, "speed", self._percent),
            ),
            (
                *self.power_writers(),
                *number_writer(
                    self.percentage_command_topic, self.percentage_command_template, "speed", self._step, self._percent
                ),
            ),
            {"speed": (1, 100)},
            {"speed": "%"},
        )

    def _step(self, percent: float) -> float:
        """Home Assistant's `percentage_to_ranged_value`, rounded up."""
        steps = self.speed_range_max - self.speed_range_min + 1
        return float(-(-steps * percent // 100) + self.speed_range_min - 1)

    def _percent(self, step: float) -> float:
        """Home Assistant's `ranged_value_to_percentage`."""
        steps = self.speed_range_max - self.speed_range_min + 1
        return float(min(max((step - self.speed_range_min + 1) * 100 // steps, 0), 100))


class VacuumConfig(ComponentConfig):
    """A vacuum cleaner; its state is JSON."""

    command_topic: Topic
    payload_start: Payload = "start"
    payload_stop: Payload = "stop"
    payload_return_to_base: Payload = "return_to_base"
    supported_features: Annotated[tuple[Text, ...], Field(max_length=32)] = ("start", "stop", "return_home")

    def channels(self) -> Channels:
        """Map cleaning."""
        can = set(self.supported_features)
        payloads = {
            "cleaning": self.payload_start if "start" in can else None,
            "docked": self.payload_return_to_base if "return_home" in can else None,
            "stopped": self.payload_stop if "stop" in can else None,
        }
        readers = () if self.state_topic is None else (Reader(self.state_topic, ("cleaning",), _vacuum_state),)
        return Channels("vacuum", readers, words_writer(self.command_topic, None, "cleaning", payloads))


def _vacuum_state(payload: bytes) -> Values:
    state = parse(payload, largest=LARGEST_PAYLOAD_BYTES)
    told = state.get("state") if isinstance(state, dict) else None
    match told:
        case "cleaning" | "docked" | "returning" | "error":
            return {"cleaning": told}
        case "paused" | "idle":
            return {"cleaning": "stopped"}
        case None:
            return {}
        case other:
            raise PayloadError(f"expected a vacuum's state, found {other!a:.40}")
