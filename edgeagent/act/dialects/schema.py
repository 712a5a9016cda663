"""Announcements of devices to frozen configurations: what is allowed, field by field, in every dialect.

Rules (A60, A77): unknown fields are ignored; a name is at most 64 printable characters; a topic has no wildcard, no
control character, and is not one on which our own messages or Sparkplug's travel; templates are checked here.
"""

import math
import re
import unicodedata
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edgeagent.act.dialects.templates import Template, compile_template
from edgeagent.errors import PayloadError

LONGEST_NAME = 64
LONGEST_TOPIC = 256
"""Characters; MQTT allows 65,535 bytes, real devices stay below 120."""
_ZIGBEE = re.compile(r"(?<![0-9a-f])0x[0-9a-f]{16}(?![0-9a-f])")
_MAC = re.compile(r"[0-9a-f]{2}(?:[:-]?[0-9a-f]{2}){5}")
OWN_TOPICS = "ea/"
"""Where our own messages travel: a device that has us publish there would speak in our name."""
SPARKPLUG_TOPICS = "spBv1.0/"
"""Where Sparkplug's commands travel, on a connection of their own: as text they would be garbage to a plant."""


def printable(text: str) -> str:
    """Return the text. Raise ValueError if it has a control character."""
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in text):
        raise ValueError("has a control character")
    return text


def _topic(text: str) -> str:
    printable(text)
    if not text or "+" in text or "#" in text or text.startswith("$"):
        raise ValueError("is no topic to speak on: empty, with + or #, or the broker's own")
    if text.lstrip("/").startswith(OWN_TOPICS):
        raise ValueError(f"is below {OWN_TOPICS}, where edgeagent's own messages travel")
    if text.lstrip("/").startswith(SPARKPLUG_TOPICS):
        raise ValueError(f"is below {SPARKPLUG_TOPICS}, where only Sparkplug is spoken")
    return text


def _name(text: Any) -> Any:
    if isinstance(text, str) and len(text) > LONGEST_NAME:
        raise ValueError(f"has {len(text)} characters, expected at most {LONGEST_NAME}")
    return text.strip() or None if isinstance(text, str) and printable(text) else text


def _payload(value: Any) -> Any:
    """As Home Assistant does: true is the text True, which is what a template makes of it."""
    return str(value) if isinstance(value, bool | int | float) else value


def _template(source: Any) -> Any:
    if not isinstance(source, str):
        raise ValueError("is no template")  # noqa: TRY004 - pydantic turns ValueError into a complaint
    try:
        return compile_template(source)
    except PayloadError as error:
        raise ValueError(str(error)) from error


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("is not finite")
    return value


Name = Annotated[str | None, BeforeValidator(_name)]
Text = Annotated[str, Field(max_length=256), BeforeValidator(_payload), AfterValidator(printable)]
Topic = Annotated[str, Field(max_length=LONGEST_TOPIC), AfterValidator(_topic)]
Payload = Annotated[str, Field(max_length=1024), BeforeValidator(_payload)]
Number = Annotated[float, AfterValidator(_finite)]
CheckedTemplate = Annotated[Template, BeforeValidator(_template)]


class Config(BaseModel):
    """What all parts of an announcement share: frozen; what we do not know is ignored, as Home Assistant demands."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


def thing_of(text: str) -> str | None:
    """Return the hardware address that a text holds, as devices are known by; None if it holds none."""
    plain = text[:LONGEST_TOPIC].lower()
    if (zigbee := _ZIGBEE.search(plain)) is not None:
        return f"zigbee:{zigbee[0]}"
    return f"mac:{re.sub('[^0-9a-f]', '', plain)}" if _MAC.fullmatch(plain) else None


AnyConfig = TypeVar("AnyConfig", bound=Config)


def validate(model: type[AnyConfig], config: Any) -> AnyConfig:
    """Make the configuration of the expanded announcement. Raise PayloadError naming the field and what is wrong."""
    try:
        return model.model_validate(config)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in details["loc"])
        complaint = details["msg"].removeprefix("Value error, ")
        raise PayloadError(f"{where}: {complaint}, found {details['input']!a:.60}") from error
