import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from voskmodels import WORDS, in_folder, old_files, vosk_files, zipped

from edgeagent.errors import ModelError
from edgeagent.hear.model_store import (
    RECORD,
    SPARE_BYTES,
    Record,
    changing,
    find,
    import_model,
    installed,
    names,
    part_of,
    remove,
    require_room,
)

NAME = "vosk-model-small-xx-1.0"


def zip_file(folder: Path, words: Sequence[str] = WORDS, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.zip"
    path.write_bytes(zipped(vosk_files(words), name))
    return path


def knows(models: Path, word: str) -> bool:
    """Tell whether the words of the installed model, which is whole, have this one."""
    return word in (installed(models, NAME).folder / "graph/words.txt").read_text()


def visible(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir() if path.name != ".lock")


def python(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


def test_a_zip_is_installed_with_a_record_of_where_it_came_from(tmp_path: Path) -> None:
    source = zip_file(tmp_path)
    made = import_model(tmp_path / "models", source)
    assert made == find(tmp_path / "models", NAME)
    assert made.folder == tmp_path / "models" / NAME
    assert made.record.origin.source == str(source)
    assert made.record.origin.sha256 is not None
    assert made.record.origin.bytes == source.stat().st_size
    assert made.record.files == {name: len(content) for name, content in vosk_files().items()}
    assert {name: (made.folder / name).read_bytes() for name in vosk_files()} == vosk_files()
    assert visible(tmp_path / "models") == [NAME]


def test_a_folder_is_installed_by_its_name_or_another(tmp_path: Path) -> None:
    source = in_folder(tmp_path / "mine", vosk_files())
    models = tmp_path / "models"
    import_model(models, source)
    import_model(models, source, name="vosk-small-en")
    assert names(models) == ("mine", "vosk-small-en")
    assert find(models, "vosk-small-en").folder == models / "vosk-small-en"


def test_a_model_copied_from_another_device_gets_a_record_of_its_own(tmp_path: Path) -> None:
    there = import_model(tmp_path / "there", zip_file(tmp_path))
    here = import_model(tmp_path / "here", there.folder)
    assert here.record.origin.source == str(there.folder)
    assert here.record.files == there.record.files


def test_a_model_is_found_by_its_short_name_and_the_last_of_them_wins(tmp_path: Path) -> None:
    models = tmp_path / "models"
    for name in ("vosk-model-small-en-us-0.15", "vosk-model-small-en-us-0.22"):
        made = import_model(models, zip_file(tmp_path, name=name))
        origin = made.record.origin.model_copy(update={"short_name": "vosk-small-en-us"})
        record = made.record.model_copy(update={"origin": origin})
        (made.folder / RECORD).write_text(record.model_dump_json())
    assert find(models, "vosk-small-en").record.name == "vosk-model-small-en-us-0.22"
    (models / "vosk-model-small-en-us-0.22" / "am/final.mdl").unlink()
    assert find(models, "vosk-small-en").record.name == "vosk-model-small-en-us-0.15"


def test_a_model_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'x'; installed: none"):
        find(tmp_path / "models", "x")
    import_model(tmp_path / "models", zip_file(tmp_path))
    with pytest.raises(ModelError, match=f"no model '../x'; installed: {NAME}") as raised:
        find(tmp_path / "models", "../x")
    assert "edgeagent model fetch" in raised.value.remedy


@pytest.mark.parametrize("spoil", ["shorten", "remove", "no record", "strange record"])
def test_a_model_that_was_damaged_since_is_not_opened(tmp_path: Path, spoil: str) -> None:
    models = tmp_path / "models"
    folder = import_model(models, zip_file(tmp_path)).folder
    match spoil:
        case "shorten":
            (folder / "am/final.mdl").write_bytes(b"\0B")
        case "remove":
            (folder / "conf/model.conf").unlink()
        case "no record":
            (folder / RECORD).unlink()
        case _:
            (folder / RECORD).write_text(json.dumps({"format": 2}))
    with pytest.raises(ModelError, match=NAME) as raised:
        find(models, NAME)
    assert raised.value.remedy
    import_model(models, zip_file(tmp_path))
    assert knows(models, "turn")


@pytest.mark.parametrize("name", ["../escaped", ".hidden", "a b", "", "x" * 101])
def test_a_name_that_is_no_name_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    source = in_folder(tmp_path / " no name", vosk_files())
    with pytest.raises(ModelError, match="expected a name of letters") as raised:
        import_model(tmp_path / "models", source, name=name)
    assert "--name NAME" in raised.value.remedy
    assert visible(tmp_path / "models") == []


def test_what_is_no_model_leaves_nothing_and_what_was_there_stays(tmp_path: Path) -> None:
    models = tmp_path / "models"
    import_model(models, zip_file(tmp_path))
    bad = tmp_path / "bad.zip"
    bad.write_bytes(zipped(vosk_files() | {"am/final.mdl": b""}, NAME))
    with pytest.raises(ModelError, match=r"bad\.zip: no whole Vosk model: missing or empty: am/final\.mdl"):
        import_model(models, bad)
    assert visible(models) == [NAME]
    assert knows(models, "turn")


def test_a_model_of_another_language_is_refused(tmp_path: Path) -> None:
    source = zip_file(tmp_path, ["включи", "свет"])
    with pytest.raises(ModelError, match="knows none of on, turn"):
        import_model(tmp_path / "models", source, words=["turn", "on"])
    assert visible(tmp_path / "models") == []


def test_a_model_is_replaced_by_another_of_its_name(tmp_path: Path) -> None:
    models = tmp_path / "models"
    import_model(models, zip_file(tmp_path, [*WORDS, "old"]))
    import_model(models, zip_file(tmp_path, [*WORDS, "new"]))
    assert knows(models, "new")
    assert not knows(models, "old")
    assert visible(models) == [NAME]


def test_a_folder_that_somebody_put_in_the_place_is_replaced_as_well(tmp_path: Path) -> None:
    models = tmp_path / "models"
    in_folder(models / NAME, {"am/final.mdl": b"by hand"})
    import_model(models, zip_file(tmp_path))
    assert knows(models, "turn")
    shutil.rmtree(models / NAME)
    in_folder(tmp_path / "elsewhere", {"precious": b"x"})
    (models / NAME).symlink_to(tmp_path / "elsewhere")
    import_model(models, zip_file(tmp_path))
    assert knows(models, "turn")
    assert (tmp_path / "elsewhere/precious").exists()
    assert not (models / NAME).is_symlink()


def test_a_model_is_removed_with_what_was_fetched_of_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    import_model(models, zip_file(tmp_path))
    part_of(models, NAME).write_bytes(b"x")
    part_of(models, "other").write_bytes(b"x")
    assert remove(models, NAME) == NAME
    assert visible(models) == [part_of(models, "other").name]
    assert remove(models, "other") == "other"
    assert visible(models) == []


@pytest.mark.parametrize("name", ["nothing", "../elsewhere", ".lock", "", "."])
def test_nothing_else_is_ever_removed(tmp_path: Path, name: str) -> None:
    models = tmp_path / "models"
    import_model(models, zip_file(tmp_path))
    in_folder(tmp_path / "elsewhere", {RECORD: b"{}"})
    with pytest.raises(ModelError, match=f"no model '{name}'; installed: {NAME}"):
        remove(models, name)
    assert (tmp_path / "elsewhere" / RECORD).exists()
    assert visible(models) == [NAME]


def test_a_damaged_model_can_be_removed(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (import_model(models, zip_file(tmp_path)).folder / RECORD).write_text("{")
    assert remove(models, NAME) == NAME
    assert visible(models) == []


def test_two_at_once_are_one_too_many(tmp_path: Path) -> None:
    models = tmp_path / "models"
    with changing(models), pytest.raises(ModelError, match="another edgeagent model command is at work"):
        import_model(models, zip_file(tmp_path))
    import_model(models, zip_file(tmp_path))


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    require_room(tmp_path, free - 2 * SPARE_BYTES)
    with pytest.raises(ModelError, match="MB are needed"):
        require_room(tmp_path, free)


def test_a_write_that_fails_in_the_middle_is_an_error_and_gives_the_room_back(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from edgeagent.errors import ModelError
from edgeagent.hear.model_store import import_model
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    import_model(Path(sys.argv[1]), Path(sys.argv[2]))
except ModelError as error:
    print(error, "/", error.remedy)
"""
    models = tmp_path / "models"
    with python(script, models, zip_file(tmp_path)) as child:
        out, _ = child.communicate()
    assert out.startswith(f"{models}: File too large / Can it be read, is there room")
    assert visible(models) == []


def test_a_store_that_cannot_be_written_is_told_with_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(ModelError, match="models: File exists") as raised:
        import_model(tmp_path / "models", zip_file(tmp_path))
    assert "ls -ld" in raised.value.remedy


def test_a_kill_while_it_is_unpacked_leaves_the_old_model_and_nothing_half(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from edgeagent.hear.model_store import import_model
def progress(done, total):
    if done > total / 2:
        print("half", flush=True)
        sys.stdin.read()
import_model(Path(sys.argv[1]), Path(sys.argv[2]), progress=progress)
"""
    models = tmp_path / "models"
    import_model(models, zip_file(tmp_path, [*WORDS, "old"]))
    new = zip_file(tmp_path, [*WORDS, "new"])
    with python(script, models, new) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "half\n"
        assert visible(models) == [".unfinished", NAME]
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert names(models) == (NAME,)
    assert knows(models, "old")
    import_model(models, new)
    assert knows(models, "new")
    assert visible(models) == [NAME]


@pytest.mark.parametrize("before", ["old", "none"])
def test_a_kill_at_any_step_of_an_import_leaves_what_was_before_or_the_new_model(tmp_path: Path, before: str) -> None:
    script = """
import sys
from pathlib import Path
from edgeagent.hear.model_store import import_model, installed, names, remove
from voskmodels import kill_at_every_step
models, old, new = map(Path, sys.argv[1:4])
seen = []
def look():
    there = [installed(models, name) for name in names(models)]
    seen.append(Path(there[0].record.origin.source).parent.name if there else "none")
    if seen[-1] == "new":
        import_model(models, old) if sys.argv[4] == "old" else remove(models, there[0].record.name)
if sys.argv[4] == "old":
    import_model(models, old)
print(kill_at_every_step(lambda: import_model(models, new), look), *sorted(set(seen)), seen[-1])
"""
    sources = [tmp_path / age / f"{NAME}.zip" for age in ("old", "new")]
    for source in sources:
        source.parent.mkdir()
        source.write_bytes(zipped(old_files(), NAME))
    with python(script, tmp_path / "models", *sources, before) as child:
        out, _ = child.communicate()
    steps, *seen, last = out.split()
    assert int(steps) > 30
    assert seen == sorted(["new", before])
    assert last == "new"


def test_a_record_says_nothing_unknown(tmp_path: Path) -> None:
    made = import_model(tmp_path / "models", zip_file(tmp_path))
    told = json.loads((made.folder / RECORD).read_text())
    assert Record.model_validate_json(json.dumps(told)) == made.record
    (made.folder / RECORD).write_text(json.dumps(told | {"trusted": True}))
    with pytest.raises(ModelError, match="Extra inputs are not permitted"):
        installed(tmp_path / "models", NAME)
