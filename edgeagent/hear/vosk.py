"""Utterances to transcripts by Vosk, recommended where a model is installed; the only importer of its library.

Two recognitions run over the same sound: one by the grammar, and one by the model's own open vocabulary. Vosk makes a
grammar into a bigram model of its phrases and gives each of its words a confidence of 1.0 even on other speech, so the
words alone prove nothing: what the open vocabulary did not hear is doubted. The open one also is what `freely` tells.

A result may come before the end (Vosk has an ear of its own for pauses), and times go on counting from utterance to
utterance; both are taken care of here, since `endpointing` is the one that says when an utterance has ended.
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeagent.edits import edits
from edgeagent.errors import ModelError
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.covering import covering
from edgeagent.hear.endpointing import Utterance
from edgeagent.hear.vosk_folder import check
from edgeagent.messages import FRAME_S, SAMPLE_RATE_HZ, Transcript, Word

log = logging.getLogger(__name__)

UNKNOWN = "[unk]"
ALTERNATIVES = 3
_SHOWN_WORDS = 8


class VoskRecognizer:
    """A Vosk model with the sentences of the house."""

    def __init__(self, folder: Path, sentences: Acyclic) -> None:
        """Open the model. Raise ModelError if it or the library cannot be used, or if it knows no word of ours."""
        self._words_known = check(folder)
        vosk = _library()
        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(str(folder))
        except Exception as error:  # the library raises no other
            raise ModelError(f"{folder}: Vosk cannot open this model", remedy="Fetch or import it again.") from error
        self._vosk = vosk
        self._open = _Hearing(vosk.KaldiRecognizer(self._model, SAMPLE_RATE_HZ), alternatives=ALTERNATIVES)
        self._free: tuple[Transcript, ...] = ()
        self.use(sentences)

    def use(self, sentences: Acyclic) -> None:
        """Expect these sentences from the next utterance on; words that the model does not know are left out."""
        lacking = self._words_known.missing({word for arcs in sentences.arcs for word in arcs})
        if lacking:
            log.warning("the model does not know %s", ", ".join(sorted(lacking)[:_SHOWN_WORDS]))
        known = self._words_known.words
        sayable = tuple({word: after for word, after in arcs.items() if word in known} for arcs in sentences.arcs)
        phrases = [" ".join(phrase) for phrase in covering(Acyclic(sayable, sentences.final))]
        if not phrases:  # libvosk ends the process at a grammar without words
            raise ModelError(
                "the model knows no whole sentence of the grammar",
                remedy="Take one of the commands' language: edgeagent model fetch vosk-small-en.",
            )
        phrases += [UNKNOWN] if UNKNOWN in known else []
        try:
            heard = self._vosk.KaldiRecognizer(self._model, SAMPLE_RATE_HZ, json.dumps(phrases))
        except Exception as error:
            remedy = "Install a model with a graph of two parts (HCLr.fst, Gr.fst), as the small ones have."
            raise ModelError("Vosk's model takes no grammar", remedy=remedy) from error
        self._closed = _Hearing(heard)

    def transcribe(self, utterance: Utterance) -> Iterator[Transcript]:
        """Yield partial transcripts, then the final one."""
        heard_s = 0.0
        for hearing in (self._closed, self._open):
            hearing.begin()
        for frame in utterance.frames:
            heard_s += FRAME_S
            self._open.hear(frame)
            words = _known(self._closed.hear(frame))
            yield Transcript(utterance.id, words, heard_s, utterance.began_s)
        words = self._closed.end()
        ended_by = utterance.ended_by or "silence"
        openly = self._open.end_with_alternatives()
        self._free = tuple(
            Transcript(utterance.id, _known(way.words), heard_s, utterance.began_s, _support(way, openly), ended_by)
            for way in openly
        )
        sureness = _sureness(words, openly[0].words if openly else ())
        yield Transcript(utterance.id, _known(words), heard_s, utterance.began_s, sureness, ended_by)

    def freely(self, utterance: Utterance) -> tuple[Transcript, ...]:
        """Return what the utterance, heard last, says by the model's open vocabulary, the likeliest way first."""
        return tuple(way for way in self._free if way.utterance == utterance.id)


class _Hearing:
    """One of Vosk's recognisers: words in seconds since the utterance's beginning."""

    def __init__(self, recognizer: Any, alternatives: int = 0) -> None:
        recognizer.SetWords(enable_words=True)
        if alternatives:
            recognizer.SetMaxAlternatives(alternatives)
        self._recognizer = recognizer
        self._fed_s = 0.0
        self._began_s = 0.0
        self._done: list[Word] = []
        self._seen_s: list[float] = []

    def begin(self) -> None:
        self._recognizer.FinalResult()  # after Reset() alone, the last of an abandoned sound is heard again
        self._began_s = self._fed_s
        self._done = []
        self._seen_s = []

    def hear(self, frame: bytes) -> tuple[Word, ...]:
        """Take a frame; return the words so far."""
        self._fed_s += FRAME_S
        if self._recognizer.AcceptWaveform(frame):
            self._done += self._best(self._recognizer.Result())
            self._seen_s = []
        return (*self._done, *self._partial(json.loads(self._recognizer.PartialResult()).get("partial", "")))

    def end(self) -> tuple[Word, ...]:
        """Return the words of the utterance."""
        return (*self._done, *self._best(self._recognizer.FinalResult()))

    def end_with_alternatives(self) -> "tuple[_Way, ...]":
        """Return the ways to hear the utterance, the likeliest first."""
        rest: Sequence[Mapping[str, Any]] = json.loads(self._recognizer.FinalResult()).get("alternatives") or ({},)
        best = max(float(one.get("confidence", 0.0)) for one in rest)
        odds = [math.exp(float(one.get("confidence", 0.0)) - best) for one in rest]
        ways = [
            _Way((*self._done, *self._words(one.get("result", ()))), odd / sum(odds))
            for one, odd in zip(rest, odds, strict=True)
        ]
        return tuple(way for way in ways if way.words)

    def _partial(self, text: str) -> tuple[Word, ...]:
        """Return words without times of their own: with times, Vosk tells a short command only when it is over.

        A word ends at the latest when it is first seen.
        """
        words = text.split()
        now_s = self._fed_s - self._began_s
        self._seen_s = (self._seen_s + [now_s] * len(words))[: len(words)]
        starts_s = [0.0, *self._seen_s]
        return tuple(Word(word, starts_s[at], self._seen_s[at]) for at, word in enumerate(words))

    def _best(self, result: str) -> Sequence[Word]:
        told = json.loads(result)
        return self._words(next(iter(told.get("alternatives") or ()), told).get("result", ()))

    def _words(self, result: Sequence[Mapping[str, Any]]) -> tuple[Word, ...]:
        return tuple(
            Word(
                one["word"],
                max(0.0, one["start"] - self._began_s),
                max(0.0, one["end"] - self._began_s),
                float(one.get("conf", 1.0)),
            )
            for one in result
        )


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to hear an utterance, and its chance among the ways that are told."""

    words: tuple[Word, ...]
    chance: float


def _support(way: _Way, ways: Sequence[_Way]) -> float:
    """Return 0..1: how far all ways agree with this one, each by its chance."""
    return sum(other.chance * _agreement(way.words, other.words) for other in ways)


def _agreement(one: Sequence[Word], other: Sequence[Word]) -> float:
    away = edits([word.text for word in one], [word.text for word in other])
    return max(0.0, 1 - away / max(len(one), len(other), 1))


def _known(words: Sequence[Word]) -> tuple[Word, ...]:
    return tuple(word for word in words if word.text != UNKNOWN)


def _mean(words: Sequence[Word]) -> float:
    known = _known(words)
    return sum(word.confidence for word in known) / len(words) if known else 0.0


def _sureness(words: Sequence[Word], openly: Sequence[Word]) -> float:
    """Return 0..1: how far both recognitions agree, times how sure the grammar's is of its words.

    Words that are unknown count as heard by neither.
    """
    known = _known(words)
    return _agreement(known, openly) * _mean(words) if known else 0.0


def _library() -> Any:
    try:
        import vosk  # noqa: PLC0415  # an extra, whose import takes a second
    except ImportError as error:
        remedy = 'pip install "edgeagent[vosk]", or set [hearing] recognizer = "pocketsphinx".'
        raise ModelError(f"vosk is not installed: {error}", remedy=remedy) from error
    except OSError as error:
        lacking = "libatomic1" if "libatomic" in str(error) else "the library that is named"
        raise ModelError(f"vosk does not start: {error}", remedy=f"sudo apt-get install {lacking}") from error
    return vosk
