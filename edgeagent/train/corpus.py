"""A recipe to the sentences of its training and validation, as numbers."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.grammar.commands import CommandSet
from edgeagent.train.examples import OUTSIDE, Example, from_templates, read_jsonl, read_lines
from edgeagent.train.noise import disturbed
from edgeagent.train.places import load_names, random_place
from edgeagent.train.recipe import Recipe, Source, Templates
from edgeagent.understand.model.gazetteer import FEATURES, Marks
from edgeagent.understand.model.labels import OUT_OF_SCOPE, Label, parse_label
from edgeagent.understand.model.wordpieces import WordPieces

LONGEST = 30
"""A longer sentence of a training set is cut."""
IGNORED = -100
NOT_USED_TO_JUDGE = 10
_AREA_BEGINS, _AREA_GOES_ON = FEATURES.index("area-begins"), FEATURES.index("area-goes-on")
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences, and what they are labelled with. `plain` are those of `train` before they were disturbed."""

    plain: tuple[Example, ...]
    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    labels: tuple[Label, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Sentences as numbers: per sentence the ids and marks of its words, its tags and label (IGNORED: not known)."""

    words: list[tuple[str, ...]]
    ids: list[NDArray[np.int32]]
    marks: list[Marks]
    tags: list[NDArray[np.int64]]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def plus(self, other: "Encoded") -> "Encoded":
        """Return the sentences of both."""
        labels = np.concatenate([self.labels, other.labels])
        return Encoded(
            self.words + other.words, self.ids + other.ids, self.marks + other.marks, self.tags + other.tags, labels
        )


def gather(recipe: Recipe, beside: Path, sources: Path, report: Report) -> Corpus:
    """Return the sentences of a recipe: templates lie `beside` it, data sets in the folder `sources`.

    Raise SettingsError if a file is missing or wrong, or if there is nothing to learn from.
    """
    random_ = random.Random(recipe.seed)
    train: list[Example] = []
    valid: list[Example] = []
    negatives: set[str] = {OUT_OF_SCOPE}
    for source in recipe.sources:
        mapped = list(_from_file(source, sources, random_, negatives))
        parts = {"train": (mapped, []), "valid": ([], mapped), "both": (mapped[1:], [])}
        if source.use == "both":
            random_.shuffle(mapped)
            cut = len(mapped) // NOT_USED_TO_JUDGE
            parts["both"] = (mapped[cut:], mapped[:cut])
        train += parts[source.use][0]
        valid += parts[source.use][1]
        report(f"{source.file}: {len(mapped)} sentences")
    if recipe.templates is not None:
        made, kept = _from_places(recipe.templates, beside, random_, report)
        negatives |= {
            one.label for one in (*made, *kept) if one.label.startswith(recipe.templates.negatives or ("\0",))
        }
        train += made
        valid += kept
    if not train:
        raise SettingsError("the recipe names no sentences", remedy="Add templates or sources.")
    plain = tuple(train)
    asides = _asides(recipe, beside)
    train = [disturbed(one, random_, recipe.learning.noise, asides) for one in train]
    train = [_without_names(one) if random_.random() < recipe.learning.unknown_names else one for one in train]
    names = sorted({one.label for one in train})
    labels = tuple(Label(name, None, {}) if name in negatives else parse_label(name) for name in names)
    tags = sorted({tag for one in train for tag in one.tags or ()} - {OUTSIDE})
    both = sorted({f"{mark}-{tag[2:]}" for tag in tags for mark in "BI"})
    return Corpus(plain, tuple(train), tuple(valid), labels, (OUTSIDE, *both))


def encode(examples: Iterable[Example], corpus: Corpus, pieces: WordPieces) -> Encoded:
    """Return sentences as numbers. One whose label is not known counts as out of scope where there is such a label."""
    label_of = {label.name: number for number, label in enumerate(corpus.labels)}
    tag_of = {tag: number for number, tag in enumerate(corpus.tags)}
    out = Encoded([], [], [], [], np.zeros(0, np.int64))
    labels = []
    for example in examples:
        words = example.words[:LONGEST]
        number = label_of.get(example.label, label_of.get(OUT_OF_SCOPE, -1))
        if number < 0:
            continue
        labels.append(number)
        out.words.append(words)
        out.ids.append(pieces(words))
        out.marks.append(
            np.zeros((len(words), len(FEATURES)), np.uint8) if example.marks is None else example.marks[:LONGEST]
        )
        tags = [IGNORED] * len(words) if example.tags is None else [tag_of.get(tag, IGNORED) for tag in example.tags]
        out.tags.append(np.array(tags[:LONGEST], np.int64))
    return replace(out, labels=np.array(labels, np.int64))


def encode_unlabelled(sentences: Iterable[tuple[str, ...]], pieces: WordPieces) -> Encoded:
    """Return sentences as numbers of which nobody knows label or tags: for a teacher to tell about."""
    words = [one[:LONGEST] for one in sentences if one]
    return Encoded(
        words,
        [pieces(one) for one in words],
        [np.zeros((len(one), len(FEATURES)), np.uint8) for one in words],
        [np.full(len(one), IGNORED, np.int64) for one in words],
        np.full(len(words), IGNORED, np.int64),
    )


def _from_file(source: Source, folder: Path, random_: random.Random, negatives: set[str]) -> Iterator[Example]:
    rows = list(read_jsonl(folder / source.file))
    if source.most is not None and len(rows) > source.most:
        rows = random_.sample(rows, source.most)
    stem = source.called or source.file.rsplit("/", 1)[-1].split(".")[0]
    for row in rows:
        if row.label in source.labels:
            label = source.labels[row.label]
            if label is not None:
                yield _mapped(replace(row, label=label), source)
        elif source.is_negative:
            name = f"{stem} {source.collapse or row.label}"
            negatives.add(name)
            yield replace(row, label=name, tags=None)
        else:
            yield _mapped(replace(row, label=source.collapse or row.label), source)


def _mapped(row: Example, source: Source) -> Example:
    """Return a row with our slots for theirs; a word of a slot that nobody knows is not learned from."""
    tags = row.tags
    if source.slots is not None and tags is not None:
        renamed = []
        for tag in tags:
            ours = source.slots.get(tag[2:]) if tag != OUTSIDE else ""
            renamed.append(OUTSIDE if ours == "" else f"{tag[:2]}{ours}" if ours else "?")
        tags = tuple(renamed)
    slots = source.words.get(row.label)
    if slots:
        before = tags or (OUTSIDE,) * len(row.words)
        tags = tuple(f"B-{slots[word]}" if word in slots else tag for word, tag in zip(row.words, before, strict=True))
    if tags is None or not any(tag[2:] == "area" for tag in tags):
        return replace(row, tags=tags)
    marks = np.zeros((len(tags), len(FEATURES)), np.uint8)
    for place, tag in enumerate(tags):
        if tag[2:] == "area":
            marks[place, _AREA_BEGINS if tag[0] == "B" else _AREA_GOES_ON] = 1
    return replace(row, tags=tags, marks=marks)


def _without_names(example: Example) -> Example:
    if example.marks is None:
        return example
    marks = example.marks.copy()
    marks[:, [place for place, feature in enumerate(FEATURES) if feature != "number"]] = 0
    return replace(example, marks=marks)


def _from_places(
    wanted: Templates, beside: Path, random_: random.Random, report: Report
) -> tuple[list[Example], list[Example]]:
    stock = load_names(beside / wanted.names)
    loaded = [commands.load(beside / file) for file in wanted.files]
    everything = commands.merge([commands.built_in(wanted.built_in), *loaded])
    kept = _every(everything, wanted.held_out_every)
    made = CommandSet(
        tuple(one for one in everything.templates if id(one) not in {id(two) for two in kept.templates}),
        everything.lists,
        everything.rules,
    )
    train: list[Example] = []
    valid: list[Example] = []
    for number in range(wanted.homes + wanted.plants):
        is_plant = number >= wanted.homes
        lists = random_place(stock, random_, is_plant=is_plant)
        train += from_templates(made, lists, wanted.per_intent, random_, wanted.counts)
        if number % 4 == 0:
            few = {start: min(count, 3) for start, count in wanted.counts.items()}
            valid += from_templates(kept, lists, 3, random_, few)
        report(f"place {number + 1} of {wanted.homes + wanted.plants}: {len(train)} sentences of templates")
    return train, valid


def _asides(recipe: Recipe, beside: Path) -> list[tuple[str, ...]]:
    if recipe.templates is None or recipe.templates.asides is None:
        return []
    lines = (line.strip() for line in read_lines(beside / recipe.templates.asides))
    return [tuple(line.split()) for line in lines if line and not line.startswith("#")]


def _every(everything: CommandSet, nth: int) -> CommandSet:
    """Return every n-th template of each intent that has enough of them."""
    seen: dict[str, int] = {}
    kept = []
    for template in everything.templates:
        seen[template.intent] = seen.get(template.intent, 0) + 1
        if seen[template.intent] % nth == 0:
            kept.append(template)
    return CommandSet(tuple(kept), everything.lists, everything.rules)
