"""What a rollout is made of: its plan, how it stands, what is decided. Frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts.statistics import Comparison
from edgeagent.fleet.wire import Settings as SettingsDocument
from edgeagent.update.manifest import FAMILY, VERSION

DAY_S = 86_400.0
MOST_WAVES = 5_000
"""Of a rate that is slow and a fleet that is large: more is somebody's mistake."""
State = Literal["draft", "waiting-for-approval", "running", "paused", "stopping", "stopped", "aborted", "done"]
STATES: tuple[State, ...] = get_args(State)
OPEN_STATES: tuple[State, ...] = ("draft", "waiting-for-approval", "running", "paused", "stopping")
"""Of a rollout that has not ended."""
_HOURS = r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"
Share = Annotated[float, Field(gt=0, le=1)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def _a_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"there is no time zone {name!r:.60}; expected one as Europe/Berlin") from error
    return name


def _some_hours(window: str) -> str:
    begins, ends = window.split("-")
    if begins == ends:
        raise ValueError(f"{window} has no length; leave it out for all hours")
    return window


def _rising(shares: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in pairwise(shares)):
        raise ValueError("shares add up: each must be larger than the one before, as 0.01, 0.05, 0.25, 1")
    if shares[-1] != 1:
        raise ValueError("the last share must be 1: all devices")
    return shares


class UpdateTo(_Form):
    """To have a version of a family of releases."""

    kind: Literal["update"] = "update"
    family: Annotated[str, Field(pattern=FAMILY)]
    version: Annotated[str, Field(pattern=VERSION)]


class SettingsTo(_Form):
    """To have these settings; others stay as they are wanted for each device."""

    kind: Literal["settings"] = "settings"
    settings: Annotated[SettingsDocument, Field(min_length=1)]


class Order(_Form):
    """To do something once."""

    kind: Literal["restart", "logs", "diagnostics", "self-test", "clips", "identify"]
    options: Annotated[Mapping[str, bool | int | float | str], Field(max_length=8)] = Field(default_factory=dict)


class Shares(_Form):
    """Waves by shares of the devices, each with those before; the first has at least one device.

    The next one begins when this one has done well, and after its bake time.
    """

    pace: Literal["shares"] = "shares"
    shares: Annotated[tuple[Share, ...], Field(min_length=1, max_length=20), AfterValidator(_rising)] = (
        0.01,
        0.05,
        0.25,
        1.0,
    )


class Constant(_Form):
    """So many devices in a minute, whatever came of those before: only the stopping rules hold it up.

    Where there are too few devices for the failure share, `success_share` does.
    """

    pace: Literal["constant"] = "constant"
    per_minute: Annotated[int, Field(ge=1, le=100_000)]


class Exponential(_Form):
    """`base` devices, then `factor` times as many with every step, as long as those before have done well."""

    pace: Literal["exponential"] = "exponential"
    base: Annotated[int, Field(ge=1, le=100_000)] = 1
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    step_s: Annotated[float, Field(ge=1, le=30 * DAY_S)] = 3_600.0


class HealthGuard(_Form):
    """Whether the rollout pauses when those who have it are heard worse than those who have not got it yet."""

    on: bool = True
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """How likely at most a false alarm is, over the whole rollout: all looks and all measures together."""


class Plan(_Form):
    """What is brought to whom, how quickly, and what holds it up.

    Shares are of the devices that were asked and reached. A device that is offline is waited for: the job stays on its
    pointer. A wave in which `reached_share` was reached goes on without the others; when fewer are, it does so after
    `reach_wait_s`, and enters the last wave only once somewhere something succeeded; where nothing has after
    `unreached_s`, it pauses. When all others of the last wave have ended, those that are not reached are waited for
    until `unreached_s` have passed; then the rollout is done.

    The failure share counts in waves as in all; below `failure_least` ended devices it says nothing. Smaller fleets,
    and waves, are kept by `success_share`: a wave in which all that were reached have ended, too few of them well,
    pauses the rollout until somebody has looked. So does one in which nothing succeeded and something was undone. At a
    constant rate the success share counts in all waves together, in rollouts smaller than `failure_least`.
    """

    what: Annotated[UpdateTo | SettingsTo | Order, Field(discriminator="kind")]
    filter: Annotated[str, Field(max_length=2_000)] = ""
    """Which devices, in the filter language; empty: all."""
    pace: Annotated[Shares | Constant | Exponential, Field(discriminator="pace")] = Shares()
    bake_s: Annotated[float, Field(ge=0, le=90 * DAY_S)] = 6 * 3_600.0
    """How long a wave that has done well is watched before the next one."""
    success_share: Share = 0.98
    failure_share: Share = 0.03
    failure_least: Annotated[int, Field(ge=1, le=100_000)] = 20
    """How many devices must have ended before the failure share stops the rollout."""
    reached_share: Annotated[float, Field(ge=0, le=1)] = 0.9
    reach_wait_s: Annotated[float, Field(ge=0, le=365 * DAY_S)] = DAY_S
    unreached_s: Annotated[float, Field(ge=0, le=365 * DAY_S)] = 14 * DAY_S
    timeout_s: Annotated[float, Field(ge=1, le=90 * DAY_S)] = 3 * DAY_S
    """How long a device may take from when it was online and had its job. A release that nobody talks to is confirmed
    by the device after a day: not less than that for updates, where devices keep their defaults."""
    window: Annotated[str, Field(pattern=_HOURS), AfterValidator(_some_hours)] | None = None
    """Hours in which devices are asked and waves begin, as 02:00-05:00; who was not reached in them is asked again."""
    time_zone: Annotated[str, Field(max_length=64), AfterValidator(_a_zone)] = "UTC"
    """Of the window."""
    needs_approval: bool = False
    """Whether somebody other than who made it must agree before it begins."""
    health: HealthGuard = HealthGuard()


def plan_of(document: Mapping[str, Any]) -> Plan:
    """Return the plan that a document holds. Raise ConsoleError naming what is wrong."""
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc'])) or 'plan'}: {one['msg']}" for one in error.errors()[:10]]
        raise ConsoleError("\n".join(lines), remedy="Mend what is named; the rollout was not changed.") from error


@dataclass(frozen=True, slots=True)
class Counts:
    """How the devices of a wave stand. `waiting`: asked, not reached. `already`: had it, and were not asked.

    `undone`: cancelled or superseded by somebody, `skipped`: passed over; neither says anything of what is rolled out.
    """

    pending: int = 0
    waiting: int = 0
    under_way: int = 0
    succeeded: int = 0
    already: int = 0
    failed: int = 0
    undone: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """Return how many there are."""
        return self.asked + self.pending + self.already + self.undone + self.skipped

    @property
    def ended(self) -> int:
        """Return how many were asked and have ended, well or not."""
        return self.succeeded + self.failed

    @property
    def reached(self) -> int:
        """Return how many have got the job."""
        return self.ended + self.under_way

    @property
    def asked(self) -> int:
        """Return how many count: those that were asked, but for those that somebody called back."""
        return self.reached + self.waiting

    def plus(self, other: "Counts") -> "Counts":
        """Return both together."""
        return Counts(
            self.pending + other.pending,
            self.waiting + other.waiting,
            self.under_way + other.under_way,
            self.succeeded + other.succeeded,
            self.already + other.already,
            self.failed + other.failed,
            self.undone + other.undone,
            self.skipped + other.skipped,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How a running rollout stands. Times in seconds since 1970, by the console's clock.

    `settled`: since when enough of the running wave has done well. `forgiven`: failures of this wave (at a constant
    rate: of all so far) that somebody has seen and gone on with, `undone_seen`: its undone ones. `resumed`: when
    somebody has last resumed it in this wave.
    """

    waves: tuple[Counts, ...]
    wave: int
    began: float
    settled: float | None = None
    forgiven: int = 0
    undone_seen: int = 0
    resumed: float | None = None

    @property
    def current(self) -> Counts:
        """Return the counts of the running wave."""
        return self.waves[self.wave] if self.wave < len(self.waves) else Counts()

    @property
    def opened(self) -> Counts:
        """Return the counts of the running wave and those before it."""
        together = Counts()
        for one in self.waves[: self.wave + 1]:
            together = together.plus(one)
        return together

    @property
    def is_last(self) -> bool:
        """Tell whether no wave follows."""
        return self.wave >= len(self.waves) - 1


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of voice health. `is_accepted`: somebody has seen that it is worse, and has gone on."""

    compared: tuple[Comparison, ...] = field(default_factory=tuple)
    is_accepted: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before something is heard, or until `until`. `settled` is what to keep as `Standing.settled`."""

    reason: str
    until: float | None = None
    settled: float | None = None


@dataclass(frozen=True, slots=True)
class GoOn:
    """The next wave begins. `forgiven` is what to keep as `Standing.forgiven`."""

    reason: str
    forgiven: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody must look."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """It does harm: nothing more is sent, those under way are called back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """All is done that can be."""

    reason: str


Decision = Wait | GoOn | Pause | Stop | Finish
