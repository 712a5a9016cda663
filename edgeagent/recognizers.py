"""The recognizer that the settings name, ready to listen."""

from edgeagent.grammar.acyclic import Acyclic
from edgeagent.hear.pocketsphinx import PocketsphinxRecognizer
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.hear.recognizer import Recognizer
from edgeagent.settings import AgentSettings


def recognizer_of(settings: AgentSettings, sentences: Acyclic) -> Recognizer:
    """Load the recognizer for these sentences. Raise ModelError if it cannot be, or if a word cannot be pronounced."""
    del settings  # the choice is made here
    return PocketsphinxRecognizer(sentences, Pronunciations())
