import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from voskmodels import NAME, WORDS, entry, old_files, vosk_files, zipped
from webserver import WebServer, web_server

from edgeagent.errors import ModelError
from edgeagent.hear.model_download import fetch
from edgeagent.hear.model_store import find, names, note_of, part_of
from edgeagent.hear.published_models import ListedModel
from edgeagent.hear.transfer import WORTHWHILE_BYTES, Patience

ZIP = f"/{NAME}.zip"
QUICK = Patience(timeout_s=5.0, pauses_s=(0.0, 0.0))
IMPATIENT = Patience(timeout_s=0.2, pauses_s=(0.0,))


def archive(word: str = "word") -> bytes:
    return zipped(vosk_files([*WORDS, word]) | {"noise": os.urandom(40_000)}, NAME)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with web_server() as server:
        yield server


def published(web: WebServer, content: bytes) -> ListedModel:
    """Serve a zip and return how the list tells of it."""
    web.files[ZIP] = content
    return ListedModel.model_validate(entry(content, url=web.url(ZIP)))


def refused(models: Path, model: ListedModel, patience: Patience = QUICK) -> str:
    with pytest.raises(ModelError) as raised:
        fetch(models, model, patience=patience)
    assert names(models) == ()
    assert raised.value.remedy
    return str(raised.value)


def test_a_model_is_fetched_verified_and_installed(web: WebServer, tmp_path: Path) -> None:
    content = archive()
    told: list[tuple[int, int]] = []
    made = fetch(tmp_path, published(web, content), progress=lambda done, total: told.append((done, total)))
    assert made == find(tmp_path, "vosk-small-en")
    origin = made.record.origin
    assert (origin.source, origin.bytes, origin.language) == (web.url(ZIP), len(content), "en-us")
    assert origin.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert origin.sha256 == hashlib.sha256(content).hexdigest()
    assert (told[0], told[-1]) == ((0, len(content)), (len(content), len(content)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", NAME]


def test_a_model_that_is_there_is_not_fetched_again_and_a_damaged_one_is(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    made = fetch(tmp_path, model)
    assert fetch(tmp_path, model) == made
    assert len(web.asked) == 1
    (made.folder / "am/final.mdl").unlink()
    fetch(tmp_path, model)
    assert (made.folder / "am/final.mdl").exists()


def test_a_link_that_is_cut_again_and_again_gets_there_by_ranges(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.etags[ZIP] = '"one"'
    web.cuts = [10_000, 7_000]
    fetch(tmp_path, model, patience=QUICK)
    assert web.ranges(ZIP) == [None, "bytes=10000-", "bytes=17000-"]
    assert web.conditions == [None, '"one"', '"one"']


def test_tries_are_counted_anew_after_each_that_was_worth_it(web: WebServer, tmp_path: Path) -> None:
    model = published(web, zipped(vosk_files() | {"big": os.urandom(8 * WORTHWHILE_BYTES)}, NAME))
    web.cuts = [WORTHWHILE_BYTES] * 7
    fetch(tmp_path, model, patience=Patience(timeout_s=5.0, pauses_s=(0.0,)))
    assert len(web.asked) == 8


def test_a_connection_that_is_reset_is_gone_on_with(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.cuts, web.resets = [20_000], True
    assert fetch(tmp_path, model, patience=QUICK)


def test_tries_end_and_what_came_is_kept_for_the_next_time(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.cuts = [100, 100, 100]
    assert "the connection ended after 100 of" in refused(tmp_path, model)
    assert part_of(tmp_path, NAME).read_bytes() == web.files[ZIP][:300]
    fetch(tmp_path, model, patience=QUICK)
    assert web.ranges(ZIP)[-1] == "bytes=300-"


def test_a_server_without_ranges_is_begun_anew_with(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.cuts, web.has_ranges = [10_000], False
    fetch(tmp_path, model, patience=QUICK)
    assert web.ranges(ZIP) == [None, "bytes=10000-"]


@pytest.mark.parametrize("honours", [True, False])
def test_a_file_that_changed_on_the_server_is_begun_anew(web: WebServer, tmp_path: Path, honours: bool) -> None:  # noqa: FBT001  # of two cases
    content = archive()
    model = published(web, content)
    web.files[ZIP], web.etags[ZIP], web.cuts = bytes(len(content)), '"old"', [10_000]
    refused(tmp_path, model, Patience(timeout_s=5.0, pauses_s=()))
    web.files[ZIP], web.etags[ZIP], web.honours_conditions = content, '"new"', honours
    fetch(tmp_path, model, patience=QUICK)
    assert web.ranges(ZIP)[1:] == (["bytes=10000-"] if honours else ["bytes=10000-", None])


def test_a_beginning_that_was_spoilt_is_thrown_away_once(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.cuts = [10_000]
    refused(tmp_path, model, Patience(timeout_s=5.0, pauses_s=()))
    part_of(tmp_path, NAME).write_bytes(bytes(10_000))
    fetch(tmp_path, model, patience=QUICK)
    assert web.ranges(ZIP) == [None, "bytes=10000-", None]


@pytest.mark.parametrize("spoil", ["no note", "strange note", "of another address", "longer than the file"])
def test_a_beginning_of_which_nothing_is_known_is_not_gone_on_with(web: WebServer, tmp_path: Path, spoil: str) -> None:
    model = published(web, archive())
    web.cuts = [10_000]
    refused(tmp_path, model, Patience(timeout_s=5.0, pauses_s=()))
    part = part_of(tmp_path, NAME)
    note = note_of(part)
    match spoil:
        case "no note":
            note.unlink()
        case "strange note":
            note.write_text("[")
        case "of another address":
            note.write_text(note.read_text().replace("127.0.0.1", "localhost"))
        case _:
            part.write_bytes(bytes(len(web.files[ZIP]) + 1))
    fetch(tmp_path, model, patience=QUICK)
    assert web.ranges(ZIP) == [None, None]


def test_a_file_of_another_hash_is_refused_and_thrown_away(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive()).model_copy(update={"md5": "0" * 32})
    assert f"expected the MD5 {'0' * 32} of the list, found" in refused(tmp_path, model)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("change", [-1, 1, 300_000])
def test_a_file_of_another_size_is_refused(web: WebServer, tmp_path: Path, change: int, declared: bool) -> None:  # noqa: FBT001  # of two cases
    content = archive()
    model = published(web, content)
    web.files[ZIP] = content[:change] if change < 0 else content + bytes(change)
    web.declares_length = declared
    complaint = refused(tmp_path, model)
    if declared:
        assert f"expected {len(content)} bytes as the list says, found {len(content) + change}" in complaint
        assert len(web.asked) == 1
    assert not part_of(tmp_path, NAME).is_file() or part_of(tmp_path, NAME).stat().st_size <= len(content)


def test_endless_data_end_at_the_size_that_was_listed(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.files[ZIP] = bytes(30 << 20)
    web.declares_length = False
    assert f"expected {model.size} bytes as the list says" in refused(tmp_path, model)


@pytest.mark.parametrize(("code", "tries"), [(204, 1), (404, 1), (403, 1), (410, 1), (500, 3), (503, 3), (429, 3)])
def test_a_refusal_is_told_and_tried_again_only_where_it_may_pass(
    web: WebServer, tmp_path: Path, code: int, tries: int
) -> None:
    model = published(web, archive())
    web.refusals[ZIP] = [code] * 5
    assert f"{ZIP}: HTTP {code}" in refused(tmp_path, model)
    assert len(web.asked) == tries


def test_a_server_that_is_busy_for_a_moment_is_asked_again(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.refusals[ZIP] = [503]
    assert fetch(tmp_path, model, patience=QUICK)


def test_a_server_that_says_nothing_more_is_left_after_the_time_out(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.holds_after = 1000
    assert "timed out; tried 2 times in vain" in refused(tmp_path, model, IMPATIENT)


def test_a_trickle_is_left_as_well(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.trickles = 1
    assert "bytes came in 1 s; tried" in refused(tmp_path, model, Patience(timeout_s=1.0, pauses_s=()))


def test_a_slow_server_may_take_longer_than_the_time_out(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.trickles = 2_000
    assert fetch(tmp_path, model, patience=Patience(timeout_s=0.3, pauses_s=(0.0, 0.0)))


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with web_server() as web:
        model = published(web, archive())
    assert "Connection refused; tried 3 times in vain" in refused(tmp_path, model)


def test_a_zip_of_something_else_is_refused_by_its_address_and_fetched_once(web: WebServer, tmp_path: Path) -> None:
    model = published(web, zipped({"beach.jpg": b"x"}))
    for _ in range(2):
        assert f"{web.url(ZIP)}: no Vosk model" in refused(tmp_path, model)
    assert len(web.asked) == 1
    assert f"{web.url(ZIP)}: neither a folder nor a whole zip" in refused(tmp_path, published(web, b"<html>"))


FETCH = """
import sys
from pathlib import Path
from edgeagent.hear.model_download import fetch
from edgeagent.hear.published_models import ListedModel
model = ListedModel.model_validate_json(sys.argv[2])
"""


def python(script: str, models: Path, model: ListedModel, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH + script, str(models), model.model_dump_json(by_alias=True), *arguments]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def test_a_kill_in_the_middle_of_a_fetch_is_gone_on_from(web: WebServer, tmp_path: Path) -> None:
    model = published(web, archive())
    web.holds_after = 12_000
    with python(
        "fetch(Path(sys.argv[1]), model, progress=lambda done, _: print(done, flush=True))", tmp_path, model
    ) as child:
        assert child.stdout is not None
        while int(child.stdout.readline()) < 12_000:
            pass
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert names(tmp_path) == ()
    assert part_of(tmp_path, NAME).read_bytes() == web.files[ZIP][:12_000]
    web.holds_after = None
    fetch(tmp_path, model, patience=QUICK)
    assert web.ranges(ZIP) == [None, "bytes=12000-"]
    assert find(tmp_path, NAME).record.origin.md5 == model.md5
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", NAME]


def test_a_kill_at_any_step_of_a_fetch_leaves_a_whole_model_or_none(web: WebServer, tmp_path: Path) -> None:
    script = """
from edgeagent.hear.model_store import installed, names
from voskmodels import kill_at_every_step
models = Path(sys.argv[1])
seen = []
def look():
    seen.append(len([installed(models, name) for name in names(models)]))
print(kill_at_every_step(lambda: fetch(models, model), look), *sorted(set(seen)), seen[-1])
"""
    with python(script, tmp_path, published(web, zipped(old_files(), NAME))) as child:
        out, _ = child.communicate()
    steps, *seen = map(int, out.split())
    assert steps > 30
    assert seen == [0, 1, 1]
