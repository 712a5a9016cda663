"""What is wrong with an image, a medium, or what shall be put on it."""

from edgeagent.errors import EdgeAgentError


class ImageError(EdgeAgentError):
    """An image cannot be read, changed or written: where, what was expected, and what was found."""
