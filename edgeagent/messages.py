"""The nouns that flow through edgeagent, frozen: what one stage hands to the next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

FRAME_SAMPLES = 512
SAMPLE_RATE_HZ = 16_000
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
FRAME_BYTES = FRAME_SAMPLES * 2

Frame = bytes
"""512 samples (32 ms) of 16 kHz mono 16-bit little-endian PCM: 1024 bytes."""

EndedBy = Literal["complete", "silence", "cap", "button", "text"]
"""What ended an utterance: nothing could follow, the speaker paused, the length limit, a button, or it was typed."""


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word; times in seconds from the start of the utterance, confidence in 0..1."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a recognizer heard in one utterance, so far or finally.

    `ended_by` is None while the person still speaks. `heard_s` is how much of the utterance had been decoded when
    this was made. `began_s` is where the utterance starts in the source's own time. `level_db` is how loud the words
    are, over one step of a 16-bit sample; None where it is not told.
    """

    utterance: str
    words: tuple[Word, ...]
    heard_s: float
    began_s: float = 0.0
    confidence: float = 1.0
    ended_by: EndedBy | None = None
    level_db: float | None = None

    @property
    def text(self) -> str:
        """Return the words as one line."""
        return " ".join(word.text for word in self.words)

    @property
    def is_final(self) -> bool:
        """Tell whether the utterance has ended."""
        return self.ended_by is not None


Value = str | float
"""A slot's or a state's value: a name as the registry spells it, or a number in the unit that its slot declares."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A named argument of an intent: its value, and the words that said it."""

    name: str
    value: Value
    text: str


@dataclass(frozen=True, slots=True)
class When:
    """When an order is carried out, where not at once: after a delay, or at a time of day; and how long it holds.

    `clock` is HH:MM of the local time, of today or, `days` on, of another day; of either half of the day where nobody
    said which. After `lasts_s` it is put back.
    """

    delay_s: float | None = None
    clock: str | None = None
    is_either_half: bool = False
    days: int = 0
    lasts_s: float | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """What we obey. `exit` is 0 for the grammar's parse and n for the model's n-th exit; confidence is in 0..1.

    With a `doubt` it is not obeyed before the person has said yes. `why` tells how it was understood, step by step.
    `then` are further commands of the same sentence; `when` is None for now and for good.
    """

    utterance: str
    intent: str
    slots: tuple[Slot, ...]
    text: str
    exit: int
    confidence: float
    doubt: str = ""
    why: tuple[str, ...] = ()
    then: "tuple[Command, ...]" = ()
    when: When | None = None

    @property
    def parts(self) -> "tuple[Command, ...]":
        """Return this command alone, and then the others of its sentence."""
        return (replace(self, then=()), *self.then) if self.then else (self,)

    def slot(self, name: str) -> Value | None:
        """Return the value of the slot of that name, or None."""
        return next((slot.value for slot in self.slots if slot.name == name), None)


@dataclass(frozen=True, slots=True)
class Question:
    """What must be asked before anything is done, and why. `choices` are the answers that are understood."""

    utterance: str
    kind: Literal["which", "confirm"]
    prompt: str
    choices: tuple[str, ...]
    why: tuple[str, ...] = ()


RejectionReason = Literal[
    "no-words",  # somebody cleared their throat
    "not-a-command",  # the words are not a sentence that we know
    "not-speech-we-know",  # the sound fits no sentence of the grammar better than it fits any speech
    "unsure",  # a sentence, but not surely that one
    "too-long",
    "no-such-device",
    "not-able",  # there is such a device, but it cannot do that
    "out-of-range",
    "not-by-voice",
    "not-allowed",  # a rule of the house says no
    "nothing-meant",  # "it", and nothing was spoken of
    "nothing-to-confirm",
    "busy",
    "offline",  # the link to the devices is down: an order is never queued for later
]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why nothing is done."""

    utterance: str
    reason: RejectionReason
    text: str = ""
    detail: str = ""
    why: tuple[str, ...] = ()


Interpretation = Command | Question | Rejection

Risk = Literal["free", "guarded", "never"]
"""Done at once, asked about first, or never done by voice."""

Kind = Literal[
    "light",
    "switch",
    "cover",
    "lock",
    "climate",
    "fan",
    "media",
    "vacuum",
    "scene",
    "valve",
    "machine",
    "alarm",
    "number",
    "select",
    "text",
    "alarm_panel",
    "sensor",
    "binary_sensor",
]

Capability = Literal[
    "power",  # "on" | "off"
    "brightness",  # percent
    "color",  # a colour's name
    "color_temperature",  # kelvin
    "opening",  # "open" | "closed" | "stopped" (covers, valves)
    "position",  # percent open
    "tilt",  # percent open, of slats
    "lock",  # "locked" | "unlocked"
    "target_temperature",  # in the device's unit
    "mode",  # a climate mode's name
    "speed",  # percent
    "playback",  # "playing" | "paused" | "next" | "previous"
    "volume",  # percent
    "cleaning",  # "cleaning" | "docked" | "stopped"
    "activate",  # "now" (scenes, buttons; nothing to observe)
    "run",  # "running" | "stopped" (machines, lines)
    "acknowledge",  # "now" (alarms)
    "setpoint",  # a number in the device's unit
    "option",  # one of the device's own words (selects)
    "text",  # what is shown or told on (texts)
    "arming",  # "disarmed" | "armed_home" | "armed_away" | "armed_night" (alarm panels)
    "reading",  # what a sensor reports: a number or a word; never ordered
]


@dataclass(frozen=True, slots=True)
class Device:
    """A thing that can be spoken to or asked about.

    `id` is unique in the registry. `name` and `area` are as their owner spells them. `ranges` holds the least and the
    greatest value of numeric capabilities in the device's own unit. `units` holds the units of readings and set points.
    `thing` is the hardware address of the apparatus that it is part of, as "zigbee:0x…" or "mac:…". `risk` is what its
    owner says of it; None leaves that to what is ordered.
    """

    id: str
    name: str
    kind: Kind
    capabilities: frozenset[Capability]
    area: str | None = None
    aliases: tuple[str, ...] = ()
    dialect: str = ""
    device_class: str | None = None
    ranges: Mapping[Capability, tuple[float, float]] = field(default_factory=dict)
    units: Mapping[Capability, str] = field(default_factory=dict)
    thing: str | None = None
    risk: Risk | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One order to one device. `allowed_by` says in words why it may be carried out."""

    id: str
    utterance: str
    device: Device
    capability: Capability
    value: Value
    allowed_by: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """Something to publish. `expiry_s` None means that it does not expire (MQTT 5 only; payloads carry their own)."""

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 0
    retain: bool = False
    expiry_s: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a device was seen to be: its availability (None: not said) and the capabilities whose values were told."""

    device: str
    values: Mapping[Capability, Value] = field(default_factory=dict)
    available: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action. Failed has a reason in plain words."""

    action: Action
    status: Literal["done", "failed"]
    took_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person is told: a sentence, whether it reports trouble, and the ids of the devices that it tells of."""

    utterance: str
    text: str
    is_trouble: bool = False
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """An order as it went out on the bus (or, in a dry run, as it would have)."""

    action: Action
    message: Message


@dataclass(frozen=True, slots=True)
class Woken:
    """A wake word was heard, or somebody asked for an ear (`word` says who): what is said next is for us."""

    word: str


Step = Woken | Transcript | Command | Question | Rejection | Published | Outcome | Answer
"""What a reporter is told of, in the order in which it happens."""

Report = Callable[[Step], None]
