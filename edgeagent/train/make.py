"""A recipe to a bundle: gather, teach, package, each stage told and each able to go on after a kill."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from edgeagent.errors import SettingsError
from edgeagent.files import write_durably
from edgeagent.grammar import commands
from edgeagent.train.corpus import Corpus, Encoded, encode, encode_unlabelled, gather
from edgeagent.train.examples import read_lines
from edgeagent.train.known_values import known_values
from edgeagent.train.learn import Epoch, Lessons, learn
from edgeagent.train.network import CommandNetwork, Shape
from edgeagent.train.package import Knowledge, Learned, package
from edgeagent.train.places import load_names, random_place
from edgeagent.train.recipe import Distillation, Learning, Recipe, Source, fingerprint
from edgeagent.train.told import Told
from edgeagent.train.vocabulary import of_corpus, of_minilm
from edgeagent.understand.model.gazetteer import FEATURES
from edgeagent.understand.model.wordpieces import WordPieces

REPORT = "report"
_GOES_ON = "Started again, it goes on after the last whole epoch."
Report = Callable[[str], None]


def make(recipe: Recipe, beside: Path, sources: Path, out: Path, report: Report) -> dict[str, Any]:
    """Make the bundle that a recipe describes in the folder `out`; return what was measured.

    Killed, it goes on after the last whole epoch when it is started again. Raise SettingsError if the recipe, a file,
    the disk or the memory does not allow it.
    """
    working = out.parent / f".{out.name}.training"
    with _plainly(working):
        return _made(recipe, beside, sources, out, working, report)


def recipe_for(train: Path, valid: Path, name: str) -> tuple[Recipe, Path]:
    """Return a recipe for two files of labelled sentences, and the folder that its sources lie in."""
    folder = Path("/")
    sources = (
        Source(file=str(train.resolve().relative_to(folder)), use="train"),
        Source(file=str(valid.resolve().relative_to(folder)), use="valid"),
    )
    learning = Learning(epochs=20, noise=0.0, unknown_names=0.0, batch=128)
    return Recipe(name=name, sources=sources, learning=learning), folder


def _made(recipe: Recipe, beside: Path, sources: Path, out: Path, working: Path, report: Report) -> dict[str, Any]:
    out.parent.mkdir(parents=True, exist_ok=True)
    corpus = gather(recipe, beside, sources, report)
    report(f"{len(corpus.train)} sentences to learn from, {len(corpus.valid)} to judge by, {len(corpus.labels)} labels")
    if not corpus.valid:
        raise SettingsError("nothing to judge by", remedy="Add a source with use: valid, or more sentences.")
    _write_judged_by(corpus, working / "valid.jsonl")
    built = recipe.building
    vocabulary, table = of_minilm(built.table) if built.vocabulary == "minilm" else (of_corpus(corpus.train), None)
    pieces = WordPieces(vocabulary)
    train, valid = encode(corpus.train, corpus, pieces), encode(corpus.valid, corpus, pieces)
    shape = Shape(len(vocabulary), len(FEATURES), len(corpus.labels), len(corpus.tags), built.table, built.width,
                  built.hidden, built.exits)  # fmt: skip
    lessons = Lessons(train, valid)
    if recipe.distillation is not None:
        texts = [line for file in recipe.distillation.unlabelled for line in read_lines(sources / file)]
        more = encode_unlabelled((tuple(text.lower().split()) for text in texts), pieces)
        lessons = _told(lessons, more, shape, recipe, working / "told.npz", report)
    if lessons.told is not None:
        shape = replace(shape, teacher=lessons.told.features.shape[1])
    torch.manual_seed(recipe.seed)
    network = CommandNetwork(shape, built.dropout, built.table_dropout)
    if table is not None:
        network.table.weight.data[:] = torch.from_numpy(table)
    history = _taught(network, lessons, recipe, working, report)
    learned = Learned(network, corpus, train, valid, vocabulary)
    measured = package(learned, _knowledge(recipe, beside), recipe, out)
    (out / REPORT).mkdir(exist_ok=True)
    measured |= {"seed": recipe.seed, "fingerprint": fingerprint(recipe), "epochs": [asdict(one) for one in history]}
    (out / REPORT / "training.json").write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    if find_spec("matplotlib") is not None:
        import_module("edgeagent.train.report").draw(measured, out / REPORT / "training.png")
    return measured


def _write_judged_by(corpus: Corpus, path: Path) -> None:
    """Write what the model will be judged by, so that it can be looked at and judged again (`evaluate text`)."""
    rows = ({"tokens": one.words, "tags": one.tags, "intent": one.label} for one in corpus.valid)
    write_durably(path, "\n".join(json.dumps(row) for row in rows).encode())


def _told(lessons: Lessons, more: Encoded, shape: Shape, recipe: Recipe, kept: Path, report: Report) -> Lessons:
    """Return what is learned from, and more that nobody labelled, with what a teacher says of it."""
    wanted = recipe.distillation or Distillation()
    train = lessons.train.plus(more)
    told = Told.load(kept, fingerprint(recipe))
    if told is None:
        from edgeagent.train.teacher import Teacher, fine_tune, tell  # noqa: PLC0415  # only it needs transformers

        torch.manual_seed(recipe.seed)
        teacher = Teacher(wanted.layers, shape.marks, shape.labels, shape.tags)
        fine_tune(teacher, lessons.train, lessons.valid, wanted, recipe.seed, report)
        told = tell(teacher, train)
        told.save(kept, fingerprint(recipe))
    report(f"the teacher told of {len(train)} sentences, {len(more)} of them unlabelled")
    return Lessons(train, lessons.valid, told)


def _taught(network: CommandNetwork, lessons: Lessons, recipe: Recipe, working: Path, report: Report) -> list[Epoch]:
    def told(epoch: Epoch) -> None:
        right = ", ".join(f"{share:.1%}" for share in epoch.right)
        report(f"epoch {epoch.number}: loss {epoch.loss:.3f}, right {right}, {epoch.took_s:.0f} s")

    return learn(network, lessons, recipe, working / "checkpoint.pt", told)


@contextmanager
def _plainly(working: Path) -> Iterator[None]:
    """Tell of a full disk or memory what is to be done: what was learned so far is kept."""
    try:
        yield
    except OSError as error:
        where = error.filename or working
        raise SettingsError(f"{where}: {error.strerror or error}", remedy=f"Make room. {_GOES_ON}") from error
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
            raise
        remedy = f"Close other programs, or make learning.batch smaller. {_GOES_ON}"
        raise SettingsError(f"out of memory: {str(error)[:200]}", remedy=remedy) from error


def _knowledge(recipe: Recipe, beside: Path) -> Knowledge:
    templates = recipe.templates
    if templates is None:
        return Knowledge({}, {}, {})
    lists = random_place(load_names(beside / templates.names), random.Random(recipe.seed), is_plant=False)
    sets = [commands.built_in(templates.built_in), *(commands.load(beside / file) for file in templates.files)]
    known, ranges = known_values(commands.merge(sets).with_names(dict.fromkeys(lists, ())))
    return Knowledge(known, ranges, lists)
