"""What was heard before in the same sound, and what it says about what follows. Pure.

Two things are told by it: what goes on without a pause is the rest of a sentence that was cut, and what is much quieter
than the person who gave an order a moment ago is somebody else, or noise.
"""

from edgeagent.messages import Transcript

BREATH_S = 0.25
"""Between two sentences a person pauses longer than this, from the last word to the first."""
FARTHER_DB = 10.0
"""So much quieter than the last order, it is not the same person at the same place."""
STILL_SPEAKING_S = 6.0
"""After an order, this long its loudness is what an order is measured by."""


class Before:
    """Remembers the last utterance, and the last order."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._spoke_until_s = float("-inf")
        self._ordered_at_s = float("-inf")
        self._order_db: float | None = None

    def objection(self, transcript: Transcript) -> str:
        """Return in words why a final transcript is not an order of its own; empty if nothing speaks against it."""
        if not transcript.words:
            return ""
        begins_s = transcript.began_s + transcript.words[0].start_s
        if begins_s - self._spoke_until_s < BREATH_S:
            return "it goes on without a pause from a sentence before"
        quieter_db = (self._order_db or 0.0) - (transcript.level_db or 0.0)
        is_known = self._order_db is not None and transcript.level_db is not None
        if is_known and begins_s - self._ordered_at_s < STILL_SPEAKING_S and quieter_db > FARTHER_DB:
            return f"it is {quieter_db:.0f} dB quieter than the order before"
        return ""

    def note(self, transcript: Transcript, *, is_order: bool) -> None:
        """Take note of a final transcript, and whether it was one that is obeyed."""
        if transcript.ended_by == "cap":  # whoever spoke may speak on
            self._spoke_until_s = transcript.began_s + transcript.heard_s
        elif transcript.words:
            self._spoke_until_s = transcript.began_s + transcript.words[-1].end_s
        if is_order:
            self._ordered_at_s = transcript.began_s + transcript.heard_s
            self._order_db = transcript.level_db
