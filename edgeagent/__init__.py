"""edgeagent: speak a command to a device, offline, and see it done."""

from datetime import UTC, datetime

__version__ = "0.1.0"
BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""This program is not older: a clock that shows an earlier time is wrong."""
