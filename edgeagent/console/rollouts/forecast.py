"""What would happen if a rollout began now: who is in which wave, who is left out and why, how long it takes at least.

Rules:
    - It is found out with the rules that carry rollouts on, on the registry as it is. Nothing is written.
    - The shortest time is that in which every device is there, and succeeds at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from edgeagent.console.filters import compiled
from edgeagent.console.rollouts.members import Candidate, candidates, names_by_verdict
from edgeagent.console.rollouts.nouns import Counts, Finish, GoOn, Plan, Standing, Wait
from edgeagent.console.rollouts.rules import decide
from edgeagent.console.rollouts.statistics import LEAST_DEVICES
from edgeagent.console.rollouts.waves import in_waves
from edgeagent.console.rollouts.windows import opens
from edgeagent.console.tables import Device

MOST_NAMES = 50
"""Of a wave, or of those that are left out, that are named."""
_MOST_LOOKS = 10
"""Decisions in a wave in which all goes well: to wait for the window, the bake time, the window again."""


@dataclass(frozen=True, slots=True)
class ForecastWave:
    """One wave: how many devices, how many of them are offline now, the first names, when it begins at the earliest."""

    devices: int
    offline: int
    names: tuple[str, ...]
    begins_after_s: float


@dataclass(frozen=True, slots=True)
class Excluded:
    """Devices that would not be asked, for one reason."""

    reason: str
    devices: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would happen. `least_s`: from now until the last device has succeeded. `warnings`: what to think about."""

    to_ask: int
    waves: tuple[ForecastWave, ...]
    excluded: tuple[Excluded, ...]
    least_s: float
    warnings: tuple[str, ...] = field(default_factory=tuple)


def what_if(session: Session, fleet: str, plan: Plan, now: float, *, rollout: str = "") -> Forecast:
    """Say what would happen; with the id of a draft, in its very order. Raise ConsoleError for a wrong filter."""
    found = candidates(session, fleet, plan, now)
    to_ask = {one.name: one for one in found if one.verdict is None}
    waves: list[list[Candidate]] = []
    for name, wave in in_waves(rollout, list(to_ask), plan.pace).items():
        if wave == len(waves):
            waves.append([])
        waves[wave].append(to_ask[name])
    begins, least_s = at_least(plan, [len(one) for one in waves], now)
    return Forecast(
        to_ask=len(to_ask),
        waves=tuple(_shown(wave, after) for wave, after in zip(waves, begins, strict=True)),
        excluded=tuple(_excluded(session, fleet, plan, found, now)),
        least_s=least_s,
        warnings=tuple(_warnings(plan, waves)),
    )


def at_least(plan: Plan, sizes: Sequence[int], now: float) -> tuple[list[float], float]:
    """Return after how many seconds each wave begins, and all is done, where everything goes well."""
    begins: list[float] = []
    at, before = now, Counts()
    for wave, size in enumerate(sizes):
        at = opens(plan.window, plan.time_zone, at)
        begins.append(at - now)
        current, rest = Counts(succeeded=size), sum(sizes[wave + 1 :])
        # Those before, and those after, are as good as one wave: what is decided is the same.
        together = (before, current) if rest == 0 else (before, current, Counts(pending=rest))
        standing = Standing(together, 1, at)
        for _ in range(_MOST_LOOKS):
            decision = decide(plan, standing, at)
            if isinstance(decision, GoOn | Finish) or not isinstance(decision, Wait) or decision.until is None:
                break
            standing = Standing(together, 1, standing.began, decision.settled)
            at = decision.until
        before = before.plus(current)
    return begins, at - now


def _shown(wave: Sequence[Candidate], after: float) -> ForecastWave:
    names = tuple(one.name for one in wave[:MOST_NAMES])
    return ForecastWave(len(wave), sum(not one.online for one in wave), names, after)


def _excluded(session: Session, fleet: str, plan: Plan, found: Sequence[Candidate], now: float) -> list[Excluded]:
    by_reason: Mapping[str, list[str]] = names_by_verdict(found)
    excluded = [Excluded(reason, len(names), tuple(names[:MOST_NAMES])) for reason, names in by_reason.items()]
    does_match = compiled(plan.filter, now=now)
    for reason, which in (
        ("It is retired.", (does_match, Device.retired.is_not(None))),
        ("It does not match the filter.", (~does_match, Device.retired.is_(None))),
    ):
        count = session.scalar(select(func.count()).select_from(Device).where(Device.fleet == fleet, *which)) or 0
        some = select(Device.name).where(Device.fleet == fleet, *which).order_by(Device.name).limit(MOST_NAMES)
        if count:
            excluded.append(Excluded(reason, count, tuple(session.scalars(some))))
    return excluded


def _warnings(plan: Plan, waves: Sequence[Sequence[Candidate]]) -> list[str]:
    total = sum(map(len, waves))
    offline = sum(not one.online for wave in waves for one in wave)
    found = []
    if total == 0:
        found.append("No device would be asked.")
    if total and total < plan.failure_least:
        found.append(
            f"{total} devices are fewer than the {plan.failure_least} that must have ended before the failure share"
            " stops the rollout; it is kept by the success share of each wave alone."
        )
    if total and offline > (1 - plan.reached_share) * total:
        found.append(f"{offline} of {total} devices are offline now: waves may wait for them.")
    if plan.health.on and len(waves) > 1 and min(len(waves[0]), total - len(waves[0])) < LEAST_DEVICES:
        found.append("The first wave is too small for voice health to be compared in it.")
    return found
