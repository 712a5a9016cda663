"""Utterances to transcripts by pocketsphinx, the embedded recognizer; the only importer of its library.

What makes it good, each measured on 150 spoken orders of real people (`edgeagent evaluate speech`):
- `bestpath` off: the result is immediate, and more accurate than after its search through the lattice;
- the channel's mean (cepstral mean normalisation) is taken from the start of each utterance, not from what an earlier
  speaker left behind: 74 % -> 99 %;
- wide beams (the search costs little with a grammar), and a language weight below the usual one;
- a phone loop over the same sound, which every sentence has to compete with (`hear/sureness.py`).

What the grammar does not explain can be recognized again with the house's language model of free speech (`freely`).
pocketsphinx holds the interpreter's lock while it decodes, so it gets one frame at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import pocketsphinx

from edgeagent.errors import ModelError
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.hear.endpointing import IsSpeech, Utterance
from edgeagent.hear.ngram import words_of
from edgeagent.hear.path import Heard, UtteranceSound, otherwise, spoken_part
from edgeagent.hear.phone_loop import PhoneLoop, log_score
from edgeagent.hear.sureness import Sure, sureness
from edgeagent.messages import FRAME_S, SAMPLE_RATE_HZ, Frame, Transcript

Pronounce = Callable[[str], Sequence[Sequence[str]]]
"""A word to its pronunciations in the phones of the CMU dictionary; none if it has no letters."""

Effort = Literal["accurate", "light"]

MEAN_FROM_S = 1.0
"""How much sound the channel's mean is estimated on before the search starts; with less, short words suffer."""
ALTERNATIVES, LOOKED_AT = 3, 24
"""How many other ways to hear free speech are told, and among how many paths they are looked for: many say the same."""
_ALWAYS: Mapping[str, Any] = {"lm": None, "dict": None, "bestpath": False, "loglevel": "FATAL"}
_SEARCH: Mapping[Effort, Mapping[str, Any]] = {
    "accurate": {"topn": 8, "ds": 1, "lw": 3.0, "beam": 1e-60, "wbeam": 1e-40, "pbeam": 1e-60},
    "light": {"topn": 4, "ds": 2, "lw": 3.0, "beam": 1e-42, "wbeam": 1e-28, "pbeam": 1e-42, "maxhmmpf": 2000},
}
_PHONES: Mapping[str, Any] = {"topn": 4, "ds": 1, "lw": 2.0, "beam": 1e-40, "pbeam": 1e-20, "allphone_ci": True}
_FREE: Mapping[str, Any] = {"topn": 4, "ds": 1, "beam": 1e-60, "wbeam": 1e-40}


def speech_detector(mode: int) -> IsSpeech:
    """Return WebRTC's detector; mode 0 lets most through, 3 least. It looks at 30 of each frame's 32 ms."""
    detector = pocketsphinx.Vad(mode=mode, sample_rate=SAMPLE_RATE_HZ, frame_length=0.03)
    wanted = detector.frame_bytes

    def is_speech(frame: Frame) -> bool:
        return bool(detector.is_speech(frame[:wanted]))

    return is_speech


class PocketsphinxRecognizer:
    """The embedded recognizer: its acoustic model and dictionary come with the package."""

    def __init__(
        self, sentences: Acyclic, pronounce: Pronounce, effort: Effort = "accurate", sure: Sure = sureness
    ) -> None:
        """Load the model and the sentences; `sure` judges what is heard. Raise ModelError if a word is unspeakable.

        The decoder learns only the words of the grammar: its whole dictionary would cost 22 MB and 0.16 s.
        """
        self._sure = sure
        self._effort: Effort = effort
        self._loop = _phone_loop() if effort == "accurate" else None
        self._decoder: Any = None
        self._free: Any = None
        self._heard: UtteranceSound | None = None
        self._pronounce = pronounce
        self.use(sentences)

    def pronounce_by(self, pronounce: Pronounce) -> None:
        """Expect the sentences' words to be said like this, from the next utterance on.

        Raise ModelError, with everything as before, if a word cannot be pronounced.
        """
        before, self._pronounce = self._pronounce, pronounce
        try:
            self.use(self._sentences)
        except ModelError:
            self._pronounce = before
            raise

    def use(self, sentences: Acyclic) -> None:
        """Expect these sentences from the next utterance on. Raise ModelError if a word cannot be pronounced.

        The decoder is a new one, and the old one ends first: it could neither forget a word nor give memory back. Arcs
        that states have in common are not shared by arcs without a word: it would save a third of the memory, but the
        search then finds worse paths, also without any beams, and loses last words.
        """
        ways = self._ways({word for arcs in sentences.arcs for word in arcs})
        self._sentences = sentences
        self._decoder = None
        end = len(sentences.arcs)
        arcs = [
            (state, after, 1.0, word) for state, leaving in enumerate(sentences.arcs) for word, after in leaving.items()
        ]
        ends = [(state, end, 1.0) for state in sentences.final]
        try:
            decoder = pocketsphinx.Decoder(**_ALWAYS, **_SEARCH[self._effort])
            _learn(decoder, ways)
            decoder.add_fsg("commands", decoder.create_fsg("commands", 0, end, arcs + ends))
            decoder.activate_search("commands")
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"pocketsphinx does not take the grammar: {error}") from error
        self._decoder = decoder

    def use_free_speech(self, model: Path) -> None:
        """Have `freely` recognize by this language model (ARPA). Raise ModelError if it cannot be read."""
        decoder = pocketsphinx.Decoder(**_ALWAYS, **_FREE)
        try:
            _learn(decoder, self._ways(filter(self._pronounce, words_of(model.read_text("utf-8")))))
            decoder.add_lm("free", pocketsphinx.NGramModel(decoder.config, decoder.logmath, str(model)))
            decoder.activate_search("free")
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"pocketsphinx does not take the language model: {error}") from error
        self._free = decoder

    def transcribe(self, utterance: Utterance) -> Iterator[Transcript]:
        """Yield partial transcripts, then the final one."""
        self._heard = None
        opening = _take(utterance.frames, MEAN_FROM_S)
        if not opening:
            yield Transcript(utterance.id, (), 0.0, utterance.began_s, 0.0, utterance.ended_by or "silence")
            return
        decoder = self._decoder
        sound = UtteranceSound(_mean_of(decoder, opening), self._loop, self._sure)
        decoder.start_utt()
        path: tuple[Heard, ...] = ()
        try:
            for number, frame in enumerate(chain(opening, utterance.frames), start=1):
                decoder.process_raw(frame)
                sound.hear(frame)
                if number < len(opening):
                    continue
                path = _path(decoder)
                yield Transcript(utterance.id, sound.words(path), sound.heard_s, utterance.began_s)
        finally:
            decoder.end_utt()
            sound.end()
        if decoder.hyp() is None:  # it ends in the middle of a sentence
            final: tuple[Heard, ...] = ()
        else:
            final = _path(decoder)
        final = final or spoken_part(self._sentences, path, sound)
        self._heard = sound
        yield sound.transcript(utterance, final or path, is_sentence=bool(final))

    def freely(self, utterance: Utterance) -> tuple[Transcript, ...]:
        """Return what the utterance, heard last, says by the language model of free speech; none without one."""
        sound, decoder = self._heard, self._free
        if sound is None or decoder is None:
            return ()
        decoder.set_cmn(sound.mean)
        decoder.start_utt()
        decoder.process_raw(b"".join(sound.frames), full_utt=False)
        decoder.end_utt()
        path = _path(decoder)
        if not path:
            return ()
        best = sound.transcript(utterance, path, is_sentence=True)
        paths = islice(decoder.nbest() or (), LOOKED_AT)
        others = (tuple(one.hypstr.split()) for one in paths if one is not None)  # None where it has no words
        return (best, *(otherwise(best, words) for words in _different(best, others)))

    def _ways(self, words: Iterable[str]) -> dict[str, Sequence[Sequence[str]]]:
        ways = {word: self._pronounce(word) for word in sorted(words)}
        silent = next((word for word, found in ways.items() if not found), None)
        if silent is not None:
            remedy = "Spell it with letters of the English alphabet."
            raise ModelError(f"{silent!r} cannot be pronounced", remedy=remedy)
        return ways


def _learn(decoder: Any, ways: Mapping[str, Sequence[Sequence[str]]]) -> None:
    for word, found in ways.items():
        for number, phones in enumerate(found, start=1):
            decoder.add_word(word if number == 1 else f"{word}({number})", " ".join(phones), update=False)


def _phone_loop() -> PhoneLoop:
    decoder = pocketsphinx.Decoder(**_ALWAYS, **_PHONES)
    decoder.add_allphone_file("phones", None)
    decoder.activate_search("phones")
    return PhoneLoop(decoder)


def _mean_of(decoder: Any, opening: Sequence[Frame]) -> str:
    """Return the channel's mean over the sound, and have the decoder use it."""
    decoder.start_utt()
    decoder.process_raw(b"".join(opening), no_search=True, full_utt=True)
    decoder.end_utt()
    mean = str(decoder.get_cmn(update=False))
    decoder.set_cmn(mean)
    return mean


def _path(decoder: Any) -> tuple[Heard, ...]:
    """Return the words of the best path so far, without silences and other fillers."""
    return tuple(
        Heard(segment.word.split("(")[0], segment.start_frame, segment.end_frame + 1, log_score(segment.ascore))
        for segment in decoder.seg() or ()
        if segment.word[0] not in "<[(+" and segment.end_frame > segment.start_frame
    )


def _different(best: Transcript, others: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the first few ways that are not the best one, each once."""
    first = tuple(word.text for word in best.words)
    return [words for words in dict.fromkeys(others) if words and words != first][:ALTERNATIVES]


def _take(frames: Iterator[Frame], seconds: float) -> list[Frame]:
    taken = []
    for frame in frames:
        taken.append(frame)
        if len(taken) * FRAME_S >= seconds:
            break
    return taken
