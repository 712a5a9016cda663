"""What somebody may: viewer, operator, admin, in one fleet or in all (`*`). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Level = Literal["viewer", "operator", "admin"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""Each may what those before it may: look; change; take devices, users and tokens of others in and out."""
EVERY_FLEET = "*"


def height(level: str | None) -> int:
    """Return a number that grows with what a level allows; 0 for none."""
    return LEVELS.index(level) + 1 if level in LEVELS else 0


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who is let in. `levels` by fleet; a program's token may allow less (`at_most`)."""

    user: str
    levels: Mapping[str, str] = field(default_factory=dict)
    at_most: str = "admin"
    session: str = ""
    """The hash of the session's secret; empty for a program."""
    since: float = 0.0
    """When they logged in."""
    csrf: str = ""
    """What its forms carry."""

    def height_in(self, fleet: str) -> int:
        """Return how much is allowed in a fleet: 0 is nothing."""
        most = max(height(self.levels.get(fleet)), height(self.levels.get(EVERY_FLEET)))
        return min(most, height(self.at_most))

    def may(self, level: Level, fleet: str) -> bool:
        """Tell whether this is allowed in a fleet."""
        return self.height_in(fleet) >= height(level)

    @property
    def is_program(self) -> bool:
        """Whether this came in by an API token."""
        return not self.session
