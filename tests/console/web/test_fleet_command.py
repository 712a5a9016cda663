"""`edgeagent fleet` against a real console: what it shows, what it refuses, what it tells of errors."""

import ast
import json
import re
from pathlib import Path

import pytest
from console.web.website import Website
from sqlalchemy import select
from typer.testing import CliRunner, Result

from edgeagent.cli import fleet_calls
from edgeagent.cli.fleet import fleet_app
from edgeagent.cli.fleet_calls import FleetError, calls
from edgeagent.console.tables import Device, EnrolmentToken, Job, Rollout
from edgeagent.errors import EdgeAgentError, SettingsError


class Terminal:
    """Somebody at a terminal with a token in the environment."""

    def __init__(self, website: Website, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
        program = website.program(user)
        monkeypatch.setenv("EDGEAGENT_CONSOLE", website.base)
        monkeypatch.setenv("EDGEAGENT_TOKEN", program.http.headers["Authorization"].removeprefix("Bearer "))
        monkeypatch.delenv("EDGEAGENT_FLEET", raising=False)

    def type(self, *words: str, code: int = 0) -> str:
        result: Result = CliRunner().invoke(fleet_app, list(words))
        if isinstance(result.exception, EdgeAgentError):
            raise result.exception
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    def json(self, *words: str) -> object:
        return json.loads(self.type(*words, "--json"))


@pytest.fixture
def terminal(website: Website, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(website, "ole", monkeypatch)


def test_devices_are_listed_shown_and_tagged(terminal: Terminal) -> None:
    assert "kit-00003" in terminal.type("devices", "ls", "--filter", "tag:floor=3")
    assert "kit-00003" not in terminal.type("devices", "ls", "--filter", "tag:floor=2")
    assert terminal.json("devices", "tag", "kit-00003", "lab", "ring=odd", "floor-") == {"lab": "", "ring": "odd"}
    shown = terminal.type("devices", "show", "kit-00003")
    assert "raspberry" in shown
    seen = next(line for line in shown.splitlines() if line.startswith("seen"))
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", seen)
    told = terminal.json("devices", "show", "kit-00003")
    assert isinstance(told, dict)
    assert isinstance(told["seen"], float)


def test_settings_are_wanted_and_given_back(terminal: Terminal, website: Website) -> None:
    terminal.type("devices", "set", "kit-00003", "hearing.cap_s=8", "answering.only_trouble=true")
    terminal.type("devices", "set", "kit-00003", "hearing.cap_s=")
    with website.database.reading() as session:
        found = session.scalars(select(Device).where(Device.name == "kit-00003")).one()
    assert found.desired == {"answering.only_trouble": True}
    assert found.desired_version == 2
    assert "answering.only_trouble" in terminal.type("devices", "get", "kit-00003")


def test_a_job_is_asked_for_waited_for_and_called_back(terminal: Terminal, website: Website) -> None:
    job = terminal.json("job", "logs", "kit-00003", "--lines", "5")
    assert isinstance(job, dict)
    assert "cancelled" not in terminal.type("devices", "jobs", "kit-00003")
    terminal.type("job", "cancel", "kit-00003", job["id"])
    with website.session() as session:
        row = session.get_one(Job, job["id"])
        assert row.cancel
        row.state, row.ended = "cancelled", 1.0
    with pytest.raises(FleetError, match="has ended already"):
        terminal.type("job", "cancel", "kit-00003", job["id"])


def test_a_rollout_is_forecast_made_paused_and_watched_to_its_end(terminal: Terminal, website: Website) -> None:
    forecast = terminal.json("rollouts", "what-if", "restart", "--filter", "tag:floor=1")
    assert isinstance(forecast, dict)
    assert forecast["to_ask"] == 1
    made = terminal.json("rollouts", "create", "restart", "--title", "All", "--waves", "50,100", "--bake", "0")
    assert isinstance(made, dict)
    assert "paused" in terminal.type("rollouts", "pause", made["id"])
    assert "running" in terminal.type("rollouts", "resume", made["id"])
    with website.session() as session:
        session.get_one(Rollout, made["id"]).state = "stopped"
    assert "stopped" in terminal.type("rollouts", "watch", made["id"], code=3)
    assert "All" in terminal.type("rollouts", "ls")
    terminal.type("rollouts", "devices", made["id"])


def test_tokens_are_made_listed_and_taken_back(terminal: Terminal, website: Website) -> None:
    made = terminal.json("tokens", "new", "s-1", "new-1", "--tag", "floor=2")
    assert isinstance(made, list)
    assert "new-1" in terminal.type("tokens", "ls")
    terminal.type("tokens", "revoke", made[0]["id"])
    with website.database.reading() as session:
        assert session.get_one(EnrolmentToken, made[0]["id"]).revoked is not None


def test_an_operator_is_told_what_is_not_theirs(terminal: Terminal) -> None:
    with pytest.raises(FleetError, match="admin"):
        terminal.type("audit")
    with pytest.raises(FleetError, match="admin"):
        terminal.type("devices", "retire", "kit-00001", "--yes")
    with pytest.raises(FleetError, match="column 1"):
        terminal.type("devices", "ls", "--filter", "versio<1")
    with pytest.raises(FleetError, match="not here"):
        terminal.type("--fleet", "other", "devices", "ls")


def test_an_admin_sees_who_did_what_and_takes_a_device_out(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(website, "ada", monkeypatch)
    with pytest.raises(SettingsError, match="which fleet"):
        terminal.type("devices", "ls")
    monkeypatch.setenv("EDGEAGENT_FLEET", "home")
    terminal.type("devices", "retire", "kit-00001", "--yes")
    assert "device.retire" in terminal.type("audit")
    assert "home" in terminal.type("ls")
    terminal.type("releases")


def test_a_token_is_not_sent_where_it_could_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEAGENT_TOKEN", "secret")
    with pytest.raises(SettingsError, match="readable on the way"):
        calls("http://fleet.example", None, None)
    assert calls("http://127.0.0.1:8321", None, None).address == "http://127.0.0.1:8321"
    for wrong in ("fleet.example", "ftp://fleet.example", "https://fleet.example/path"):
        with pytest.raises(SettingsError, match="no address"):
            calls(wrong, None, None)


def test_a_token_file_is_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEAGENT_TOKEN", raising=False)
    monkeypatch.setattr(fleet_calls, "TOKEN_FILE", tmp_path / "none")
    with pytest.raises(SettingsError, match="no API token"):
        calls("https://fleet.example", None, None)
    file = tmp_path / "token"
    file.write_text("secret\n")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="others can read"):
        calls("https://fleet.example", file, None)
    file.chmod(0o600)
    assert calls("https://fleet.example", file, None).token == "secret"  # noqa: S105  # a test's


def test_a_console_that_is_away_or_is_none_is_told_of(website: Website) -> None:
    token = "none"  # noqa: S105  # a test's
    with pytest.raises(FleetError, match="refused") as refused:
        fleet_calls.Calls("http://127.0.0.1:9", token).get("/fleets")
    assert refused.value.remedy
    with pytest.raises(FleetError, match="not logged in"):
        fleet_calls.Calls(website.base, token).get("/fleets")


def test_the_command_line_needs_nothing_that_a_laptop_has_not() -> None:
    folder = Path(fleet_calls.__file__).parent
    loaded = set()
    for path in folder.glob("fleet*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            loaded |= {name.split(".")[0] for name in names}
    assert not loaded & {"fastapi", "sqlalchemy", "httpx", "starlette", "argon2"}
