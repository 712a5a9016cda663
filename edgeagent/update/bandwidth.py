"""A limit in bytes per second: a token bucket that sleeps."""

import time
from collections.abc import Callable


class Bandwidth:
    """Lets `bytes_per_s` through, and a second's worth at once. Shared by transports, it limits their sum."""

    def __init__(
        self,
        bytes_per_s: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin with a full bucket. Raise ValueError if nothing could pass."""
        if bytes_per_s < 1:
            raise ValueError(f"expected at least 1 byte per second, found {bytes_per_s}")
        self._rate, self._clock, self._sleep = bytes_per_s, clock, sleep
        self._left, self._at = float(bytes_per_s), clock()

    @property
    def piece_bytes(self) -> int:
        """Return how much to read at once, so that no sleep is long."""
        return max(1, self._rate // 8)

    def take(self, count: int) -> None:
        """Account for `count` bytes that have passed; sleep until they were allowed to."""
        now = self._clock()
        self._left = min(float(self._rate), self._left + (now - self._at) * self._rate) - count
        self._at = now
        if self._left < 0:
            self._sleep(-self._left / self._rate)
