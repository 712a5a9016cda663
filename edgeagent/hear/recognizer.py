"""The seam behind which the speech engines stand: utterance in, partial transcripts and a final one out."""

from collections.abc import Iterator
from typing import Protocol

from edgeagent.grammar.acyclic import Acyclic
from edgeagent.hear.endpointing import Utterance
from edgeagent.messages import Transcript


class Recognizer(Protocol):
    """A speech engine. It reads `utterance.frames` itself, so it decodes while the person still speaks."""

    def use(self, sentences: Acyclic) -> None:
        """Expect these sentences from the next utterance on. Raise ModelError if they cannot be recognised."""
        ...

    def transcribe(self, utterance: Utterance) -> Iterator[Transcript]:
        """Yield what was heard so far, about once a frame, and at the end the final transcript with `ended_by`."""
        ...

    def freely(self, utterance: Utterance) -> tuple[Transcript, ...]:
        """Return what the utterance that was transcribed last says beyond the sentences, the likeliest way first.

        None where the recognizer cannot tell, or is not meant to take the time.
        """
        ...
