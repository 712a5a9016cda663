"""`edgeagent model` as an owner meets it."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from voskmodels import NAME, WORDS, entry, in_folder, vosk_files, zipped
from webserver import WebServer, web_server

from edgeagent.cli.model import model_app
from edgeagent.errors import ModelError


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """Serve a list of two models, one of them obsolete."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content = zipped(vosk_files(), NAME)
    model = entry(content, url="model.zip")
    with web_server() as server:
        server.files["/model.zip"] = content
        server.files["/list"] = json.dumps([model, model | {"name": "old", "obsolete": "true"}]).encode()
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "edgeagent.toml"
    path.write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    return path


def said(settings: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(model_app, [*map(str, arguments), "--settings", str(settings)])


def answered(settings: Path, *arguments: str | Path) -> Any:
    result = said(settings, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def complaint(settings: Path, *arguments: str | Path) -> ModelError:
    error = said(settings, *arguments).exception
    assert isinstance(error, ModelError)
    assert error.remedy
    return error


def test_a_model_is_fetched_listed_and_removed(web: WebServer, settings: Path, tmp_path: Path) -> None:
    fetched = said(settings, "fetch", "vosk-small-en", "--list", web.url("/list"))
    assert fetched.exit_code == 0, fetched.output
    first, known, lacks = fetched.stdout.splitlines()
    assert first == f"{NAME}: installed in {tmp_path}/state/models/{NAME}"
    assert known.startswith("  knows 7 words, 5 of the ")
    assert lacks.startswith("  lacks a, abort, ")
    assert lacks.endswith(" more")
    assert fetched.stderr == ""

    listed = said(settings, "list").stdout
    assert NAME in listed
    assert web.url("/model.zip") in listed
    assert said(settings, "remove", NAME).stdout == f"{NAME}: removed\n"
    assert "No model is installed. Fetch one: edgeagent model fetch" in said(settings, "list").stdout


def test_everything_is_told_as_json_as_well(web: WebServer, settings: Path) -> None:
    told = answered(settings, "fetch", NAME, "--list", web.url("/list"))
    assert (told["name"], told["words"], told["remarks"]) == (NAME, len(WORDS), [])
    assert told["origin"]["short_name"] == "vosk-small-en-us"
    assert "dim" in told["lacks"]
    listed = answered(settings, "list", "--available", "--list", web.url("/list"))
    assert [one["name"] for one in listed["installed"]] == [NAME]
    assert [one["short_name"] for one in listed["available"]] == ["vosk-small-en-us"]
    assert answered(settings, "remove", "vosk-small-en") == {"removed": NAME}
    assert answered(settings, "list") == {"installed": []}


def test_what_can_be_fetched_is_shown_with_its_short_name(web: WebServer, settings: Path) -> None:
    shown = said(settings, "list", "--available", "--list", web.url("/list")).stdout
    assert "No model is installed" in shown
    assert "US English" in shown
    assert "vosk-small-en-us" in shown
    assert "old" not in shown


def test_a_model_is_imported_from_a_folder_and_from_a_zip(settings: Path, tmp_path: Path) -> None:
    folder = in_folder(tmp_path / "mine", vosk_files())
    (tmp_path / "other.zip").write_bytes(zipped(vosk_files()))
    assert answered(settings, "import", folder, "--name", "vosk-small-en")["origin"]["source"] == str(folder)
    assert answered(settings, "import", tmp_path / "other.zip")["origin"]["sha256"]
    assert [one["name"] for one in answered(settings, "list")["installed"]] == ["other", "vosk-small-en"]


def test_what_a_model_can_do_without_is_noted(settings: Path, tmp_path: Path) -> None:
    files = vosk_files()
    del files["graph/phones/word_boundary.int"]
    shown = said(settings, "import", in_folder(tmp_path / "mine", files)).stdout
    assert "  note: graph/phones/word_boundary.int is missing" in shown


def test_a_damaged_model_is_listed_as_such(settings: Path, tmp_path: Path) -> None:
    answered(settings, "import", in_folder(tmp_path / "mine", vosk_files()))
    (tmp_path / "state/models/mine/am/final.mdl").unlink()
    (one,) = answered(settings, "list")["installed"]
    assert one["from"].startswith("damaged: ")
    assert "damaged: " in said(settings, "list").stdout


def test_mistakes_are_told_with_what_to_do(web: WebServer, settings: Path, tmp_path: Path) -> None:
    assert "did you mean vosk-small-en-us" in str(
        complaint(settings, "fetch", "vosk-small", "--list", web.url("/list"))
    )
    assert "expected an address" in str(complaint(settings, "fetch", NAME, "--list", "file:///etc/passwd"))
    assert "no such folder or file" in str(complaint(settings, "import", tmp_path / "nowhere"))
    assert "no model 'x'; installed: none" in str(complaint(settings, "remove", "x"))
    russian = in_folder(tmp_path / "ru", vosk_files(["<eps>", "включи", "свет"]))
    assert "it knows none of" in str(complaint(settings, "import", russian))
    assert answered(settings, "list") == {"installed": []}


def test_progress_is_drawn_where_somebody_looks(web: WebServer, settings: Path) -> None:
    screen, terminal = pty.openpty()
    command = ["fetch", NAME, "--list", web.url("/list"), "--settings", str(settings)]
    program = "from edgeagent.cli.model import model_app; model_app()"
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", program, *command], stdout=subprocess.PIPE, stderr=terminal, env=env
    ) as child:
        os.close(terminal)
        out, _ = child.communicate()
    shown = os.read(screen, 100_000).decode()
    os.close(screen)
    assert child.returncode == 0
    assert out.decode().startswith(f"{NAME}: installed in ")
    assert "fetch" in shown
    assert "unpack" in shown
    assert "kB" in shown
