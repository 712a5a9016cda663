"""Passwords to what is kept of them (argon2id), and back to yes or no, in the same time for everybody."""

import threading
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edgeagent.console.errors import ConsoleError

SHORTEST, LONGEST = 12, 200
HASHER = PasswordHasher(time_cost=3, memory_cost=32 << 10, parallelism=1)
"""The parameters of RFC 9106 for little memory, with less of it: a console may be a Raspberry Pi."""
AT_ONCE = 2
"""Computations at the same time: each takes 32 MiB for a moment, and strangers can ask for them."""


class Passwords:
    """Hashes and checks passwords, a few at a time."""

    def __init__(self, hasher: PasswordHasher = HASHER) -> None:
        """Compute with a hasher."""
        self._hasher = hasher
        self._turn = threading.BoundedSemaphore(AT_ONCE)

    def hashed(self, password: str) -> str:
        """Return what is kept. Raise ConsoleError if the password is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise ConsoleError(
                f"the password has {len(password)} characters, {SHORTEST} to {LONGEST} were expected",
                remedy="Take four or five words that do not belong together.",
            )
        with self._turn:
            return self._hasher.hash(password)

    def is_right(self, kept: str | None, password: str) -> bool:
        """Tell whether this is the password; where there is none to compare with, take as long to say no."""
        with self._turn:
            try:
                return self._hasher.verify(kept or self._nobodys, password[:LONGEST]) and kept is not None
            except (VerificationError, InvalidHashError):
                return False

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("the password of nobody")
