"""The command line as a person meets it: what it prints where, how it ends, and what it says to do next."""

import asyncio
import json
import logging
import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from brokers import eventually, free_port, run
from brokers import settings as broker_settings
from typer.testing import CliRunner

import edgeagent
from edgeagent.__main__ import app
from edgeagent.broker import embedded_broker
from edgeagent.bus import connect
from edgeagent.cli.settings import HIDDEN
from edgeagent.errors import EdgeAgentError
from edgeagent.messages import Message
from edgeagent.settings import AgentSettings, Settings, TlsSettings

SOUND = Path(edgeagent.__file__).parent / "demo" / "sounds" / "kitchen-light.flac"
HOSTILE = ("[red]x[/nope]", "lamp :lock: [link=http://x]", "gpj.\u202eexe", "Küche 👨\u200d👩")
COMMANDS = "language: en\nintents: {stop: {data: [{sentences: [stop]}]}}\n"


@dataclass(frozen=True)
class Ran:
    """How a program ended, and what it said."""

    code: int
    out: str
    error: str


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The command line sets logging up for its process, which here is that of all tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def said(*arguments: str | Path) -> Ran:
    """Run the program as a person does."""
    return asyncio.run(program(*arguments))


async def program(*arguments: str | Path) -> Ran:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edgeagent", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200"},
    )
    out, error = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), error.decode())


def settings_file(folder: Path, text: str) -> Path:
    path = folder / "edgeagent.toml"
    path.write_text(f'{text}\n[device]\nstate_dir = "{folder}/state"\n[answering]\nspeech = "off"\n')
    return path


def is_plain_complaint(ran: Ran) -> bool:
    """Tell whether it ended with what is wrong and what to do, and no traceback."""
    return ran.code == 1 and "error: " in ran.error and "\n  try: " in ran.error and "Traceback" not in ran.error


def test_the_version_is_printed() -> None:
    assert said("version") == Ran(0, f"{edgeagent.__version__}\n", "")


def test_an_unknown_option_is_a_mistake_of_the_command_line() -> None:
    ran = said("--loud", "version")
    assert (ran.code, ran.out) == (2, "")
    assert "No such option: --loud" in ran.error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[broker]\n\nhots = 'x'\n", "edgeagent.toml:3: broker.hots: there is no such setting; did you mean host?"),
        ("[broker]\nport = 'x'\n", "edgeagent.toml:2: broker.port: it should be a valid integer, found 'x'"),
        ("[broker\n", "edgeagent.toml:1: Expected ']'"),
        (None, "edgeagent.toml: No such file or directory"),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_what_to_do(tmp_path: Path, text: str | None, expected: str) -> None:
    file = tmp_path / "edgeagent.toml"
    if text is not None:
        file.write_text(text)
    ran = said("settings", "check", file)
    assert is_plain_complaint(ran), ran
    assert f"error: {tmp_path}/{expected}" in ran.error
    assert ran.out == ""


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    ran = said("settings", "check", tmp_path)
    assert is_plain_complaint(ran), ran
    assert f"error: {tmp_path}: Is a directory" in ran.error


def test_a_mistake_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "edgeagent.toml"
    file.write_text('"\\u001b[2J" = 1\n"\\u202e" = 1\n')
    ran = said("settings", "check", file)
    assert is_plain_complaint(ran), ran
    assert "\\u001b[2J: there is no such setting" in ran.error
    assert not set(ran.error) & {"\x1b", "\u202e"}


def test_tracebacks_are_for_those_who_ask(tmp_path: Path) -> None:
    ran = said("--debug", "settings", "check", tmp_path)
    assert ran.code == 1
    assert "Traceback" in ran.error
    assert "SettingsError" in ran.error


def test_settings_are_shown_without_the_password_and_can_be_checked_again(tmp_path: Path) -> None:
    file = settings_file(tmp_path, '[broker]\nhost = "h"\nusername = "u"\npassword = "s3cret"')
    shown = said("settings", "show", "--settings", file)
    assert (shown.code, shown.error) == (0, "")
    assert "s3cret" not in shown.out
    assert tomllib.loads(shown.out)["broker"]["password"] == HIDDEN
    file.write_text(shown.out)
    assert said("settings", "check", file) == Ran(0, f"{file}: all right\n", "")


def has_table(annotation: object) -> bool:
    """Tell whether a setting may be a table of its own: its keys are shown in a section of theirs."""
    kinds = get_args(annotation) or (annotation,)
    return any(isinstance(kind, type) and issubclass(kind, Settings) for kind in kinds)


def test_the_meaning_of_every_setting_stands_above_it() -> None:
    shown = CliRunner().invoke(app, ["settings", "show", "--docs"])
    lines = shown.output.splitlines()
    above = {line.removeprefix("# "): before for before, line in pairwise(lines)}
    settings = {line.split(" =")[0]: before for line, before in above.items() if " =" in line}
    sections: dict[str, type[Settings]] = {name: type(value) for name, value in AgentSettings()}
    for section, kind in (sections | {"broker.tls": TlsSettings}).items():
        assert above[f"[{section}]"].startswith("# "), section
        tables = {name for name, value in kind.model_fields.items() if has_table(value.annotation)}
        for name in set(kind.model_fields) - tables:
            assert settings[name].startswith("# "), f"{section}.{name}"
    assert tomllib.loads(shown.output)


def test_without_a_broker_every_command_says_so_and_what_to_do(tmp_path: Path) -> None:
    async def test() -> None:
        port = free_port()
        file = settings_file(tmp_path, f'[broker]\nhost = "127.0.0.1"\nport = {port}\nconnect_timeout_s = 0.5')
        spoken, devices, doctor = await asyncio.gather(
            program("say", "turn on the light", "--settings", file),
            program("devices", "--settings", file),
            program("doctor", "--json", "--settings", file),
        )
        for ran in (spoken, devices):
            assert is_plain_complaint(ran), ran
            assert f"error: no broker: 127.0.0.1:{port} cannot be reached: Connection refused" in ran.error
            assert ran.out == ""
        findings = {row["subject"]: row for row in json.loads(doctor.out)}
        assert doctor.code == 1
        assert findings["broker"]["verdict"] == "failure"
        assert findings["broker"]["found"].count(str(port)) == 1
        for row in findings.values():
            assert set(row) == {"subject", "verdict", "found", "remedy"}
            assert row["verdict"] == "ok" or row["remedy"]

    run(test(), 60)


def announcement(number: int, name: str) -> Message:
    config = {"name": None, "uniq_id": f"l{number}", "cmd_t": f"l{number}/set", "dev": {"ids": [number], "name": name}}
    topic = f"homeassistant/light/l{number}/config"
    return Message(topic, json.dumps(config).encode(), qos=1, retain=True)


def test_names_from_the_bus_are_shown_as_they_are_and_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    async def test() -> None:
        async with embedded_broker("127.0.0.1", 0) as port, connect(broker_settings(port), client_id="lamp") as lamp:
            for number, name in enumerate((*HOSTILE, "\x1b[2J")):
                await lamp.publish(announcement(number, name))
            await eventually(lambda: not lamp.outbox)
            file = settings_file(
                tmp_path, f'[broker]\nhost = "127.0.0.1"\nport = {port}\nusername = "u"\npassword = "s3cret"'
            )
            ran = await program("--verbose", "devices", "--settings", file)
        assert ran.code == 0, ran
        for name in HOSTILE:
            assert name.replace("\u202e", "\\u202e") in ran.out
        assert "left out: homeassistant/light/l4/config: " in ran.out
        assert not set(ran.out + ran.error) & {"\x1b", "\u202e"}
        assert "s3cret" not in ran.error

    run(test(), 60)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory"),
        (b"", "no sound that can be read"),
        (b"not a sound\n", "no sound that can be read"),
    ],
)
def test_what_is_no_sound_is_said_before_anything_starts(tmp_path: Path, content: bytes | None, expected: str) -> None:
    sound = tmp_path / "order.wav"
    if content is not None:
        sound.write_bytes(content)
    ran = said("run", "--wav", sound, "--settings", settings_file(tmp_path, "[broker]\nembedded_port = 0"))
    assert is_plain_complaint(ran), ran
    assert ran.error.startswith(f"error: {sound}: {expected}")
    assert ran.out == ""


def test_a_sound_that_ends_in_the_middle_ends_the_program_with_what_to_do(tmp_path: Path) -> None:
    sound = tmp_path / "order.flac"
    sound.write_bytes(SOUND.read_bytes()[:30_000])
    file = settings_file(tmp_path, "[broker]\nembedded_port = 0")
    ran = said("run", "--fast", "--json", "--wav", sound, "--settings", file)
    assert is_plain_complaint(ran), ran
    assert f"error: {sound}: " in ran.error


def test_who_stops_reading_gets_no_traceback(tmp_path: Path) -> None:
    async def test() -> None:
        reading, writing = os.pipe()
        os.close(reading)
        file = settings_file(tmp_path, "[broker]\nembedded_port = 0")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edgeagent", "run", "--fast", "--json", "--wav", SOUND, "--settings", file),
            stdout=writing,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(writing)
        _, log = await process.communicate()
        assert process.returncode == 1
        assert b"ready" in log
        assert b"Traceback" not in log
        assert b"Exception" not in log

    run(test(), 60)


@pytest.mark.parametrize(
    ("labels", "commands", "expected"),
    [
        (None, COMMANDS, "labels.json: No such file or directory"),
        ("{", COMMANDS, "labels.json: not JSON"),
        ('{"gone.wav": {"intent": null}}', COMMANDS, "labels.json: gone.wav: there is no such file"),
        ('{"a.flac": {"intent": null}}', "intents: [", "commands.yaml: not YAML"),
        ('{"a.flac": {"intent": null}}', "intents: {x: {data: [{sentences: ['(']}]}}", "commands.yaml: "),
        ('{"a.flac": {"intent": null}}', None, "commands.yaml: No such file or directory"),
    ],
)
def test_what_is_wrong_with_a_spoken_test_set_is_named(
    tmp_path: Path, labels: str | None, commands: str | None, expected: str
) -> None:
    (tmp_path / "a.flac").write_bytes(SOUND.read_bytes())
    for name, text in (("labels.json", labels), ("commands.yaml", commands)):
        if text is not None:
            (tmp_path / name).write_text(text)
    ran = CliRunner().invoke(app, ["evaluate", "speech", str(tmp_path), "--commands", str(tmp_path / "commands.yaml")])
    assert ran.exit_code == 1
    assert isinstance(ran.exception, EdgeAgentError), ran.exception
    assert f"{tmp_path}/{expected}" in str(ran.exception)
    assert ran.exception.remedy


def test_a_folder_of_sounds_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "commands.yaml").write_text(COMMANDS)
    ran = said("evaluate", "speech", tmp_path / "gone", "--commands", tmp_path / "commands.yaml")
    assert is_plain_complaint(ran), ran
    assert f"error: {tmp_path}/gone/labels.json: No such file or directory" in ran.error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["evaluate", "speech", ".", "--snr", "loud"], "--snr: expected numbers"),
        (["evaluate", "speech", ".", "--seed", "-1"], "Invalid value for '--seed'"),
        (["evaluate", "speech", ".", "--plot", "/no/such/folder/a.png"], "/no/such/folder/a.png cannot be written"),
        (["demo", "--picture", "/no/such/folder/a.svg"], "/no/such/folder/a.svg cannot be written"),
        (["demo", "--picture", "."], ". cannot be written"),
        (["simulate", "castle"], "No such command 'castle'"),
        (["say"], "Missing argument"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_is_done(arguments: list[str], expected: str) -> None:
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 2
    assert expected in ran.stderr
    assert ran.stdout == ""
