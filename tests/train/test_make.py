"""A model is made from a recipe, goes on after a kill, and says where a recipe or a data set is wrong."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeagent.errors import SettingsError
from edgeagent.evaluate.text import evaluate_text
from edgeagent.train.recipe import fingerprint, load_recipe
from edgeagent.understand.model.bundle import open_bundle

RECIPES = Path(__file__).parents[2] / "models" / "recipes"
HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "onnx"))
needs_torch = pytest.mark.skipif(
    not HAS_TORCH and "EDGEAGENT_CI" not in os.environ, reason="PyTorch is not installed: make train-setup"
)
TINY = """
name: tiny
sources:
  - {file: train.jsonl, use: train}
  - {file: valid.jsonl, use: valid}
building: {vocabulary: corpus, table: 16, width: 16, hidden: 32, exits: [1, 2]}
learning: {epochs: %d, batch: 16, noise: 0.2}
"""


def data(folder: Path) -> None:
    rows = [
        {"tokens": ["turn", "on", "the", place, "lamp"], "tags": ["O", "O", "O", "B-place", "O"], "intent": "on"}
        for place in ("red", "blue", "green", "old", "new", "big", "small", "left")
    ]
    rows += [{"tokens": ["put", "out", *row["tokens"][2:]], "tags": row["tags"], "intent": "off"} for row in rows]
    rows += [{"text": f"what a {word} day it is", "intent": "oos"} for word in ("nice", "bad", "hot", "cold")]
    text = "\n".join(json.dumps(row) for row in rows * 6)
    (folder / "train.jsonl").write_text(text)
    (folder / "valid.jsonl").write_text(text)


def train(folder: Path, epochs: int | None = None, *limits: str) -> subprocess.Popen[str]:
    if epochs is not None:
        (folder / "tiny.yaml").write_text(TINY % epochs)
    return subprocess.Popen(
        [*limits, sys.executable, "-m", "edgeagent", "train",
         str(folder / "tiny.yaml"), "--sources", str(folder), "--out",
         str(folder / "model"), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@needs_torch
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_recipe_becomes_a_bundle_that_knows_what_it_was_taught(tmp_path: Path) -> None:
    data(tmp_path)
    program = train(tmp_path, 12)
    out, log = program.communicate()
    assert program.returncode == 0, log
    assert json.loads(out.splitlines()[-1])["exits"][1]["accuracy"] > 0.95
    bundle = open_bundle(tmp_path / "model")
    assert [label.intent for label in bundle.labels] == ["off", "on", None]
    for runtime in ("onnx", "litert"):
        found, _ = evaluate_text(tmp_path / "model", tmp_path / "valid.jsonl", runtime)
        assert found["intent_accuracy"] > 0.95
        assert found["slot_f1"] > 0.9
        assert abs(found["intent_accuracy"] - found["float"]["intent_accuracy"]) < 0.02
    report = tmp_path / "model" / "report"
    assert json.loads((report / "training.json").read_text())["policy"]
    assert (report / "training.png").read_bytes()[1:4] == b"PNG"


@needs_torch
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_teacher_is_fine_tuned_once_and_tells_of_sentences_without_labels(tmp_path: Path) -> None:
    data(tmp_path)
    (tmp_path / "more.txt").write_text("turn on the pink lamp\n\nput out the pink lamp\n")
    more = "\ndistillation: {layers: 1, epochs: 2, batch: 16, rate: 5.0e-4, unlabelled: [more.txt]}"
    (tmp_path / "tiny.yaml").write_text(TINY % 12 + more)
    program = train(tmp_path)
    out, log = program.communicate()
    assert program.returncode == 0, log
    assert "teacher, epoch 2:" in log
    assert "the teacher told of 122 sentences, 2 of them unlabelled" in log
    assert json.loads(out.splitlines()[-1])["exits"][1]["accuracy"] > 0.95
    again = train(tmp_path)
    _, log = again.communicate()
    assert "the teacher told of 122" in log
    assert "teacher, epoch" not in log  # what it said is kept


@needs_torch
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_training_that_is_killed_goes_on_after_the_last_whole_epoch(tmp_path: Path) -> None:
    data(tmp_path)
    program = train(tmp_path, 400)
    assert program.stderr is not None
    for line in program.stderr:
        if line.startswith("epoch 3:"):
            break
    program.send_signal(signal.SIGKILL)
    program.communicate()
    assert (tmp_path / ".model.training" / "checkpoint.pt").is_file()
    assert not (tmp_path / "model").exists()
    again = train(tmp_path, 400)
    assert again.stderr is not None
    first = next(line for line in again.stderr if line.startswith("epoch "))
    again.kill()
    again.communicate()
    assert int(first.split()[1].rstrip(":")) > 3


@needs_torch
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_full_disk_is_told_and_nothing_is_left_half_written(tmp_path: Path) -> None:
    data(tmp_path)
    # No file may grow beyond 4 KiB: what a write to a full disk does, for this program alone.
    program = train(tmp_path, 3, "prlimit", "--fsize=4096")
    _, log = program.communicate()
    assert program.returncode not in {0, -signal.SIGXFSZ}
    assert "File too large" in log
    assert "Make room. Started again, it goes on" in " ".join(log.split())
    assert "Traceback" not in log
    assert not (tmp_path / "model").exists()
    assert list((tmp_path / ".model.training").iterdir()) == []
    again = train(tmp_path, 3)
    again.communicate()
    assert again.returncode == 0


TOO_MUCH = """
import resource, sys
from pathlib import Path
import torch
from edgeagent.train.make import make
from edgeagent.train.recipe import load_recipe
torch.zeros(8) @ torch.zeros(8)
folder = Path(sys.argv[1])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
try:
    make(load_recipe(folder / "huge.yaml"), folder, folder, folder / "model", lambda line: None)
except Exception as error:
    print(type(error).__name__, str(error)[:60], getattr(error, "remedy", ""))
"""


@needs_torch
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_too_little_memory_is_told_with_what_to_do(tmp_path: Path) -> None:
    data(tmp_path)
    (tmp_path / "huge.yaml").write_text((TINY % 3).replace("width: 16, hidden: 32", "width: 512, hidden: 2048"))
    program = subprocess.run(
        [sys.executable, "-c", TOO_MUCH, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert program.stdout.startswith("SettingsError out of memory"), program.stdout + program.stderr
    assert "make learning.batch smaller" in program.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nepochs: 3", "epochs: Extra inputs"),
        ("name: X y", "name: String should match"),
        ("name: x\nlearning: {rate: -1}", "learning.rate: Input should be greater than 0"),
        ("name: x\nlearning: {epoch: 1}", "learning.epoch: Extra inputs"),
        ("name: x\nsources: [{fil: y}]", "sources.0"),
        ("[]", "the document"),
        ("name: {", "recipe.yaml"),
    ],
)
def test_a_typo_in_a_recipe_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_recipe_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_recipe(tmp_path / "recipe.yaml")


def test_the_recipes_that_ship_can_be_read_and_differ() -> None:
    recipes = [load_recipe(path) for path in sorted(RECIPES.glob("*.yaml"))]
    assert {"command-en", "hwu64", "clinc150", "snips"} <= {recipe.name for recipe in recipes}
    assert len({fingerprint(recipe) for recipe in recipes}) == len(recipes)
