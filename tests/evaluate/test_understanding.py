"""How understanding is judged: perturbed commands beside hassil, sentences out of scope, labelled sentences, speed."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgeagent.__main__ import app
from edgeagent.errors import ModelError, SettingsError
from edgeagent.evaluate.judging import Judge
from edgeagent.evaluate.perturb import doubled, filler, lost, perturbations, politeness, self_correction
from edgeagent.evaluate.scope import scope
from edgeagent.evaluate.scores import auroc, calibration_error, slot_scores
from edgeagent.evaluate.text import evaluate_text
from edgeagent.evaluate.understanding import VERDICTS, understanding
from edgeagent.shipped import built_in_model
from edgeagent.understand.model.decode import Span

RANDOM = random.Random(4)  # noqa: S311 - samples, not secrets
DATA = Path(__file__).parents[1] / "data"


def figures(*arguments: str | Path) -> dict[str, object]:
    ran = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert ran.exit_code == 0, ran.output
    found: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_robustness_has_a_row_for_every_perturbation_with_shares_that_add_up() -> None:
    found = figures("evaluate", "robustness", "-n", "8")
    for table in ("rows", "hassil"):
        rows = found[table]
        assert isinstance(rows, list)
        names = [row["perturbation"] for row in rows]
        assert names[:6] == ["clean", "filler", "politeness", "doubled", "lost", "sound-alike"]
        for row in rows:
            assert row["right"] + row["asked"] + row["refused"] + row["wrong"] == pytest.approx(1, abs=0.001)
    rows = found["rows"]
    assert isinstance(rows, list)
    assert rows[0]["right"] == 1


def test_a_perturbed_sentence_says_what_its_name_says() -> None:
    words = ("turn", "on", "the", "desk", "lamp")
    assert filler(words, RANDOM)[-5:] == words
    assert " ".join(words) in " ".join(politeness(words, RANDOM))
    assert len(doubled(words, RANDOM)) == 6
    assert len(lost(words, RANDOM) or ()) == 4
    assert lost(("stop",), RANDOM) is None
    corrected = self_correction(words, RANDOM)
    assert corrected is not None
    assert corrected[:2] == ("turn", "off")
    assert corrected[-4:] == words[1:]
    assert self_correction(("how", "warm", "is", "it"), RANDOM) is None
    judge = Judge("home", None)
    alike = perturbations(judge.interpreter.automaton)["sound-alike"](words, RANDOM)
    assert alike is not None
    assert sum(one != other for one, other in zip(alike, words, strict=True)) == 1


def test_scope_names_every_sentence_that_would_be_obeyed(tmp_path: Path) -> None:
    file = tmp_path / "said.txt"
    file.write_text("she turned off the light\n\nturn on the desk lamp\nopen your heart\n")
    found = figures("evaluate", "scope", file)
    assert (found["n"], found["obeyed_sentences"]) == (3, ["turn on the desk lamp"])
    assert found["refused"] == pytest.approx(2 / 3, abs=0.001)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), (b"", "no sentence"), (b"\xff\xfe", "cannot")]
)
def test_a_file_without_sentences_is_said_so(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "said.txt").write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        scope(None, tmp_path / "said.txt")


def test_a_model_is_judged_on_labelled_sentences(tmp_path: Path) -> None:
    rows = [
        {"tokens": ["turn", "off", "the", "lights"], "tags": ["O", "O", "O", "B-kind"], "intent": "turn_off"},
        {"text": "make it brighter in here", "intent": "adjust_brightness"},
        {"text": "what is the capital of france", "intent": "oos"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    found = figures("evaluate", "text", "--data", file, "--plot", tmp_path / "plot.png")
    assert (found["n"], found["intent_accuracy"]) == (3, 1.0)
    assert found["frame_accuracy"] == 1.0
    assert isinstance(found["out_of_scope"], dict)
    assert found["out_of_scope"]["recall"] == 1.0
    assert (tmp_path / "plot.png").read_bytes()[1:4] == b"PNG"
    exits = found["exits"]
    assert isinstance(exits, list)
    assert sum(one["share"] for one in exits) == pytest.approx(1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "rows.jsonl:2: not JSON"),
        ("[]", "rows.jsonl:2: a row has an intent"),
        ('{"text": "x"}', "rows.jsonl:2: a row has an intent"),
        ('{"intent": "x"}', "rows.jsonl:2: a row has a text"),
        ('{"tokens": [], "intent": "x"}', "rows.jsonl:2: a row has a text"),
        ('{"tokens": ["a"], "tags": [], "intent": "x"}', "rows.jsonl:2: expected 1 tags"),
        ('{"tokens": ["a"], "tags": ["X"], "intent": "x"}', "rows.jsonl:2: tag 1 is 'X'"),
        ('{"text": "b", "intent": "x", "id": 1}', "rows.jsonl:2: id '1' is on line 1 too"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"text": "a", "intent": "x", "id": 1}}\n{line}\n')
    with pytest.raises(SettingsError, match=message):
        evaluate_text(built_in_model(), file)


def test_what_is_no_model_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        evaluate_text(tmp_path, tmp_path / "rows.jsonl")


def test_scores_of_known_answers() -> None:
    assert auroc(np.array([0.9, 0.8]), np.array([0.1, 0.2])) == 1.0
    assert auroc(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0.5
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0.0
    assert calibration_error(np.array([0.9, 0.9]), np.array([True, False])) == pytest.approx(0.4)
    one, two = Span("name", 0, 2), Span("area", 3, 4)
    assert slot_scores([([one, two], [one])]) == pytest.approx(2 / 3)
    assert slot_scores([([], [])]) == 1.0


@pytest.mark.parametrize(
    ("folder", "commands", "others", "good"), [("held_out", 600, 300, 0.8), ("natural", 200, 200, 0.9)]
)
def test_sentences_are_done_right_or_asked_about_and_hardly_ever_wrong(
    folder: str, commands: int, others: int, good: float
) -> None:
    found = figures("evaluate", "understanding", DATA / folder)
    rows, intents = found["rows"], found["intents"]
    assert isinstance(rows, list)
    assert isinstance(intents, list)

    def total(name: str, expect: str) -> int:
        return sum(row[name] for row in rows if row["expect"] == expect)

    assert sum(row["n"] for row in intents) == total("n", "act") + total("n", "ask")
    assert total("n", "refuse") >= others
    assert total("wrong", "refuse") <= 0.01 * total("n", "refuse")
    assert total("n", "act") >= commands
    assert total("right", "act") + total("asked-right", "act") >= good * total("n", "act")
    assert total("wrong", "act") <= 0.01 * total("n", "act")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "rows.jsonl:1: not JSON"),
        ('{"text": "x", "place": "boat", "expect": "act"}', "rows.jsonl:1: expected text, place"),
        ('{"text": "x", "place": "home", "expect": "act"}', "rows.jsonl:1: expected an intent"),
    ],
)
def test_a_sentence_without_what_is_expected_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(line)
    with pytest.raises(SettingsError, match=message):
        understanding(None, tmp_path)


def test_a_folder_without_sentences_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"holds no \.jsonl file"):
        understanding(None, tmp_path)


def test_speed_is_told_beside_hassil() -> None:
    rows = figures("bench", "text", "-n", "10")["rows"]
    assert isinstance(rows, list)
    assert {row["sentences"] for row in rows} == {"grammar", "filler", "paraphrased", "no command"}


def test_sentences_are_heard_as_the_daemon_hears_them() -> None:
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed: sudo apt-get install flite")
    both = (DATA / "natural" / "commands.jsonl", DATA / "natural" / "not_commands.jsonl")
    found = figures("evaluate", "heard", *both, "-n", "3")
    rows = found["rows"]
    assert isinstance(rows, list)
    told = {(row["file"], row["expect"], row["as"]): row for row in rows}
    assert ("commands", "act", "heard") in told
    assert told["not_commands", "refuse", "heard"]["n"] == 3
    for row in rows:
        assert sum(row[name] for name in VERDICTS) == row["n"]
    assert isinstance(found["word_error_rate"], float)
