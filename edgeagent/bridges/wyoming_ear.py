"""Other people's sound to a sentence: one recognizer for all of them, one utterance at a time.

Our own endpointing ends the utterance, while the client may still be sending. What is given back is a sentence that
the commands have, so that another program can understand it; speech that is none of them gives nothing.
"""

import asyncio
import queue
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from edgeagent.bridges.canonical import canonical
from edgeagent.errors import EdgeAgentError
from edgeagent.hear.waking import SILENCE
from edgeagent.listening import Listening
from edgeagent.messages import FRAME_BYTES, FRAME_S, Command, Frame, Rejection, Step, Transcript
from edgeagent.pipeline import Heard
from edgeagent.settings import AgentSettings, WakingSettings
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed

WAIT_S = 5.0
"""How long a client waits for another one's utterance to end."""
LONGEST_S = 60.0
"""The most sound of one request."""
WORDLESS_S = 10.0
"""Sound without a word in it for this long ends the request: others wait."""
TRAILING_FRAMES = 8
"""Silence after sound that ends with the last word, which the recognizer would cut otherwise."""
NO_SENTENCE_S = 0.6
"""What is shorter, and no command, is a cough or the rest of a wake word; the person has not begun yet."""


class Sound:
    """What one client sends, cut into frames: written in the event loop, read by the recognizer's thread."""

    def __init__(self) -> None:
        """Start with no sound."""
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._rest = b""
        self._room = round(LONGEST_S / FRAME_S)
        self.is_over = False
        self.has_words = False

    def write(self, pcm: bytes) -> None:
        """Take 16 kHz mono 16-bit sound of any length; what comes after the end, or beyond the longest, is dropped."""
        if self.is_over:
            return
        whole = self._rest + pcm
        end = len(whole) - len(whole) % FRAME_BYTES
        for at in range(0, end, FRAME_BYTES):
            self._frames.put(whole[at : at + FRAME_BYTES])
            self._room -= 1
            if self._room <= 0:
                self.end()
                return
        self._rest = whole[end:]

    def end(self) -> None:
        """Say that no more comes."""
        if self.is_over:
            return
        self.is_over = True
        if self._rest:
            self._frames.put(self._rest.ljust(FRAME_BYTES, b"\0"))
        for _ in range(TRAILING_FRAMES):
            self._frames.put(SILENCE)
        self._frames.put(None)

    def frames(self) -> Generator[Frame, None, None]:
        """Yield the sound to its end, or until there was no word in it for too long; waits for what is to come."""
        wordless = 0
        while (frame := self._frames.get()) is not None:
            yield frame
            wordless += 1
            if not self.has_words and wordless * FRAME_S >= WORDLESS_S:
                return


class Settled:
    """The words of partial transcripts that do not change any more, for who cannot take words back."""

    def __init__(self) -> None:
        """Start before the first word."""
        self._before: list[str] = []
        self._given = 0

    def more(self, transcript: Transcript) -> str:
        """Return the words that this transcript and the one before agree on, but for its last; each only once."""
        words = [word.text for word in transcript.words]
        agreed = 0
        while agreed < min(len(words) - 1, len(self._before)) and words[agreed] == self._before[agreed]:
            agreed += 1
        self._before = words
        fresh, is_first = words[self._given : agreed], self._given == 0
        self._given = max(self._given, agreed)
        return "".join(f" {word}" for word in fresh).removeprefix(" " if is_first else "")


class Ear:
    """A recognizer for other people's sound, loaded when it is first needed."""

    def __init__(self, settings: AgentSettings, current: Callable[[], Interpreter]) -> None:
        """Keep what it is made of. No wake word is waited for: whoever sends sound has heard one."""
        self._settings = settings.model_copy(update={"waking": WakingSettings()})
        self._current = current
        self._turn = asyncio.Lock()
        self._listening: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()

    async def loaded(self) -> Listening:
        """Return the listening side as soon as somebody has needed it."""
        return await asyncio.shield(self._listening)

    async def hear(self, sound: Sound, partial: Callable[[Transcript], None]) -> str:
        """Return the first sentence in the sound, "" if there is none; `partial` gets what was heard so far.

        Raise EdgeAgentError if somebody else is being heard for too long, or the recognizer cannot be loaded.
        """
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turn.acquire()
        except TimeoutError:
            raise EdgeAgentError("busy: somebody else is being heard", remedy="Try again.") from None
        try:
            return await self._hear(sound, partial)
        finally:
            self._turn.release()

    async def _hear(self, sound: Sound, partial: Callable[[Transcript], None]) -> str:
        loop = asyncio.get_running_loop()

        def report(step: Step) -> None:
            if isinstance(step, Transcript):
                sound.has_words = sound.has_words or bool(step.words)
                loop.call_soon_threadsafe(partial, step)

        if not self._listening.done():
            self._listening.set_result(await asyncio.to_thread(Listening, self._settings, self._current))
        listening = self._listening.result()
        work = asyncio.ensure_future(asyncio.to_thread(_first_sentence, listening, sound, self._current, report))
        try:
            return await asyncio.shield(work)
        finally:
            sound.end()
            await asyncio.wait([work])  # the recognizer is free only when its thread has left it
            if not work.cancelled():
                work.exception()  # who was cancelled does not ask for it


def _first_sentence(
    listening: Listening, sound: Sound, current: Callable[[], Interpreter], report: Callable[[Step], None]
) -> str:
    frames = sound.frames()
    with closing(frames), closing(_all_heard(listening, frames, report)) as all_heard:
        for heard in all_heard:
            if not _is_noise(heard):
                return sentence_of(heard, current())
    return ""


def _all_heard(
    listening: Listening, frames: Iterator[Frame], report: Callable[[Step], None]
) -> Generator[Heard, None, None]:
    yield from listening.hear(frames, report)


def _is_noise(heard: Heard) -> bool:
    words = heard.transcript.words
    is_short = not words or words[-1].end_s - words[0].start_s < NO_SENTENCE_S
    return is_short and isinstance(heard.interpretation, Rejection)


def sentence_of(heard: Heard, interpreter: Interpreter) -> str:
    """Return what was said as a sentence for others, or nothing.

    What the grammar has stays as it was said, with names as the registry has them; what was understood beyond it is
    said plainly, where we know how. What was hardly heard is nothing: who reads the sentence cannot know, and would not
    ask. What is doubtful by its words alone is doubtful to them, too.
    """
    found = heard.interpretation
    if not isinstance(found, Command):
        return ""
    if found.doubt:
        read = interpreter.interpret(typed(found.utterance, heard.transcript.text))
        if not isinstance(read, Command) or not read.doubt:
            return ""
    is_plain = bool(interpreter.automaton.parse(found.text.split()))
    if not is_plain and len(found.parts) == 1 and (plainly := canonical(found, interpreter.automaton)):
        return plainly
    text = f" {found.text} "
    for slot in (slot for part in found.parts for slot in part.slots):
        if slot.name in {"name", "area"} and slot.text and slot.value != "here":
            text = text.replace(f" {slot.text} ", f" {slot.value} ", 1)
    return text.strip()
