"""The errors that edgeagent raises, by who can mend them; each carries what to do next in plain words."""


class EdgeAgentError(Exception):
    """Something broke that somebody can mend. `remedy` says what to do, in one sentence for a person."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Keep the message for the log and the remedy for the person."""
        super().__init__(message)
        self.remedy = remedy


class SettingsError(EdgeAgentError):
    """The owner's settings or command files are wrong: where, what was found, what was expected."""


class SoundError(EdgeAgentError):
    """The microphone or a sound file cannot be read."""


class BusError(EdgeAgentError):
    """The MQTT link cannot do what was asked: not connected, refused, or the message does not fit."""


class PayloadError(EdgeAgentError):
    """What came over the bus cannot be used: not JSON, out of bounds, or not what such a device says of itself."""


class ModelError(EdgeAgentError):
    """A model is missing, damaged, or does not fit this program."""


class UpdateError(EdgeAgentError):
    """An update went no further: `code` names where and why, for the fleet and for whoever searches for it."""

    def __init__(self, message: str, *, code: str, remedy: str = "") -> None:
        """Say what was expected and found; the code is a few words with hyphens."""
        super().__init__(message, remedy=remedy)
        self.code = code
