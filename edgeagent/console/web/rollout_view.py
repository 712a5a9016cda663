"""What the pages of rollouts show: how each stands, its waves, its devices with their reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from edgeagent.console.rollouts.counting import class_of, counts_of
from edgeagent.console.rollouts.nouns import Counts
from edgeagent.console.tables import Device, Job, Rollout
from edgeagent.console.web.fleet_view import PageOf, page_of
from edgeagent.fleet.wire import FAILED, SUCCEEDED, UNDONE
from edgeagent.logs import printable

ON_A_PAGE, DEVICES_ON_A_PAGE = 25, 50
PARTS: Mapping[str, str] = {
    "succeeded": "succeeded",
    "already": "had it already",
    "failed": "failed",
    "under_way": "under way",
    "waiting": "not reached yet",
    "undone": "called back",
    "skipped": "passed over",
    "pending": "to come",
}
"""Of a wave, in the order in which they are drawn."""
SHOWS: Mapping[str, str] = {"all": "all", "failed": "failed", "open": "under way", "succeeded": "succeeded"}
BAR_WIDTH, BAR_HEIGHT = 600, 14
MOST_REASONS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A device of a rollout."""

    device: str
    title: str
    job: Job


def listed(session: Session, fleet: str, page: int, size: int = ON_A_PAGE) -> tuple[PageOf, Mapping[str, Counts]]:
    """Return a page of rollouts, the newest first, and how each stands."""
    wanted = select(Rollout).where(Rollout.fleet == fleet).order_by(Rollout.created.desc(), Rollout.id)
    shown = page_of(session, wanted, page, size)
    counts: dict[str, dict[str, int]] = {one.id: {} for one in shown.items}
    is_unreached, is_untold = Job.reached.is_(None), Job.told.is_(None)
    rows = session.execute(
        select(Job.rollout, Job.state, is_unreached, is_untold, func.count())
        .where(Job.rollout.in_(list(counts)))
        .group_by(Job.rollout, Job.state, is_unreached, is_untold)
    )
    for rollout, state, unreached, untold, count in rows:
        part = class_of(state, is_unreached=bool(unreached), is_untold=bool(untold))
        counts[rollout][part] = counts[rollout].get(part, 0) + count
    return shown, {id_: Counts(**parts) for id_, parts in counts.items()}


def waves(session: Session, rollout: Rollout) -> Sequence[Counts]:
    """Return how the waves of a rollout stand."""
    return counts_of(session, rollout.id)


def devices(session: Session, rollout: Rollout, show: str, page: int, size: int = DEVICES_ON_A_PAGE) -> PageOf:
    """Return a page of a rollout's devices with their jobs: those that failed first, then what is open."""
    is_it = Job.rollout == rollout.id
    rank = case(
        (Job.state.in_(FAILED), 0),
        (Job.state == "pending", 3),
        (Job.ended.is_(None), 1),
        (Job.told.is_(None), 4),
        else_=2,
    )
    wanted = select(Job).where(is_it, *_shown(show)).order_by(rank, Job.wave, Job.id)
    found = page_of(session, wanted, page, size)
    ids = [job.device for job in found.items]
    rows = session.execute(select(Device.id, Device.name, Device.title).where(Device.id.in_(ids)))
    names = {id_: (name, title) for id_, name, title in rows}
    return PageOf([Row(*names[job.device], job) for job in found.items], found.total, found.page, found.size)


def reasons(session: Session, rollout: Rollout) -> list[tuple[str, str, int]]:
    """Return why devices have failed or were passed over: state, reason, how many; the most frequent first."""
    count = func.count().label("count")
    rows = session.execute(
        select(Job.state, Job.reason, count)
        .where(Job.rollout == rollout.id, Job.ended.is_not(None), Job.state.not_in(SUCCEEDED))
        .group_by(Job.state, Job.reason)
        .order_by(count.desc())
        .limit(MOST_REASONS)
    )
    return [(state, reason, number) for state, reason, number in rows]


def bar(counts: Counts, name: str) -> Markup:
    """Return how devices stand as one bar, with the numbers as its description."""
    total = counts.total or 1
    x, parts = 0.0, []
    for part in PARTS:
        width = BAR_WIDTH * getattr(counts, part) / total
        if width:
            parts.append(f'<path class="p-{part}" d="M{x:.1f} 0h{width:.1f}v{BAR_HEIGHT}h-{width:.1f}z"/>')
        x += width
    label = printable(f"{name}: {told(counts)}")
    return Markup(  # noqa: S704  # numbers and an escaped label
        f'<svg class="bar" viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}"><title>{escape(label)}</title>{"".join(parts)}</svg>'
    )


def told(counts: Counts) -> str:
    """Return how devices stand in words."""
    parts = [f"{getattr(counts, part)} {words}" for part, words in PARTS.items() if getattr(counts, part)]
    return ", ".join(parts) or "no devices"


def together(waves_: Sequence[Counts]) -> Counts:
    """Return all waves as one."""
    whole = Counts()
    for one in waves_:
        whole = whole.plus(one)
    return whole


def _shown(show: str) -> tuple[ColumnElement[bool], ...]:
    match show:
        case "failed":
            return (Job.state.in_(FAILED),)
        case "succeeded":
            return (Job.state.in_(SUCCEEDED),)
        case "open":
            return (Job.ended.is_(None), Job.state.not_in((*SUCCEEDED, *FAILED, *UNDONE, "pending")))
    return ()
