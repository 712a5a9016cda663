"""When a console reads again all that is retained: what it was told once may have been dropped. Pure of clocks.

Rules:
    - A broker under ten thousand devices that come back drops messages for a console that cannot follow; what is
      retained tells how things stand. It is read again some while after each connection, and then every hour.
    - Also once a flood is over, where that was none of our own making: reading again is a flood itself.
"""

import math

AFTER_S = (20.0, 60.0)
"""After a connection, and after the time before."""
EVERY_S = 3_600.0
FLOOD_S = 10.0
"""Busy for so long without a pause: more may have come than a broker keeps for us."""
OWN_S = 60.0
"""What comes so soon after we have read again is most likely that."""


class ReadingAgain:
    """Says when it is time; `at_s` is of a clock that nobody sets."""

    def __init__(self) -> None:
        """Have no connection yet."""
        self._connection = 0
        self._next_s = math.inf
        self._waits = iter(AFTER_S)
        self._asked_s = -math.inf
        self._busy_since_s = math.inf
        self._was_flooded = False

    def is_due(self, at_s: float, *, connection: int, is_busy: bool) -> bool:
        """Note how things are, and tell whether to read again now. `connection` counts connections, from 1."""
        self._note_flood(at_s, is_busy=is_busy)
        if connection != self._connection:
            self._connection, self._waits = connection, iter(AFTER_S)
            self._next_s = at_s + next(self._waits)
            self._was_flooded = False
            return False
        if at_s < self._next_s and (is_busy or not self._was_flooded):
            return False
        self._next_s = at_s + next(self._waits, EVERY_S)
        self._asked_s, self._was_flooded = at_s, False
        return True

    def _note_flood(self, at_s: float, *, is_busy: bool) -> None:
        if not is_busy:
            self._busy_since_s = math.inf
            return
        self._busy_since_s = min(self._busy_since_s, at_s)
        if self._busy_since_s - self._asked_s >= OWN_S and at_s - self._busy_since_s >= FLOOD_S:
            self._was_flooded = True
