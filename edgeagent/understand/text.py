"""Typed text to a transcript, as if it had been heard word by word."""

from edgeagent.grammar.spoken import is_readable, spell_out
from edgeagent.messages import Transcript, Word

UNREADABLE = "?"
"""The first word of a transcript whose text held something that cannot be read: what is left of it is no command."""


def typed(utterance: str, text: str) -> Transcript:
    """Return the transcript of a typed sentence: numbers spelled out, punctuation dropped, at most 65 words."""
    words = spell_out(text) if is_readable(text) else (UNREADABLE, *spell_out(text))
    return Transcript(utterance, tuple(Word(word, 0.0, 0.0) for word in words), 0.0, ended_by="text")
