"""A log record is one line: how grave, where, the event's name, its fields."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from edgeagent import logs
from edgeagent.settings import BrokerSettings

NOISY = ("amqtt", "transitions", "asyncio")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    yield
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that logs an event and returns what standard error got of it."""

    def write(event: str, level: int = logging.INFO, name: str = "edgeagent.link", **fields: object) -> str:
        logs.set_up()
        logging.getLogger(name).log(level, event, extra=fields)
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err

    return write


def test_a_line_says_how_grave_where_what_and_its_fields(written: Any) -> None:
    line = written("bus lost", logging.WARNING, broker="h:1", tries=3, after_s=0.5, session=None, kept=False)
    assert line == 'warning link: bus lost broker="h:1" tries=3 after_s=0.5 session=null kept=false\n'


def test_an_event_without_fields_is_its_name(written: Any) -> None:
    assert written("microphone is back", name="edgeagent.cli.run") == "info    cli.run: microphone is back\n"


def test_a_field_may_be_anything(written: Any) -> None:
    assert written("x", path=Path("/a"), several=["a", {"b": 1}]).endswith('x path="/a" several=["a", {"b": 1}]\n')


def test_umlauts_stay_letters(written: Any) -> None:
    assert written("x", name="other.library", device="Küche").startswith('info    other.library: x device="Küche"')


@pytest.mark.parametrize("text", ["a\nerror   agent: forged", "\x1b[2J", "\x7f\x9b1m", "\u202e", "\ud800", "\u2028"])
def test_foreign_text_cannot_break_the_line_nor_speak_to_the_terminal(written: Any, text: str) -> None:
    for line in (written("x", topic=text), written(text)):
        assert len(line.splitlines()) == 1
        assert line[:-1].isprintable()


def test_a_secret_is_not_written(written: Any) -> None:
    broker = BrokerSettings(password=SecretStr("s3cret"))
    assert "s3cret" not in written("x", password=broker.password, settings=broker)


def test_what_broke_follows_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up()
    try:
        open("/no/\x1b[2J")  # noqa: PTH123, SIM115  # it never opens
    except OSError:
        logging.getLogger("edgeagent.agent").exception("it broke")
    first, second, *_, last = capsys.readouterr().err.splitlines()
    assert (first, second) == ("error   agent: it broke", "Traceback (most recent call last):")
    assert last == "FileNotFoundError: [Errno 2] No such file or directory: '/no/\\x1b[2J'"


@pytest.mark.parametrize("is_verbose", [True, False])
def test_details_are_for_those_who_ask(capsys: pytest.CaptureFixture[str], *, is_verbose: bool) -> None:
    logs.set_up(logging.DEBUG if is_verbose else logging.INFO)
    logging.getLogger("edgeagent.link").debug("a detail")
    for name in NOISY:
        logging.getLogger(name).info("chatter")
    assert capsys.readouterr().err == ("debug   link: a detail\n" if is_verbose else "")


def test_setting_up_twice_writes_once(written: Any) -> None:
    assert written("once")
    assert written("twice").count("twice") == 1


def test_text_is_left_alone_where_it_does_no_harm() -> None:
    for text in (
        "",
        "Küche 5 °C",
        "居間\u3000ランプ",
        "Wohn\u00a0zimmer",
        "👨\u200d👩",
        "\u0645\u06cc\u200c\u062e\u0648",
    ):
        assert logs.printable(text) == text
    assert logs.printable_lines("a\n\tb\r\n") == "a\n\\tb\\r\n"
