"""The self-test in a child process: each way to fail has its own code, and this process lives on. A30-A32."""

import json
import shutil
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edgeagent.errors import UpdateError
from edgeagent.shipped import built_in_model
from edgeagent.update.self_test import DEFAULT, LARGEST_REPORT_BYTES, Limits, Report, judged, run, self_test

pytestmark = pytest.mark.slow

SHORT = Limits(cpu_s=2, wall_s=3.0, memory_mb=64)
PREAMBLE = "import os, sys; from edgeagent.update.self_test import limit; report = int(sys.argv[-1]); limit(2, 64)\n"


def code_of(program: str, limits: Limits = SHORT) -> str:
    """Return how a child fails that runs this program in the place of a trial."""
    with pytest.raises(UpdateError) as caught:
        run([sys.executable, "-c", PREAMBLE + program], limits)
    return caught.value.code


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    folder = tmp_path / "candidate"
    shutil.copytree(built_in_model(), folder, ignore=shutil.ignore_patterns("report"))
    return folder


def change(folder: Path, name: str, content: bytes) -> None:
    """Change a file and have the model's own manifest say so: signed, whole, and wrong."""
    (folder / name).write_bytes(content)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_trial_that_gives_way_to_all_others_has_time_on_a_busy_board() -> None:
    assert DEFAULT.wall_s >= 3 * DEFAULT.cpu_s


def test_the_model_that_ships_passes_beside_itself(candidate: Path) -> None:
    report = self_test("model", candidate, built_in_model())
    assert report.golden > 50
    assert report.decision_ms < report.current_ms * DEFAULT.slower
    assert 10 < report.peak_mb < 1_000


def test_a31_golden_sentences_that_come_out_otherwise_fail(candidate: Path) -> None:
    golden = json.loads((candidate / "golden.json").read_text())
    golden["sentences"][3]["exits"][0]["label"] = "another"
    change(candidate, "golden.json", json.dumps(golden).encode())
    with pytest.raises(UpdateError, match="golden") as caught:
        self_test("model", candidate, None)
    assert caught.value.code == "self-test-wrong"


def test_a31_another_vocabulary_is_noticed(candidate: Path) -> None:
    change(candidate, "vocabulary.txt", b"garbage")
    with pytest.raises(UpdateError) as caught:
        self_test("model", candidate, None)
    assert caught.value.code == "self-test-wrong"


@pytest.mark.parametrize("name", ["segment1.onnx", "golden.json"])
def test_a30_a_model_that_cannot_be_opened_fails(candidate: Path, name: str) -> None:
    change(candidate, name, b"\x08\x07garbage")
    with pytest.raises(UpdateError) as caught:
        self_test("model", candidate, None)
    assert caught.value.code in {"self-test-refused", "self-test-crash"}


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UpdateError) as caught:
        self_test("model", tmp_path, None)
    assert caught.value.code == "self-test-refused"


def test_a_current_release_that_is_damaged_is_no_measure_and_no_obstacle(candidate: Path, tmp_path: Path) -> None:
    assert self_test("model", candidate, tmp_path / "nowhere").current_ms == 0


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("os.abort()", "self-test-crash"),
        ("os.kill(os.getpid(), 11)", "self-test-crash"),
        ("sys.exit(5)", "self-test-crash"),
        ("raise ValueError", "self-test-crash"),
        ("pass", "self-test-crash"),
        ("os.write(report, b'{')", "self-test-crash"),
        ("os.write(report, b'[]')", "self-test-crash"),
        (f"open(report, 'wb').write(b' ' * {LARGEST_REPORT_BYTES + 10})", "self-test-crash"),
        ("print('x' * 1_000_000, file=sys.stderr); os.abort()", "self-test-crash"),
    ],
)
def test_a30_whatever_a_crash_leaves_is_a_crash(program: str, code: str) -> None:
    assert code_of(program) == code


@pytest.mark.parametrize("program", ["x = bytearray(1 << 30)", "os.kill(os.getpid(), 9)", "x = [0] * (1 << 27)"])
def test_a32_what_takes_too_much_memory_ends_and_we_live(program: str) -> None:
    assert code_of(program) == "self-test-memory"


def test_what_takes_too_much_processor_time_ends() -> None:
    assert code_of("while True: pass", Limits(cpu_s=2, wall_s=30.0)) == "self-test-hang"


@pytest.mark.parametrize(
    "program", ["import time; time.sleep(60)", "os.close(report); os.close(2); import time; time.sleep(60)"]
)
def test_what_hangs_ends(program: str) -> None:
    assert code_of(program, Limits(wall_s=1.5)) == "self-test-hang"


def test_a_child_of_the_child_does_not_outlive_it() -> None:
    program = "import subprocess; subprocess.Popen(['sleep', '61.25'], pass_fds=[report]); sys.exit(1)"
    assert code_of(program, Limits(wall_s=1.5)) == "self-test-hang"

    def left() -> list[Path]:
        return [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"61.25" in _read(path)]

    deadline = time.monotonic() + 10.0  # it was killed, not waited for: the system takes it away when it comes to it
    while left() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a33_what_takes_twice_the_time_is_too_slow() -> None:
    judged(Report(decision_ms=1.9, current_ms=1.0))
    for report in (Report(decision_ms=2.1, current_ms=1.0), Report(decision_ms=300.0)):
        with pytest.raises(UpdateError) as caught:
            judged(report)
        assert caught.value.code == "self-test-slow"


def test_a31_clips_that_come_out_worse_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "played.py").write_text(
        "def play(folder, settings):\n    return 3, [f'kitchen light in {folder.name}']\n"
    )
    (tmp_path / "pronunciations.txt").write_text("siobhan SH IH V AO N\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UpdateError, match="1 of 3 clips: 'kitchen light in") as caught:
        self_test("pronunciations", tmp_path, None, clips="played:play")
    assert caught.value.code == "self-test-clips"


def test_command_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("intents:\n  Party:\n    data:\n      - sentences: [party time]\n")
    assert self_test("commands", tmp_path, None).golden == 1
    (tmp_path / "more.yaml").write_text("intents: [")
    with pytest.raises(UpdateError) as caught:
        self_test("commands", tmp_path, None)
    assert caught.value.code == "self-test-refused"


def test_pronunciations_are_read(tmp_path: Path) -> None:
    (tmp_path / "pronunciations.txt").write_text("siobhan SH IH V AO N\n")
    assert self_test("pronunciations", tmp_path, None).golden == 1


@pytest.mark.parametrize(
    "sentence",
    ["turn <nosuchrule> on", "turn {nosuchlist} on"],
    ids=["a rule that is missing", "a list that is missing"],
)
def test_commands_that_the_agent_could_not_compile_are_refused(tmp_path: Path, sentence: str) -> None:
    (tmp_path / "more.yaml").write_text(
        f'language: en\nintents:\n  turn_on:\n    data:\n      - sentences: ["{sentence}"]\n'
    )
    with pytest.raises(UpdateError) as caught:
        self_test("commands", tmp_path, None)
    assert caught.value.code == "self-test-refused"
