"""The last lines of the log, in memory, for the fleet to read: without the words that were said."""

import copy
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from edgeagent.logs import OWN_FIELDS, EventFormatter

MOST_LINES = 2_000
LONGEST_LINE = 1_000
"""Together 2 MB at most; a line has a tenth of it."""
SPOKEN = frozenset({"text", "slots", "choices", "why", "detail", "doubt", "payload", "allowed_by", "prompt", "when"})
"""Fields of records that repeat what was said."""


class LogLines(logging.Handler):
    """Keeps the last lines."""

    def __init__(self, *, with_words: bool = False) -> None:
        """Begin with none; fields that repeat what was said are left out unless `with_words`."""
        super().__init__(logging.INFO)
        self.setFormatter(EventFormatter())
        self._with_words = with_words
        self._lines: deque[tuple[float, str]] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's line."""
        try:
            line = self.format(record if self._with_words else _without_words(record))
        except Exception:  # noqa: BLE001  # the boundary that logging itself has: a bad record ends nothing
            self.handleError(record)
        else:
            self._lines.append((record.created, line[:LONGEST_LINE]))

    def since(self, created: float = 0.0, most: int = MOST_LINES) -> Sequence[str]:
        """Return the last lines with their times, the oldest first, from a time in seconds since 1970 on."""
        found = [(at, line) for at, line in self._lines.copy() if at >= created]
        return [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ} {line}" for at, line in found[-most:]]


@asynccontextmanager
async def kept(lines: LogLines) -> AsyncIterator[None]:
    """Keep what is logged while the block runs."""
    root = logging.getLogger()
    root.addHandler(lines)
    try:
        yield
    finally:
        root.removeHandler(lines)


def _without_words(record: logging.LogRecord) -> logging.LogRecord:
    if not SPOKEN & vars(record).keys():
        return record
    bare = copy.copy(record)
    for name in SPOKEN - OWN_FIELDS:
        vars(bare).pop(name, None)
    return bare
