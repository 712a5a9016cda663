"""One TOML file to frozen settings with units; a typo is an error that names the line, the key and what was expected."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from edgeagent.errors import SettingsError
from edgeagent.messages import Capability

LARGEST_FILE_BYTES = 1 << 20
"""A settings file is a page or two; a megabyte is somebody's mistake and is not read."""


class Settings(BaseModel):
    """What all sections share: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DeviceSettings(Settings):
    """Who this device is."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = "edgeagent"
    """Name of this device on the bus: small letters, digits and hyphens."""
    fleet: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = "home"
    """Name of the fleet that it belongs to."""
    area: str | None = None
    """The room that it stands in: what "here" means, and which light "the light" is."""
    state_dir: Path = Path("~/.local/state/edgeagent")
    """Folder for what must survive a restart."""


class TlsSettings(Settings):
    """The certificates of a TLS link; all three paths for a client certificate, only `ca` for a server's alone."""

    ca: Path
    """PEM file with the certificate authority that signed the broker's certificate."""
    certificate: Path | None = None
    """PEM file with our own certificate, where the broker asks for one."""
    key: Path | None = None
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
    largest_payload: Annotated[int, Field(ge=1024, le=16 << 20)] = 256 << 10
    """Bytes; larger received messages are dropped unread."""
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
    """When an utterance starts and ends, and how the recognizer searches."""

    vad_mode: Annotated[int, Field(ge=0, le=3)] = 2
    """How strict the speech detector is: 0 lets most through, 3 least."""
    speech_frames: Annotated[int, Field(ge=1, le=50)] = 4
    """How many of the last frames (32 ms each) must be speech for an utterance to start; twice as many are looked at."""
    pre_roll_s: Annotated[float, Field(ge=0, le=2)] = 0.4
    """Sound from before the start that belongs to the utterance."""
    complete_s: Annotated[float, Field(ge=0.03, le=2)] = 0.12
    """Pause after a sentence that nothing can follow."""
    could_go_on_s: Annotated[float, Field(ge=0.05, le=5)] = 0.5
    """Pause after a sentence that something could follow."""
    unfinished_s: Annotated[float, Field(ge=0.1, le=10)] = 1.2
    """Pause in the middle of a sentence, or after speech that is no sentence."""
    cap_s: Annotated[float, Field(ge=1, le=60)] = 12.0
    """The longest utterance."""
    unsure_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A transcript that is less sure than this is refused."""


class AnswerSettings(Settings):
    """How answers are given."""

    speech: Literal["auto", "off"] = "auto"
    """auto: spoken by espeak-ng where it is installed."""
    voice: str = "en-gb"
    """The voice's name for espeak-ng."""
    only_trouble: bool = False
    """Say only what went wrong."""


Risk = Literal["free", "guarded", "never"]


class ActingSettings(Settings):
    """What may be done by voice, and how long the devices get to do it."""

    deadline_s: Annotated[float, Field(gt=0, le=120)] = 5.0
    """Seconds until a device that has not reported the new state counts as failed."""
    confirm_within_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds in which a question can be answered."""
    risks: dict[Capability, Risk] = Field(default_factory=dict)
    """Risk class by capability, in place of the built-in one: free, guarded (asked about first) or never."""
    device_risks: dict[str, Risk] = Field(default_factory=dict)
    """Risk class by a device's name, before that of its capability."""
    commands: tuple[Literal["home", "plant"], ...] = ("home", "plant")
    """The built-in command sets that are understood."""
    command_files: tuple[Path, ...] = ()
    """Own command sets, in template syntax."""
    max_devices: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    """Devices beyond this many are refused, and counted."""


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
    answering: AnswerSettings = AnswerSettings()
    """How answers are given."""
    acting: ActingSettings = ActingSettings()
    """What may be done by voice."""


def load(path: Path) -> AgentSettings:
    """Read a settings file. Raise SettingsError naming file, line, key and what was expected if it is wrong."""
    return parse(_read(path), str(path))


def parse(text: str, name: str = "settings") -> AgentSettings:
    """Make settings of a TOML text; `name` is the file's name in messages."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name}: {error}", remedy="This is not TOML: mend the line that is named.") from error
    try:
        return AgentSettings.model_validate(document)
    except ValidationError as error:
        complaints = [_complaint(name, text, details) for details in error.errors()]
        raise SettingsError(
            "\n".join(complaints), remedy="`edgeagent settings show --docs` lists every setting with its meaning."
        ) from error


def _read(path: Path) -> str:
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
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}", remedy="Save the file as UTF-8.") from error


def _complaint(name: str, text: str, details: ErrorDetails) -> str:
    keys = [str(part) for part in details["loc"] if not str(part).startswith(("function-", "constrained-"))]
    where = ".".join(keys)
    line = _line_of(text, keys)
    place = f"{name}:{line}" if line else name
    if details["type"] == "extra_forbidden":
        known = _known_keys(keys[:-1])
        close = difflib.get_close_matches(keys[-1], known, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"
        return f"{place}: {where}: there is no such setting{hint}"
    found = details["input"]
    shown = "" if details["type"] == "missing" or "password" in where else f", found {found!r:.80}"
    return f"{place}: {where}: {details['msg'].removeprefix('Value error, ')}{shown}"


def _known_keys(parents: list[str]) -> list[str]:
    model: Any = AgentSettings
    for key in parents:
        field = model.model_fields.get(key)
        if field is None:
            return []
        annotation = field.annotation
        options = getattr(annotation, "__args__", (annotation,))
        model = next((option for option in options if isinstance(option, type) and issubclass(option, Settings)), None)
        if model is None:
            return []
    return list(model.model_fields)


def _line_of(text: str, keys: list[str]) -> int | None:
    """Find the line of a key; TOML's parser keeps no positions. Falls back to the line of its table."""
    table: list[str] = []
    best: int | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if header := re.match(r"\[+\s*([^\]]+?)\s*\]+", line):
            table = _parts(header.group(1))
            if table and table == keys[: len(table)]:
                best = number
        elif assignment := re.match(r"([^=#]+?)\s*=", line):
            path = [*table, *_parts(assignment.group(1))]
            if path == keys[: len(path)]:
                return number
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
