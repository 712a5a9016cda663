"""One TOML file to frozen settings with units; a typo is an error that names line, key and what was expected."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from edgeagent.errors import SettingsError
from edgeagent.messages import Capability, Risk

LARGEST_FILE_BYTES = 1 << 20
"""A settings file is a page or two; a megabyte is somebody's mistake and is not read."""
MOST_COMPLAINTS = 20
"""Who has made more mistakes than this mends the first ones first."""


class Settings(BaseModel):
    """What all sections share: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # it may be a password
        validate_default=True,
    )


AnySettings = TypeVar("AnySettings", bound=Settings)


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: there is no such user") from error


def _as_written(path: object) -> object:
    """Return a default as it would stand in a file: only text is taken there."""
    return str(path) if isinstance(path, Path) else path


FilePath = Annotated[Path, BeforeValidator(_as_written), AfterValidator(_at_home)]
"""A path; "~" is the user's home."""
_LIST = "`edgeagent settings show --docs` lists every setting with its meaning."
_HOURS = r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"


class DeviceSettings(Settings):
    """Who this device is."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = "edgeagent"
    """Name of this device on the bus: small letters, digits and hyphens."""
    fleet: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = "home"
    """Name of the fleet that it belongs to."""
    area: str | None = None
    """The room that it stands in: what "here" means, and which light "the light" is."""
    state_dir: FilePath = Path("~/.local/state/edgeagent")
    """Folder for what must survive a restart."""
    board: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] = "generic"
    """Profile of the board, by which releases are chosen."""


class TlsSettings(Settings):
    """The certificates of a TLS link; all three paths for a client certificate, only `ca` for a server's alone."""

    ca: FilePath
    """PEM file with the certificate authority that signed the broker's certificate."""
    certificate: FilePath | None = None
    """PEM file with our own certificate, where the broker asks for one."""
    key: FilePath | None = None
    """PEM file with the key of our certificate."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> "TlsSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class BrokerSettings(Settings):
    """The MQTT broker that the devices are on."""

    host: Annotated[str, Field(min_length=1)] | None = None
    """Host name or address; when absent, edgeagent starts its own broker, on `embedded_port`."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    """Port of the broker; 8883 is usual with TLS."""
    username: str | None = None
    """User name at the broker."""
    password: SecretStr | None = None
    """Password at the broker; never shown."""
    tls: TlsSettings | None = None
    """Certificates; when absent, the link is not encrypted."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds between pings; the broker declares us offline after 1.5 times this."""
    session_expiry_s: Annotated[int, Field(ge=0)] = 7 * 24 * 3600
    """How long the broker keeps our subscriptions and what was sent to us while we are away."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds until a broker that does not answer counts as absent."""
    reconnect_least_s: Annotated[float, Field(gt=0)] = 0.5
    """The first upper bound of the wait before connecting again; it doubles with every failure."""
    reconnect_most_s: Annotated[float, Field(gt=0)] = 120.0
    """The last upper bound of the wait before connecting again."""
    outbox: Annotated[int, Field(ge=1, le=10_000)] = 200
    """How many reports wait while the broker is away; the oldest is dropped when full. Orders never wait."""
    inbox: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """How many received messages wait to be handled; more are dropped and counted."""
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = 100
    """Messages that the broker sends before it waits for our acknowledgements (MQTT 5)."""
    largest_payload: Annotated[int, Field(ge=1024, le=16 << 20)] = 4 << 20
    """Bytes; larger received messages are dropped unread. Zigbee2MQTT's list of two hundred devices has 2 MB."""
    discovery_prefix: Annotated[str, Field(pattern=r"^[^#+\x00]+$")] = "homeassistant"
    """First part of the topics on which devices announce themselves."""
    embedded_host: str = "127.0.0.1"
    """Address on which our own broker listens; 0.0.0.0 lets the devices of the house in."""
    embedded_port: Annotated[int, Field(ge=0, le=65535)] = 1883
    """Port of our own broker; 0 picks a free one."""


class MicrophoneSettings(Settings):
    """Where sound comes from."""

    device: str | int | None = None
    """Name or number of the sound card, as `edgeagent doctor` lists them; when absent, the system's default."""
    gain: Annotated[float, Field(gt=0, le=64)] = 1.0
    """Factor on every sample before anything else."""
    reopen_after_s: Annotated[float, Field(gt=0)] = 2.0
    """Seconds between tries to open a microphone that went away."""


class HearingSettings(Settings):
    """What recognizes speech, how it searches, and when an utterance starts and ends."""

    recognizer: Literal["pocketsphinx", "vosk"] = "pocketsphinx"
    """pocketsphinx comes with the package; vosk needs its extra and a model (`edgeagent model fetch`)."""
    model: str = "vosk-small-en"
    """For vosk: the name of an installed model, or a folder."""
    pronunciation_files: tuple[FilePath, ...] = ()
    """Files with pronunciations, in the form of `edgeagent pronounce`, whose own are preferred."""
    effort: Literal["accurate", "light"] = "accurate"
    """accurate for a Raspberry Pi 4 and better; light for less: quicker, and it hears less in noise."""
    vad_mode: Annotated[int, Field(ge=0, le=3)] = 2
    """How strict the speech detector is: 0 lets most through, 3 least."""
    speech_frames: Annotated[int, Field(ge=1, le=50)] = 4
    """How many of the last frames (32 ms each) must be speech to start an utterance; twice as many are looked at."""
    pre_roll_s: Annotated[float, Field(ge=0, le=2)] = 0.4
    """Sound from before the start that belongs to the utterance."""
    complete_s: Annotated[float, Field(ge=0.03, le=2)] = 0.09
    """Pause after a sentence that nothing can follow."""
    question_could_go_on_s: Annotated[float, Field(ge=0.05, le=5)] = 0.25
    """Pause after a question, or an order for a timer, that something could follow: little is lost by being early."""
    could_go_on_s: Annotated[float, Field(ge=0.05, le=5)] = 0.5
    """Pause after an order that something could follow."""
    guarded_could_go_on_s: Annotated[float, Field(ge=0.05, le=5)] = 0.55
    """Pause after an order that something could follow, and that may open, unlock or start something."""
    unfinished_s: Annotated[float, Field(ge=0.1, le=10)] = 1.2
    """Pause in the middle of a sentence, or after speech that is no sentence."""
    cap_s: Annotated[float, Field(ge=1, le=60)] = 12.0
    """The longest utterance."""
    unsure_below: Annotated[float, Field(ge=0, le=1)] = 0.4
    """A transcript that is less sure than this is refused."""


class WakingSettings(Settings):
    """What the device waits for before it listens; with neither, it always listens, and the grammar is the gate."""

    words: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Wake words: okay_nabu, hey_jarvis, hey_mycroft, alexa, or the JSON file of a microWakeWord model."""
    push_to_talk: bool = False
    """Listen when asked to: by `edgeagent talk`, by an order from the bus, by a button. With wake words or alone."""
    cutoff: Annotated[float, Field(gt=0, le=1)] | None = None
    """Probability from which a wake word counts; when absent, each model's own."""
    wait_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    """Seconds that an order may take to begin after the call."""
    follow_up_s: Annotated[float, Field(ge=0, le=60)] = 6.0
    """Seconds after an order, an answer or a question in which no wake word is needed."""


class UnderstandingSettings(Settings):
    """What understands beyond the grammar."""

    model: str = "built-in"
    """built-in: the command model that ships; off: the grammar alone; else the folder of a model."""
    runtime: Literal["onnx", "litert"] = "onnx"
    """What computes it; litert needs the extra of that name."""
    providers: Annotated[tuple[Literal["tensorrt", "cuda", "cpu"], ...], Field(min_length=1, max_length=3)] = ("cpu",)
    """For onnx: by what it computes, best first; what is not there is passed over, and the CPU comes last."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """For onnx: threads of the CPU; a sentence is too short for more than one to help."""


class AnswerSettings(Settings):
    """How answers are given."""

    speech: Literal["auto", "espeak", "piper", "off"] = "auto"
    """auto: spoken by Piper where a voice of it is named, else by espeak-ng where it is installed."""
    voice: str = "en-gb"
    """The voice's name for espeak-ng."""
    piper_voice: FilePath | None = None
    """The .onnx file of a voice for Piper, with its .onnx.json beside it."""
    only_trouble: bool = False
    """Say only what went wrong, and what must be asked."""
    earcons: Literal["off", "beside", "instead"] = "off"
    """Short tones beside what is said, or instead of it where all went well."""
    quiet_hours: Annotated[str, Field(pattern=_HOURS)] | None = None
    """Hours in which only trouble and questions are heard, as 22:00-07:00."""


class ActingSettings(Settings):
    """What may be done by voice, and how long the devices get to do it."""

    deadline_s: Annotated[float, Field(gt=0, le=120)] = 5.0
    """Seconds until a device that has not reported the new state counts as failed."""
    hold_s: Annotated[float, Field(ge=0, le=10)] = 0.2
    """Seconds that a device must stay in the state that it has reported, or it has failed."""
    confirm_within_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds in which a question can be answered."""
    risks: dict[Capability, Risk] = Field(default_factory=dict)
    """Risk class by capability, in place of the built-in one: free, guarded (asked about first) or never."""
    device_risks: dict[str, Risk] = Field(default_factory=dict)
    """Risk class by a device's name, before that of its capability."""
    commands: tuple[Literal["home", "plant"], ...] = ("home", "plant")
    """The built-in command sets that are understood."""
    command_files: tuple[FilePath, ...] = ()
    """Own command sets, in template syntax."""
    device_files: tuple[FilePath, ...] = ()
    """Own devices, by the topics on which they are ordered and told."""
    house_file: FilePath | None = None
    """What you say of your house: other names and areas of devices, and rules of what may not be done."""
    orders_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 60
    """More orders are refused; at twice as many, machines are stopped and devices put into their safe states."""
    audit: bool = True
    """Keep a log of what was ordered, by which words, and what came of it: `edgeagent log`."""
    max_devices: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    """Devices beyond this many are refused, and counted."""


class SparkplugSettings(Settings):
    """A plant that speaks Sparkplug B, with this device as a host application; on a connection of its own."""

    host_id: Annotated[str, Field(pattern=r"^[^/+#\x00]{1,64}$")] | None = None
    """Name of this host application; when absent, Sparkplug is not spoken."""
    groups: Annotated[tuple[Annotated[str, Field(pattern=r"^[^/+#\x00]{1,64}$")], ...], Field(max_length=32)] = ()
    """Groups of edge nodes that are listened to; when empty, all."""
    broker: BrokerSettings | None = None
    """The plant's broker; when absent, the same as that of the other devices."""


class UpdateSettings(Settings):
    """Where signed releases of models and command sets come from, and when they are taken."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    """Address of the repository, as https://updates.example/edgeagent/; when absent, no web server is asked."""
    folder: FilePath | None = None
    """Folder with the repository, as /media/stick/updates; asked first while it is there."""
    over_bus: bool = False
    """Fetch the repository block by block over the broker, where neither folder nor web server has it."""
    families: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")], ...] = ("command-en",)
    """Families of releases that this device takes."""
    bytes_per_second: Annotated[int, Field(ge=1024)] | None = None
    """The most that is downloaded in a second; when absent, as fast as it comes."""
    window: Annotated[str, Field(pattern=_HOURS)] | None = None
    """Local hours in which an update may begin, as 02:00-05:00; when absent, at any hour."""
    on_battery: bool = False
    """Whether an update may begin while the board runs on a battery, or is throttled by heat or a weak supply."""
    confirm_after_s: Annotated[float, Field(gt=0)] = 900.0
    """Seconds that a new release must do well before it is confirmed."""
    confirm_quiet_after_s: Annotated[float, Field(gt=0)] = 86_400.0
    """Seconds after which it is confirmed although little was said: too little to judge."""


class HomeAssistantSettings(Settings):
    """How this device shows itself in Home Assistant."""

    announce: bool = True
    """Announce this device by discovery: its commands as events, its last answer, a mute switch, a listen button."""


class WyomingSettings(Settings):
    """A server of the Wyoming protocol, which has neither passwords nor encryption."""

    uri: Annotated[str, Field(pattern=r"^(tcp://[^/]+:\d{1,5}|unix://.+)$")] | None = None
    """Where it listens, as tcp://127.0.0.1:10300 or unix:///run/edgeagent/wyoming.sock; when absent, not at all."""
    beyond_this_machine: bool = False
    """Whether a tcp address other than loopback is allowed: whoever reaches it can have things done."""


class HermesSettings(Settings):
    """Rhasspy's control topics (Hermes) on the broker: without sound, but with the words of commands."""

    site: Annotated[str, Field(pattern=r"^[^/+#\x00]{1,64}$")] | None = None
    """Name of this site in the messages; when absent, Hermes is not spoken."""


_GpioLine = Annotated[int, Field(ge=0, le=511)]


class LightSettings(Settings):
    """Lamps that show what goes on."""

    kind: Literal["none", "apa102", "ws2812", "gpio"]
    """apa102: by SPI or by two lines. ws2812: by SPI's data line. gpio: one lamp on a line. none: none at all."""
    count: Annotated[int, Field(ge=1, le=256)] = 1
    """How many there are, in a row or a ring."""
    spi: Annotated[str, Field(pattern=r"^/dev/spidev\d+\.\d+$")] | None = None
    """The SPI device that they hang on, as /dev/spidev0.0."""
    line: _GpioLine | None = None
    """For gpio: the line of the lamp; on a Raspberry Pi the BCM number."""
    active_low: bool = False
    """For gpio: whether the lamp is on when the line is low."""
    data_line: _GpioLine | None = None
    """For apa102 without SPI: the line of the data."""
    clock_line: _GpioLine | None = None
    """For apa102 without SPI: the line of the clock."""
    power_line: _GpioLine | None = None
    """A line that must be high for the lamps to have power."""

    @model_validator(mode="after")
    def _hangs_somewhere(self) -> "LightSettings":
        has_lines = self.data_line is not None and self.clock_line is not None
        if self.kind == "gpio" and self.line is None:
            raise ValueError("a lamp of kind gpio needs a line")
        if self.kind == "ws2812" and self.spi is None:
            raise ValueError("lamps of kind ws2812 need spi")
        if self.kind == "apa102" and self.spi is None and not has_lines:
            raise ValueError("lamps of kind apa102 need spi, or data_line and clock_line")
        return self


class ContactSettings(Settings):
    """A line that a button or a switch drives."""

    line: _GpioLine
    """Its number on the chip: on a Raspberry Pi the BCM number."""
    active_low: bool = True
    """Whether it is pressed or closed when the line is low."""


class OutputSettings(Settings):
    """A line that we drive."""

    line: _GpioLine
    """Its number on the chip: on a Raspberry Pi the BCM number."""
    active_low: bool = False
    """Whether it is driven low to be on."""


class BoardSettings(Settings):
    """Lamps, button and mute lines of the board; when empty, none of them is touched."""

    hat: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] | None = None
    """Sound hardware whose lamps, button and switch are used, as `edgeagent board show` names it."""
    chip: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Label of the GPIO chip that the lines are on, as `gpiodetect` shows it; when absent, that of the board."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.4
    """How bright lamps are at most: 1 dazzles."""
    light: LightSettings | None = None
    """Lamps, in place of the HAT's."""
    button: ContactSettings | None = None
    """Button, in place of the HAT's: 1.5 s to close or open the microphone; short to be listened to, which takes words
    or push_to_talk in [waking]: else it always listens."""
    mute_switch: ContactSettings | None = None
    """Switch that closes the microphone, in place of the HAT's; it is followed."""
    mute_lamp: OutputSettings | None = None
    """Lamp that is on while the microphone is closed."""
    mute_cut: OutputSettings | None = None
    """Line that cuts the microphone off; it is driven while the microphone is closed."""

    @property
    def is_used(self) -> bool:
        """Tell whether there is anything to use."""
        return any((self.hat, self.light, self.button, self.mute_switch, self.mute_lamp, self.mute_cut))


class FleetSettings(Settings):
    """The fleet that this device belongs to: what it may change here, and what it is told."""

    enabled: bool = True
    """Take settings and jobs from the fleet, and tell it how things are; updates have their own section."""
    broker: BrokerSettings | None = None
    """The fleet's broker, on a connection of its own; when absent, the fleet is met on the broker of the devices."""
    may_set: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z_*.]{1,80}$")], ...], Field(max_length=100)] = (
        "hearing.*",
        "waking.*",
        "answering.*",
        "understanding.runtime",
        "acting.deadline_s",
        "acting.hold_s",
        "acting.confirm_within_s",
        "device.area",
        "update.window",
        "update.bytes_per_second",
        "update.on_battery",
        "update.confirm_*",
        "fleet.broker.host",
        "fleet.broker.port",
        "fleet.broker.keepalive_s",
        "fleet.sample_every_s",
    )
    """Settings that the fleet may change, with * for any; never who this device is, its files, or its passwords."""
    share_words: bool = False
    """Tell the fleet also what was said; when false, it is told what was meant and done, but no words."""
    undo_after_s: Annotated[float, Field(ge=1, le=86_400)] = 120.0
    """Seconds after which settings from the fleet are undone with which its broker is not reached."""
    sample_every_s: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    """Seconds between two samples of what was counted and measured."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "FleetSettings":
        if self.broker is not None and self.broker.host is None:
            raise ValueError("the fleet's broker needs a host")
        return self


class AgentSettings(Settings):
    """All settings of a device."""

    device: DeviceSettings = DeviceSettings()
    """Who this device is."""
    broker: BrokerSettings = BrokerSettings()
    """The MQTT broker that the devices are on."""
    microphone: MicrophoneSettings = MicrophoneSettings()
    """Where sound comes from."""
    hearing: HearingSettings = HearingSettings()
    """When an utterance starts and ends."""
    waking: WakingSettings = WakingSettings()
    """What it waits for before it listens."""
    understanding: UnderstandingSettings = UnderstandingSettings()
    """What understands beyond the grammar."""
    answering: AnswerSettings = AnswerSettings()
    """How answers are given."""
    acting: ActingSettings = ActingSettings()
    """What may be done by voice."""
    update: UpdateSettings = UpdateSettings()
    """Where signed releases come from."""
    fleet: FleetSettings = FleetSettings()
    """The fleet that this device belongs to."""
    sparkplug: SparkplugSettings = SparkplugSettings()
    """A plant that speaks Sparkplug B."""
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    """How this device shows itself in Home Assistant."""
    wyoming: WyomingSettings = WyomingSettings()
    """A server of the Wyoming protocol."""
    hermes: HermesSettings = HermesSettings()
    """Rhasspy's control topics."""
    board: BoardSettings = BoardSettings()
    """Lamps, button and mute lines of the board."""


def load(path: Path) -> AgentSettings:
    """Read a settings file. Raise SettingsError naming file, line, key and what was expected if it is wrong."""
    return parse(read(path), str(path))


def parse(text: str, name: str = "settings") -> AgentSettings:
    """Make settings of a TOML text; `name` is the file's name in messages."""
    return parse_as(
        AgentSettings, text, name, remedy="`edgeagent settings show --docs` lists every setting with its meaning."
    )


def parse_as(kind: type[AnySettings], text: str, name: str, *, remedy: str) -> AnySettings:
    """Make settings of this kind of a TOML text. Raise SettingsError as `load` does; `remedy` tells where they are."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is a ValueError, too
        raise SettingsError(
            _located(name, text, str(error)), remedy="This is not TOML: mend the line that is named."
        ) from error
    try:
        # By way of JSON, since only there strict means no "1883" for a number, yet a list for a tuple, text for a path.
        return kind.model_validate_json(json.dumps(document, default=str), strict=True)
    except ValidationError as error:
        places = _Places(text)
        found = error.errors()
        complaints = [_complaint(kind, name, places, details) for details in found[:MOST_COMPLAINTS]]
        if len(found) > MOST_COMPLAINTS:
            complaints.append(f"{name}: and {len(found) - MOST_COMPLAINTS} more")
        raise SettingsError("\n".join(dict.fromkeys(complaints)), remedy=remedy) from error


def overlaid(settings: AgentSettings, changes: Mapping[str, object], name: str = "settings") -> AgentSettings:
    """Return settings with others in the place of some; keys are dotted, as in hearing.unsure_below.

    Raise SettingsError naming the key and what was expected.
    """
    document: dict[str, Any] = settings.model_dump()
    for key, value in changes.items():
        *tables, last = key.split(".")
        table = document
        for one in tables:
            if table.get(one) is None:
                table[one] = {}
            table = table[one]
            if not isinstance(table, dict):
                raise SettingsError(f"{name}: {key}: there is no such setting", remedy=_LIST)
        table[last] = value
    try:
        return AgentSettings.model_validate_json(json.dumps(document, default=_revealed), strict=True)
    except ValidationError as error:
        found = error.errors()[:MOST_COMPLAINTS]
        complaints = [_complaint(AgentSettings, name, _Places(""), details) for details in found]
        raise SettingsError("\n".join(dict.fromkeys(complaints)), remedy=_LIST) from error


def _revealed(value: object) -> str:
    """Return a value that is no JSON as it stands in a file; never to be shown."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _located(name: str, text: str, problem: str) -> str:
    """Return what TOML's parser says, with the line in front as everywhere else."""
    if found := re.search(r" \(at line (\d+), column \d+\)$", problem):
        return f"{name}:{found[1]}: {problem[: found.start()]}"
    if problem.endswith(" (at end of document)"):
        return f"{name}:{text.count(chr(10)) + 1}: {problem}"
    return f"{name}: {problem}"


def read(path: Path) -> str:
    """Return the text of a settings file. Raise SettingsError if it cannot be read, is too large, or is no UTF-8."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror or error}",
            remedy="Name a readable file with --settings, or leave it out for the defaults.",
        ) from error
    if len(raw) > LARGEST_FILE_BYTES:
        raise SettingsError(f"{path}: larger than 1 MiB", remedy="A settings file is a page of TOML.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}", remedy="Save the file as UTF-8.") from error


def _complaint(kind: type[Settings], name: str, places: "_Places", details: ErrorDetails) -> str:
    keys, is_key = _written(details["loc"])
    where = ".".join(keys)
    line = places.line(keys)
    place = f"{name}:{line}: {where}" if line else f"{name}: {where}"
    if details["type"] == "extra_forbidden":
        return f"{place}: there is no such setting{_hint(keys[-1], _known_keys(kind, keys[:-1]))}"
    if is_key:
        return f"{place}: there is no such key{_hint(keys[-1], list(get_args(Capability)))}"
    message = details["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if details["type"] in {"model_type", "dict_type", "model_attributes_type"}:
        message = "expected a table"
    elif len(details["loc"]) > len(keys):  # one of the types that it may have, and none fits
        message = "expected a word or a whole number"
    is_secret = any("password" in key for key in keys) or where == "database.url"
    return f"{place}: {message}{'' if is_secret or details['type'] == 'missing' else _shown(details['input'])}"


def _written(location: Sequence[int | str]) -> tuple[list[str], bool]:
    """Return the keys as they stand in the file, and whether the last one itself is what is wrong."""
    keys = [str(part) for part in location]
    if keys[-1] == "[key]":
        return keys[:-1], True
    is_choice = keys[-1] in {"str", "int"} and keys[:-1] == ["microphone", "device"]
    return keys[:-1] if is_choice else keys, False


def _hint(wrong: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _shown(found: object) -> str:
    """Tell what was found. Not what is in a table: a password may be in it."""
    match found:
        case dict():
            return ", found a table"
        case list():
            return ", found a list"
    return f", found {found!r:.80}"


def _known_keys(kind: type[Settings], parents: list[str]) -> list[str]:
    model: Any = kind
    for key in parents:
        annotation = model.model_fields[key].annotation
        options = get_args(annotation) or (annotation,)
        model = next(option for option in options if isinstance(option, type) and issubclass(option, Settings))
    return list(model.model_fields)


_TOML = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\])*"|\'[^\']*\'|\#[^\n]*|.''', re.DOTALL | re.VERBOSE
)
"""Strings and comments of a text that is TOML, and what is between them letter by letter."""


class _Places:
    """Where in a TOML text the keys are; TOML's parser keeps no positions."""

    def __init__(self, text: str) -> None:
        """Read the statements of a text that is TOML: tables' headers, and keys with values."""
        self._statements: list[tuple[int, list[str], Any]] = []
        table: list[str] = []
        for line, statement in _statements(text):
            found = tomllib.loads(statement)
            is_header = statement.startswith("[")
            self._statements.append((line, [] if is_header else table, found))
            if is_header:
                table = list(_only_path(found))

    def line(self, keys: Sequence[str]) -> int | None:
        """Return the line of the statement that says most of these keys, or None if none says any."""
        best, most = None, 0
        for line, table, found in self._statements:
            if list(keys[: len(table)]) != table:
                continue
            depth = len(table) + _depth(found, keys[len(table) :])
            if depth > max(most, len(table)):
                best, most = line, depth
        return best


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every statement, which may go on over several lines."""
    line = begun = 1
    open_brackets = 0
    parts: list[str] = []
    for part in _TOML.findall(text):
        if part == "\n" and not open_brackets:
            if statement := "".join(parts).strip():
                yield begun, statement
            parts, begun = [], line + 1
        elif not part.startswith("#"):
            parts.append(part)
            open_brackets += (part in "[{") - (part in "]}")
        line += part.count("\n")
    if statement := "".join(parts).strip():
        yield begun, statement


def _depth(found: object, keys: Sequence[str]) -> int:
    """Return how many of the keys lead into a document."""
    depth = 0
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            break
        depth, found = depth + 1, found[key]
    return depth


def _only_path(header: object) -> Iterator[str]:
    """Yield the keys of a table's header, [a.b] or [[a.b]]."""
    while header and isinstance(header, dict):
        key, header = next(iter(header.items()))
        yield key
