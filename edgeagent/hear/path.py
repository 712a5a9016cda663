"""What a decoder's path over an utterance is worth: its words with their scores, over sound whose loudness is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeagent.edits import edits
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.hear.endpointing import Utterance
from edgeagent.hear.level import level_db
from edgeagent.hear.phone_loop import PhoneLoop
from edgeagent.hear.sureness import Sure, room_and_voice_db, sureness
from edgeagent.messages import FRAME_S, Frame, Transcript, Word

DECODER_FRAME_S = 0.01
LOOP_USUALLY = -14.0
"""The phone loop's mean score of a frame on real orders, for who saves its time."""
UNSPOKEN_DB = 8.0
"""A word that is so much quieter than those before it was not said."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A word on the decoder's path: its first frame, the frame after its last, and the sum of its frames' scores."""

    text: str
    start: int
    end: int
    score: float


class UtteranceSound:
    """The sound of one utterance: its frames, how loud they are, and how well any phones fit them."""

    def __init__(self, mean: str, loop: PhoneLoop | None, sure: Sure = sureness) -> None:
        """Begin an utterance; `mean` is the channel's, as the decoders take it, and `sure` judges the words."""
        self._sure = sure
        self.mean = mean
        self.frames: list[Frame] = []
        self._levels_db: list[float] = []
        self._loop = loop
        if loop is not None:
            loop.begin(mean)

    @property
    def heard_s(self) -> float:
        """Return how much sound there is by now."""
        return len(self.frames) * FRAME_S

    def hear(self, frame: Frame) -> None:
        """Take the next frame."""
        self.frames.append(frame)
        self._levels_db.append(level_db(frame))
        if self._loop is not None:
            self._loop.hear(frame)

    def end(self) -> None:
        """End it: from now on transcripts can be asked for."""
        if self._loop is not None:
            self._loop.end()

    def level_db(self, path: Sequence[Heard]) -> float:
        """Return how loud these words are."""
        return room_and_voice_db(self._levels_db, _frames_of(path))[1]

    def words(self, path: Sequence[Heard]) -> tuple[Word, ...]:
        """Return the words of a path that may still change."""
        return tuple(Word(one.text, one.start * DECODER_FRAME_S, one.end * DECODER_FRAME_S) for one in path)

    def transcript(self, utterance: Utterance, path: Sequence[Heard], *, is_sentence: bool) -> Transcript:
        """Return the final transcript; what is no sentence of the grammar is not sure at all."""
        room_db, voice_db = room_and_voice_db(self._levels_db, _frames_of(path))
        above_db = voice_db - room_db
        frames = sum(one.end - one.start for one in path)
        words = tuple(
            Word(
                one.text,
                one.start * DECODER_FRAME_S,
                one.end * DECODER_FRAME_S,
                self._sure(self._fit((one,)), above_db, frames),
            )
            for one in path
        )
        sure = self._sure(self._fit(path), above_db, frames) if is_sentence else 0.0
        return Transcript(
            utterance.id,
            words,
            self.heard_s,
            utterance.began_s,
            sure,
            utterance.ended_by or "silence",
            voice_db if path else None,
        )

    def _fit(self, path: Sequence[Heard]) -> float:
        """Return by how much worse the words fit the sound than any phones do, in the mean of their frames."""
        frames = sum(one.end - one.start for one in path)
        if not frames:
            return 0.0
        own = sum(one.score for one in path)
        loop = (
            LOOP_USUALLY * frames if self._loop is None else sum(self._loop.score(one.start, one.end) for one in path)
        )
        return (own - loop) / frames


def spoken_part(sentences: Acyclic, path: Sequence[Heard], sound: UtteranceSound) -> tuple[Heard, ...]:
    """Return the sentence that a path begins with, if all that was heard after it is as quiet as the room.

    In noise the search goes on from the last word into a "with" or an "and" that nobody says.
    """
    state, length = 0, 0
    for number, one in enumerate(path, start=1):
        state = sentences.arcs[state].get(one.text, -1)
        if state < 0:
            return ()
        if state in sentences.final:
            length = number
    voice_db = sound.level_db(path[:length])
    is_quiet = all(sound.level_db((one,)) < voice_db - UNSPOKEN_DB for one in path[length:])
    return tuple(path[:length]) if length and is_quiet else ()


def otherwise(best: Transcript, words: Sequence[str]) -> Transcript:
    """Return another way to hear the same: as sure as the best one as far as both agree, and at about its times."""
    agreed = 1 - edits(words, [word.text for word in best.words]) / max(len(words), len(best.words))
    placed = [best.words[min(at, len(best.words) - 1)] for at in range(len(words))]
    said = tuple(replace(place, text=text) for text, place in zip(words, placed, strict=True))
    return replace(best, words=said, confidence=best.confidence * max(0.0, agreed))


def _frames_of(path: Sequence[Heard]) -> list[int]:
    """Return the numbers of the sound's frames (32 ms) in which the words are, once for each of the decoder's."""
    return [int(frame * DECODER_FRAME_S / FRAME_S) for one in path for frame in range(one.start, one.end)]
