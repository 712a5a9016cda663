"""`edgeagent enrol` and `edgeagent identity`, as they are typed: options that cannot be, and what is shown."""

import json
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edgeagent.cli.enrol import enrol, identity
from edgeagent.console.authority import Authority
from edgeagent.errors import BusError, SettingsError
from edgeagent.fleet.identity_keys import IdentityError, request
from edgeagent.fleet.identity_store import Identities
from edgeagent.topics import Address

NOW = time.time()
DAY = 86_400.0
app = typer.Typer()
app.command()(enrol)
app.command()(identity)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.init(tmp_path_factory.mktemp("made") / "authority", "tests", NOW)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    return file


def enrolled(tmp_path: Path, authority: Authority, at: float) -> None:
    identities = Identities(tmp_path / "state")
    key = identities.next_key("file")
    issued = authority.sign_device(request(key, "x"), "home", "kitchen", at)
    identities.add(key, issued.pem, authority.trusted, Address("home", "kitchen"))
    identities.adopt()


def options(tmp_path: Path, authority: Authority, settings: Path, **changes: object) -> list[str]:
    claim = authority.claim_certificate("1", NOW)
    (tmp_path / "claim.pem").write_bytes(claim.certificate)
    (tmp_path / "claim.key").write_bytes(claim.key)
    given = {
        "broker": "127.0.0.1:1",
        "enrolment_port": 1,
        "ca": authority.folder / "ca.pem",
        "claim": tmp_path / "claim.pem",
        "claim_key": tmp_path / "claim.key",
        "settings": settings,
        "serial": "S-1",
        "token": "AAAA-BBBB-CCCC-DDDD-EEEE",
        "deadline_s": 0.3,
    } | changes
    return ["enrol", *(f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None)]


@pytest.mark.parametrize(("age_days", "code", "said"), [(0, 0, "renewal due 2"), (62, 0, "is due"), (95, 1, "expired")])
def test_what_is_shown_tells_how_long_it_lasts(  # its case and its places
    tmp_path: Path, authority: Authority, settings: Path, age_days: float, code: int, said: str
) -> None:
    enrolled(tmp_path, authority, NOW - age_days * DAY)
    shown = CliRunner().invoke(app, ["identity", "--settings", str(settings)])
    assert (shown.exit_code, said in shown.output) == (code, True), shown.output
    assert '[device] id = "kitchen", fleet = "home"' in shown.output
    as_json = CliRunner().invoke(app, ["identity", "--settings", str(settings), "--json"])
    facts = json.loads(as_json.output)
    assert (facts["device"], facts["is_expired"], facts["key"]) == ("kitchen", age_days > 90, "file")
    assert sorted(facts["files"].values()) == ["0600", "0644", "0644", "0700"]


def test_a_damaged_identity_is_an_error_with_a_remedy(tmp_path: Path, authority: Authority, settings: Path) -> None:
    enrolled(tmp_path, authority, NOW)
    (tmp_path / "state" / "identity" / "1" / "certificate.pem").write_text("x")
    with pytest.raises(IdentityError, match="no certificate") as caught:
        CliRunner().invoke(app, ["identity", "--settings", str(settings)], catch_exceptions=False)
    assert "edgeagent enrol" in caught.value.remedy


def test_options_that_cannot_be_say_so_before_anything_is_asked(
    tmp_path: Path, authority: Authority, settings: Path
) -> None:
    for wrong in ({"broker": "host:x"}, {"key": "card"}, {"token_file": tmp_path / "t"}):
        ended = CliRunner().invoke(app, options(tmp_path, authority, settings, **wrong))
        assert ended.exit_code == 2, wrong
    for refused in ({"broker": "host:99999"}, {"token": "short"}, {"token": None, "token_file": tmp_path / "absent"}):
        with pytest.raises(SettingsError):
            CliRunner().invoke(app, options(tmp_path, authority, settings, **refused), catch_exceptions=False)
    assert not (tmp_path / "state").exists()


def test_a_broker_that_is_not_there_is_named_and_the_key_is_kept_for_the_next_try(
    tmp_path: Path, authority: Authority, settings: Path
) -> None:
    with pytest.raises(BusError, match=r"127\.0\.0\.1:1: no connection") as caught:
        CliRunner().invoke(app, options(tmp_path, authority, settings), catch_exceptions=False)
    assert "--enrolment-port" in caught.value.remedy
    assert (tmp_path / "state" / "identity" / "next" / "key.pem").exists()
    assert (tmp_path / "claim.key").exists()


@pytest.mark.parametrize("ca", ["absent", "empty", "a folder"])
def test_a_ca_that_cannot_be_read_is_an_error_of_the_owner_s(
    tmp_path: Path, authority: Authority, settings: Path, ca: str
) -> None:
    path = tmp_path / "ca"
    if ca == "empty":
        path.write_text("")
    if ca == "a folder":
        path.mkdir()
    with pytest.raises(BusError, match="cannot be used"):
        CliRunner().invoke(app, options(tmp_path, authority, settings, ca=path), catch_exceptions=False)
