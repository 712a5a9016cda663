"""Answers to the person: spoken by Piper or espeak-ng where installed; they are printed as a step of the timeline.

Rules: trouble and questions are always said; in quiet hours, and where only trouble is wanted, nothing else is.
"""

import asyncio
import json
import logging
import shutil
import threading
from pathlib import Path
from typing import Protocol

from edgeagent.answer.earcons import Player, Tones, installed_player
from edgeagent.answer.quiet import is_quiet_now
from edgeagent.errors import SettingsError
from edgeagent.messages import Answer
from edgeagent.settings import AnswerSettings

log = logging.getLogger(__name__)

LONGEST_S = 20.0
LONGEST_LETTERS = 400
MOST_SOUND_BYTES = 16 << 20
"""Six minutes at 22 kHz: nothing that is said in 400 letters."""


class Voice(Protocol):
    """A way of telling the person something."""

    async def say(self, answer: Answer) -> None:
        """Give the answer; return when it has been given."""
        ...


class Spoken:
    """Answers by a program that reads text, one at a time. `deaf` is set meanwhile: we do not obey our own voice.

    With a `player` the program gives sound of `rate_hz` on its standard output, else it speaks by itself.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        settings: AnswerSettings,
        deaf: threading.Event,
        player: Player | None = None,
        rate_hz: int = 0,
    ) -> None:
        """Keep what is needed to speak."""
        self._command = command
        self._settings = settings
        self._deaf = deaf
        self._player = player
        self._rate_hz = rate_hz
        self._turn = asyncio.Lock()

    async def say(self, answer: Answer) -> None:
        """Speak it. A speech program that fails or hangs is logged, and never stops the agent."""
        if not self._is_wanted(answer):
            return
        async with self._turn:
            self._deaf.set()
            try:
                await self._speak(answer.text[:LONGEST_LETTERS])
            finally:
                self._deaf.clear()

    def _is_wanted(self, answer: Answer) -> bool:
        if answer.is_trouble or "?" in answer.text:  # unasked, nothing can be confirmed
            return True
        is_short = self._settings.only_trouble or self._settings.earcons == "instead"
        return not is_short and not is_quiet_now(self._settings)

    async def _speak(self, text: str) -> None:
        pipe, devnull = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=devnull if self._player is None else pipe, stderr=devnull
            )
        except OSError as error:
            log.warning("cannot speak", extra={"error": str(error)})
            return
        sound: bytes | None = None
        try:
            async with asyncio.timeout(LONGEST_S):
                sound, _ = await process.communicate(text.encode())
        except TimeoutError:
            log.warning("speech took too long", extra={"limit_s": LONGEST_S})
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            elif process.returncode:
                log.warning("cannot speak", extra={"exit": process.returncode})
        if self._player is not None and sound:
            await self._player.play(sound[:MOST_SOUND_BYTES], self._rate_hz)


def voices_for(settings: AnswerSettings, deaf: threading.Event) -> tuple[Voice, ...]:
    """Return the voices that are wanted and installed. Raise SettingsError if Piper is wanted and cannot speak."""
    tones = tones_for(settings, deaf)
    spoken = _spoken(settings, deaf)
    return tuple(voice for voice in (tones, spoken) if voice is not None)


def tones_for(settings: AnswerSettings, deaf: threading.Event) -> Tones | None:
    """Return the tones where they are wanted and a program can play them."""
    player = installed_player() if settings.earcons != "off" else None
    if player is None and settings.earcons != "off":
        log.warning("no tones: none of aplay, paplay and pw-cat is installed")
    return None if player is None else Tones(player, settings, deaf)


def _spoken(settings: AnswerSettings, deaf: threading.Event) -> Spoken | None:
    if settings.speech == "off":
        return None
    if settings.speech == "piper" or (settings.speech == "auto" and settings.piper_voice is not None):
        return _piper(settings, deaf)
    program = shutil.which("espeak-ng")
    return None if program is None else Spoken((program, "-v", settings.voice, "--stdin"), settings, deaf)


def _piper(settings: AnswerSettings, deaf: threading.Event) -> Spoken:
    voice, program, player = settings.piper_voice, shutil.which("piper"), installed_player()
    if voice is None or not voice.is_file():
        raise SettingsError(
            f"{voice or 'no piper_voice'}: there is no such voice",
            remedy="Set [answering] piper_voice to the .onnx file of a voice; its .onnx.json lies beside it.",
        )
    if program is None or player is None:
        missing = "piper" if program is None else "aplay"
        raise SettingsError(f"{missing} is not installed", remedy="pip install piper-tts; apt-get install alsa-utils.")
    return Spoken((program, "--model", str(voice), "--output-raw"), settings, deaf, player, _rate_of(voice))


def _rate_of(voice: Path) -> int:
    """Return the samples a second of a Piper voice, from the file beside it."""
    path = voice.with_name(f"{voice.name}.json")
    try:
        rate = json.loads(path.read_bytes()[: 1 << 20])["audio"]["sample_rate"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path}: no sample_rate can be read", remedy="Download the voice again, both files."
        ) from error
    if not isinstance(rate, int) or not 8_000 <= rate <= 48_000:  # noqa: PLR2004 - what sound cards play
        raise SettingsError(
            f"{path}: audio.sample_rate is {rate!r:.20}", remedy="Download the voice again, both files."
        )
    return rate
