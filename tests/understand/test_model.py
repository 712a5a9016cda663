"""The command model that ships: every runtime says what its golden sentences say, and a damaged one is not loaded."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from edgeagent.errors import ModelError
from edgeagent.evaluate.judging import Judge
from edgeagent.messages import Rejection
from edgeagent.settings import UnderstandingSettings
from edgeagent.shipped import MANIFEST, built_in_model
from edgeagent.understand.model.bundle import Bundle, open_bundle
from edgeagent.understand.model.gazetteer import Gazetteer, Marks
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.model.segments import Floats, RawOffer
from edgeagent.understand.model.self_test import disagreements
from edgeagent.understand.model.wordpieces import Ids
from edgeagent.understanding import load_model, segments_of


class ReferenceSegments:
    """The same graphs, computed by ONNX's own reference in numpy: slow, and the oracle."""

    def __init__(self, bundle: Bundle) -> None:
        self._graphs = [
            ReferenceEvaluator(onnx.load_from_string(bundle.read(one.onnx))) for one in bundle.manifest.exits
        ]

    def first(self, ids: Ids, marks: Marks) -> RawOffer:
        return self._offer(0, {"ids": ids, "marks": marks.astype(np.float32)})

    def later(self, number: int, hidden: Floats) -> RawOffer:
        return self._offer(number, {"hidden": hidden})

    def _offer(self, number: int, feed: dict[str, Any]) -> RawOffer:
        outputs: list[Any] = list(self._graphs[number].run(None, feed))
        labels, tags, features, *rest = outputs
        return RawOffer(labels[0], tags, features[0], rest[0] if rest else None)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(built_in_model())


@pytest.mark.parametrize("runtime", ["onnx", "litert"])
def test_every_runtime_decides_as_the_golden_sentences_say(bundle: Bundle, runtime: str) -> None:
    count, different = disagreements(bundle, segments_of(bundle, runtime))
    assert count > 50
    assert different == []


def test_the_reference_decides_the_same(bundle: Bundle) -> None:
    assert disagreements(bundle, ReferenceSegments(bundle), 20) == (20, [])


def test_a_model_that_decides_otherwise_is_found_out(bundle: Bundle) -> None:
    class Turned(ReferenceSegments):
        def first(self, ids: Ids, marks: Marks) -> RawOffer:
            offer = super().first(ids, marks)
            return RawOffer(-offer.labels, offer.tags, offer.features, offer.hidden)

    assert len(disagreements(bundle, Turned(bundle), 3)[1]) == 3


def test_the_table_of_pieces_is_gathered_before_it_is_scaled(bundle: Bundle) -> None:
    graph = onnx.load_from_string(bundle.read(bundle.manifest.exits[0].onnx)).graph
    table = max(graph.initializer, key=lambda one: len(one.raw_data))
    users = [node.op_type for node in graph.node if table.name in node.input]
    assert (users, table.data_type) == (["Gather"], onnx.TensorProto.INT8)


def test_the_bundle_is_small(bundle: Bundle) -> None:
    assert sum(bundle.manifest.files[one.onnx].bytes for one in bundle.manifest.exits) <= 3_500_000


def test_a_longer_and_a_shorter_sentence_are_computed_alike_in_every_runtime(bundle: Bundle) -> None:
    mark = Gazetteer({})
    for runtime in ("onnx", "litert"):
        model = CommandModel(bundle, segments_of(bundle, runtime))
        once = [next(model.opinions(words, mark(words))).chance for words in SENTENCES]
        again = [next(model.opinions(words, mark(words))).chance for words in reversed(SENTENCES)]
        assert np.allclose(once, again[::-1], atol=1e-5)


SENTENCES = [text.split() for text in ("lights", "turn it off", "open the blinds in the bedroom a bit please", "stop")]


def damaged(folder: Path, how: Callable[[Path], None]) -> Path:
    shutil.copytree(built_in_model(), folder / "model")
    how(folder / "model")
    return folder / "model"


def changed(**fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps({**manifest, **fields}))

    return change


def flipped(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return flip


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda folder: (folder / "segment1.onnx").unlink(), "segment1.onnx: No such file"),
        (lambda folder: (folder / "segment2.onnx").write_bytes(b""), "0 bytes, .* were expected"),
        (flipped("segment1.onnx"), "damaged: its hash is another"),
        (flipped("vocabulary.txt"), "damaged: its hash is another"),
        (flipped("prototypes.bin"), "damaged: its hash is another"),
        (lambda folder: (folder / MANIFEST).unlink(), "cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "not JSON"),
        (lambda folder: (folder / MANIFEST).write_text("[" * 100_000), "not JSON"),
        (changed(format=2), "format 2, this agent reads 1"),
        (changed(labels=[]), "labels"),
        (changed(features=["name"]), "marks words in another way"),
        (changed(strange=1), "strange"),
        (changed(ask_from=float("nan")), "ask_from"),
    ],
)
def test_a_damaged_bundle_is_refused_by_name(tmp_path: Path, how: Callable[[Path], None], message: str) -> None:
    folder = damaged(tmp_path, how)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(UnderstandingSettings(model=str(folder)))
    assert caught.value.remedy


def test_a_label_with_an_unknown_tag_is_refused(tmp_path: Path) -> None:
    def strange(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        next(one for one in manifest["labels"] if one["intent"])["tags"].append("B-colour")
        (folder / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ModelError, match="no tag is called 'B-colour'"):
        load_model(UnderstandingSettings(model=str(damaged(tmp_path, strange))))


def test_an_order_that_this_agent_cannot_do_is_taken_for_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(folder: Path) -> None:
        text = (folder / MANIFEST).read_text()
        (folder / MANIFEST).write_text(text.replace('"intent": "vacuum_start"', '"intent": "launch_rocket"'))

    log = logging.Logger("fresh")  # noqa: LOG001  # whoever set the program's logs up before may have silenced them
    log.addHandler(caplog.handler)
    monkeypatch.setattr("edgeagent.understanding.log", log)
    model = load_model(UnderstandingSettings(model=str(damaged(tmp_path, launch))))

    assert "launch_rocket, which this agent cannot do: update edgeagent" in caplog.text
    found = Judge("home", model)("hey there could you start vacuuming please dusty darling")
    assert isinstance(found.interpretation, Rejection)
    assert "vacuum start" in " ".join(found.interpretation.why)


def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    def outside(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["files"]["../secret"] = {"sha256": "0" * 64, "bytes": 1}
        (folder / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ModelError, match="is no name of a file"):
        load_model(UnderstandingSettings(model=str(damaged(tmp_path, outside))))


def test_weights_that_are_no_numbers_are_found_out(bundle: Bundle) -> None:
    class Broken(ReferenceSegments):
        def first(self, ids: Ids, marks: Marks) -> RawOffer:
            offer = super().first(ids, marks)
            return RawOffer(offer.labels * np.float32("nan"), offer.tags, offer.features, offer.hidden)

    model = CommandModel(bundle, Broken(bundle))
    with pytest.raises(ModelError, match="computes no numbers"):
        next(model.opinions(["lights"], Gazetteer({})(["lights"])))


def test_no_model_is_wanted_and_none_is_loaded() -> None:
    assert load_model(UnderstandingSettings(model="off")) is None
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(UnderstandingSettings(model="/nowhere"))
