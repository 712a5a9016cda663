"""What a first boot is doing to words and signs: on the serial console, for systemd, as light, and spoken.

Rules:
    - Every line is for a person: what is being done, or what is wrong and what to do about it.
    - Standard output is the journal and the console (the unit says so): nothing else opens /dev/console.
    - Light and voice are extras. One that is absent, or fails, is left out, and stops nothing.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeagent.answer.patterns import Pattern, Sign
from edgeagent.answer.voice import Voice, voices_for
from edgeagent.errors import EdgeAgentError
from edgeagent.health import notify
from edgeagent.logs import printable, printable_lines
from edgeagent.messages import Answer
from edgeagent.provision.first_boot_rules import OFFLINE, Trouble
from edgeagent.settings import AnswerSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Teller:
    """Everything that tells. `line` takes a line of text, `supervisor` one for systemd."""

    line: Callable[[str], None]
    signs: Sequence[Sign] = ()
    voices: Sequence[Voice] = ()
    supervisor: Callable[[str], object] = notify

    def doing(self, text: str, pattern: Pattern = "thinking", *, spoken: bool = False) -> None:
        """Tell what is being done, or is done."""
        self.line(printable(text))
        self.supervisor(f"STATUS={printable(text)}")
        self._show(pattern)
        if spoken:
            self._say(text, is_trouble=False)

    def trouble(self, trouble: Trouble, *, is_new: bool = True) -> None:
        """Tell what stands in the way; it is spoken where only a person can help, and not at every try anew."""
        later = "" if trouble.is_final else " It is tried again."
        self.line(printable_lines(f"problem: {trouble.said}.{later}"))
        self.line(printable_lines(f"  try: {trouble.remedy}"))
        self.supervisor(f"STATUS={printable(trouble.said)}")
        self._show("offline" if trouble.code in OFFLINE else "failed")
        if trouble.is_final and is_new:
            self._say(f"Not enrolled: {trouble.said}.", is_trouble=True)

    def _show(self, pattern: Pattern) -> None:
        for sign in self.signs:
            try:
                sign.show(pattern)
            except (OSError, EdgeAgentError) as error:
                log.warning("no light", extra={"problem": str(error)})

    def _say(self, text: str, *, is_trouble: bool) -> None:
        answer = Answer("first-boot", text, is_trouble=is_trouble)
        for voice in self.voices:
            try:
                asyncio.run(voice.say(answer))
            except (OSError, EdgeAgentError) as error:
                log.warning("no voice", extra={"problem": str(error)})


def installed_voices() -> tuple[Voice, ...]:
    """Return what can speak here: espeak-ng, where it is installed, and tones."""
    try:
        return voices_for(AnswerSettings(earcons="beside"), threading.Event())
    except EdgeAgentError as error:
        log.warning("no voice", extra={"problem": str(error)})
        return ()
