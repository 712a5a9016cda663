"""Hours of the day, as 22:00-07:00."""

from datetime import time


def is_within(hours: str, now: time) -> bool:
    """Tell whether a time of day is in these hours, which may go over midnight."""
    begins, ends = (time.fromisoformat(part) for part in hours.split("-"))
    return begins <= now < ends if begins <= ends else now >= begins or now < ends
