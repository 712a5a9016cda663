"""A tiny but real speech model for Vosk, from numpy and espeak-ng alone: in tests/, `python -m tinyvosk.build DIR`.

espeak-ng speaks the vocabulary, a small network learns its phones, and what Vosk opens is written in Kaldi's formats:

    am/final.mdl                    transitions and network (acoustic.py)
    conf/mfcc.conf, model.conf      options; without `endpoint.silence-phones` Vosk aborts the process
    graph/HCLr.fst, Gr.fst          sound to words, words to sentences (graphs.py)
    graph/words.txt                 the numbers of the words
    graph/disambig_tid.int          a transition that no arc has; Vosk insists on the file
    graph/phones/word_boundary.int  the places of phones in words; without it the times of words are poor

The model understands synthetic speech alone: in the plain voice all phrases, of another synthesiser few.
"""

import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from tinyvosk import features
from tinyvosk.acoustic import final_mdl
from tinyvosk.corpus import OTHER_SPEECH, PHRASES, SILENCE, WORDS, make_corpus
from tinyvosk.graphs import UNKNOWN, sound_to_words, words_to_sentences
from tinyvosk.network import train
from tinyvosk.phones import Phones, marked_phones, outputs_of

log = logging.getLogger(__name__)

UTTERANCES = 1800
BATCHES = 6500
SEED = 1
FRAMES_PER_STEP = 3
"""Vosk takes 30 ms for a step of the network whatever the options say: with another number its times are wrong."""


def build(folder: Path) -> None:
    """Write the model into a folder, which is made."""
    random = np.random.default_rng(SEED)
    corpus = make_corpus(UTTERANCES, random)
    outputs = outputs_of(corpus.lexicon)
    numbers = {phone: outputs.index(phone) for phone in outputs}
    labels = [np.array([numbers.get(phone, numbers[OTHER_SPEECH]) for phone in row]) for row in corpus.phones]
    log.info("%d utterances, %.0f s, %d phones", len(labels), sum(map(len, labels)) / 100, len(outputs))
    parameters = train(corpus.features, labels, phones=len(outputs), batches=BATCHES, random=random)
    counts = np.bincount(np.concatenate(labels), minlength=len(outputs))
    phones = marked_phones(outputs, corpus.lexicon)
    words = {word: number for number, word in enumerate(sorted([UNKNOWN, *WORDS]), 1)}
    sentences = [phrase.split() for phrase in PHRASES] + 2 * [[word] for word in WORDS]
    files = {
        "am/final.mdl": final_mdl(phones, parameters, counts / counts.sum()),
        "conf/mfcc.conf": _lines(features.OPTIONS),
        "conf/model.conf": _lines(_model_options(phones)),
        "graph/HCLr.fst": sound_to_words(corpus.lexicon, phones, words).written(sort_by="gives"),
        "graph/Gr.fst": words_to_sentences(sentences, words).written(sort_by="takes"),
        "graph/words.txt": _table(words),
        "graph/disambig_tid.int": _lines([str(2 * len(phones.names) + 1)]),
        "graph/phones/word_boundary.int": _lines(f"{number} {place}" for number, place in phones.places()),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _model_options(phones: Phones) -> list[str]:
    return [
        "--min-active=200",
        "--max-active=3000",
        "--beam=13.0",
        "--lattice-beam=6.0",
        "--acoustic-scale=0.4",
        f"--frame-subsampling-factor={FRAMES_PER_STEP}",
        f"--endpoint.silence-phones={phones.numbers[SILENCE]}",
        "--endpoint.rule2.min-trailing-silence=0.5",
        "--endpoint.rule3.min-trailing-silence=0.75",
        "--endpoint.rule4.min-trailing-silence=1.0",
    ]


def _table(numbers: Mapping[str, int]) -> bytes:
    """Return a symbol table; `#0` stands where Kaldi has the symbols that tell homophones apart."""
    symbols = ["<eps>", *numbers, "#0"]
    return _lines(f"{symbol} {number}" for number, symbol in enumerate(symbols))


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build(Path(sys.argv[1]))
