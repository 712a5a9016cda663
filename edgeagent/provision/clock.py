"""A clock that may stand at 1970 to a time that certificates can be judged by (A14).

Rules:
    - A Raspberry Pi before the 5 has no clock that runs without power. No certificate is looked at before the time is
      at least that at which the card was written; a clock that is behind is set forward to it, never back.
    - A time server is waited for, a while. Where none answers (a plant without one), what the clock shows is taken if
      it is no earlier than that floor: a device that is never told the time could never enrol.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

log = logging.getLogger(__name__)

SYNCHRONIZED = Path("run/systemd/timesync/synchronized")
"""Made by systemd-timesyncd when a server has told the time (systemd-timesyncd.service(8))."""
LOOK_S = 0.5
State = Literal["synchronized", "plausible", "wrong"]


class Clock(Protocol):
    """What tells the time, and can be set."""

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        ...

    def set_to(self, at: float) -> None:
        """Set it. Raise OSError where that is not ours to do."""
        ...

    def is_synchronized(self) -> bool:
        """Tell whether a time server has told the time since the start."""
        ...

    def pause(self, seconds: float) -> None:
        """Let some time pass."""
        ...


class SystemClock:
    """The board's own."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Look for the mark of a time server below `root`."""
        self._mark = root / SYNCHRONIZED

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return time.time()

    def set_to(self, at: float) -> None:
        """Set it. Raise OSError where that is not ours to do."""
        time.clock_settime(time.CLOCK_REALTIME, at)

    def is_synchronized(self) -> bool:
        """Tell whether a time server has told the time since the start."""
        return self._mark.exists()

    def pause(self, seconds: float) -> None:
        """Let some time pass."""
        time.sleep(seconds)


def state_of(clock: Clock, floor: float) -> State:
    """Return what the clock is good for."""
    if clock.now() < floor:
        return "wrong"
    return "synchronized" if clock.is_synchronized() else "plausible"


def raise_to(clock: Clock, floor: float) -> bool:
    """Set a clock that is behind the floor to it. Return whether it is not behind now."""
    if clock.now() >= floor:
        return True
    try:
        clock.set_to(floor)
    except OSError as error:
        log.warning("the clock cannot be set", extra={"error": error.strerror or str(error)})
    return clock.now() >= floor


def wait_for_time(clock: Clock, floor: float, wait_s: float, told: Callable[[], None]) -> State:
    """Wait until a server has told the time, no longer than `wait_s`, and return what the clock is good for then.

    `told` is called once where there is something to wait for.
    """
    looks = int(wait_s / LOOK_S)
    for look in range(looks + 1):
        if clock.is_synchronized():
            break
        if look == 0:
            told()
        if look < looks:
            clock.pause(LOOK_S)
    raise_to(clock, floor)
    return state_of(clock, floor)
