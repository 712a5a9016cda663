"""Answers to the person: spoken by espeak-ng where it is installed; they are printed as a step of the timeline."""

import asyncio
import logging
import shutil
import threading
from typing import Protocol

from edgeagent.messages import Answer
from edgeagent.settings import AnswerSettings

log = logging.getLogger(__name__)

LONGEST_S = 20.0
LONGEST_LETTERS = 400


class Voice(Protocol):
    """A way of telling the person something."""

    async def say(self, answer: Answer) -> None:
        """Give the answer; return when it has been given."""
        ...


class Spoken:
    """Answers by espeak-ng, one at a time. `deaf` is set meanwhile: we do not obey our own voice."""

    def __init__(self, program: str, settings: AnswerSettings, deaf: threading.Event) -> None:
        """Keep what is needed to speak."""
        self._command = (program, "-v", settings.voice, "--stdin")
        self._only_trouble = settings.only_trouble
        self._deaf = deaf
        self._turn = asyncio.Lock()

    async def say(self, answer: Answer) -> None:
        """Speak it. A speech program that fails or hangs is logged, and never stops the agent."""
        if self._only_trouble and not (answer.is_trouble or "?" in answer.text):  # unasked, nothing can be confirmed
            return
        async with self._turn:
            self._deaf.set()
            try:
                await self._speak(answer.text[:LONGEST_LETTERS])
            finally:
                self._deaf.clear()

    async def _speak(self, text: str) -> None:
        devnull = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=devnull, stderr=devnull
            )
        except OSError as error:
            log.warning("cannot speak", extra={"error": str(error)})
            return
        try:
            async with asyncio.timeout(LONGEST_S):
                await process.communicate(text.encode())
        except TimeoutError:
            log.warning("speech took too long", extra={"limit_s": LONGEST_S})
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            elif process.returncode:
                log.warning("cannot speak", extra={"exit": process.returncode})


def voices_for(settings: AnswerSettings, deaf: threading.Event) -> tuple[Voice, ...]:
    """Return the spoken voice where it is wanted and espeak-ng is installed."""
    program = shutil.which("espeak-ng") if settings.speech == "auto" else None
    return () if program is None else (Spoken(program, settings, deaf),)
