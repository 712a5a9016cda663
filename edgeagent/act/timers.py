"""Timers: what is running, what is due. Pure; time comes in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgeagent.messages import Answer, Command, Rejection

MOST_TIMERS = 50


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer: due at `due_s`, or paused with `left_s` to go (then `due_s` is meaningless)."""

    number: int
    length_s: float
    due_s: float
    left_s: float | None = None


class Timers:
    """The timers of this device."""

    def __init__(self) -> None:
        """Start with none."""
        self._timers: dict[int, Timer] = {}
        self._count = 0

    def obey(self, command: Command, now_s: float) -> Answer | Rejection:
        """Carry out a timer command. `now_s` is of a clock that only goes forward."""
        uid = command.utterance
        match command.intent:
            case "start_timer":
                return self._start(command, now_s)
            case "cancel_all_timers":
                count = len(self._timers)
                self._timers.clear()
                return Answer(uid, f"{count} timers cancelled." if count != 1 else "The timer is cancelled.")
        timer = self._next()
        if timer is None:
            return Answer(uid, "There is no timer.")
        match command.intent:
            case "cancel_timer":
                del self._timers[timer.number]
                return Answer(uid, f"The {spoken_length(timer.length_s)} timer is cancelled.")
            case "pause_timer" if timer.left_s is None:
                self._timers[timer.number] = replace(timer, left_s=timer.due_s - now_s)
                return Answer(uid, f"Paused with {spoken_length(timer.due_s - now_s)} to go.")
            case "resume_timer" if timer.left_s is not None:
                self._timers[timer.number] = replace(timer, due_s=now_s + timer.left_s, left_s=None)
                return Answer(uid, f"Going on, {spoken_length(timer.left_s)} to go.")
        left_s = timer.due_s - now_s if timer.left_s is None else timer.left_s
        return Answer(uid, f"{spoken_length(left_s)} left.")

    def due(self, now_s: float) -> tuple[Timer, ...]:
        """Take out and return the timers that have run out."""
        ended = tuple(timer for timer in self._timers.values() if timer.left_s is None and timer.due_s <= now_s)
        for timer in ended:
            del self._timers[timer.number]
        return ended

    def next_due_s(self) -> float | None:
        """Return when the next timer runs out, or None."""
        return min((timer.due_s for timer in self._timers.values() if timer.left_s is None), default=None)

    def _start(self, command: Command, now_s: float) -> Answer | Rejection:
        length = command.slot("duration")
        if not isinstance(length, float) or length <= 0:
            return Rejection(command.utterance, "out-of-range", command.text, "how long was not said")
        if len(self._timers) >= MOST_TIMERS:
            return Rejection(command.utterance, "busy", command.text, f"{MOST_TIMERS} timers are running")
        self._count += 1
        self._timers[self._count] = Timer(self._count, length, now_s + length)
        return Answer(command.utterance, f"{spoken_length(length).capitalize()}, starting now.")

    def _next(self) -> Timer | None:
        return min(self._timers.values(), key=lambda timer: (timer.left_s is not None, timer.due_s), default=None)


_UNITS: Mapping[str, int] = {"hour": 3600, "minute": 60, "second": 1}


def spoken_length(seconds: float) -> str:
    """Return a length in words: "1 hour 20 minutes"."""
    rest, parts = max(0, round(seconds)), []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return " ".join(parts) or "0 seconds"
