"""Whether anybody is being served: what must not be interrupted. Pure.

Speech that is not for us does not count for long: a television would never let anything begin.
"""

from collections.abc import Callable

from edgeagent.messages import Rejection, Step, Transcript

SERVED_S = 10.0
"""After the last thing that was said, asked, done or answered."""
SPEECH_S = 1.0


class Idleness:
    """When something was last said or done. May be told from any thread. `clock` goes only forward, in seconds."""

    def __init__(self, clock: Callable[[], float], answer_within_s: float = SERVED_S) -> None:
        """Begin as somebody who has just been served, and may answer a question for so many seconds."""
        self._clock, self._served_s = clock, max(SERVED_S, answer_within_s)
        self._served = self._spoken = clock()

    def note(self, step: Step) -> None:
        """Note a step."""
        if isinstance(step, Rejection):
            return
        if isinstance(step, Transcript) and step.ended_by != "text":
            self._spoken = self._clock()
        else:
            self._served = self._clock()

    @property
    def is_idle(self) -> bool:
        """Tell whether nobody has been served for a while, and nobody speaks."""
        now = self._clock()
        return now - self._served >= self._served_s and now - self._spoken >= SPEECH_S
