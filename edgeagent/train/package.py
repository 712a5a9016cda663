"""A taught network to a bundle: quantised, calibrated, with what the daemon must know, written whole or not at all."""

import gzip
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeagent import __version__
from edgeagent.act.vocabulary import Lists
from edgeagent.shipped import MANIFEST
from edgeagent.train.calibrate import Judged, temperature_of, threshold_of
from edgeagent.train.corpus import Corpus, Encoded
from edgeagent.train.examples import OUTSIDE, Example
from edgeagent.train.export import graphs, left_over, quantise
from edgeagent.train.known_values import Known, Ranges
from edgeagent.train.measure import confusions, leave_at, measured_exit, offers, policy
from edgeagent.train.network import CommandNetwork, Weights, folded
from edgeagent.train.noise import AROUND, FILLERS, POLITE_AFTER, POLITE_BEFORE
from edgeagent.train.phrases import phrases
from edgeagent.train.recipe import Recipe
from edgeagent.train.tflite import tflite_graphs
from edgeagent.understand.model.bundle import VERSION, Bundle, Manifest, open_bundle
from edgeagent.understand.model.gazetteer import FEATURES, Gazetteer
from edgeagent.understand.model.model import CommandModel, by_label, likeness_of, prototypes_of
from edgeagent.understand.model.onnx_segments import OnnxSegments
from edgeagent.understand.model.segments import RawOffer

CALIBRATION_SENTENCES = 400
PROTOTYPES_OF_A_LABEL = 6
FLOATS = "float"
PHRASES = "phrases.txt.gz"
ALWAYS_THERE = 0.97
"""A slot that so many sentences of a label have is one that it needs."""
SEEN_OFTEN = 3
LOST_TO_SCOPE = 0.004
SLOT_SURE = (0.7, 0.45)
"""By exit: how sure the least sure word must be. At 0.6 the first exit lost half a point of frames (SNIPS)."""
GOLDEN_CANDIDATES, GOLDEN_SURE = 160, 0.7


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a bundle carries besides weights: values of words, ranges of numbers, and names for the golden sentences."""

    known: Known
    ranges: Ranges
    lists: Lists


@dataclass(frozen=True, slots=True)
class Learned:
    """A network with what it was taught, what it is judged by, and the pieces that words are cut into."""

    network: CommandNetwork
    corpus: Corpus
    train: Encoded
    valid: Encoded
    vocabulary: Sequence[str]


def package(learned: Learned, knowledge: Knowledge, recipe: Recipe, out: Path) -> dict[str, Any]:
    """Write the bundle; return what was measured on the validation sentences."""
    network, corpus, train, valid = learned.network, learned.corpus, learned.train, learned.valid
    weights = folded(network)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        _write_segments(network, weights, train, folder, Path(scratch))
        (folder / "vocabulary.txt").write_text("\n".join(learned.vocabulary) + "\n", "utf-8")
        if knowledge.lists:
            (folder / PHRASES).write_bytes(gzip.compress("\n".join(phrases(corpus, recipe.seed)).encode(), mtime=0))
        draft = _manifest(network, corpus, knowledge, recipe, folder)
        _write(draft, folder)
        measured = _calibrated(draft, corpus, train, valid, folder)
        if knowledge.lists:
            _write_golden(draft, corpus, knowledge.lists, folder)
        _write(draft, folder)
        open_bundle(folder)
        _write_floats(draft, weights, network, folder)
        if out.exists():
            kept = [path for path in out.iterdir() if path.suffix in {".md", ".png", ".pt"} or path.name == "report"]
            for path in kept:
                shutil.move(path, folder / path.name)
            shutil.rmtree(out)
        shutil.move(folder, out)
    return measured


def _write_segments(network: CommandNetwork, weights: Weights, train: Encoded, folder: Path, scratch: Path) -> None:
    step = max(1, len(train) // CALIBRATION_SENTENCES)
    feeds: list[dict[str, Any]] = [
        {"ids": train.ids[row], "marks": train.marks[row].astype(np.float32)} for row in range(0, len(train), step)
    ]
    for number, data in enumerate(tflite_graphs(weights, network.shape), start=1):
        (folder / f"segment{number}.tflite").write_bytes(data)
    for number, graph in enumerate(graphs(weights, network.shape), start=1):
        (folder / f"segment{number}.onnx").write_bytes(quantise(graph, feeds, scratch).SerializeToString())
        if number < len(network.shape.exits):
            feeds = [{"hidden": hidden} for hidden in left_over(graph, feeds)]


def _write_floats(draft: Mapping[str, Any], weights: Weights, network: CommandNetwork, folder: Path) -> None:
    """Write the same bundle in floats beside it, to compare with; nobody ships it."""
    exact = folder / FLOATS
    shutil.copytree(folder, exact)
    for number, graph in enumerate(graphs(weights, network.shape), start=1):
        (exact / f"segment{number}.onnx").write_bytes(graph.SerializeToString())
    _write({**draft, "files": _hashes(exact)}, exact)


def _manifest(
    network: CommandNetwork, corpus: Corpus, knowledge: Knowledge, recipe: Recipe, folder: Path
) -> dict[str, Any]:
    fillers = {word for phrase in (*FILLERS, *POLITE_BEFORE, *POLITE_AFTER, *AROUND) for word in phrase}
    return {
        "format": VERSION,
        "name": recipe.name,
        "version": __version__,
        "language": recipe.language,
        "features": FEATURES,
        "vocabulary": "vocabulary.txt",
        "labels": _labels(corpus),
        "tags": corpus.tags,
        "exits": [_exit(number) for number in range(1, len(network.shape.exits) + 1)],
        "ask_from": 0.6,
        "values": {slot: dict(sorted(words.items())) for slot, words in sorted(knowledge.known.items())},
        "ranges": knowledge.ranges,
        "fillers": sorted(fillers),
        "phrases": PHRASES if knowledge.lists else None,
        "files": _hashes(folder),
    }  # fmt: skip


def _exit(number: int) -> dict[str, Any]:
    return {
        "onnx": f"segment{number}.onnx",
        "tflite": f"segment{number}.tflite",
        "temperature": 1.0,
        "sure": {"free": 0.9, "guarded": 0.95},
        "slot_sure": SLOT_SURE[min(number, len(SLOT_SURE)) - 1],
    }


def _labels(corpus: Corpus) -> list[dict[str, Any]]:
    by_label: dict[str, list[Example]] = {}
    for example in corpus.plain:
        by_label.setdefault(example.label, []).append(example)
    rows = []
    for label in corpus.labels:
        row: dict[str, Any] = {"name": label.name, "intent": label.intent, "slots": dict(label.slots)}
        if label.intent is not None:
            row |= _facts(by_label.get(label.name, []), corpus.tags)
        rows.append(row)
    return rows


def _facts(examples: Sequence[Example], tags: Sequence[str]) -> dict[str, Any]:
    tagged = [one for one in examples if one.tags is not None]
    used = Counter(tag for one in tagged for tag in one.tags or () if tag in tags and tag != OUTSIDE)
    slots = {tag[2:] for tag, count in used.items() if count >= min(SEEN_OFTEN, len(tagged))}
    counts = Counter(
        word for one in tagged for word, tag in {*zip(one.words, one.tags or (), strict=True)} if tag == OUTSIDE
    )
    untagged = Counter(word for one in examples if one.tags is None for word in {*one.words})
    words = [word for word, count in (counts + untagged).items() if count >= SEEN_OFTEN]
    templated = [one for one in tagged if one.marks is not None]
    needs = [
        slot
        for slot in sorted(slots)
        if templated and sum(f"B-{slot}" in (one.tags or ()) for one in templated) >= ALWAYS_THERE * len(templated)
    ]
    return {"tags": [tag for tag in tags if tag[2:] in slots], "words": sorted(words), "needs": needs}


def _calibrated(draft: dict[str, Any], corpus: Corpus, train: Encoded, valid: Encoded, folder: Path) -> dict[str, Any]:
    bundle = open_bundle(folder)
    offered = offers(bundle, valid)
    commands = np.array([label.intent is not None for label in corpus.labels])
    measured: dict[str, Any] = {"sentences": len(valid), "exits": []}
    for number, entry in enumerate(draft["exits"]):
        judged = Judged(offered.logits(number), valid.labels, commands)
        entry["temperature"] = temperature_of(judged)
        entry["sure"] = {risk: threshold_of(judged, entry["temperature"], risk) for risk in ("free", "guarded")}
        found = measured_exit(offered, number, entry["temperature"], corpus, valid.labels)
        measured["exits"].append({**found, **{key: entry[key] for key in ("temperature", "sure")}})
    measured["policy"] = policy(offered, valid.labels, [entry["temperature"] for entry in draft["exits"]])
    draft["exits"][0]["leave"] = leave_at(measured["policy"])
    measured["confusions"] = confusions(offered, corpus, valid.labels)
    draft["scope"] = _scope(bundle, corpus, train, folder)
    draft["files"] = _hashes(folder)
    _write(draft, folder)
    draft["scope"]["least"] = _least_likeness(open_bundle(folder), valid, offered.offers)
    return measured


def _scope(bundle: Bundle, corpus: Corpus, train: Encoded, folder: Path) -> dict[str, Any]:
    segments = OnnxSegments(bundle)
    rng = np.random.default_rng(1)
    rows: list[np.ndarray] = []
    labels: list[int] = []
    for number in range(len(corpus.labels)):
        members = np.flatnonzero(train.labels == number)
        chosen = rng.permutation(members)[:600]
        features = np.array([segments.first(train.ids[row], train.marks[row]).features for row in chosen])
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
        for centre in _centres(features, PROTOTYPES_OF_A_LABEL, rng):
            rows.append(centre)
            labels.append(number)
    table = np.array(rows, np.float32)
    scale = float(np.abs(table).max() / 127)
    (folder / "prototypes.bin").write_bytes(np.round(table / scale).astype(np.int8).tobytes())
    return {"prototypes": "prototypes.bin", "labels": labels, "least": -1.0}


def _centres(features: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return centres of the rows by k-means on the sphere."""
    if len(features) <= count:
        return features
    centres = features[rng.choice(len(features), count, replace=False)]
    for _ in range(20):
        nearest = (features @ centres.T).argmax(1)
        centres = np.array(
            [features[nearest == one].mean(0) if (nearest == one).any() else centres[one] for one in range(count)]
        )
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-6)
    return centres


def _least_likeness(bundle: Bundle, valid: Encoded, offered: Sequence[Sequence[RawOffer]]) -> float:
    of_label = by_label(*prototypes_of(bundle), len(bundle.manifest.labels))
    commands = [label.intent is not None for label in bundle.manifest.labels]
    scores = [
        likeness_of(of_label[label], offer[0].features)
        for offer, label in zip(offered, valid.labels, strict=True)
        if label >= 0 and commands[label] and int(offer[0].labels.argmax()) == label
    ]
    return float(np.quantile(scores, LOST_TO_SCOPE)) if scores else -1.0


def _write_golden(draft: dict[str, Any], corpus: Corpus, lists: Lists, folder: Path) -> None:
    """Write sentences with what the model makes of them: the self-test of whoever installs it."""
    bundle = open_bundle(folder)
    model = CommandModel(bundle, OnnxSegments(bundle))
    mark = Gazetteer(lists)
    step = max(1, len(corpus.valid) // GOLDEN_CANDIDATES)
    rows = []
    for example in corpus.valid[::step]:
        opinions = list(model.opinions(example.words, mark(example.words)))
        if min(min(one.chance, one.slot_chance) for one in opinions) < GOLDEN_SURE:
            continue  # runtimes round in other ways: what is undecided may come out otherwise
        rows.append(
            {
                "text": " ".join(example.words),
                "exits": [
                    {"label": one.label.name, "spans": [[span.slot, span.start, span.end] for span in one.spans]}
                    for one in opinions
                ],
            }
        )
    golden = {"lists": {name: list(entries) for name, entries in lists.items()}, "sentences": rows}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n", "utf-8")
    draft["golden"] = "golden.json"
    draft["files"] = _hashes(folder)


def _hashes(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST and path.is_file():
            data = path.read_bytes()
            found[path.name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return found


def _write(draft: Mapping[str, Any], folder: Path) -> None:
    Manifest.model_validate(draft)
    (folder / MANIFEST).write_text(json.dumps(draft, indent=1) + "\n", "utf-8")
