"""The console's settings: read with the same care as a device's."""

import tomllib
from pathlib import Path

import pytest

from edgeagent import settings as device_settings
from edgeagent.cli.settings import as_toml
from edgeagent.console import settings
from edgeagent.console.settings import ConsoleSettings
from edgeagent.errors import SettingsError


def complaint(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.parse(text, "c.toml")
    assert "edgeagent console settings" in caught.value.remedy or "TOML" in caught.value.remedy
    return str(caught.value)


def test_an_empty_file_is_the_defaults() -> None:
    assert settings.parse("") == ConsoleSettings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[console]\nnam = 'x'\n", "c.toml:2: console.nam: there is no such setting; did you mean name?"),
        ("[consol]\n", "c.toml:1: consol: there is no such setting; did you mean console?"),
        ("[web]\nport = 'x'\n", "c.toml:2: web.port: it should be a valid integer, found 'x'"),
        ("[web]\ncertificate = 'x'\n", "c.toml:1: web: certificate and key go together"),
        ("[broker]\nhots = 'x'\n", "c.toml:2: broker.hots: there is no such setting; did you mean host?"),
        ("[broker.tls]\nkee = 'x'\n", "c.toml:2: broker.tls.kee: there is no such setting; did you mean key?"),
        ("[console]\nfleets = []\n", "c.toml:2: console.fleets:"),
        ("[console]\nfleets = ['A/B']\n", "c.toml:2: console.fleets.0:"),
        ("[keep]\nevent_days = -1\n", "c.toml:2: keep.event_days: it should be greater than 0"),
        ("[authority]\nfolder = 'x'\ncommand = ['y']\n", "c.toml:1: authority: roots go with command or est"),
        ("[console\n", "c.toml:1: "),
    ],
)
def test_a_mistake_is_named_by_line_and_key(text: str, expected: str) -> None:
    assert expected in complaint(text)


def test_an_address_that_cannot_be_read_is_not_shown_since_a_password_may_be_in_it_a87() -> None:
    said = complaint("[database]\nurl = 'postgres:/anna:secret@host'\n")
    assert "c.toml:2: database.url: it should be sqlite:///path or postgresql" in said
    assert "secret" not in said


def test_secrets_are_not_shown_a87() -> None:
    text = "[database]\nurl = 'postgresql+psycopg://anna:secret@host/x'\n[broker]\npassword = 'secret'\n"
    read = settings.parse(text)
    assert read.database_url == "postgresql+psycopg://anna:secret@host/x"
    assert "secret" not in as_toml(read, with_docs=True)
    assert "secret" not in repr(read)


def test_what_is_shown_can_be_read_back(tmp_path: Path) -> None:
    file = tmp_path / "console.toml"
    file.write_text(as_toml(ConsoleSettings(), with_docs=True))
    assert settings.load(file) == ConsoleSettings()
    assert tomllib.loads(file.read_text())["web"]["port"] == 8321


def test_the_database_is_a_file_in_the_data_folder_unless_named(tmp_path: Path) -> None:
    read = settings.parse(f"[console]\ndata_dir = '{tmp_path}'\n")
    assert read.database_url == f"sqlite:///{tmp_path}/console.db"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("", "http://127.0.0.1:8321"),
        ("host = '0.0.0.0'", "http://localhost:8321"),
        ("host = '::1'\nport = 80", "http://[::1]:80"),
        ("certificate = 'a'\nkey = 'b'", "https://127.0.0.1:8321"),
        ("origin = 'https://fleet.example'", "https://fleet.example"),
    ],
)
def test_how_browsers_call_it(text: str, origin: str) -> None:
    assert settings.parse(f"[web]\n{text}\n").origin == origin


def test_its_link_has_room_for_thousands_and_a_broker_on_this_machine_where_none_is_named() -> None:
    link = settings.parse("[broker]\nport = 1884\n").link
    assert (link.host, link.port, link.receive_maximum) == ("127.0.0.1", 1884, 2_000)


def test_a_section_with_a_path_that_is_not_named_keeps_its_default() -> None:
    """In both kinds of settings: to name a device is not to name its folder."""
    assert settings.parse("[console]\nname = 'b'\n").console.data_dir == ConsoleSettings().console.data_dir
    named = device_settings.parse("[device]\nid = 'kitchen'\n").device
    assert named.state_dir == device_settings.AgentSettings().device.state_dir
