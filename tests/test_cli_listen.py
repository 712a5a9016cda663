"""`edgeagent listen`, `record` and `pronounce` as an owner meets them: what is seen, and that nothing is done."""

import io
import json
import logging
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer
from brokers import HAS_MOSQUITTO, Mosquitto, eventually, free_port, mosquitto, run
from brokers import settings as broker_settings
from rich.console import Console
from synthesised import silence, spoken
from typer.testing import CliRunner, Result

from edgeagent.bus import connect
from edgeagent.cli import owner
from edgeagent.cli.monitor import BAR_CELLS, Decision, Meter, Monitor, Reading
from edgeagent.errors import EdgeAgentError, SoundError
from edgeagent.messages import FRAME_BYTES, FRAME_S, Command, Frame, Rejection, Slot, Transcript, Woken, Word
from edgeagent.pipeline import Heard
from edgeagent.simulate.house import small_house

needs_mosquitto = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
LIGHT_ON = "turn on the kitchen light"
PROGRAM = """
import typer
from edgeagent.cli import owner
app = typer.Typer()
app.command()(owner.listen)
app.command()(owner.record)
app()
"""

app = typer.Typer()
for command in (owner.listen, owner.record, owner.pronounce, owner.clips):
    app.command()(command)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    logger = logging.getLogger("edgeagent")
    before = logger.level, logger.propagate, logger.handlers[:]
    yield
    assert (logger.level, logger.propagate, logger.handlers) == before


@pytest.fixture
def house() -> Iterator[Mosquitto]:
    """Put the announcements of a house on a broker."""
    with mosquitto() as broker:

        async def announce() -> None:
            async with connect(broker_settings(broker.port), client_id="house") as bus:
                for message in small_house().announcements():
                    await bus.publish(replace(message, qos=1))
                await eventually(lambda: not bus.outbox)

        run(announce())
        yield broker


def settings_in(folder: Path, port: int | None = None) -> Path:
    path = folder / "edgeagent.toml"
    path.write_text(
        f'[broker]\nhost = "127.0.0.1"\nport = {port or free_port()}\nconnect_timeout_s = 0.5\n'
        f'[device]\nstate_dir = "{folder}/state"\n[understanding]\nmodel = "off"\n[acting]\ncommands = ["home"]\n'
    )
    return path


def sound_in(folder: Path, *texts: str) -> Path:
    path = folder / "said.wav"
    soundfile.write(path, spoken(*texts), 16_000)
    return path


def said(settings: Path, *arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--settings", str(settings)], input=typed)


def told(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told(result).splitlines()]


def complaint(settings: Path, *arguments: str | Path) -> EdgeAgentError:
    error = said(settings, *arguments).exception
    assert isinstance(error, EdgeAgentError), error
    assert error.remedy
    return error


def seen(monitor: Monitor) -> str:
    console = Console(file=io.StringIO(), record=True, width=110, force_terminal=True)
    console.print(monitor.panel())
    return " ".join(console.export_text().split())


def decision(text: str, interpretation: Command | Rejection) -> Decision:
    words = tuple(Word(word, 0.1, 0.2) for word in text.split())
    transcript = Transcript("u1", words, 1.5, 0.0, 0.97, "complete")
    return Decision(Heard(transcript, interpretation), datetime(2026, 11, 21, 12, 5, 9, tzinfo=UTC), 0.152)


@needs_mosquitto
def test_a_sentence_is_understood_with_the_names_on_the_bus_and_nothing_is_done(
    tmp_path: Path, house: Mosquitto
) -> None:
    settings = settings_in(tmp_path, house.port)
    found = rows(said(settings, "listen", "--wav", sound_in(tmp_path, LIGHT_ON), "--fast", "--monitor", "--json"))
    assert found[0]["step"] == "names"
    assert found[0]["from"] == "bus"
    assert found[0]["note"] == "8 names of devices are known from the bus."
    (understood,) = (row for row in found if row["step"] == "understood")
    assert (understood["intent"], understood["text"]) == ("turn_on", LIGHT_ON)
    assert understood["in_words"] == "turn on: name kitchen light"
    assert understood["why"] == ["the grammar has this sentence"]
    assert understood["ended_by"] in {"complete", "silence"}
    assert 0.5 < understood["heard_confidence"] <= 1
    assert 0 < understood["decided_ms"] < 3000
    assert {row["text"] for row in found if row["step"] == "hearing"} >= {"turn on the kitchen", LIGHT_ON}
    assert not house.log_lines("/set")
    assert list((tmp_path / "state").glob("**/*")) == []


def test_every_second_tells_level_room_and_speech(tmp_path: Path) -> None:
    listened = said(
        settings_in(tmp_path), "listen", "--wav", sound_in(tmp_path, "what time is it"), "--fast", "--monitor"
    )
    found = rows(listened)
    levels = [row for row in found if row["step"] == "level"]
    assert [round(row["at_s"]) for row in levels] == list(range(1, len(levels) + 1))
    assert any(row["is_speech"] for row in levels)
    assert not levels[-1]["is_speech"]
    assert max(row["loudest_dbfs"] for row in levels) > -30
    assert all(-90 < row["floor_dbfs"] < -60 for row in levels)
    assert set(levels[0]) == {
        *("step", "at_s", "loudest_dbfs", "floor_dbfs", "is_speech", "clipped", "mute_s", "overflows")
    }
    assert found[0]["from"] == "nowhere"
    assert [row["intent"] for row in found if row["step"] == "understood"] == ["get_time"]


def test_without_a_broker_the_built_in_sentences_are_understood_and_that_is_said(tmp_path: Path) -> None:
    shown = told(said(settings_in(tmp_path), "listen", "--wav", sound_in(tmp_path, "what time is it"), "--fast"))
    assert shown.startswith("Listening, and doing nothing. No names of devices are known, only the built-in sentences")
    assert "cannot be reached: Connection refused" in shown
    assert "understood  get_time" in shown
    assert "because     the grammar has this sentence" in shown
    assert "answered" not in shown


def test_json_without_the_monitor_has_no_levels(tmp_path: Path) -> None:
    sound = sound_in(tmp_path, "what time is it")
    found = rows(said(settings_in(tmp_path), "listen", "--wav", sound, "--fast", "--json"))
    assert {row["step"] for row in found} == {"names", "hearing", "understood"}


def test_what_is_no_sound_is_said_at_once(tmp_path: Path) -> None:
    error = complaint(settings_in(tmp_path), "listen", "--wav", tmp_path / "gone.wav")
    assert isinstance(error, SoundError)
    assert "No such file" in str(error)


def test_the_panel_is_drawn_live_and_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    sound = tmp_path / "long.wav"
    soundfile.write(sound, np.concatenate([spoken("what time is it"), silence(60.0)]), 16_000)
    screen, terminal = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "listen", "--monitor", "--wav", sound, "--settings", settings_in(tmp_path)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "110", "LINES": "40"},
    )
    os.close(terminal)
    shown, is_ended = "", False
    while part := _read(screen):
        shown += part
        if "get time" in shown and not is_ended:
            is_ended = True
            child.send_signal(signal.SIGINT)
    os.close(screen)
    assert child.wait() == 130
    assert "Traceback" not in shown
    assert "edgeagent listens, and does nothing" in shown
    assert "what time is it" in shown
    assert shown.count("level") > 5
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")  # the cursor is back


def _read(screen: int) -> str:
    try:
        return os.read(screen, 65_536).decode("utf-8", "replace")
    except OSError:  # the other end is closed
        return ""


def test_the_meter_lets_every_frame_through_as_it_is() -> None:
    data = spoken("what time is it").astype("<i2").tobytes()
    frames: list[Frame] = [data[at : at + FRAME_BYTES] for at in range(0, len(data) - FRAME_BYTES, FRAME_BYTES)]
    readings: list[Reading] = []
    assert list(Meter(lambda frame: frame == frames[7], readings.append)(frames)) == frames
    assert len(readings) == len(frames)
    assert [number for number, one in enumerate(readings) if one.is_speech] == [7]
    assert readings[-1].at_s == pytest.approx(len(frames) * FRAME_S)
    assert readings[0].floor_dbfs is None
    assert readings[-1].floor_dbfs == pytest.approx(20 * np.log10(8 / 32_768), abs=2)


def test_the_meter_tells_what_clips_and_what_is_mute() -> None:
    loud = np.full(512, 32_767, "<i2").tobytes()
    readings: list[Reading] = []
    list(Meter(lambda _: False, readings.append)([loud, loud, *[bytes(FRAME_BYTES)] * 100]))
    assert readings[1].level_dbfs == pytest.approx(0, abs=0.01)
    assert readings[-1].clipped == 2
    assert readings[-1].mute_s == pytest.approx(3.2)
    assert readings[-1].floor_dbfs is None


def test_the_panel_shows_level_room_speech_and_what_is_being_said() -> None:
    monitor = Monitor("14 names of devices are known from the bus.")
    assert "the room (│) not known yet" in seen(monitor)
    monitor.level(Reading(1.0, -20.0, -60.0, is_speech=True))
    monitor.step(Transcript("u1", (Word("turn", 0, 1), Word("on", 1, 2)), 2.0))
    shown = seen(monitor)
    bar = shown.partition("level ")[2].split()[0]
    assert len(bar) == BAR_CELLS
    assert bar.count("█") == round(BAR_CELLS * 60 / 80) - 1
    assert bar.index("│") == round(BAR_CELLS * 20 / 80)
    assert "-20 dBFS, the room (│) -60 dBFS" in shown
    assert "speech yes" in shown
    assert "hears turn on" in shown
    assert "14 names of devices" in shown
    monitor.level(Reading(2.0, -60.0, -60.0))
    assert "speech no" in seen(monitor)
    monitor.step(Woken("okay_nabu"))
    assert "(okay nabu)" in seen(monitor)


def test_the_panel_shows_the_last_decisions_with_time_and_reason() -> None:
    monitor = Monitor("")
    slots = (Slot("name", "kitchen light", "kitchen light"), Slot("brightness", 40.0, "forty"))
    why = ("the grammar: none begins", "the grammar has this sentence")
    for number in range(9):
        monitor.decided(decision(f"number {number}", Rejection("u1", "not-a-command", "", "nobody says that")))
    monitor.decided(decision("dim the [red]light", Command("u1", "set_brightness", slots, "", 0, 1.0, why=why)))
    shown = seen(monitor)
    assert '12:05:09 "dim the [red]light" → set brightness: name kitchen light, brightness 40' in shown
    assert "97% sure of the sound, ended by complete, decided 152 ms after the last word" in shown
    assert "the grammar has this sentence" in shown
    assert '"number 8" → nothing: not a command: nobody says that' in shown
    assert "number 3" not in shown
    monitor.decided(decision("well", Command("u1", "unlock", (), "", 1, 0.6, doubt="it may mean another door")))
    assert "asks first: unlock: it may mean another door" in seen(monitor)


def test_the_panel_shows_what_is_wrong_with_the_sound() -> None:
    monitor = Monitor("")
    assert "trouble" not in seen(monitor)
    monitor.level(Reading(9.0, -90.0, None, is_speech=False, clipped=12, mute_s=4.0))
    for event, level, fields in (
        ("microphone overflow", logging.WARNING, {"count": 8}),
        ("no microphone", logging.ERROR, {"problem": "the microphone went\x1b[2J away"}),
    ):
        record = logging.makeLogRecord({"msg": event, "levelno": level} | fields)
        monitor.notice(record)
    shown = seen(monitor)
    assert "no microphone: the microphone went\\u001b[2J away" in shown
    assert "nothing but zeros for 4 s: is the microphone switched off?" in shown
    assert "12 frames at full scale: lower the gain" in shown
    assert "sound was lost 8 times at least" in shown
    monitor.notice(logging.makeLogRecord({"msg": "microphone is back", "levelno": logging.INFO}))
    assert "no microphone" not in seen(monitor)


@needs_mosquitto
def test_a_clip_is_recorded_replayed_and_deleted(tmp_path: Path, house: Mosquitto) -> None:
    settings, sound = settings_in(tmp_path, house.port), sound_in(tmp_path, LIGHT_ON)
    shown = told(said(settings, "record", "my light", "--said", LIGHT_ON, "--wav", sound))
    assert shown.splitlines() == [
        f'heard       "{LIGHT_ON}"',
        "understood  turn on: name kitchen light",
        "kept        my light: means turn on: name kitchen light",
    ]
    (kept,) = rows(said(settings, "record", "--list", "--json"))[0]["clips"]
    assert (kept["name"], kept["meaning"]["intent"]) == ("my light", "turn_on")
    (figures,) = rows(said(settings, "clips", "--json"))
    assert (figures["n"], figures["same"], figures["names"]) == (1, 1, "bus")
    assert told(said(settings, "record", "my light", "--delete")) == "my light: removed\n"
    assert "No clip is kept" in told(said(settings, "clips"))


def test_a_clip_may_be_told_as_json_while_people_read_along(tmp_path: Path) -> None:
    result = said(
        settings_in(tmp_path), "record", "tv", "--nothing", "--json", "--wav", sound_in(tmp_path, "what time is it")
    )
    (kept,) = rows(result)
    assert (kept["meaning"], kept["understood"]["meanings"][0]["intent"]) == (None, "get_time")
    assert "No names of devices are known" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["record"], "give a NAME, or --list"),
        (["record", "x", "--list"], "give a NAME, or --list"),
        (["record", "x", "--said", "y", "--nothing"], "go one at a time"),
        (["record", "x"], "nobody can be asked here"),
        (["pronounce"], "give a NAME, or --list"),
        (["pronounce", "x", "--as", "AH", "--undo"], "go one at a time"),
    ],
)
def test_a_mistake_of_the_command_line_is_told(tmp_path: Path, arguments: list[str], expected: str) -> None:
    result = said(settings_in(tmp_path), *arguments)
    assert result.exit_code == 2
    assert expected in " ".join(result.stderr.replace("│", " ").split())


def test_a_name_is_pronounced_and_corrected(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    shown = told(said(settings, "pronounce", "Zorblax Kitchen 2"))
    assert shown.splitlines()[1].startswith("zorblax  Z ")
    assert "kitchen  K IH CH AH N       dictionary" in shown
    assert "two      T UW" in shown
    shown = told(said(settings, "pronounce", "Zorblax", "--like", "so black"))
    assert "S OW B L AE K  yours" in shown
    assert "from the next sentence on" in shown
    (found,) = rows(said(settings, "pronounce", "zorblax", "--as", "z ao1 r", "--json"))
    assert found == {"zorblax": [{"phones": "Z AO R", "from": "yours"}, {"phones": "S OW B L AE K", "from": "yours"}]}
    assert rows(said(settings, "pronounce", "--list", "--json")) == [found]
    assert "guess" in told(said(settings, "pronounce", "zorblax", "--undo"))
    assert "No pronunciation is yours." in told(said(settings, "pronounce", "--list"))
    settings.write_text(f'{settings.read_text()}[hearing]\nrecognizer = "vosk"\n')
    assert "vosk, which the settings name, does not use these" in told(said(settings, "pronounce", "zorblax"))


def test_what_is_wrong_with_a_correction_is_told_with_what_to_do(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert "there is no phone 'XX'" in str(complaint(settings, "pronounce", "zorblax", "--as", "AH XX"))
    assert "one word is corrected at a time, and this has 2" in str(
        complaint(settings, "pronounce", "my lamp", "--as", "AH")
    )
    assert "has no pronunciation of yours" in str(complaint(settings, "pronounce", "zorblax", "--undo"))
    assert "has no words that can be said" in str(complaint(settings, "pronounce", "💡"))
    assert not (tmp_path / "state").exists()


def test_who_has_no_voice_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = complaint(settings_in(tmp_path), "pronounce", "kitchen", "--say")
    assert error.remedy == "sudo apt-get install espeak-ng"


def test_every_way_is_said_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    told(said(settings_in(tmp_path), "pronounce", "off", "--say"))
    assert (tmp_path / "said").read_text() == "-v en-us [['O:|f]]\n-v en-us [['A:|f]]\n"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert "espeak-ng cannot speak" in str(complaint(settings_in(tmp_path), "pronounce", "off", "--say"))
