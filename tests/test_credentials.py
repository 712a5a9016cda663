"""Passwords from systemd reach the settings, and are shown nowhere."""

from pathlib import Path

import pytest

from edgeagent.cli.options import settings_of
from edgeagent.credentials import SETTINGS, with_credentials
from edgeagent.errors import SettingsError
from edgeagent.settings import AgentSettings, parse

BROKER, FLEET = SETTINGS


def handed(folder: Path, **files: bytes) -> dict[str, str]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def password_of(settings: AgentSettings) -> str | None:
    password = settings.broker.password
    return None if password is None else password.get_secret_value()


def test_a_password_from_systemd_goes_before_the_one_in_the_file(tmp_path: Path) -> None:
    settings = parse('[broker]\nhost = "h"\nusername = "me"\npassword = "old"\n')
    found = with_credentials(settings, handed(tmp_path, **{BROKER: b"new one\n"}))
    assert (password_of(found), found.broker.username) == ("new one", "me")
    assert "new one" not in repr(found)


def test_the_fleets_broker_has_its_own(tmp_path: Path) -> None:
    settings = parse('[fleet.broker]\nhost = "h"\n')
    found = with_credentials(settings, handed(tmp_path, **{FLEET: b"secret"}))
    assert found.fleet.broker is not None
    assert found.fleet.broker.password is not None
    assert found.fleet.broker.password.get_secret_value() == "secret"
    assert found.broker.password is None


@pytest.mark.parametrize("environment", [{}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": "/nonexistent"}])
def test_without_credentials_the_settings_stay(environment: dict[str, str]) -> None:
    settings = AgentSettings()
    assert with_credentials(settings, environment) is settings


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"x" * 1025, b"nul\x00"])
def test_what_is_no_password_is_said_without_showing_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SettingsError) as caught:
        with_credentials(AgentSettings(), handed(tmp_path, **{BROKER: content}))
    assert BROKER in str(caught.value)
    assert "/etc/credstore" in caught.value.remedy
    assert "xxx" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_password_for_a_broker_that_nobody_names_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no \[fleet.broker\]"):
        with_credentials(AgentSettings(), handed(tmp_path, **{FLEET: b"secret"}))


def test_the_command_line_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "edgeagent.toml"
    file.write_text('[broker]\nhost = "h"\n')
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", handed(tmp_path, **{BROKER: b"hidden"})["CREDENTIALS_DIRECTORY"])
    assert password_of(settings_of(file)) == "hidden"


def test_the_unit_names_the_same_ones() -> None:
    unit = (Path(__file__).parents[1] / "systemd/edgeagent.service").read_text().splitlines()
    named = {line.partition("=")[2] for line in unit if line.startswith("LoadCredential=")}
    assert named == set(SETTINGS), "and without a path: an absent one must not end the unit"
