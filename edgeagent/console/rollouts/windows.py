"""Maintenance windows: hours of the day in a time zone, to moments. Pure.

Rules:
    - Hours are those of the wall clock: on a day when clocks change, a window is shorter or longer by that.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from edgeagent.hours import is_within


def is_open(window: str | None, time_zone: str, now: float) -> bool:
    """Tell whether `now`, in seconds since 1970, is in the window; without one, always."""
    return window is None or is_within(window, _local(time_zone, now).time())


def opens(window: str | None, time_zone: str, now: float) -> float:
    """Return when the window is open: `now` if it is, else the next time that it opens."""
    if window is None or is_open(window, time_zone, now):
        return now
    begins = time.fromisoformat(window.partition("-")[0])
    today = _local(time_zone, now).date()
    for days in range(4):
        wall = datetime.combine(today + timedelta(days=days), begins, tzinfo=ZoneInfo(time_zone))
        moment = wall.timestamp()
        # Hours that the clock leaps over are none: an hour later they are there.
        for at in (moment, moment + 3_600.0):
            if at > now and is_open(window, time_zone, at):
                return at
    return now + 86_400.0


def _local(time_zone: str, now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(time_zone))
