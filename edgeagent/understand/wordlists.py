"""Lists of words and phrases as they are written in a source file."""

from edgeagent.grammar.spoken import Phrase


def words_in(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def phrases_in(text: str) -> tuple[Phrase, ...]:
    """Return the phrases of a text, which "|" separates, in their order."""
    return tuple(tuple(one.split()) for one in text.split("|"))
