"""What the board refuses: a profile that is wrong, a board that cannot run this, hardware that is not there."""

from edgeagent.errors import EdgeAgentError


class BoardError(EdgeAgentError):
    """The hardware, or what describes it, does not do: what was expected, what was found, what to do."""
