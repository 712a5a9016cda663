"""Figures of how voice control went before and after a switch, to: confirm, go on, or roll back.

Rules:
- a share or a time is judged only after so many decisions on both sides: three bad sentences are no evidence;
- the first rule that is broken is the reason, and both figures go with it;
- the fleet being out of reach counts only if it was in reach before, and only after a while;
- a quiet house confirms too: with hardly anything said, a day without a crash is enough.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted under one release. `observed_s` is time in service by a clock that only goes forward.

    Shares are of `decisions`. `p95_ms` is the 95th percentile from the end of speech to the decision.
    `is_fleet_reachable` is None where there is no fleet; `unreachable_s` is for how long it has been out of reach.
    """

    observed_s: float = 0.0
    starts: int = 0
    crashes: int = 0
    decisions: int = 0
    p95_ms: float = 0.0
    rejected: int = 0
    repeated: int = 0
    ended_by_cap: int = 0
    is_fleet_reachable: bool | None = None
    unreachable_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """When a release is good, and when it is not."""

    least_s: float = 900.0
    """In service before anything is confirmed."""
    quiet_s: float = 86_400.0
    """After this, few decisions are enough."""
    least_decisions: int = 20
    most_crashes: int = 1
    """Crashes that are forgiven: the cause may be another."""
    slower: float = 1.8
    """Times the decision time before; A33 is twice."""
    slower_ms: float = 50.0
    """A difference that somebody notices: 2 ms against 1 ms is no reason."""
    worse_share: float = 0.15
    """More of the decisions rejected, repeated or ended by the cap than before."""
    unreachable_s: float = 600.0


DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do. `code` says why it is rolled back; `evidence` is for whoever asks."""

    decision: Literal["confirm", "go on", "roll back"]
    code: str = ""
    evidence: Mapping[str, Any] | None = None


def judge(before: Figures, after: Figures, limits: Limits = DEFAULT) -> Verdict:
    """Return whether a release has stood its probation."""
    for code, was, found in _broken(before, after, limits):
        evidence = {"before": asdict(before), "after": asdict(after), "was": was, "found": found}
        return Verdict("roll back", code, evidence)
    if after.observed_s < limits.least_s:
        return Verdict("go on")
    if after.decisions < limits.least_decisions and after.observed_s < limits.quiet_s:
        return Verdict("go on")
    if before.is_fleet_reachable and after.is_fleet_reachable is False:
        return Verdict("go on")
    return Verdict("confirm", evidence={"before": asdict(before), "after": asdict(after)})


def _broken(before: Figures, after: Figures, limits: Limits) -> Iterator[tuple[str, float, float]]:
    """Yield the rules that are broken: the code, what was before, what is now."""
    if after.crashes > limits.most_crashes:
        yield "crashes", before.crashes, after.crashes
    is_out_of_reach = before.is_fleet_reachable and after.is_fleet_reachable is False
    if is_out_of_reach and after.unreachable_s >= limits.unreachable_s:
        yield "fleet-unreachable", 1, 0
    if min(before.decisions, after.decisions) < limits.least_decisions:
        return
    if after.p95_ms > before.p95_ms * limits.slower and after.p95_ms - before.p95_ms > limits.slower_ms:
        yield "slower", before.p95_ms, after.p95_ms
    for code, was, found in (
        ("more-rejected", before.rejected, after.rejected),
        ("more-repeated", before.repeated, after.repeated),
        ("more-ended-by-cap", before.ended_by_cap, after.ended_by_cap),
    ):
        shares = was / before.decisions, found / after.decisions
        if shares[1] - shares[0] > limits.worse_share:
            yield code, *shares
