"""When the device keeps its voice down."""

from datetime import datetime, time

from edgeagent.settings import AnswerSettings


def is_quiet(settings: AnswerSettings, now: time) -> bool:
    """Tell whether a time of day is in the quiet hours, which may go over midnight."""
    if settings.quiet_hours is None:
        return False
    begins, ends = (time.fromisoformat(part) for part in settings.quiet_hours.split("-"))
    return begins <= now < ends if begins <= ends else now >= begins or now < ends


def is_quiet_now(settings: AnswerSettings) -> bool:
    """Tell whether it is a quiet hour now, by the local time."""
    return is_quiet(settings, datetime.now().astimezone().time())
