"""What systemd is told: ready, and alive as long as both the event loop and the listening thread are."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

LISTENING_WITHIN_S = 10.0
"""A thread that listens handles thirty frames a second; even decoding a long utterance takes less than this."""
START_WITHIN_S = 120
"""What a start may take: TimeoutStartSec= of systemd/edgeagent.service."""
ANSWER_WITHIN_S = 0.5
"""The event loop waits no longer than this for a supervisor that does not take what we tell it."""


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send a line like READY=1 to systemd. Return False where nobody supervises us or takes it (sd_notify(3))."""
    address = environment.get("NOTIFY_SOCKET")
    if not address or address[0] not in "/@":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.settimeout(ANSWER_WITHIN_S)
        try:
            out.connect("\0" + address[1:] if address[0] == "@" else address)
            out.sendall(state.encode())
        except OSError as error:
            log.warning("the supervisor does not listen", extra={"socket": address, "problem": str(error)})
            return False
    return True


async def feed_watchdog(listened_at: Callable[[], float], environment: Mapping[str, str] = os.environ) -> None:
    """Feed systemd's watchdog while sound is being handled; return at once where there is none.

    `listened_at` is when the listening thread last asked for sound, on the monotonic clock.
    """
    limit_us = _limit_us(environment)
    if not limit_us:
        return
    notify(f"WATCHDOG_USEC={limit_us}", environment)  # it was longer, if this is a new start in the same process
    every_s = limit_us / 1e6 / 3
    while True:
        if time.monotonic() - listened_at() < LISTENING_WITHIN_S:
            notify("WATCHDOG=1", environment)
        await asyncio.sleep(every_s)


def allow_new_start(environment: Mapping[str, str] = os.environ) -> None:
    """Have the watchdog wait as long as for a first start: for systemd, who starts anew in place is ready all along."""
    if _limit_us(environment):
        notify(f"WATCHDOG_USEC={START_WITHIN_S * 1_000_000}", environment)


def _limit_us(environment: Mapping[str, str]) -> int:
    """Return the watchdog's limit in microseconds, 0 where there is none for this process (sd_watchdog_enabled(3))."""
    limit = environment.get("WATCHDOG_USEC", "")
    is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(limit) if is_ours and limit.isascii() and limit.isdecimal() else 0
