"""`edgeagent image batch` against a real console: tokens for all devices of a table, or for none."""

import re
from pathlib import Path

import pytest
from console.web.website import Website
from provision_wishes import BUILT
from sqlalchemy import select
from typer.testing import CliRunner, Result

from edgeagent.cli.fleet_calls import FleetError
from edgeagent.cli.image import image_app
from edgeagent.console.authority import Authority
from edgeagent.console.enrolment_tokens import hash_of
from edgeagent.console.tables import EnrolmentToken
from edgeagent.provision.enrol_file import read_enrol_file


@pytest.fixture
def claim(tmp_path: Path) -> tuple[str, ...]:
    authority = Authority.init(tmp_path / "authority", "acme", BUILT.timestamp())
    made = authority.claim_certificate("one", BUILT.timestamp())
    words = ["--broker", "broker.acme"]
    for option, content in (("ca", authority.trusted.encode()), ("claim", made.certificate), ("claim-key", made.key)):
        path = tmp_path / option
        path.write_bytes(content)
        words += [f"--{option}", str(path)]
    return tuple(words)


@pytest.fixture
def table(tmp_path: Path, website: Website, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sit at a terminal with a token of an operator, and a table of three devices."""
    program = website.program("ole")
    monkeypatch.setenv("EDGEAGENT_TOKEN", program.http.headers["Authorization"].removeprefix("Bearer "))
    path = tmp_path / "devices.csv"
    path.write_text("name,serial,fleet,tags\nnew-1,s-1,home,floor=2\nnew-2,s-2,home,\nnew-3,,home,lab\n")
    return path


def batch(website: Website, table: Path, out: Path, *words: str) -> Result:
    asked = ["batch", str(table), "--output", str(out), "--console", website.base, "--days", "30", *words]
    return CliRunner().invoke(image_app, asked)


def tokens(website: Website) -> dict[str, EnrolmentToken]:
    with website.database.reading() as session:
        found = session.scalars(select(EnrolmentToken).where(EnrolmentToken.device.startswith("new-"))).all()
        return {one.device: one for one in found if one.revoked is None}


def test_each_device_of_a_table_gets_a_token_of_its_own(
    website: Website, table: Path, tmp_path: Path, claim: tuple[str, ...]
) -> None:
    result = batch(website, table, tmp_path / "out", *claim)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "3 devices, 3 with a token" in result.stdout
    known = tokens(website)
    sheet = (tmp_path / "out/sheet.html").read_text()
    for name, serial in (("new-1", "s-1"), ("new-2", "s-2"), ("new-3", "card-new-3")):
        enrol = read_enrol_file((tmp_path / "out" / name / "edgeagent/enrol.toml").read_bytes())
        secret = enrol.token.get_secret_value()
        assert hash_of(secret) == known[name].hash
        assert (enrol.serial, known[name].serial, enrol.any_board) == (serial, serial, name == "new-3")
        assert abs(enrol.expires.timestamp() - known[name].expires) <= 1
        assert secret in sheet
        assert secret not in result.output
    assert known["new-1"].tags == {"floor": "2"}
    assert len(re.findall("<svg", sheet)) == 3


def test_made_once_more_the_earlier_tokens_are_good_for_nothing(website: Website, table: Path, tmp_path: Path) -> None:
    batch(website, table, tmp_path / "first")
    first = {name: one.hash for name, one in tokens(website).items()}
    assert batch(website, table, tmp_path / "second").exit_code == 0
    second = {name: one.hash for name, one in tokens(website).items()}
    assert first.keys() == second.keys()
    assert not set(first.values()) & set(second.values())


def test_what_the_console_refuses_for_one_device_is_made_for_none(
    website: Website, table: Path, tmp_path: Path
) -> None:
    table.write_text(table.read_text() + "new-4,s-4,none,\n")
    table.write_text(table.read_text().replace(",home,", ",none,"))
    result = batch(website, table, tmp_path / "out")
    assert isinstance(result.exception, FleetError)
    assert not (tmp_path / "out").exists()
    assert tokens(website) == {}


def test_who_may_only_look_makes_no_tokens(
    website: Website, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = website.program("vic")
    monkeypatch.setenv("EDGEAGENT_TOKEN", program.http.headers["Authorization"].removeprefix("Bearer "))
    result = batch(website, table, tmp_path / "out")
    assert isinstance(result.exception, FleetError)
    assert tokens(website) == {}
