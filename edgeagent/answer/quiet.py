"""When the device keeps its voice down."""

from datetime import datetime, time

from edgeagent.hours import is_within
from edgeagent.settings import AnswerSettings


def is_quiet(settings: AnswerSettings, now: time) -> bool:
    """Tell whether a time of day is in the quiet hours, which may go over midnight."""
    return settings.quiet_hours is not None and is_within(settings.quiet_hours, now)


def is_quiet_now(settings: AnswerSettings) -> bool:
    """Tell whether it is a quiet hour now, by the local time."""
    return is_quiet(settings, datetime.now().astimezone().time())
