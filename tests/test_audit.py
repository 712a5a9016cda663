"""The trail of what was ordered: chained, bounded, mended after a power cut, and shown by `edgeagent log`."""

import asyncio
import json
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually

from edgeagent.audit import AUDIT, START, TORN, Trail, check, entries_of, entry_of, files_of
from edgeagent.cli.log import Wanted, check_log, show_log, since_of
from edgeagent.errors import SettingsError
from edgeagent.messages import (
    Action,
    Answer,
    Command,
    Device,
    Message,
    Outcome,
    Published,
    Rejection,
    Slot,
    Step,
    Transcript,
)
from edgeagent.notes import GAP, MOST_WAITING, Notes
from edgeagent.settings import AgentSettings, DeviceSettings

LAMP = Device("lamp", "Desk lamp", "light", frozenset({"power"}))
ORDER = Command("u1", "turn_on", (Slot("name", "desk lamp", "desk lamp"),), "turn on the desk lamp", 0, 0.93)
ACTION = Action("a1", "u1", LAMP, "power", "on")
DONE = Outcome(ACTION, "done", 0.05)
NOW = "2026-11-21T18:00:00+00:00"


def some(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"at": NOW, "step": "done", "n": number} for number in range(start, start + count)]


def numbers(folder: Path) -> list[int]:
    return [entry["n"] for entry in entries_of(folder) if "n" in entry]


def test_what_is_appended_is_read_again_and_sound(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "audit")
    trail.append(some(3))
    Trail(tmp_path / "audit").append(some(2, 3))
    assert numbers(tmp_path / "audit") == [0, 1, 2, 3, 4]
    result = check(tmp_path / "audit")
    assert (result.entries, result.is_from_the_start, result.problems) == (5, True, ())
    assert next(iter(entries_of(tmp_path / "audit")))["before"] == START
    (file,) = files_of(tmp_path / "audit")
    assert file.stat().st_mode & 0o077 == 0


def test_an_empty_trail_is_whole(tmp_path: Path) -> None:
    assert check(tmp_path / "none").problems == ()
    assert list(entries_of(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: [lines[0], lines[1].replace(b'"n": 1', b'"n": 9'), *lines[2:]], "000001.jsonl:2: was changed"),
        (lambda lines: [lines[0], *lines[2:]], "000001.jsonl:2: does not follow"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "000001.jsonl:2: does not follow"),
        (lambda lines: [*lines[:2], b"nonsense\n", *lines[2:]], "000001.jsonl:3: is no entry"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "000001.jsonl:3: does not follow"),
    ],
)
def test_what_was_changed_taken_out_or_put_in_is_told(tmp_path: Path, change: Any, problem: str) -> None:
    Trail(tmp_path).append(some(4))
    (file,) = files_of(tmp_path)
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))
    assert any(one.startswith(problem) for one in check(tmp_path).problems)


def test_the_oldest_files_go_and_the_rest_is_sound(tmp_path: Path) -> None:
    trail = Trail(tmp_path, file_bytes=2_000, most_files=3)
    for number in range(60):
        trail.append(some(1, number))
    assert len(files_of(tmp_path)) == 3
    assert sum(path.stat().st_size for path in files_of(tmp_path)) < 3 * 2_500
    assert numbers(tmp_path)[-1] == 59
    result = check(tmp_path)
    assert (result.is_from_the_start, result.problems) == (False, ())


def test_a_torn_line_is_cut_off_and_said_so(tmp_path: Path) -> None:
    Trail(tmp_path).append(some(2))
    (file,) = files_of(tmp_path)
    with file.open("ab") as torn:
        torn.write(b'{"at": "2026-11-21T18:0')
    Trail(tmp_path).append(some(1, 2))
    assert check(tmp_path).problems == ()
    assert [entry["step"] for entry in entries_of(tmp_path)] == ["done", "done", TORN, "done"]


def test_a_torn_line_is_said_also_where_a_new_file_begins(tmp_path: Path) -> None:
    Trail(tmp_path).append(some(2))
    (file,) = files_of(tmp_path)
    with file.open("ab") as torn:
        torn.write(b'{"at": "2026')
    Trail(tmp_path, file_bytes=100).append(some(1, 2))
    assert [entry["step"] for entry in entries_of(tmp_path)] == ["done", "done", TORN, "done"]


def test_odd_letters_change_nothing(tmp_path: Path) -> None:
    Trail(tmp_path).append([{"at": NOW, "step": "understood", "text": "caf\u00e9 \ud800 \U0001f4a1"}])
    assert check(tmp_path).problems == ()


def test_a_line_that_is_too_long_is_told_of_without_its_words(tmp_path: Path) -> None:
    Trail(tmp_path).append([{"at": NOW, "step": "understood", "text": "x" * 20_000}])
    (entry,) = entries_of(tmp_path)
    assert "text" not in entry
    assert entry["left_out"] > 20_000
    assert check(tmp_path).problems == ()


_APPEND = """
import sys
from pathlib import Path
from edgeagent.audit import Trail
trail = Trail(Path(sys.argv[1]), file_bytes=4000, most_files=1000)
for number in range(int(sys.argv[2])):
    trail.append([{"at": "", "step": "done", "n": number}])
"""


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    both = [subprocess.Popen([sys.executable, "-c", _APPEND, str(tmp_path), "60"]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(numbers(tmp_path)) == sorted([*range(60)] * 2)
    assert check(tmp_path).problems == ()


def test_a_kill_at_any_moment_leaves_a_trail_that_goes_on(tmp_path: Path) -> None:
    for round_ in range(8):
        process = subprocess.Popen([sys.executable, "-c", _APPEND, str(tmp_path), "100000"])
        before = len(numbers(tmp_path))
        while len(numbers(tmp_path)) < before + 3:
            time.sleep(0.01)
        time.sleep(0.003 * round_)
        process.send_signal(signal.SIGKILL)
        process.wait()
        Trail(tmp_path, file_bytes=4000, most_files=1000).append(some(1))
        assert check(tmp_path).problems == ()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    Trail(tmp_path).append(some(2))
    (file,) = files_of(tmp_path)
    size = file.stat().st_size

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, size + 20))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    full = subprocess.run(
        [sys.executable, "-c", _APPEND, str(tmp_path), "1"],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OSError" in full.stderr
    assert file.stat().st_size == size
    Trail(tmp_path).append(some(1, 2))
    assert numbers(tmp_path) == [0, 1, 2]


def test_words_that_were_for_nobody_are_not_written_down() -> None:
    assert entry_of(Rejection("u1", "not-speech-we-know", "and then she said"), NOW) is None
    assert entry_of(Rejection("u1", "not-a-command", "what a day"), NOW) is None
    assert entry_of(Transcript("u1", (), 1.0, ended_by="silence"), NOW) is None
    assert entry_of(Answer("u1", "Done."), NOW) is None
    refused = entry_of(Rejection("u1", "not-by-voice", "open the safe", "it is not by voice"), NOW)
    assert refused is not None
    assert refused["text"] == "open the safe"


def test_an_order_is_told_with_its_words_how_sure_and_what_came_of_it() -> None:
    order = entry_of(ORDER, NOW)
    assert order is not None
    assert (order["text"], order["confidence"], order["intent"], order["slots"]) == (
        "turn on the desk lamp",
        0.93,
        "turn_on",
        {"name": "desk lamp"},
    )
    published = entry_of(Published(ACTION, Message("lamp/set", b"ON")), NOW)
    assert published is not None
    assert (published["topic"], published["payload"]) == ("lamp/set", "ON")
    done = entry_of(DONE, NOW)
    assert done is not None
    assert (done["step"], done["device"], done["value"]) == ("done", "Desk lamp", "on")


def settings(folder: Path) -> AgentSettings:
    return AgentSettings(device=DeviceSettings(state_dir=folder))


def test_notes_reach_the_disk_beside_the_loop_and_at_the_end(tmp_path: Path) -> None:
    async def work() -> None:
        notes = Notes(Trail(tmp_path / AUDIT))
        keeping = asyncio.create_task(notes.keep())
        notes.note(ORDER)
        await eventually(lambda: bool(list(entries_of(tmp_path / AUDIT))))
        keeping.cancel()
        notes.note(DONE)
        await notes.flush()

    asyncio.run(work())
    assert [entry["step"] for entry in entries_of(tmp_path / AUDIT)] == ["understood", "done"]


def test_too_much_at_once_and_a_disk_that_refuses_are_told_as_gaps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR")
    (tmp_path / AUDIT).write_text("in the way")

    async def work() -> None:
        notes = Notes(Trail(tmp_path / AUDIT))
        for _ in range(MOST_WAITING + 7):
            notes.note(DONE)
        await notes.flush()
        (tmp_path / AUDIT).unlink()
        notes.note(ORDER)
        await notes.flush()

    asyncio.run(work())
    assert "cannot be written" in caplog.text
    gap, order = entries_of(tmp_path / AUDIT)
    assert (gap["step"], gap["lost"]) == (GAP, MOST_WAITING + 7)
    assert order["step"] == "understood"


def test_nothing_is_kept_where_the_owner_wants_no_log() -> None:
    notes = Notes(None)
    notes.note(ORDER)
    asyncio.run(notes.flush())


def written(folder: Path) -> AgentSettings:
    old = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    now = datetime.now(UTC).isoformat()
    rows: list[tuple[str, Step]] = [
        (old, ORDER),
        (old, DONE),
        (now, Rejection("u2", "offline", "turn off the fan")),
        (now, ORDER),
    ]
    entries = [{"run": "a" if at == old else "b", **entry} for at, step in rows if (entry := entry_of(step, at))]
    Trail(folder / AUDIT).append(entries)
    return settings(folder)


def test_the_log_is_shown_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_log(written(tmp_path), Wanted(), is_json=False) == 0
    shown = capsys.readouterr().out
    assert '"turn on the desk lamp": turn_on name desk lamp' in shown
    assert "Desk lamp: power on" in shown
    assert '"turn off the fan": offline' in shown
    assert "93%" in shown


def test_the_log_is_filtered_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = written(tmp_path)

    def steps(wanted: Wanted) -> list[str]:
        show_log(ours, wanted, is_json=True)
        return [json.loads(line)["step"] for line in capsys.readouterr().out.splitlines()]

    assert steps(Wanted()) == ["understood", "done", "rejected", "understood"]
    assert steps(Wanted(since=datetime.now(UTC) - timedelta(hours=1))) == ["rejected", "understood"]
    assert steps(Wanted(device="desk lamp")) == ["understood", "done"]
    assert steps(Wanted(step="done")) == ["done"]


def test_an_empty_log_and_a_broken_one_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_log(settings(tmp_path), Wanted(), is_json=False) == 0
    assert "Nothing was ordered" in capsys.readouterr().out
    ours = written(tmp_path)
    assert check_log(ours, is_json=False) == 0
    assert "4 entries, from the first on: whole" in capsys.readouterr().out
    (file,) = files_of(tmp_path / AUDIT)
    file.write_bytes(file.read_bytes().replace(b"desk lamp", b"safe door", 1))
    assert check_log(ours, is_json=True) == 1
    assert json.loads(capsys.readouterr().out)["problems"] == ["000001.jsonl:1: was changed"]


def test_times_are_ages_or_dates() -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert since_of("90s", now) == now - timedelta(seconds=90)
    assert since_of("2h", now) == now - timedelta(hours=2)
    assert since_of("2026-11-20T10:00:00+00:00", now) == datetime(2026, 11, 20, 10, tzinfo=UTC)
    with pytest.raises(SettingsError, match="'yesterday' is no time"):
        since_of("yesterday", now)
