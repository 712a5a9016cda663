"""The two graphs that Vosk composes at run time: from sound to words, and from words to sentences.

Two rather than one HCLG.fst, for only then can a recognizer be given a grammar of its own. They have no look-ahead
(Kaldi's models are relabelled for it), which makes no difference at so few words.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tinyvosk.corpus import SILENCE, Lexicon
from tinyvosk.fst import EPSILON, Arc, Fst
from tinyvosk.phones import Phones, marked

UNKNOWN = "[unk]"
"""The word for other speech, as Vosk's grammars name it."""
_UNKNOWN_PHONE_COST = 3.0
"""What a phone of an unknown word costs beside its sound. Grammars at run time give [unk] no price of its own, so there
this alone decides between commands and other speech."""
_UNKNOWN_WORD_COST = 12.0
"""What an unknown word costs in the default grammar."""
_SEEN = 0.5
"""The share of the probability that is for words that were seen after the one before; Vosk's own is the same."""

Words = Mapping[str, int]


def sound_to_words(lexicon: Lexicon, phones: Phones, words: Words) -> Fst:
    """Return HCLr, transitions to words, with silence or none between words."""
    fst = Fst()
    before_word, after_word = fst.state(), fst.state()
    fst.final[before_word] = 0.0
    for source in (0, after_word):
        fst.skip(source, before_word, math.log(2))
        fst.skip(_through(fst, phones, source, SILENCE, cost=math.log(2)), before_word)
    for word, pronunciations in lexicon.items():
        for pronunciation in pronunciations:
            state = before_word
            for index, phone in enumerate(marked(pronunciation)):
                state = _through(fst, phones, state, phone, gives=EPSILON if index else words[word])
            fst.skip(state, after_word, math.log(len(pronunciations)))
    _add_unknown_words(fst, phones, words[UNKNOWN], before_word, after_word)
    return fst


def _add_unknown_words(fst: Fst, phones: Phones, word: int, before: int, after: int) -> None:
    """Let an unknown word be any two phones or more."""
    inside = fst.state()
    for phone in phones.unmarked:
        for source, mark, gives, to in (
            (before, "B", word, inside),
            (inside, "I", EPSILON, inside),
            (inside, "E", EPSILON, after),
        ):
            state = _through(fst, phones, source, f"{phone}_{mark}", gives=gives, cost=_UNKNOWN_PHONE_COST)
            fst.skip(state, to)


def _through(fst: Fst, phones: Phones, source: int, phone: str, *, gives: int = EPSILON, cost: float = 0.0) -> int:
    """Return the state after a phone, which is its leaving transition and then its loop.

    That is the order of Kaldi's `add-self-loops --reorder=true`, which Vosk's alignment of words expects.
    """
    after = fst.state()
    fst.arc(source, Arc(phones.leaving(phone), gives, cost, after))
    fst.arc(after, Arc(phones.staying(phone), EPSILON, 0.0, after))
    return after


def words_to_sentences(sentences: Sequence[Sequence[str]], words: Words) -> Fst:
    """Return Gr, the default grammar: a bigram model as Vosk's language_model.cc makes it of a grammar at run time.

    What was not seen after a word backs off, by an arc without a word, to the words on their own, in state 0.
    """
    followers: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for word, follower in zip(["", *sentence], [*sentence, ""], strict=True):
            followers[word][follower] += 1
            if word:
                followers[""][follower] += 1
    fst = Fst()
    state_after = {word: fst.state() if word else 0 for word in sorted(followers)}
    for word, seen in sorted(followers.items()):
        state = state_after[word]
        for follower, count in sorted(seen.items()):
            cost = -math.log(_SEEN * count / seen.total())
            if follower:
                fst.arc(state, Arc(words[follower], words[follower], cost, state_after[follower]))
            else:
                fst.final[state] = cost
        if word:
            fst.skip(state, 0, -math.log(1 - _SEEN))
    fst.arc(0, Arc(words[UNKNOWN], words[UNKNOWN], _UNKNOWN_WORD_COST, 0))
    return fst
