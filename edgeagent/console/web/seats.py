"""How many pages with live news one user may have open: nobody takes the places of all others."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST_OF_A_USER = 40


class Seats:
    """Who has how many pages open. For the loop that serves them alone."""

    def __init__(self, most_of_a_user: int = MOST_OF_A_USER) -> None:
        """Begin with nobody."""
        self.most_of_a_user = most_of_a_user
        self._taken: Counter[str] = Counter()

    def has_one_for(self, user: str) -> bool:
        """Tell whether a user may open one more."""
        return self._taken[user] < self.most_of_a_user

    @contextmanager
    def taken(self, user: str) -> Iterator[None]:
        """Have one during the block."""
        self._taken[user] += 1
        try:
            yield
        finally:
            self._taken[user] -= 1
            self._taken += Counter()  # forgets who has none
