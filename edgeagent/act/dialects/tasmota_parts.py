"""What a Tasmota apparatus says of itself, and how its relays, lights, shutters and fan are read and written."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import BRIGHTNESS, PERCENT, Channels, number, opened
from edgeagent.act.dialects.dialect import NOTHING, Reader, Values, Writer
from edgeagent.act.dialects.json_channels import Rule, amount, json_reader, word
from edgeagent.act.dialects.schema import Config, Name, Text, Topic, validate
from edgeagent.act.dialects.white import MIREDS, WhiteScale
from edgeagent.messages import Capability, Message, Value

SWITCH, LIGHT, SHUTTER = 1, 2, 3
"""What a relay is for."""
_DIMMABLE, _COLORED = 1, 3
"""From which light subtype on."""
_WHITE = frozenset({2, 5})
"""Light subtypes that are warm or cold: CW and RGBCW."""
_ALEXA_RANGE = "82"
"""Setoption that narrows the colour temperatures to those of Alexa."""
ALEXA_MIREDS = WhiteScale(200, 380)
_FAN_STEPS = 3


class TasmotaConfig(Config):
    """What an apparatus says of itself; the names are the firmware's."""

    dn: Name = None
    fn: Annotated[tuple[Name, ...], Field(max_length=32)] = ()
    t: Annotated[str, Field(min_length=1, max_length=128)]
    ft: Annotated[str, Field(min_length=1, max_length=128)] = "%prefix%/%topic%/"
    tp: Annotated[tuple[Text, Text, Text], Field()] = ("cmnd", "stat", "tele")
    hn: Text = ""
    mac: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{12}$")]
    ofln: Text = "Offline"
    onln: Text = "Online"
    state: Annotated[tuple[Text, ...], Field(min_length=2, max_length=8)] = ("OFF", "ON", "TOGGLE", "HOLD")
    rl: Annotated[tuple[int, ...], Field(max_length=32)] = ()
    sho: Annotated[tuple[int, ...], Field(max_length=32)] = ()
    sht: Annotated[tuple[Annotated[tuple[int, ...], Field(max_length=8)], ...], Field(max_length=32)] = ()
    so: Annotated[dict[str, int], Field(max_length=64, default_factory=dict)]
    lt_st: int = 0
    ifan: Annotated[int, Field(alias="if")] = 0

    @property
    def white(self) -> WhiteScale | None:
        """Return what colour temperatures it takes; None if it has but one white."""
        if self.lt_st not in _WHITE:
            return None
        return ALEXA_MIREDS if self.so.get(_ALEXA_RANGE) else MIREDS

    def slats(self, order: int) -> tuple[int, int] | None:
        """Return the angles at which the slats of a shutter, counted from 1, are closed and open; None without any."""
        told = self.sht[order - 1] if order <= len(self.sht) else ()
        if len(told) < 3 or told[0] == told[1] or not told[2]:  # noqa: PLR2004 - two angles, and for how long it turns
            return None
        return told[0], told[1]

    def topic(self, prefix: int, what: str) -> str:
        """Return a topic of the apparatus: 0 to order, 1 its answers, 2 what it tells by itself. Raise PayloadError."""
        base = self.ft.replace("%prefix%", self.tp[prefix]).replace("%topic%", self.t)
        base = base.replace("%hostname%", self.hn).replace("%id%", self.mac[-6:])
        return validate(_Spoken, {"topic": f"{base.rstrip('/')}/{what}"}).topic


class _Spoken(Config):
    topic: Topic


def relay_channels(config: TasmotaConfig, at: int) -> Channels:
    """Return the channels of a switch."""
    rules, writer = _power(config, at)
    return Channels("switch", _readers(config, ("power",), *rules), (writer,))


def light_channels(config: TasmotaConfig, at: int) -> Channels:
    """Return the channels of a light."""
    rules, writer = _power(config, at)
    writers: list[Writer] = [writer]
    known: list[Capability] = ["power"]
    if config.lt_st >= _DIMMABLE:
        rules.append(amount("brightness", "Dimmer"))
        writers.append(_amount(config, "brightness", "Dimmer"))
        known.append("brightness")
    ranges: dict[Capability, tuple[float, float]] = {"brightness": BRIGHTNESS}
    units: dict[Capability, str] = {"brightness": "%"}
    if (white := config.white) is not None:
        ranges["color_temperature"], units["color_temperature"] = white.ends, "K"
        rules.append(_warmth(white))
        writers.append(_amount(config, "color_temperature", "CT", white.raw, white.kelvin))
        known.append("color_temperature")
    if config.lt_st >= _COLORED:
        rules.append(_color)
        writers.append(Writer("color", lambda value: (say(config, "Color2", _rgb(str(value))),), colors.COLORS))
        known.append("color")
    readers = _readers(config, tuple(known), *rules)
    return Channels("light", readers, tuple(writers), ranges, units)


def shutter_channels(config: TasmotaConfig, order: int) -> Channels:
    """Return the channels of a shutter, counted from 1."""
    is_inverted = order <= len(config.sho) and bool(config.sho[order - 1] & 1)
    spelled = {"open": "ShutterOpen", "closed": "ShutterClose", "stopped": "ShutterStop"}

    def turned(percent: float) -> float:
        return 100 - percent if is_inverted else percent

    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get(f"Shutter{order}")
        if not isinstance(told, dict) or told.get("Position") is None:
            return NOTHING
        return opened(turned(number(str(told["Position"]))), has_state=False)

    rules: list[Rule] = [rule]
    known: list[Capability] = ["position", "opening"]
    writers = [
        Writer("opening", lambda value: (say(config, f"{spelled[str(value)]}{order}", ""),), tuple(spelled)),
        _amount(config, "position", f"ShutterPosition{order}", turned),
    ]
    ranges: dict[Capability, tuple[float, float]] = {"position": PERCENT}
    units: dict[Capability, str] = {"position": "%"}
    if (slats := config.slats(order)) is not None:
        _add_slats(config, order, slats, rules, writers)
        known.append("tilt")
        ranges["tilt"], units["tilt"] = PERCENT, "%"
    topics = (config.topic(1, "RESULT"), config.topic(2, "SENSOR"))
    readers = tuple(json_reader(topic, tuple(known), *rules) for topic in topics)
    return Channels("cover", readers, tuple(writers), ranges, units)


def _add_slats(
    config: TasmotaConfig, order: int, slats: tuple[int, int], rules: list[Rule], writers: list[Writer]
) -> None:
    """Add how the angle of the slats is read and written."""
    closed, opened_at = slats

    def angle(percent: float) -> float:
        return round(closed + percent / 100 * (opened_at - closed))

    def percent(raw: float) -> float:
        return float(min(max(round((raw - closed) * 100 / (opened_at - closed)), 0), 100))

    rules.append(within(f"Shutter{order}", amount("tilt", "Tilt", percent)))
    writers.append(_amount(config, "tilt", f"ShutterTilt{order}", angle, percent))


def fan_channels(config: TasmotaConfig) -> Channels:
    """Return the channels of an iFan."""

    def step(percent: float) -> float:
        return -(-percent * _FAN_STEPS // 100)

    def percent(raw: float) -> float:
        return raw * 100 // _FAN_STEPS

    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get("FanSpeed")
        if told is None:
            return NOTHING
        raw = number(str(told))
        return {"power": "on", "speed": percent(raw)} if raw else {"power": "off"}

    power = Writer("power", lambda value: (say(config, "FanSpeed", "2" if value == "on" else "0"),), ("on", "off"))
    speed = _amount(config, "speed", "FanSpeed", step, percent)
    readers = _readers(config, ("power", "speed"), rule)
    return Channels("fan", readers, (power, speed), {"speed": (1, 100)}, {"speed": "%"})


def _amount(
    config: TasmotaConfig,
    capability: Capability,
    command: str,
    scale: Callable[[float], float] = lambda value: value,
    back: Callable[[float], float] | None = None,
) -> Writer:
    """Write a whole number; `scale` takes it to the device's scale, `back` from there to what we shall read."""

    def write(value: Value) -> tuple[Message, ...]:
        return (say(config, command, f"{round(scale(float(value)))}"),)

    return Writer(capability, write, settle=lambda value: round(value) if back is None else back(scale(value)))


def _power(config: TasmotaConfig, at: int) -> tuple[list[Rule], Writer]:
    """Return how a relay is read: by its number, or without one where it is the only relay; and how it is written."""
    off, on = config.state[0], config.state[1]
    is_only = sum(1 for kind in config.rl if kind) == 1
    keys = (f"POWER{at + 1}", "POWER") if is_only else (f"POWER{at + 1}",)
    writer = Writer(
        "power", lambda value: (say(config, f"POWER{at + 1}", on if value == "on" else off),), ("on", "off")
    )
    return [word("power", key, {on: "on", off: "off"}) for key in keys], writer


def _readers(config: TasmotaConfig, capabilities: tuple[Capability, ...], *rules: Rule) -> tuple[Reader, ...]:
    topics = (config.topic(1, "RESULT"), config.topic(2, "STATE"))
    return tuple(json_reader(topic, capabilities, *rules) for topic in topics)


def say(config: TasmotaConfig, command: str, payload: str) -> Message:
    """Return the message that gives the apparatus a command."""
    return Message(config.topic(0, command), payload.encode())


def _rgb(name: str) -> str:
    return ",".join(str(part) for part in colors.rgb_of(name))


def _warmth(white: WhiteScale) -> Rule:
    inner = amount("color_temperature", "CT", white.kelvin)
    return lambda state: NOTHING if state.get("White") == 0 else inner(state)  # a colour, and CT is a leftover


def _color(state: Mapping[str, Any]) -> Values:
    whiteness, told = state.get("White"), state.get("HSBColor")
    if isinstance(whiteness, int | float) and whiteness > 0:
        return {"color": "white"}  # whatever HSBColor was before
    if not isinstance(told, str):
        return NOTHING
    parts = [number(part) for part in told.split(",", maxsplit=3)]
    return {"color": colors.name_of_hs(parts[0], parts[1])} if len(parts) >= 2 else NOTHING  # noqa: PLR2004 - hue and saturation


def within(part: str, rule: Rule) -> Rule:
    """Read an object in the object."""

    def inner(state: Mapping[str, Any]) -> Values:
        told = state.get(part)
        return rule(told) if isinstance(told, dict) else NOTHING

    return inner
