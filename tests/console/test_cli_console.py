"""`edgeagent console` on the command line, as a program."""

import json
import os
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, free_port, mosquitto
from console.running_console import BROKER, settings_text

from edgeagent.cli.console import NEEDED

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from edgeagent.cli.console import console_app
from edgeagent.errors import EdgeAgentError
try:
    console_app()
except EdgeAgentError as error:
    sys.exit(f"{error}\\n{error.remedy}")
"""
PASSWORD = "four words in a row\n"  # noqa: S105


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def console(*arguments: str, given: str = "", path: Path | None = None) -> Ran:
    environment = os.environ | ({"PYTHONPATH": f"{path}:{ROOT}"} if path else {})
    command = [sys.executable, *(["-S"] if path else []), "-c", PROGRAM, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def file(tmp_path: Path) -> str:
    file = tmp_path / "console.toml"
    file.write_text(settings_text(tmp_path / "data", free_port()))
    return str(file)


def test_a_board_without_the_extra_is_told_what_to_install(tmp_path: Path) -> None:
    """All that is installed here but what the extra brings."""
    for folder in site.getsitepackages():
        for entry in Path(folder).iterdir():
            if not entry.name.lower().startswith(tuple(NEEDED)):
                (tmp_path / entry.name).symlink_to(entry)
    ran = console("run", path=tmp_path)
    assert ran.code == 1
    assert "sqlalchemy" in ran.err
    assert "pip install 'edgeagent[console]'" in ran.err
    assert console("--help", path=tmp_path).code == 0


@pytest.mark.slow
def test_users_are_added_changed_and_let_in_no_more(file: str) -> None:
    at = ("--settings", file)
    assert console("user", "add", "anna", "--role", "admin", "--password-stdin", *at, given=PASSWORD).code == 0
    assert console("user", "add", "ben", "--role", "home=operator", "--password-stdin", *at, given=PASSWORD).code == 0
    assert console("user", "role", "ben", "--role", "viewer", *at).code == 0
    assert console("user", "passwd", "ben", "--password-stdin", *at, given="other " + PASSWORD).code == 0
    assert console("user", "disable", "ben", *at).code == 0
    assert json.loads(console("user", "list", "--json", *at).out) == [
        {"name": "anna", "disabled": False, "roles": {"*": "admin"}},
        {"name": "ben", "disabled": True, "roles": {"*": "viewer"}},
    ]
    assert "ben: viewer of * (disabled)" in console("user", "list", *at).out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "Anna/..", "--role", "admin"), "is no user name"),
        (("add", "anna", "--role", "boss"), "is no role"),
        (("role", "nobody", "--role", "admin"), "there is no user 'nobody'"),
        (("disable", "nobody"), "there is no user 'nobody'"),
    ],
)
def test_what_cannot_be_is_told_with_what_to_do(file: str, arguments: tuple[str, ...], complaint: str) -> None:
    more = ("--password-stdin",) if arguments[0] == "add" else ()
    ran = console("user", *arguments, *more, "--settings", file, given=PASSWORD)
    assert ran.code == 1
    assert complaint in ran.err
    assert len(ran.err.strip().splitlines()) == 2


def test_a_short_password_is_refused_and_none_is_ever_shown_a87(file: str) -> None:
    ran = console("user", "add", "anna", "--role", "admin", "--password-stdin", "--settings", file, given="hunter2\n")
    assert ran.code == 1
    assert "hunter2" not in ran.out + ran.err


@pytest.mark.slow
def test_the_database_is_backed_up_and_put_back(file: str, tmp_path: Path) -> None:
    at = ("--settings", file)
    copy = str(tmp_path / "copy")
    assert "there is no database" in console("backup", copy, *at).err
    console("user", "add", "anna", "--role", "admin", "--password-stdin", *at, given=PASSWORD)
    made = console("backup", copy, *at)
    assert made.code == 0
    assert "read back and undamaged" in made.out
    assert "keep a copy of the folder" in made.out
    console("user", "add", "ben", "--role", "viewer", "--password-stdin", *at, given=PASSWORD)
    assert "what was there is" in console("restore", copy, *at).out
    assert [user["name"] for user in json.loads(console("user", "list", "--json", *at).out)] == ["anna"]


def test_settings_are_shown_with_what_they_mean_and_mistakes_with_their_line(file: str, tmp_path: Path) -> None:
    shown = console("settings", "--docs", "--settings", file).out
    assert "# Folders of signed releases" in shown
    (tmp_path / "bad.toml").write_text("[web]\nprot = 1\n")
    assert "bad.toml:2: web.prot" in console("settings", "--settings", str(tmp_path / "bad.toml")).err


@pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
def test_check_tells_what_is_missing_and_then_that_all_is_well(tmp_path: Path) -> None:
    with mosquitto(BROKER) as broker:
        file = tmp_path / "console.toml"
        file.write_text(settings_text(tmp_path / "data", broker.port))
        at = ("--settings", str(file))
        ran = console("check", *at)
        assert ran.code == 1
        assert "WRONG database" in ran.out
        assert "ok    broker" in ran.out
        console("user", "add", "anna", "--role", "admin", "--password-stdin", *at, given=PASSWORD)
        found = json.loads(console("check", "--json", *at).out)
        assert {one["what"]: one["is_well"] for one in found} == dict.fromkeys(
            ("database", "authority", "repositories", "broker"), True
        )
