"""The language model is one: probabilities add up, and pocketsphinx's form of ARPA files is kept."""

from itertools import product
from pathlib import Path

import pocketsphinx
import pytest

from edgeagent.hear.ngram import arpa

SENTENCES = [tuple(one.split()) for one in ("turn on the lamp", "turn off the lamp", "turn on the fan", "lamp on")]


def read(text: str) -> tuple[dict[tuple[str, ...], float], dict[tuple[str, ...], float]]:
    """Return logarithms of chances and of weights, by words."""
    chances, weights = {}, {}
    for line in text.splitlines():
        if "\t" in line:
            chance, words, *weight = line.split("\t")
            chances[tuple(words.split())] = float(chance)
            if weight:
                weights[tuple(words.split())] = float(weight[0])
    return chances, weights


def chance(words: tuple[str, ...], text: str) -> float:
    chances, weights = read(text)
    factor = 0.0
    while words not in chances:
        factor += weights.get(words[:-1], 0.0)
        words = words[1:]
    return 10 ** (factor + chances[words])


def test_what_may_follow_any_two_words_adds_up_to_one() -> None:
    text = arpa(SENTENCES)
    vocabulary = sorted({word for one in SENTENCES for word in one} | {"</s>"})
    for before in [*product(vocabulary[1:], repeat=2), ("<s>", "turn"), ("on", "the")]:
        assert sum(chance((*before, word), text) for word in vocabulary) == pytest.approx(1, abs=0.002)


def test_what_was_said_often_is_likelier() -> None:
    text = arpa(SENTENCES)
    assert (
        chance(("<s>", "turn", "on"), text)
        > chance(("<s>", "turn", "off"), text)
        > chance(("<s>", "turn", "fan"), text)
    )


def test_pocketsphinx_takes_it(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(arpa(SENTENCES * 10))
    decoder = pocketsphinx.Decoder(lm=None, dict=None, loglevel="FATAL")
    for word, phones in {"turn": "T ER N", "on": "AA N", "off": "AO F", "lamp": "L AE M P"}.items():
        decoder.add_word(word, phones, update=False)
    decoder.add_lm("free", pocketsphinx.NGramModel(decoder.config, decoder.logmath, str(tmp_path / "lm.arpa")))
    decoder.activate_search("free")
    assert decoder.current_search() == "free"
