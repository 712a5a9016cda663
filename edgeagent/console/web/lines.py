"""How many lines of the audit trail a refused request may cause: each has a budget a minute; what is over is counted.

Rules:
    - Who is logged in has a budget of their own: strangers cannot use it up.
    - Strangers have one by address (of IPv6, the first 64 bits), and one together.
    - What was not written is told in one line, with its number, as soon as the minute is over and anybody asks.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgeagent.console.web.throttle import prefix_of

USERS_A_MINUTE = 120
ONE_STRANGERS_A_MINUTE = 5
STRANGERS_A_MINUTE = 300
MOST_ADDRESSES = 5_000
"""Strangers that are told apart in a minute; the others are counted together."""
MOST_SUMMARIES = 50
_MINUTE_S = 60
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Cause:
    """Who was refused: a user, or else a stranger from an address."""

    user: str
    address: str = ""

    @property
    def most(self) -> int:
        """How many lines they may cause in a minute."""
        return USERS_A_MINUTE if self.user else ONE_STRANGERS_A_MINUTE


class Lines:
    """What was written of refused requests in this minute, and what was not."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._minute = 0
        self._written: Counter[Cause] = Counter()
        self._left_out: Counter[Cause] = Counter()
        self._over: list[tuple[Cause, int]] = []
        self._lock = threading.Lock()

    def may(self, user: str, address: str, now: float) -> bool:
        """Count one, and tell whether it is to be written down."""
        with self._lock:
            self._turn(now)
            cause = Cause(user) if user else self._stranger(address)
            is_too_many = self._written[cause] >= cause.most
            if not user:
                of_strangers = sum(count for one, count in self._written.items() if not one.user)
                is_too_many = is_too_many or of_strangers >= STRANGERS_A_MINUTE
            (self._left_out if is_too_many else self._written)[cause] += 1
            return not is_too_many

    def left_out(self, now: float) -> Sequence[tuple[Cause, int]]:
        """Return what was not written in minutes that are over; it is told once."""
        with self._lock:
            self._turn(now)
            over, self._over = self._over, []
            return over

    def _stranger(self, address: str) -> Cause:
        cause = Cause("", prefix_of(address))
        is_known = cause in self._left_out or self._written[cause] > 0
        return cause if is_known or len(self._left_out) < MOST_ADDRESSES else Cause("", OTHERS)

    def _turn(self, now: float) -> None:
        minute = int(now // _MINUTE_S)
        if minute == self._minute:
            return
        most = self._left_out.most_common(MOST_SUMMARIES)
        if rest := self._left_out.total() - sum(count for _, count in most):
            most.append((Cause("", OTHERS), rest))
        self._over = (self._over + most)[-2 * MOST_SUMMARIES :]
        self._minute, self._written, self._left_out = minute, Counter(), Counter()
