"""Short tones that say what a sentence would: made here, played by a program of the sound system.

Rules: two notes each, rising for what goes on and falling for what ends; below 0.35 s, so that nobody waits for them.
"""

import array
import asyncio
import logging
import math
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeagent.answer.patterns import Pattern
from edgeagent.answer.quiet import is_quiet_now
from edgeagent.messages import Answer
from edgeagent.settings import AnswerSettings

log = logging.getLogger(__name__)

RATE_HZ = 22_050
LONGEST_S = 5.0
LOUDNESS = 0.25
_FADE_S = 0.012
"""Notes that begin or end at once click."""
_NOTES: Mapping[Pattern, tuple[tuple[float, float], ...]] = {
    "listening": ((587.3, 0.07), (880.0, 0.10)),
    "done": ((880.0, 0.08), (1174.7, 0.12)),
    "failed": ((440.0, 0.12), (311.1, 0.20)),
    "question": ((659.3, 0.10), (659.3, 0.06), (987.8, 0.14)),
}
"""Pitch in hertz and length in seconds of each note."""
_PLAYERS: Sequence[tuple[str, ...]] = (
    ("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "{rate}", "-"),
    ("paplay", "--raw", "--format=s16le", "--channels=1", "--rate={rate}"),
    ("pw-cat", "-p", "--format=s16", "--channels=1", "--rate={rate}", "-"),
)


@dataclass(frozen=True, slots=True)
class Player:
    """A program that plays 16-bit mono sound from its standard input."""

    command: tuple[str, ...]

    async def play(self, pcm: bytes, rate_hz: int) -> None:
        """Play it to its end. A program that fails or hangs is logged, and stops nothing."""
        command = [part.format(rate=rate_hz) for part in self.command]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            log.warning("cannot play", extra={"error": str(error)})
            return
        try:
            async with asyncio.timeout(LONGEST_S + len(pcm) / (2 * rate_hz)):
                await process.communicate(pcm)
        except TimeoutError:
            log.warning("playing took too long", extra={"program": command[0]})
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            elif process.returncode:
                log.warning("cannot play", extra={"program": command[0], "exit": process.returncode})


def installed_player() -> Player | None:
    """Return a player that is installed, or None."""
    return next((Player(command) for command in _PLAYERS if shutil.which(command[0])), None)


def tone(pattern: Pattern) -> bytes:
    """Return the tone of a pattern as 16-bit mono sound of RATE_HZ; nothing for one that has none."""
    samples = array.array("h")
    for pitch_hz, length_s in _NOTES.get(pattern, ()):
        count = round(length_s * RATE_HZ)
        fade = round(_FADE_S * RATE_HZ)
        for at in range(count):
            loud = LOUDNESS * min(1.0, at / fade, (count - 1 - at) / fade)
            samples.append(round(32_767 * loud * math.sin(2 * math.pi * pitch_hz * at / RATE_HZ)))
    return samples.tobytes()


class Tones:
    """Answers as tones, and one for the wake word. `deaf` is set while an answer sounds, not while somebody begins."""

    def __init__(self, player: Player, settings: AnswerSettings, deaf: threading.Event) -> None:
        """Keep what is needed to play."""
        self._player = player
        self._settings = settings
        self._deaf = deaf
        self._sounds = {pattern: tone(pattern) for pattern in _NOTES}
        self._playing: set[asyncio.Task[None]] = set()

    async def say(self, answer: Answer) -> None:
        """Play how it went."""
        pattern: Pattern = "failed" if answer.is_trouble else "question" if "?" in answer.text else "done"
        if pattern == "done" and (self._settings.only_trouble or is_quiet_now(self._settings)):
            return
        self._deaf.set()
        try:
            await self._player.play(self._sounds[pattern], RATE_HZ)
        finally:
            self._deaf.clear()

    def show(self, pattern: Pattern) -> None:
        """Play the tone of a wake word that was heard."""
        if pattern == "listening" and not is_quiet_now(self._settings):
            task = asyncio.get_running_loop().create_task(self._player.play(self._sounds[pattern], RATE_HZ))
            self._playing.add(task)
            task.add_done_callback(self._playing.discard)
