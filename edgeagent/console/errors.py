"""What can go wrong in the console, by who can mend it."""

from edgeagent.errors import EdgeAgentError


class ConsoleError(EdgeAgentError):
    """The console cannot do what was asked: what was found, what was expected; `remedy` says what to do."""


class AwayError(ConsoleError):
    """The database cannot be used now: away, full, locked. The same may work later; nothing was written."""
