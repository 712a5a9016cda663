"""Words to their pronunciations in the phones of the recognizer's dictionary.

The rules, in this order: the dictionary and our own list of words; British spellings by the American ones;
abbreviations letter by letter; two words written as one; and a guess by a model learned from the dictionary. A doubtful
word gets more than one pronunciation, since the recognizer may use whichever fits. How good the guesses are is told in
`edgeagent.hear.learn_pronunciation`.
"""

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from edgeagent.errors import ModelError
from edgeagent.grammar.spoken import spell_out
from edgeagent.hear import letters
from edgeagent.hear.letters import LetterModel, Phones

_DATA = Path(__file__).parent / "data"
MODEL = _DATA / "letters.gz"
OWN_WORDS = _DATA / "words.txt"
"""Names of makes and things, abbreviations, and how people say some words beside the dictionary's ways: "off" with the
vowel of "on", "light on" with a flapped t. On 73 spoken home commands these two take the wrong ones from 8 to 2."""

MOST_WAYS = 4
LONGEST_WORD = 40
"""Letters; a longer one is not a word, and is not pronounced."""
LIKELY = 1.5
"""A second guess is worth trying if it is at most this much (in nats) less likely than the first."""
_SHORTEST_PART = 3
_SPELLED_UP_TO = 3
"""A word as short as this that the dictionary lacks may be an abbreviation."""
_RESPELLINGS = (("tre", "ter"), ("tres", "ters"), ("our", "or"), ("ours", "ors"), ("ise", "ize"), ("ised", "ized"))
_VOWELS = re.compile("[aeiouy]")


class Pronunciations:
    """The dictionary, mapped into memory and searched in place, and what helps with words that it lacks."""

    def __init__(
        self,
        dictionary: Path | None = None,
        own_words: Path = OWN_WORDS,
        model: Path = MODEL,
        owners: Mapping[str, tuple[Phones, ...]] = MappingProxyType({}),
    ) -> None:
        """Open the dictionary (None: the one that comes with the recognizer). Raise ModelError if it cannot be read.

        `owners` are the ways that the owner has taught, which come before all others.
        """
        self._owners = owners
        self._dictionary = _map(dictionary_path() if dictionary is None else dictionary)
        self._own_path, self._model_path = own_words, model

    def __call__(self, word: str) -> tuple[Phones, ...]:
        """Return the ways to pronounce a word, the usual one first; none if it has no letters or too many.

        Raise ModelError if the model is needed and damaged.
        """
        parts = spell_out(word[: LONGEST_WORD + 1])
        if len(word) > LONGEST_WORD or not parts:
            return ()
        if len(parts) == 1:
            return self._ways(parts[0])
        return (tuple(phone for part in parts for phone in self._ways(part)[0]),)

    def known(self, word: str) -> tuple[Phones, ...]:
        """Return the ways in which the dictionary pronounces a lower-case word; none if it lacks it."""
        wanted, text = word.encode(), self._dictionary
        low, high = 0, len(text)
        while low < high:  # the first line whose word is not before the wanted one
            start = text.rfind(b"\n", 0, (low + high) // 2) + 1
            end = _line_end(text, start)
            if _word(text[start:end]) < wanted:
                low = end + 1
            else:
                high = start
        return tuple(_same(text, low, wanted))

    def _ways(self, word: str) -> tuple[Phones, ...]:
        """Return all ways, by the first rule that has one; a short or joined word is guessed at too."""
        listed = (*self._owners.get(word, ()), *self.known(word), *self._own.get(word, ()))
        found = listed or self._respelled(word)
        if found:
            return _different(found)
        spelled = tuple(phone for letter in word if letter != "'" for phone in self.known(f"{letter}.")[0])
        if not _VOWELS.search(word):
            return (spelled,)
        guesses = self._model.guess(word, 2)
        likely = [guess.phones for guess in guesses if guess.log_probability > guesses[0].log_probability - LIKELY]
        if len(word) <= _SPELLED_UP_TO:
            likely.append(spelled)
        return _different([*self._joined(word), *likely])

    def _respelled(self, word: str) -> tuple[Phones, ...]:
        for ours, theirs in _RESPELLINGS:
            if word.endswith(ours):
                return self.known(word.removesuffix(ours) + theirs)
        return ()

    def _joined(self, word: str) -> Iterator[Phones]:
        """Yield the ways to say a word as two of the dictionary, split as evenly as can be."""
        places = range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1)
        for at in sorted(places, key=lambda place: abs(2 * place - len(word))):
            heads, tails = self.known(word[:at]), self.known(word[at:])
            if heads and tails and _VOWELS.search(word[:at]) and _VOWELS.search(word[at:]):
                yield from (head + tails[0] for head in heads[:2])
                return

    @cached_property
    def _model(self) -> LetterModel:
        return letters.load(self._model_path)

    @cached_property
    def _own(self) -> dict[str, tuple[Phones, ...]]:
        own: dict[str, tuple[Phones, ...]] = {}
        for word, phones in entries(self._own_path):
            own[word] = (*own.get(word, ()), phones)
        return own


@lru_cache(maxsize=1)
def _usual() -> Pronunciations:
    return Pronunciations()


def pronounce(word: str) -> tuple[Phones, ...]:
    """Return the ways to pronounce a word by the recognizer's own dictionary, opened when first needed."""
    return _usual()(word)


def dictionary_path() -> Path:
    """Return where the recognizer keeps its dictionary, without importing it. Raise ModelError if it is not there."""
    found = find_spec("pocketsphinx")
    if found is None or found.origin is None:
        raise ModelError("pocketsphinx is not installed", remedy="Install edgeagent anew: pocketsphinx belongs to it.")
    return Path(found.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"


def entries(path: Path) -> Iterator[tuple[str, Phones]]:
    """Yield the (word, phones) pairs of a dictionary in order. Raise ModelError if it cannot be read."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {error}", remedy="Install edgeagent anew.") from error
    for line in text.splitlines():
        if line:
            yield _word(line.encode()).decode(), tuple(line.split()[1:])


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}", remedy="Install pocketsphinx anew.") from error


def _line_end(text: mmap.mmap, start: int) -> int:
    end = text.find(b"\n", start)
    return len(text) if end < 0 else end


def _word(line: bytes) -> bytes:
    """Return the word of a dictionary's line, "read" of "read(2) R IY D"."""
    return line.split(b" ", 1)[0].split(b"(", 1)[0]


def _same(text: mmap.mmap, start: int, wanted: bytes) -> Iterator[Phones]:
    while start < len(text):
        end = _line_end(text, start)
        line = text[start:end]
        if _word(line) != wanted:
            return
        yield tuple(line.decode().split()[1:])
        start = end + 1


def _different(ways: Iterable[Phones]) -> tuple[Phones, ...]:
    return tuple(dict.fromkeys(ways))[:MOST_WAYS]
