"""What time it is for signatures: a clock that may be wrong, never earlier than what is known for certain."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reference:
    """The time that expiry is judged by; `is_trusted` is false where the clock had to be overruled."""

    time: datetime
    is_trusted: bool


class Clock(Protocol):
    """Tells what time to judge by."""

    def reference(self, last_good: datetime) -> Reference:
        """Return the reference time, given the latest time at which metadata was good and the clock was trusted."""
        ...


@dataclass(frozen=True, slots=True)
class BoardClock:
    """A board's clock. `read` returns the time (aware) and whether it was set by NTP or a sane RTC.

    A clock that is not trusted, or tells a time before this program was built or before the last good time, is
    overruled by the later of these: at 1970 and at 2099 nothing expired is accepted, and nothing good is refused.
    """

    read: Callable[[], tuple[datetime, bool]]
    built: datetime

    def reference(self, last_good: datetime) -> Reference:
        """Return the clock's time if it can be true, else the latest time that is certain."""
        certain = max(self.built, last_good)
        now, is_trusted = self.read()
        if is_trusted and now >= certain:
            return Reference(now, is_trusted=True)
        return Reference(certain, is_trusted=False)


def never() -> datetime:
    """Return a time before every other: no good time is known yet."""
    return datetime.fromtimestamp(0, UTC)
