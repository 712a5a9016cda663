"""Whether a console has heard everything that waited for it, and since when it listens. Pure of clocks.

Rules:
    - After a connection was made, after the database was away, and after our clock has jumped, there may be more to
      hear: it has caught up after a while in which little came.
    - Once it has caught up it stays so until one of these happens again: many messages alone mean nothing.
"""

CALM_S = 2.0
"""How long little must come."""
JUMP_S = 10.0
"""A clock that moves by more against the machine's own was set."""


class Listening:
    """What is known of our own listening; `at_s` is of a clock that nobody sets."""

    def __init__(self) -> None:
        """Have heard nothing yet."""
        self._connection = 0
        self._offset_s: float | None = None
        self._busy_s = 0.0
        self._since_s: float | None = None

    def interrupt(self, at_s: float) -> None:
        """Note that something could not be written, or heard."""
        self._since_s = None
        self._busy_s = at_s

    def look(self, at_s: float, clock: float, *, connection: int, is_heard: bool, is_busy: bool) -> None:
        """Note how things are. `connection` counts connections, `is_heard` tells whether this one brings anything."""
        offset_s = clock - at_s
        has_jumped = self._offset_s is not None and abs(offset_s - self._offset_s) > JUMP_S
        if has_jumped or not is_heard or connection != self._connection:
            self.interrupt(at_s)
        self._connection, self._offset_s = connection, offset_s
        if is_busy:
            self._busy_s = at_s
        elif self._since_s is None and is_heard and at_s - self._busy_s >= CALM_S:
            self._since_s = at_s

    def lasts_s(self, at_s: float) -> float | None:
        """Return for how long everything is heard as it is said; None where it is not."""
        return None if self._since_s is None else at_s - self._since_s
