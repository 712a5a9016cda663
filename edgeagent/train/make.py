"""A recipe to a bundle: gather, teach, package, each stage told and each able to go on after a kill."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.train.corpus import encode, gather
from edgeagent.train.known_values import known_values
from edgeagent.train.learn import Epoch, learn
from edgeagent.train.network import CommandNetwork, Shape
from edgeagent.train.package import Knowledge, package
from edgeagent.train.places import load_names, random_place
from edgeagent.train.recipe import Learning, Recipe, Source, fingerprint
from edgeagent.train.vocabulary import of_corpus, of_minilm
from edgeagent.understand.model.gazetteer import FEATURES
from edgeagent.understand.model.wordpieces import WordPieces

REPORT = "report"
Report = Callable[[str], None]


def make(recipe: Recipe, beside: Path, sources: Path, out: Path, report: Report) -> dict[str, Any]:
    """Make the bundle that a recipe describes in the folder `out`; return what was measured.

    Killed, it goes on after the last whole epoch when it is started again. Raise SettingsError if the recipe, a file or
    the disk does not allow it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    working = out.parent / f".{out.name}.training"
    torch.manual_seed(recipe.seed)
    corpus = gather(recipe, beside, sources, report)
    report(f"{len(corpus.train)} sentences to learn from, {len(corpus.valid)} to judge by, {len(corpus.labels)} labels")
    if not corpus.valid:
        raise SettingsError("nothing to judge by", remedy="Add a source with use: valid, or more sentences.")
    built = recipe.building
    vocabulary, table = of_minilm(built.table) if built.vocabulary == "minilm" else (of_corpus(corpus.train), None)
    pieces = WordPieces(vocabulary)
    train, valid = encode(corpus.train, corpus, pieces), encode(corpus.valid, corpus, pieces)
    shape = Shape(len(vocabulary), len(FEATURES), len(corpus.labels), len(corpus.tags), built.table, built.width,
                  built.hidden, built.exits)  # fmt: skip
    network = CommandNetwork(shape, built.dropout, built.table_dropout)
    if table is not None:
        network.table.weight.data[:] = torch.from_numpy(table)
    history = _taught(network, train, valid, recipe, working, report)
    measured = package(
        network, corpus, (train, valid), vocabulary, _knowledge(recipe, beside), out,
        name=recipe.name, language=recipe.language,
    )  # fmt: skip
    (out / REPORT).mkdir(exist_ok=True)
    measured |= {"seed": recipe.seed, "fingerprint": fingerprint(recipe), "epochs": [asdict(one) for one in history]}
    (out / REPORT / "training.json").write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    if find_spec("matplotlib") is not None:
        import_module("edgeagent.train.report").draw(measured, out / REPORT / "training.png")
    return measured


def recipe_for(train: Path, valid: Path, name: str) -> tuple[Recipe, Path]:
    """Return a recipe for two files of labelled sentences, and the folder that its sources lie in."""
    folder = Path("/")
    sources = (
        Source(file=str(train.resolve().relative_to(folder)), use="train"),
        Source(file=str(valid.resolve().relative_to(folder)), use="valid"),
    )
    learning = Learning(epochs=20, noise=0.0, unknown_names=0.0, batch=128)
    return Recipe(name=name, sources=sources, learning=learning), folder


def _taught(
    network: CommandNetwork, train: Any, valid: Any, recipe: Recipe, working: Path, report: Report
) -> list[Epoch]:
    def told(epoch: Epoch) -> None:
        right = ", ".join(f"{share:.1%}" for share in epoch.right)
        report(f"epoch {epoch.number}: loss {epoch.loss:.3f}, right {right}, {epoch.took_s:.0f} s")

    try:
        return learn(
            network, train, valid, recipe.learning, seed=recipe.seed,
            checkpoint=working / "checkpoint.pt", fingerprint=fingerprint(recipe), report=told,
        )  # fmt: skip
    except OSError as error:
        remedy = "Make room and start it again: it goes on after the last whole epoch."
        raise SettingsError(f"{working}: {error.strerror or error}", remedy=remedy) from error
    except (MemoryError, RuntimeError) as error:
        if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        raise SettingsError(f"out of memory: {error}", remedy="Make learning.batch smaller.") from error


def _knowledge(recipe: Recipe, beside: Path) -> Knowledge:
    templates = recipe.templates
    if templates is None:
        return Knowledge({}, {}, {})
    lists = random_place(load_names(beside / templates.names), random.Random(recipe.seed), is_plant=False)
    sets = [commands.built_in(templates.built_in), *(commands.load(beside / file) for file in templates.files)]
    known, ranges = known_values(commands.merge(sets).with_names(dict.fromkeys(lists, ())))
    return Knowledge(known, ranges, lists)
