"""Home Assistant's things with words of their own: select, text, alarm control panel.

Rules:
- what a select is set to are the device's options, said in lower case;
- a text of mode password has no voice; one with a pattern takes what fits it, if the pattern is a simple one;
- what an alarm panel asks a code for has no voice: a code is not for saying aloud, and is not told to us.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from edgeagent.act.dialects.channels import Channels, options_of, say, words_reader, words_writer
from edgeagent.act.dialects.dialect import Writer
from edgeagent.act.dialects.homeassistant_schema import ComponentConfig
from edgeagent.act.dialects.schema import Payload, Text, Topic
from edgeagent.act.dialects.texts import LONGEST_TEXT, Texts, free_text_reader, free_text_writer
from edgeagent.messages import Message, Value

_PANEL_STATES = (
    *("disarmed", "armed_home", "armed_away", "armed_night", "armed_vacation", "armed_custom_bypass"),
    *("arming", "disarming", "pending", "triggered"),
)
_FEATURES: Mapping[str, str] = {"armed_home": "arm_home", "armed_away": "arm_away", "armed_night": "arm_night"}
"""What can be ordered, to what a panel calls it where it says what it supports."""


class SelectConfig(ComponentConfig):
    """Something that is set to one of its options."""

    command_topic: Topic
    options: Annotated[tuple[Text, ...], Field(max_length=1024)]

    def channels(self) -> Channels:
        """Map option."""
        options = options_of(self.options)
        called = {payload: word for word, payload in options.items()}
        return Channels(
            "select",
            words_reader(self.state_topic, self.value_template, "option", called),
            words_writer(self.command_topic, self.command_template, "option", options),
        )


class TextConfig(ComponentConfig):
    """A text that is shown, or told on."""

    command_topic: Topic
    min: Annotated[int, Field(ge=0, le=LONGEST_TEXT)] = 0
    max: Annotated[int, Field(ge=1, le=LONGEST_TEXT)] = LONGEST_TEXT
    mode: Literal["text", "password"] = "text"
    pattern: Text | None = None

    def channels(self) -> Channels:
        """Map text."""
        if self.mode == "password":
            return Channels("text", left_out=("password: not for saying aloud",))
        texts = Texts(self.min, self.max, self.pattern, is_quoted=self.command_template is not None)
        return Channels(
            "text",
            free_text_reader(self.state_topic, self.value_template),
            free_text_writer(self.command_topic, self.command_template, texts),
        )


class AlarmPanelConfig(ComponentConfig):
    """An alarm panel. On its way it says arming, disarming or pending; when it goes off, triggered."""

    command_topic: Topic
    state_topic: Topic
    supported_features: Annotated[tuple[Text, ...], Field(max_length=32)] = tuple(_FEATURES.values())
    code: Payload | None = None
    code_arm_required: bool = True
    code_disarm_required: bool = True
    payload_disarm: Payload = "DISARM"
    payload_arm_home: Payload = "ARM_HOME"
    payload_arm_away: Payload = "ARM_AWAY"
    payload_arm_night: Payload = "ARM_NIGHT"

    def channels(self) -> Channels:
        """Map arming where it needs no code; a panel that does nothing without one is read like a sensor."""
        payloads = {
            "disarmed": self.payload_disarm,
            "armed_home": self.payload_arm_home,
            "armed_away": self.payload_arm_away,
            "armed_night": self.payload_arm_night,
        }
        able = {word: payload for word, payload in payloads.items() if self._is_able(word)}
        left_out = self._left_out()
        if not able:
            told = {state: state.replace("_", " ") for state in _PANEL_STATES}
            readers = words_reader(self.state_topic, self.value_template, "reading", told)
            return Channels("alarm_panel", readers, left_out=left_out)

        def write(value: Value) -> tuple[Message, ...]:
            payload = able[str(value)]
            return (say(self.command_topic, self.command_template, payload, action=payload, code=None),)

        readers = words_reader(
            self.state_topic, self.value_template, "arming", {state: state for state in _PANEL_STATES}
        )
        return Channels("alarm_panel", readers, (Writer("arming", write, tuple(able)),), left_out=left_out)

    def _is_able(self, word: str) -> bool:
        if word == "disarmed":
            return self.code is None or not self.code_disarm_required
        is_known = _FEATURES[word] in self.supported_features
        return is_known and (self.code is None or not self.code_arm_required)

    def _left_out(self) -> tuple[str, ...]:
        if self.code is None:
            return ()
        needed = (("arming", self.code_arm_required), ("disarming", self.code_disarm_required))
        return tuple(f"{what}: needs a code, which is not for saying aloud" for what, is_needed in needed if is_needed)
