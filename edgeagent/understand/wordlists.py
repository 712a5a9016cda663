"""Lists of words and phrases as they are written in a source file."""

from collections.abc import Iterable, Iterator, Sequence

from edgeagent.grammar.spoken import Phrase


def words_in(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def phrases_in(text: str) -> tuple[Phrase, ...]:
    """Return the phrases of a text, which "|" separates, in their order."""
    return tuple(tuple(one.split()) for one in text.split("|"))


class Phrases:
    """Phrases that are looked for in sentences, the longest first."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        """Sort them by their first words."""
        self._by_first: dict[str, list[Phrase]] = {}
        for one in sorted(phrases, key=len, reverse=True):
            if one:
                self._by_first.setdefault(one[0], []).append(one)

    def at(self, words: Phrase, place: int) -> Phrase | None:
        """Return the longest phrase that stands at a place; None if none does."""
        return next(
            (one for one in self._by_first.get(words[place], ()) if words[place : place + len(one)] == one), None
        )

    def found(self, words: Sequence[str]) -> Iterator[tuple[int, Phrase]]:
        """Yield where phrases stand, and which."""
        said = tuple(words)
        for place, word in enumerate(said):
            for one in self._by_first.get(word, ()):
                if said[place : place + len(one)] == one:
                    yield place, one
                    break

    def places(self, words: Sequence[str]) -> set[int]:
        """Return the places of words that are part of a phrase."""
        return {place + offset for place, one in self.found(words) for offset in range(len(one))}
