"""How a rollout goes on: from its plan and how its devices stand, to what is done next. Pure.

Rules, in this order:
    - The failure share was reached, in the running wave or in all together, of at least so many that have ended: stop.
      It holds at every time, in no window, and nobody can wave it through.
    - Voice health is worse than the control group's, and nobody has accepted that: pause.
    - Devices that were not asked yet, or are at work: wait. Devices that are not reached hold up a wave only while they
      are too many (`reached_share`), and then for `reach_wait_s`.
    - All that were reached have ended, and too few of them well: pause; who resumes forgives the failures so far. In
      the last wave there is nothing left to protect: the rollout is done, and says how many have failed.
    - Enough have done well for the bake time, and the window is open: the next wave. The last wave only begins once
      somewhere in the rollout something has succeeded.
    - Nobody in a wave has succeeded, and jobs of it were cancelled or superseded: pause; nothing is known of it.
    - Nothing has succeeded before the last wave, and `unreached_s` have passed: pause. Who resumes, once the wave has
      lasted `reach_wait_s`, goes on without any success.
    - A constant rate waits for no success, only for the minute. But a rollout that is too small for the failure share
      pauses when too few of all that have ended so far have ended well.
    - The last wave is done when all have ended; for those that are not reached it waits until `unreached_s` have passed
      since it began.
"""

from edgeagent.console.rollouts.nouns import (
    Constant,
    Counts,
    Decision,
    Exponential,
    Finish,
    GoOn,
    Health,
    Pause,
    Plan,
    Standing,
    Stop,
    Wait,
)
from edgeagent.console.rollouts.waves import MINUTE_S
from edgeagent.console.rollouts.windows import is_open, opens

_ROUNDING = 1e-9


def decide(plan: Plan, standing: Standing, now: float, health: Health | None = None) -> Decision:
    """Return what a running rollout does next."""
    for counts, where in ((standing.current, f"wave {standing.wave + 1}"), (standing.opened, "all waves together")):
        if is_harmful(plan, counts):
            return Stop(
                f"{counts.failed} of {counts.ended} devices that have ended in {where} have failed:"
                f" {_percent(counts.failed, counts.ended)}, and {plan.failure_share:.1%} stop the rollout."
            )
    if plan.health.on and health is not None and not health.is_accepted:
        for one in health.compared:
            if one.verdict == "worse":
                return Pause(f"Voice health is worse with it than without: {one.words}")
    if isinstance(plan.pace, Constant) and not standing.is_last:
        return _at_a_rate(plan, standing, now)
    return _last(plan, standing, now) if standing.is_last else _wave(plan, standing, now)


def is_harmful(plan: Plan, counts: Counts) -> bool:
    """Tell whether the failure share was reached, by enough devices that have ended."""
    return counts.ended >= plan.failure_least and counts.failed >= plan.failure_share * counts.ended - _ROUNDING


def is_enough(plan: Plan, counts: Counts, forgiven: int) -> bool:
    """Tell whether so many of those that were reached have succeeded that a wave has done well."""
    of = counts.reached - min(forgiven, counts.failed)
    return counts.succeeded >= plan.success_share * of - _ROUNDING


def failures_seen(plan: Plan, standing: Standing) -> int:
    """Return the failures that are forgiven by whoever resumes now."""
    return (standing.opened if isinstance(plan.pace, Constant) else standing.current).failed


def _at_a_rate(plan: Plan, standing: Standing, now: float) -> Decision:
    so_far = standing.opened
    total = sum(counts.asked + counts.pending for counts in standing.waves)
    of = so_far.ended - min(standing.forgiven, so_far.failed)
    if total < plan.failure_least and so_far.succeeded < plan.success_share * of - _ROUNDING:
        return Pause(
            f"{so_far.failed} of the {so_far.ended} devices that have ended have failed, and {plan.success_share:.1%}"
            " must succeed. Resume to go on all the same, or abort."
        )
    if standing.current.pending:
        return _for_those_to_ask(plan, standing.current, now)
    at = standing.began + MINUTE_S
    if now < at:
        return Wait("The next devices are asked when the minute is over.", until=at)
    return _for_the_window(plan, now) or GoOn("The minute is over.", standing.forgiven)


def _wave(plan: Plan, standing: Standing, now: float) -> Decision:
    counts = standing.current
    if counts.pending:
        return _for_those_to_ask(plan, counts, now, standing.settled)
    if counts.waiting and (held := _for_reach(plan, standing, now)):
        return held
    if not is_enough(plan, counts, standing.forgiven):
        if counts.under_way:
            return Wait(f"{_devices(counts.under_way)} of wave {standing.wave + 1} are at work.")
        return Pause(
            f"{counts.failed} of the {counts.reached} devices of wave {standing.wave + 1} that were reached have"
            f" failed, and {plan.success_share:.1%} must succeed. Resume to go on all the same, or abort."
        )
    if not counts.succeeded and counts.undone > standing.undone_seen:
        return Pause(
            f"No device of wave {standing.wave + 1} has succeeded; on {_devices(counts.undone)} it was cancelled, or"
            " superseded. Resume to go on all the same, or abort."
        )
    settled = now if standing.settled is None else standing.settled
    at = _next_at(plan, standing, settled)
    if now < at:
        return Wait(f"Wave {standing.wave + 1} has done well and is being watched.", until=at, settled=settled)
    if (held := _for_the_window(plan, now)) is not None:
        return Wait(held.reason, held.until, settled)
    follows_last = standing.wave + 1 == len(standing.waves) - 1
    so_far = standing.opened
    is_untried = so_far.asked and not so_far.succeeded and not standing.forgiven
    if follows_last and is_untried and not _was_resumed(plan, standing):
        until = standing.began + plan.unreached_s
        if now >= until:
            return Pause("No device has succeeded yet. Resume to go on all the same, or abort.")
        words = "No device has succeeded yet: the last wave waits for one. Pause and resume to go on without."
        return Wait(words, until=until, settled=settled)
    return GoOn(_well(standing))


def _was_resumed(plan: Plan, standing: Standing) -> bool:
    """Tell whether somebody has resumed it who could see that the wave had its time to be reached."""
    at_least = standing.began + min(plan.reach_wait_s, plan.unreached_s)
    return standing.resumed is not None and standing.resumed >= at_least


def _for_reach(plan: Plan, standing: Standing, now: float) -> Wait | None:
    """Return why the wave waits for devices that are away, or None if it need not."""
    counts = standing.current
    if counts.reached >= plan.reached_share * counts.asked - _ROUNDING and counts.reached:
        return None
    at = standing.began + plan.reach_wait_s
    if now >= at:
        return None
    return Wait(
        f"{counts.waiting} of the {_devices(counts.asked)} of wave {standing.wave + 1} are not reached;"
        f" without them it goes on when {plan.reached_share:.0%} are, or after {_duration(plan.reach_wait_s)}.",
        until=at,
        settled=standing.settled,
    )


def _next_at(plan: Plan, standing: Standing, settled: float) -> float:
    if standing.current.asked == 0:
        return settled  # nobody was asked anything: nothing to watch
    at = settled + plan.bake_s
    if isinstance(plan.pace, Exponential):
        at = max(at, standing.began + plan.pace.step_s)
    return at


def _last(plan: Plan, standing: Standing, now: float) -> Decision:
    counts = standing.opened
    if counts.pending:
        return _for_those_to_ask(plan, counts, now)
    if counts.under_way:
        return Wait(f"{_devices(counts.under_way)} are at work.")
    until = standing.began + plan.unreached_s
    if counts.waiting and now < until:
        return Wait(f"All others have ended; {_devices(counts.waiting)} not reached, and waited for.", until=until)
    parts = [f"{counts.succeeded} of {_devices(counts.asked)} have succeeded"]
    parts += [f"{counts.failed} have failed"] if counts.failed else []
    parts += [f"{counts.waiting} were not reached"] if counts.waiting else []
    parts += [f"{counts.already} had it already"] if counts.already else []
    return Finish(", ".join(parts) + ".")


def _for_those_to_ask(plan: Plan, counts: Counts, now: float, settled: float | None = None) -> Wait:
    held = _for_the_window(plan, now)
    reason = f"To be asked yet: {_devices(counts.pending)}." if held is None else held.reason
    return Wait(reason, None if held is None else held.until, settled)


def _for_the_window(plan: Plan, now: float) -> Wait | None:
    if is_open(plan.window, plan.time_zone, now):
        return None
    return Wait(
        f"It waits for its hours, {plan.window} ({plan.time_zone}).", until=opens(plan.window, plan.time_zone, now)
    )


def _well(standing: Standing) -> str:
    counts = standing.current
    away = f", {counts.waiting} are not reached" if counts.waiting else ""
    return f"Wave {standing.wave + 1} has done well: {counts.succeeded} of {counts.reached} have succeeded{away}."


def _devices(count: int) -> str:
    return f"{count} device" if count == 1 else f"{count} devices"


def _percent(part: int, of: int) -> str:
    return f"{part / of:.1%}" if of else "none"


def _duration(seconds: float) -> str:
    for name, length in (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0)):
        if seconds >= length:
            count = round(seconds / length, 1)
            return f"{count:g} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} seconds"
