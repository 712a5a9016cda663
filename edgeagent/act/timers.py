"""Timers: what is running, what is due. Pure; time comes in.

"The timer" is the labelled one where a label was said, else the next one due; to go on, the one that is paused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgeagent.messages import Answer, Command, Rejection

MOST_TIMERS = 50
LONGEST_S = 7 * 24 * 3600.0
MOST_TOLD = 3


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer: due at `due_s`, or paused with `left_s` to go (then `due_s` is meaningless)."""

    number: int
    length_s: float
    due_s: float
    left_s: float | None = None
    label: str = ""

    @property
    def called(self) -> str:
        """Return what it is called after "the": "12 minute pizza timer"."""
        length = spoken_length(self.length_s).replace("s ", " ").removesuffix("s")
        return f"{length} {self.label} timer" if self.label else f"{length} timer"

    def remaining_s(self, now_s: float) -> float:
        """Return how long it has to go."""
        return max(0.0, self.due_s - now_s) if self.left_s is None else self.left_s


class Timers:
    """The timers of this device."""

    def __init__(self, running: Iterable[Timer] = ()) -> None:
        """Go on with those that were running before."""
        self._timers = {timer.number: timer for timer in running}
        self._count = max(self._timers, default=0)

    @property
    def running(self) -> tuple[Timer, ...]:
        """Return all timers, the paused ones as well."""
        return tuple(self._timers.values())

    def obey(self, command: Command, now_s: float) -> Answer | Rejection:
        """Carry out a timer command. `now_s` is of a clock that only goes forward."""
        uid = command.utterance
        if command.intent == "start_timer":
            return self._start(command, now_s)
        label = str(command.slot("label") or "")
        meant = sorted(
            (timer for timer in self._timers.values() if not label or timer.label == label),
            key=lambda timer: (timer.left_s is not None, timer.remaining_s(now_s)),
        )
        if not meant:
            return Answer(uid, f"There is no {label} timer." if label else "There is no timer.")
        match command.intent:
            case "cancel_all_timers":
                told = self._cancel_all(meant)
            case "cancel_timer":
                told = self._cancel(meant[0])
            case "pause_timer":
                told = self._pause(meant, now_s)
            case "resume_timer":
                told = self._resume(meant, now_s)
            case _:
                told = _left(meant, now_s)
        return Answer(uid, told)

    def due(self, now_s: float) -> tuple[Timer, ...]:
        """Take out and return the timers that have run out."""
        ended = tuple(timer for timer in self._timers.values() if timer.left_s is None and timer.due_s <= now_s)
        for timer in ended:
            del self._timers[timer.number]
        return ended

    def _start(self, command: Command, now_s: float) -> Answer | Rejection:
        length = command.slot("duration")
        if isinstance(length, str) or length is None or not 0 < length <= LONGEST_S:  # false for NaN
            return Rejection(command.utterance, "out-of-range", command.text, "a timer is from a second to a week")
        if len(self._timers) >= MOST_TIMERS:
            return Rejection(command.utterance, "not-able", command.text, f"there are {MOST_TIMERS} timers already")
        self._count += 1
        label = str(command.slot("label") or "")
        self._timers[self._count] = Timer(self._count, float(length), now_s + length, label=label)
        purpose = f" for the {label}" if label else ""
        return Answer(command.utterance, f"{spoken_length(length)}{purpose}, starting now.")

    def _cancel(self, timer: Timer) -> str:
        del self._timers[timer.number]
        return f"The {timer.called} is cancelled."

    def _cancel_all(self, meant: Iterable[Timer]) -> str:
        numbers = [timer.number for timer in meant]
        for number in numbers:
            del self._timers[number]
        return f"{len(numbers)} timers are cancelled." if len(numbers) > 1 else "The timer is cancelled."

    def _pause(self, meant: Iterable[Timer], now_s: float) -> str:
        timer = next((timer for timer in meant if timer.left_s is None), None)
        if timer is None:
            return "The timer is paused already."
        left_s = timer.remaining_s(now_s)
        self._timers[timer.number] = replace(timer, left_s=left_s)
        return f"Paused with {spoken_length(left_s)} to go."

    def _resume(self, meant: Iterable[Timer], now_s: float) -> str:
        timer = next((timer for timer in meant if timer.left_s is not None), None)
        if timer is None:
            return "The timer is running already."
        left_s = timer.remaining_s(now_s)
        self._timers[timer.number] = replace(timer, due_s=now_s + left_s, left_s=None)
        return f"Going on, {spoken_length(left_s)} to go."


def _left(meant: list[Timer], now_s: float) -> str:
    if len(meant) == 1:
        return f"{spoken_length(meant[0].remaining_s(now_s))} left."
    told = [f"{spoken_length(timer.remaining_s(now_s))} on the {timer.called}" for timer in meant[:MOST_TOLD]]
    return f"{', '.join(told)}."


_UNITS: Mapping[str, int] = {"hour": 3600, "minute": 60, "second": 1}


def spoken_length(seconds: float) -> str:
    """Return a length in words: "1 hour 20 minutes"."""
    rest, parts = max(0, round(seconds)), []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return " ".join(parts) or "0 seconds"
