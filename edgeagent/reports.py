"""What this device tells its fleet: that it is there, and what it was asked and did; never what was said or heard."""

import time
import uuid
from collections.abc import Callable, Mapping

from edgeagent import __version__, topics
from edgeagent.messages import Command, Message, Outcome, Question, Rejection, Step
from edgeagent.settings import DeviceSettings


class Reports:
    """Makes the messages of this run of the program; they are numbered."""

    def __init__(
        self,
        settings: DeviceSettings,
        clock: Callable[[], float] = time.time,
        releases: Mapping[str, str] | None = None,
        *,
        muted: bool = False,
        about: Callable[[], Mapping[str, str | float]] = dict,
        with_words: bool = False,
    ) -> None:
        """Give this run a name. `clock` gives seconds since 1970; `releases` are versions by family.

        `about` tells what else belongs into a birth; what was said is told only `with_words`.
        """
        self._about, self._with_words = about, with_words
        self._releases = releases or {}
        self.address = topics.Address(settings.fleet, settings.id)
        self.boot = uuid.uuid4().hex[:12]
        self._sequence = 0
        self._muted = muted
        self._clock = clock

    @property
    def will(self) -> Message:
        """Return what the broker says for us when we are gone without a goodbye."""
        return topics.state(self.address, online=False, boot=self.boot, seq=0, reason="lost")

    def greetings(self) -> tuple[Message, ...]:
        """Return what is said first on every connection."""
        birth = topics.Birth(self.boot, __version__, sorted(topics.ORDERS), self._releases, self._about())
        return topics.birth(self.address, birth), self.state(online=True)

    def state(self, *, online: bool, reason: str = "", muted: bool | None = None) -> Message:
        """Return whether we are there, and whether the microphone is closed (None: as it was said last)."""
        self._muted = self._muted if muted is None else muted
        return topics.state(
            self.address,
            online=online,
            boot=self.boot,
            seq=self._next(),
            reason=reason,
            muted=self._muted,
            at_s=self._clock(),
        )

    def event(self, step: Step) -> Message | None:
        """Return the report of a step, or None for those that stay on the device."""
        if not isinstance(step, Command | Rejection | Question | Outcome):
            return None
        return topics.event(
            self.address,
            step,
            boot=self.boot,
            seq=self._next(),
            at_s=self._clock(),
            with_text=self._with_words,
        )

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence
