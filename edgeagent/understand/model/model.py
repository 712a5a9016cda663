"""The command model: a bundle and a runtime to what a sentence is taken for, exit by exit."""

import gzip
import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeagent.errors import ModelError
from edgeagent.understand.model.bundle import Bundle, ExitEntry, LabelEntry, Manifest
from edgeagent.understand.model.decode import Span, Tagging, probabilities
from edgeagent.understand.model.gazetteer import Marks
from edgeagent.understand.model.segments import Floats, RawOffer, Segments
from edgeagent.understand.model.wordpieces import WordPieces

IMPOSSIBLE = np.float32(-1e4)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an exit takes a sentence for.

    `chance` is how probable the label is, `command_chance` that it is any command at all, `slot_chance` how sure the
    least sure word's tag is, `likeness` how near its features are to those of that label, -1..1. `rival` is the next
    command, with its probability.
    """

    exit: int
    label: LabelEntry
    chance: float
    command_chance: float
    slot_chance: float
    likeness: float
    spans: tuple[Span, ...]
    rival: tuple[LabelEntry, float] | None
    features: Floats


class CommandModel:
    """A model that is ready to be asked."""

    def __init__(self, bundle: Bundle, segments: Segments) -> None:
        """Take the parts. Raise ModelError if a file of the bundle is missing or damaged."""
        self.manifest: Manifest = bundle.manifest
        self._segments = segments
        self._pieces = WordPieces(bundle.read(self.manifest.vocabulary).decode("utf-8").splitlines())
        self._tagging = Tagging(self.manifest.tags, [label.tags for label in self.manifest.labels])
        self._commands = np.array([label.intent is not None for label in self.manifest.labels], np.float32)
        self._prototypes, classes = prototypes_of(bundle)
        self._of_label = by_label(self._prototypes, classes, len(self.manifest.labels))
        self._bundle = bundle

    def opinions(
        self, words: Sequence[str], marks: Marks, possible: NDArray[np.bool_] | None = None
    ) -> Iterator[Opinion]:
        """Yield what each exit takes a sentence of at least one word for; the next one is computed only when asked.

        `possible` tells which labels can be meant here (`possible_labels`); None: all.
        """
        offer = self._segments.first(self._pieces(words), marks)
        features = offer.features
        for number, entry in enumerate(self.manifest.exits, start=1):
            yield self._opinion(number, entry, offer, features, possible)
            if offer.hidden is not None and number < len(self.manifest.exits):
                offer = self._segments.later(number, offer.hidden)

    def phrases(self) -> list[str]:
        """Return the wordings that the model was taught, with places for names in braces; none if it has none."""
        packed = self.manifest.phrases
        return [] if packed is None else gzip.decompress(self._bundle.read(packed)).decode("utf-8").splitlines()

    @property
    def golden_texts(self) -> list[str]:
        """Return the sentences of the self-test; none where the model has no self-test."""
        if self.manifest.golden is None:
            return []
        return [str(one["text"]) for one in json.loads(self._bundle.read(self.manifest.golden))["sentences"]]

    @property
    def background(self) -> Floats:
        """Return features of all that the model was taught, [prototypes, width], each of length 1."""
        width = 1 if self._prototypes is None else self._prototypes.shape[1]
        return np.zeros((0, width), np.float32) if self._prototypes is None else self._prototypes

    def possible_labels(self, intents: Collection[str]) -> NDArray[np.bool_]:
        """Return which labels can be meant where only these intents have a sentence; no command always can."""
        return np.array([one.intent is None or one.intent in intents for one in self.manifest.labels])

    def _opinion(
        self, number: int, entry: ExitEntry, offer: RawOffer, features: Floats, possible: NDArray[np.bool_] | None
    ) -> Opinion:
        logits = offer.labels if possible is None else np.where(possible, offer.labels, IMPOSSIBLE)
        chances = probabilities(logits, entry.temperature)
        best = int(chances.argmax())
        if not math.isfinite(chances[best]):  # one that is no number makes all of them so
            raise ModelError("the model computes no numbers", remedy="Install the model again.")
        spans, slot_chance = self._tagging(offer.tags, best)
        return Opinion(
            number,
            self.manifest.labels[best],
            float(chances[best]),
            float(chances @ self._commands),
            slot_chance,
            self._likeness(features, best),
            spans,
            self._rival(chances, best),
            features,
        )

    def _rival(self, chances: Floats, best: int) -> tuple[LabelEntry, float] | None:
        others = chances * self._commands
        others[best] = 0.0
        second = int(others.argmax())
        return (self.manifest.labels[second], float(others[second])) if others[second] > 0 else None

    def _likeness(self, features: Floats, label: int) -> float:
        return likeness_of(self._of_label[label], features)


def likeness_of(prototypes: Floats | None, features: Floats) -> float:
    """Return how near features are to the nearest prototype of a label, -1..1; 1 where a model has none."""
    if prototypes is None:
        return 1.0
    length = math.sqrt(features @ features)
    return float((prototypes @ features).max() / length) if len(prototypes) and length else -1.0


def by_label(prototypes: Floats | None, classes: NDArray[np.int64], count: int) -> list[Floats | None]:
    """Return the prototypes of each label; None for all where a model has none."""
    return [None if prototypes is None else prototypes[classes == label] for label in range(count)]


def prototypes_of(bundle: Bundle) -> tuple[Floats | None, NDArray[np.int64]]:
    """Return the prototypes of a bundle, each of length 1, and the label of each."""
    scope = bundle.manifest.scope
    if scope.prototypes is None:
        return None, np.zeros(0, np.int64)
    raw = np.frombuffer(bundle.read(scope.prototypes), np.int8)
    if not scope.labels or len(raw) % len(scope.labels):
        raise ModelError(f"{bundle.folder / scope.prototypes}: not of the length that the manifest says")
    rows = raw.reshape(len(scope.labels), -1).astype(np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(norms, 1e-6), np.array(scope.labels)
