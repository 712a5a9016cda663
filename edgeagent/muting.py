"""Whether the microphone is closed, kept over every start: no update and no crash opens what somebody has closed."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)

MUTED = "muted"
"""An empty file in the state folder."""


def is_muted(state: Path) -> bool:
    """Tell whether the microphone was closed last; also where that cannot be seen."""
    try:
        (state / MUTED).lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def keep_muted(state: Path, *, on: bool) -> None:
    """Remember it. Where it cannot be, that is logged."""
    try:
        if on:
            (state / MUTED).touch()
        else:
            (state / MUTED).unlink(missing_ok=True)
    except OSError as error:
        log.warning("mute is not remembered", extra={"problem": str(error)})
