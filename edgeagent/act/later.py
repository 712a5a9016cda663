"""Orders for later, and what ends an order that was given for a time. Pure; time comes in, in seconds since 1970.

Rules:
- what is planned are actions, each with the device as it was when it was confirmed; at its time it is carried out only
  if that device is still there under that name, and if no rule refuses it then;
- what begins is not done more than MISSED_S late: a blind that was to open at seven stays closed when the power was
  gone until nine; what ends is done however late, since somebody counts on it;
- of a time of day without its half, the next one is meant;
- a stop is never put off, and what was stopped is not started again by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edgeagent.act.names import key_of
from edgeagent.act.safety import is_stop, names_of
from edgeagent.act.timers import spoken_length
from edgeagent.act.undo import Values, before
from edgeagent.messages import Action, Answer, Capability, Command, Rejection, Value, When

MOST_PLANNED = 100
MOST_ACTIONS = 5_000
"""Of all plans together: so many fit into the file."""
LONGEST_S = 7 * 24 * 3600.0
MISSED_S = 60.0
MOST_TOLD = 3
_OPPOSITES: Mapping[tuple[Capability, Value], Value] = {
    ("power", "on"): "off",
    ("power", "off"): "on",
    ("opening", "open"): "closed",
    ("opening", "closed"): "open",
    ("lock", "unlocked"): "locked",
    ("lock", "locked"): "unlocked",
    ("run", "running"): "stopped",
    ("playback", "playing"): "paused",
    ("playback", "paused"): "playing",
    ("cleaning", "cleaning"): "docked",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """Actions that are due at a time. `is_end`: they end what was done for a while. `text` is what was said.

    `next_s` is when an end that could not be done is tried again.
    """

    number: int
    due_s: float
    actions: tuple[Action, ...]
    text: str
    is_end: bool = False
    next_s: float | None = None

    @property
    def ripe_s(self) -> float:
        """Return when it is to be tried next."""
        return self.due_s if self.next_s is None else self.next_s


class Schedule:
    """What is planned, in no particular order."""

    def __init__(self, planned: Sequence[Planned] = ()) -> None:
        """Go on with what was planned before."""
        self._planned = {one.number: one for one in planned}
        self._count = max(self._planned, default=0)

    @property
    def planned(self) -> tuple[Planned, ...]:
        """Return what is planned, the next first."""
        return tuple(sorted(self._planned.values(), key=lambda one: one.due_s))

    def add(self, actions: tuple[Action, ...], due_s: float, text: str, *, is_end: bool = False) -> Planned | str:
        """Plan actions; return the entry, or why there is none."""
        if sum(len(one.actions) for one in self._planned.values()) + len(actions) > MOST_ACTIONS:
            return "too much is planned already"
        if len(self._planned) >= MOST_PLANNED:
            return f"{MOST_PLANNED} orders are planned already"
        self._count += 1
        one = Planned(self._count, due_s, actions, text[:200], is_end)
        self._planned[one.number] = one
        return one

    def of_utterance(self, utterance: str) -> tuple[Planned, ...]:
        """Return what an utterance has planned."""
        return tuple(one for one in self.planned if one.actions[0].utterance == utterance)

    def postpone(self, end: Planned, until_s: float) -> None:
        """Have an end that could not be done tried again, unless it was cancelled meanwhile."""
        if end.number in self._planned:
            self._planned[end.number] = replace(end, next_s=until_s)

    def remove(self, entries: Sequence[Planned]) -> None:
        """Take out what comes to nothing."""
        for one in entries:
            self._planned.pop(one.number, None)

    def due(self, now_s: float) -> tuple[tuple[Planned, ...], tuple[Planned, ...]]:
        """Return what is to be done now, and what was missed. Ends stay until they are removed, or postponed."""
        ripe = [one for one in self.planned if one.ripe_s <= now_s]
        self.remove([one for one in ripe if not one.is_end])
        late = tuple(one for one in ripe if not one.is_end and now_s - one.due_s > MISSED_S)
        void = [one for one in (*ripe, *self._planned.values()) if one.is_end and _ends_one_of(one, late)]
        self.remove(void)  # what did not begin does not end
        return tuple(one for one in ripe if one not in late and one not in void), late

    def obey(self, command: Command, now: datetime) -> Answer | Rejection:
        """List what is planned, or cancel it."""
        name = command.slot("name")
        meant = [one for one in self.planned if name is None or _is_about(one, str(name))]
        if not meant:
            return Answer(
                command.utterance, "Nothing is planned." if name is None else f"Nothing is planned for {name}."
            )
        if command.intent == "list_plans":
            told = [told_of(one, now) for one in meant[:MOST_TOLD]]
            more = f" And {len(meant) - MOST_TOLD} more." if len(meant) > MOST_TOLD else ""
            return Answer(command.utterance, " ".join(f"{sentence}." for sentence in told) + more)
        latest = max(meant, key=lambda one: one.number)
        is_all = command.slot("scope") == "all" or name is not None
        gone = meant if is_all else [one for one in meant if _of_one_order(one, latest)]
        for one in gone:
            del self._planned[one.number]
        told_gone = told_of(gone[0], now) if len(gone) == 1 else f"{len(gone)} plans"
        return Answer(command.utterance, f"Cancelled: {told_gone}.")


def told_of(one: Planned, now: datetime) -> str:
    """Return what is planned in words: "Fan off in 8 minutes"."""
    first = one.actions[0]
    value = first.value if isinstance(first.value, str) else f"{first.value:g}"
    what = first.device.name if len(one.actions) == 1 else f"{first.device.name} and {len(one.actions) - 1} more"
    return f"{what} {value.replace('_', ' ')} {told_when(one.due_s, now)}"


def told_when(due_s: float, now: datetime) -> str:
    """Return a time in words: "in 8 minutes", "at 19:00", "on Monday at 07:00"."""
    left_s = due_s - now.timestamp()
    is_local = now.utcoffset() == now.astimezone().utcoffset()  # then by the zone of then, with its summer time
    due = datetime.fromtimestamp(due_s).astimezone() if is_local else datetime.fromtimestamp(due_s, now.tzinfo)
    if left_s < 3600:  # noqa: PLR2004 - an hour
        return f"in {spoken_length(max(1.0, left_s))}"
    days = (due.date() - now.date()).days
    day = "" if not days else f"on {due:%A} " if days < 7 else f"on {due:%A, %B} {due.day} "  # noqa: PLR2004 - a week
    return f"{day}at {due:%H:%M}"


def due_at(when: When, now: datetime) -> float:
    """Return when an order for later is due, in seconds since 1970; `now` is local time."""
    if when.clock is None:
        return now.timestamp() + (when.delay_s or 0.0)
    hour, minute = map(int, when.clock.split(":"))
    local = now.replace(tzinfo=None)
    first = local.replace(hour=hour, minute=minute, second=0, microsecond=0) + timedelta(days=when.days)
    halves = (first, first + timedelta(hours=12)) if when.is_either_half and hour <= 12 else (first,)  # noqa: PLR2004
    # Of the local zone, whatever its summer time does until then; an hour that comes twice is the one that is to come.
    times = sorted(one.replace(fold=fold).timestamp() for one in halves for fold in (0, 1))
    later = [due_s for due_s in times if due_s > now.timestamp()]
    return later[0] if later else (first + timedelta(days=1)).timestamp()


def ending_of(action: Action, values: Values) -> Action | str:
    """Return the action that ends one which was given for a while, or in words why there is none."""
    if is_stop(action.capability, action.value):
        return f"{action.device.name} is not started again by itself"
    opposite = _OPPOSITES.get((action.capability, action.value))
    back = (action.capability, opposite) if opposite is not None else before(action, values(action.device.id))
    if back is None:
        return f"nobody knows what {action.device.name} was before"
    return replace(action, id=f"{action.id}.end", capability=back[0], value=back[1], allowed_by="")


def _is_about(one: Planned, name: str) -> bool:
    return any(key_of(name) in names_of(action.device) for action in one.actions)


def _of_one_order(one: Planned, other: Planned) -> bool:
    """Tell whether both come of one order: one begins what the other ends."""
    return (one.text, one.actions[0].utterance) == (other.text, other.actions[0].utterance)


def _ends_one_of(end: Planned, begins: Sequence[Planned]) -> bool:
    return any(_of_one_order(end, begin) for begin in begins)
