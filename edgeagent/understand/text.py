"""Typed text to a transcript, as if it had been heard word by word."""

from edgeagent.grammar.spoken import spell_out
from edgeagent.messages import Transcript, Word


def typed(utterance: str, text: str) -> Transcript:
    """Return the transcript of a typed sentence: numbers spelled out, punctuation dropped, at most 65 words."""
    return Transcript(utterance, tuple(Word(word, 0.0, 0.0) for word in spell_out(text)), 0.0, ended_by="text")
