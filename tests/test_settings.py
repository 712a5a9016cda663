"""Settings are read once; a mistake is named by line, key and what was expected."""

import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from edgeagent import settings
from edgeagent.cli.settings import HIDDEN, as_toml
from edgeagent.errors import SettingsError
from edgeagent.settings import ActingSettings, AgentSettings, BrokerSettings, TlsSettings


def complaint(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.parse(text, "s.toml")
    assert caught.value.remedy
    return str(caught.value)


def test_an_empty_file_is_the_defaults() -> None:
    assert settings.parse("") == AgentSettings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[broker]\nhots = 1\n", "s.toml:2: broker.hots: there is no such setting; did you mean host?"),
        ("x = 1\n", "s.toml:1: x: there is no such setting; known here: device, broker,"),
        ("[broker]\nport = 'a'\n", "s.toml:2: broker.port: it should be a valid integer, found 'a'"),
        ("[broker]\nport = '1883'\n", "s.toml:2: broker.port: it should be a valid integer, found '1883'"),
        ("[broker]\nport = true\n", "s.toml:2: broker.port: it should be a valid integer, found True"),
        ("[hearing]\ncap_s = true\n", "s.toml:2: hearing.cap_s: it should be a valid number, found True"),
        ("[hearing]\ncap_s = inf\n", "s.toml:2: hearing.cap_s: it should be a finite number"),
        ("[hearing]\ncap_s = nan\n", "s.toml:2: hearing.cap_s: it should be"),
        ("[hearing]\ncap_s = 1979-05-27\n", "s.toml:2: hearing.cap_s: it should be a valid number"),
        ("broker.port = 99999\n", "s.toml:1: broker.port: it should be less than or equal to 65535, found 99999"),
        ('"broker" . "port" = 0\n', "s.toml:1: broker.port: it should be greater than or equal to 1, found 0"),
        (
            "[broker.tls]\nca = 'x'\nkee = 'y'\n",
            "s.toml:3: broker.tls.kee: there is no such setting; did you mean key?",
        ),
        ("[broker]\n\ntls = {ca = 'x', kee = 'y'}\n", "s.toml:3: broker.tls.kee: there is no such setting"),
        ("[broker.tls]\nca = 'x'\ncertificate = 'y'\n", "s.toml:1: broker.tls: certificate and key go together"),
        ("[broker.tls]\n", "s.toml:1: broker.tls.ca: Field required"),
        ("[acting.risks]\npower = 'fre'\n", "s.toml:2: acting.risks.power: it should be 'free', 'guarded' or 'never'"),
        ("[acting.risks]\npowr = 'free'\n", "s.toml:2: acting.risks.powr: there is no such key; did you mean power?"),
        ("[acting]\nrisks.power = 1\n", "s.toml:2: acting.risks.power: it should be"),
        ("[acting.device_risks]\n'Bed.light' = 'no'\n", "s.toml:2: acting.device_risks.Bed.light: it should be"),
        ("[acting]\ncommands = [\n 'home',\n 'plan',\n]\n", "s.toml:2: acting.commands.1: it should be"),
        ("[microphone]\ndevice = 1.5\n", "s.toml:2: microphone.device: expected a word or a whole number, found 1.5"),
        ("broker = 3\n", "s.toml:1: broker: expected a table, found 3"),
        ("[[broker]]\nhost = 'x'\n", "s.toml:1: broker: expected a table, found a list"),
        ("[a.b]\n", "s.toml:1: a: there is no such setting"),
        ("[broker]\nhost = '''\nport = 3\n'''\nport = 'x'\n", "s.toml:5: broker.port: it should be a valid integer"),
        ('[broker]\nhost = "a#b\\"["\nport = 0 # port\n', "s.toml:3: broker.port"),
        ("[broker]\r\nport = 0\r\n", "s.toml:2: broker.port"),
        ("[device]\nid = 'A B'\n", "s.toml:2: device.id: String should match pattern"),
    ],
)
def test_a_mistake_names_line_key_and_what_was_expected(text: str, expected: str) -> None:
    assert expected in complaint(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [("[device\n", 1), ("\n\nx = \n", 3), ("[broker]\n[broker]\n", 2), ("\na = [1,\n", 3), ("a = 1\nb\n", 2)],
)
def test_a_syntax_error_names_the_line(text: str, line: int) -> None:
    assert complaint(text).startswith(f"s.toml:{line}: ")


def test_every_mistake_is_told_up_to_twenty() -> None:
    assert complaint("[broker]\nport = 0\nhots = 1\n").count("\n") == 1
    many = complaint("[broker]\n" + "".join(f"x{number} = 1\n" for number in range(500)))
    assert many.count("\n") == settings.MOST_COMPLAINTS
    assert many.endswith("s.toml: and 480 more")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "1" * 5000, "\x00", "a = {b = {b = 1}, b = 2}"])
def test_hostile_toml_is_an_error_like_any_other(text: str) -> None:
    assert complaint(text).startswith("s.toml")


@pytest.mark.parametrize(
    "text", ["[broker]\npassword = ['s3cret']", "[[broker]]\npassword = 's3cret'", "pasword = 's3cret'"]
)
def test_a_password_is_never_in_a_message(text: str) -> None:
    assert "s3cret" not in complaint(text)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    (tmp_path / "large.toml").write_bytes(b"#" * (2 << 20))
    expected = {
        "missing.toml": "No such file or directory",
        ".": "Is a directory",
        "latin.toml": "not UTF-8 at byte 5",
        "large.toml": "larger than 1 MiB",
    }
    for name, message in expected.items():
        with pytest.raises(SettingsError, match=message) as caught:
            settings.load(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert caught.value.remedy


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbf[broker]\nport = 1884\n")
    assert settings.load(tmp_path / "s.toml").broker.port == 1884


def test_what_is_shown_can_be_read_back_and_hides_the_password() -> None:
    chosen = AgentSettings(
        broker=BrokerSettings(host='a"b', password=SecretStr("s3cret"), tls=TlsSettings(ca=Path("/ca"))),
        acting=ActingSettings(risks={"lock": "never"}, command_files=(Path("x.yaml"),)),
    )
    for with_docs in (True, False):
        shown = as_toml(chosen, with_docs=with_docs)
        assert "s3cret" not in shown
        again = settings.parse(shown)
        hidden = chosen.broker.model_copy(update={"password": SecretStr(HIDDEN)})
        assert again == chosen.model_copy(update={"broker": hidden})


@given(st.dictionaries(st.text(), st.just("free")), st.text())
def test_any_name_survives_being_shown(names: dict[str, str], area: str) -> None:
    document = {"device": {"area": area}, "acting": {"device_risks": names}}
    chosen = AgentSettings.model_validate(document)
    shown = tomllib.loads(as_toml(chosen, with_docs=True))
    assert shown["acting"]["device_risks"] == names
    assert shown["device"]["area"] == area


def test_every_setting_has_a_meaning() -> None:
    lines = as_toml(AgentSettings(), with_docs=True).splitlines()
    for before, line in pairwise(lines):
        if " =" in line and not line.startswith("# If"):
            assert before.startswith("# "), line
