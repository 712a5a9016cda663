"""`edgeagent board` as a person meets it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board.device_trees import board, cards, needs_dtc
from soundcards import environment, sound_server
from typer.testing import CliRunner
from wires import Bench, Wire

import edgeagent
from edgeagent.board.applying import DROP_IN
from edgeagent.board.config_txt import BEGIN
from edgeagent.board.detection import FoundBoard, FoundHat, Seen
from edgeagent.board.errors import BoardError
from edgeagent.board.here import Here, Named, here
from edgeagent.board.profiles import boards, hats
from edgeagent.board.thermal import Throttling
from edgeagent.cli.board import board_app
from edgeagent.cli.board_steps import Trial, run_steps
from edgeagent.hear.files import frames_of
from edgeagent.settings import AgentSettings, WakingSettings, parse

SOUND = Path(edgeagent.__file__).parent / "demo" / "sounds" / "kitchen-light.flac"
NOBODYS = Path("/nonexistent")
WM8960 = " 1 [wm8960soundcard]: wm8960-soundcar - wm8960-soundcard\n                      wm8960-soundcard\n"
ZERO = Here(Seen("aarch64"), FoundBoard(boards(NOBODYS)["rpi-zero-2-w"]))
BONNET = FoundHat(hats(NOBODYS)["adafruit-voice-bonnet"], "owner")


def said(*arguments: str | Path, code: int = 0) -> str:
    found = CliRunner().invoke(board_app, [str(one) for one in arguments], catch_exceptions=False)
    assert found.exit_code == code, found.output
    return found.output


def told(*arguments: str | Path, code: int = 0) -> Any:
    return json.loads(said(*arguments, "--json", code=code))


@pytest.fixture
def zero(tmp_path: Path) -> Path:
    """Return a folder that looks like a Zero 2 W with a ReSpeaker, on a system of today."""
    root = cards(
        board(tmp_path, "Raspberry Pi Zero 2 W Rev 1.0", ["raspberrypi,model-zero-2-w", "b,c"], {}), WM8960, [1]
    )
    (root / "boot/firmware/overlays").mkdir(parents=True)
    (root / "boot/firmware/overlays/wm8960-soundcard.dtbo").touch()
    (root / "boot/firmware/config.txt").write_bytes(b"dtparam=audio=on\r\n")
    (root / "etc").mkdir()
    (root / "etc/group").write_text("gpio:x:1:\nspi:x:2:\n")
    hot = root / "sys/class/thermal/thermal_zone0"
    hot.mkdir(parents=True)
    (hot / "temp").write_text("51540\n")
    return root


@needs_dtc
def test_show_tells_which_board_it_is_what_is_on_it_and_what_does_not_work(zero: Path) -> None:
    shown = " ".join(said("show", "--root", zero).split())
    assert "Raspberry Pi Zero 2 W (rpi-zero-2-w); tried in an emulator, not on the real board" in shown
    assert "calls itself Raspberry Pi Zero 2 W Rev 1.0" in shown
    assert "(respeaker-2mic-v1), known by its sound card, card 1 wm8960-soundcard; not tried on real" in shown
    assert "thermal_zone0 52 °C; nothing tells" not in shown
    assert "https://github.com/rhasspy/wyoming-satellite/issues/274" in shown


@needs_dtc
def test_show_as_json_has_profiles_whole(zero: Path) -> None:
    found = told("show", "--root", zero)
    assert found["board"]["limits"] == {
        "memory_high_mb": 220,
        "memory_max_mb": 280,
        "watchdog_s": 60,
        "threads": 1,
    }
    assert [(one["hat"]["id"], one["by"], one["card"]["number"]) for one in found["hats"]] == [
        ("respeaker-2mic-v1", "card", 1)
    ]
    assert (found["temperatures"], found["throttling"]) == ({"thermal_zone0": 51.54}, None)


@needs_dtc
def test_apply_dry_shows_and_does_nothing_then_does_it_and_has_nothing_left_to_do(zero: Path) -> None:
    shown = said("apply", "--root", zero, "--dry-run")
    assert "would be written: /boot/firmware/config.txt" in shown
    assert "+dtoverlay=wm8960-soundcard" in shown
    assert not (zero / DROP_IN).exists()
    done = said("apply", "--root", zero)
    assert 'device = "wm8960"  # the card wm8960-soundcard' in done
    assert "Reboot: config.txt is read at the start." in done
    assert BEGIN.encode() + b"\r\n" in (zero / "boot/firmware/config.txt").read_bytes()
    assert (zero / DROP_IN).read_text().endswith("DeviceAllow=char-gpiochip rw\nDeviceAllow=char-spi rw\n")
    again = told("apply", "--root", zero)
    assert again["changes"] == []


@needs_dtc
def test_what_is_proposed_is_a_settings_file_and_with_it_nothing_more_is(zero: Path) -> None:
    lines = said("apply", "--root", zero, "--dry-run").splitlines()
    proposed = "\n".join(lines[next(i for i, line in enumerate(lines) if line.startswith("[device]")) :])
    assert parse(proposed).hearing.effort == "light"
    owners = zero / "etc/edgeagent/edgeagent.toml"
    owners.parent.mkdir()
    owners.write_text(proposed)
    before = owners.read_bytes()
    assert told("apply", "--root", zero)["proposals"] == []
    assert owners.read_bytes() == before


@needs_dtc
def test_settings_that_are_wrong_do_not_keep_the_board_from_being_set_up(zero: Path) -> None:
    (zero / "etc/edgeagent").mkdir()
    (zero / "etc/edgeagent/edgeagent.toml").write_text("[hearing]\nefort = 'light'\n")
    (note,) = told("apply", "--root", zero)["notes"]
    assert note.startswith("the settings are not looked at: ")
    assert "there is no such setting; did you mean effort?" in note
    assert (zero / DROP_IN).exists()


@needs_dtc
def test_what_could_not_be_written_is_not_said_to_be(zero: Path) -> None:
    (zero / "etc/systemd").write_text("a file where a folder should be")
    done = said("apply", "--root", zero, code=1)
    assert "written: /etc/systemd" not in done
    assert "trouble: /etc/systemd/system/edgeagent.service.d/10-board.conf: cannot be written" in done
    assert "written: /boot/firmware/config.txt" in done


@needs_dtc
def test_an_owners_profile_in_the_machines_own_folder_comes_first(zero: Path) -> None:
    own = zero / "etc/edgeagent/hardware/boards"
    own.mkdir(parents=True)
    ours = Path(edgeagent.__file__).parents[1] / "hardware/boards/rpi-zero-2-w.toml"
    (own / "rpi-zero-2-w.toml").write_text(ours.read_text().replace("memory_high_mb = 220", "memory_high_mb = 150"))
    assert told("show", "--root", zero)["board"]["limits"]["memory_high_mb"] == 150


def test_a_card_in_a_reader_is_set_up_for_the_board_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "boot/firmware").mkdir(parents=True)
    (tmp_path / "boot/firmware/config.txt").touch()
    with pytest.raises(BoardError, match="is no running system") as caught:
        here(tmp_path)
    assert "--board" in caught.value.remedy
    found = told("apply", "--root", tmp_path, "--board", "rpi-5", "--hat", "respeaker-2mic-v1")
    assert (found["board"], found["hats"]) == ("rpi-5", ["respeaker-2mic-v1"])
    assert "dtoverlay=wm8960-soundcard\n" in (tmp_path / "boot/firmware/config.txt").read_text()


def test_a_board_that_nobody_knows_keeps_the_name_that_its_settings_have(tmp_path: Path) -> None:
    assert told("apply", "--root", tmp_path, "--board", "generic-x86-64")["proposals"] == []


def test_a_step_that_is_none_is_refused() -> None:
    assert "no step tones" in said("test", "--skip", "tones", code=2)


def test_a_board_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(BoardError, match="no board 'rpi-6'") as caught:
        here(named=Named("rpi-6"))
    assert "rpi-5" in caught.value.remedy


def trial(settings: AgentSettings | None = None, found: Here = ZERO, **more: Any) -> Trial:
    known: dict[str, Any] = {"wav": (SOUND,), "skip": frozenset({"tone"}), "shown_s": 0.0} | more
    return Trial(settings or AgentSettings(), found, **known)


def verdicts(of: Trial) -> dict[str, tuple[str, str]]:
    return {one.step: (one.verdict, one.found) for one in run_steps(of)}


def test_without_a_terminal_everything_is_tried_that_needs_nobody() -> None:
    bench = Bench(wires={17: Wire(is_active=True)})
    found = verdicts(trial(found=replace(ZERO, hats=(BONNET,)), lines=bench))
    assert found["board"][0] == "ok"
    assert found["microphone"][0] == "ok"
    assert found["microphone"][1].startswith("speech -")
    assert found["tone"] == ("skipped", "as you wished")
    assert found["light"] == ("ok", "lamps were red, green and blue; nobody was asked")
    assert found["button"] == ("ok", "line 17 is pressed now")
    assert {line.offset for driven in bench.driven for line in driven.lines} == {5, 6}


def test_a_person_is_asked_step_by_step_and_may_say_that_it_is_not_well() -> None:
    wire = Wire()
    bench = Bench(wires={17: wire})
    asked = []

    def ask(question: str) -> str:
        asked.append(question.split(maxsplit=1)[0])
        if question.startswith("Press the button"):
            wire.press(0.3)
        return "n" if "see it" in question else "y"

    found = verdicts(trial(found=replace(ZERO, hats=(BONNET,)), lines=bench, ask=ask))
    assert asked == ["Speak", "Did", "Press"]
    assert found["light"] == ("failure", "lamps were red, green and blue, but not as it should")
    useless = "; short ones change nothing: it always listens without [waking] push_to_talk or words"
    assert found["button"] == ("ok", f"a short press on line 17{useless}")
    asked_for = AgentSettings(waking=WakingSettings(push_to_talk=True))
    found = verdicts(trial(asked_for, replace(ZERO, hats=(BONNET,)), lines=bench, ask=ask))
    assert found["button"] == ("ok", "a short press on line 17")


def test_each_step_can_be_left_out_when_it_is_asked_about() -> None:
    found = verdicts(trial(found=replace(ZERO, hats=(BONNET,)), lines=Bench(), ask=lambda _: "s"))
    assert [found[step][0] for step in ("microphone", "light", "button")] == ["skipped"] * 3


def test_a_button_that_nobody_presses_is_told() -> None:
    found = verdicts(
        trial(found=replace(ZERO, hats=(BONNET,)), lines=Bench(wires={17: Wire()}), ask=lambda _: "y", seconds=1.0)
    )
    assert found["button"] == ("failure", "line 17 told no press")


def test_lines_that_are_in_use_are_told_and_take_no_other_step_along() -> None:
    bench = Bench(wires={17: Wire()}, held={17})
    found = verdicts(trial(found=replace(ZERO, hats=(BONNET,)), lines=bench))
    assert found["button"] == ("failure", "bench, line 17: in use")
    assert found["light"][0] == "ok"


def test_a_board_that_slows_itself_down_is_told() -> None:
    hot = replace(ZERO, throttling=Throttling(("too little voltage",)), temperatures={"cpu": 81.0})
    verdict, found = verdicts(trial(found=hot))["board"]
    assert (verdict, found) == (
        "warning",
        "Raspberry Pi Zero 2 W (rpi-zero-2-w), 81 °C; slowed down: too little voltage",
    )


def test_a_microphone_that_is_not_there_is_told_with_what_to_do() -> None:
    settings = parse('[microphone]\ndevice = "no such card"\n')
    found = {one.step: one for one in run_steps(trial(settings, wav=()))}
    assert found["microphone"].verdict == "failure"
    assert found["microphone"].remedy


def test_where_nothing_can_play_the_tone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {one.step: one for one in run_steps(trial(skip=frozenset({"microphone"})))}
    assert (found["tone"].found, found["tone"].remedy) == ("nothing can play", "sudo apt-get install alsa-utils")


@pytest.mark.parametrize(("code", "verdict"), [(0, "ok"), (1, "failure")])
def test_the_tone_goes_to_the_program_that_plays_and_its_word_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, verdict: str
) -> None:
    player = tmp_path / "aplay"
    player.write_text(f"#!/bin/sh\n/bin/cat > {tmp_path}/heard\necho no card >&2\nexit {code}\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = verdicts(trial(skip=frozenset({"microphone"})))["tone"]
    assert found == (verdict, "aplay played two notes; nobody was asked" if code == 0 else "aplay: no card")
    assert (tmp_path / "heard").stat().st_size > 1_000


@pytest.mark.slow
def test_speech_in_a_real_microphone_is_measured(tmp_path: Path) -> None:
    """The level of a sound server's microphone, read by PortAudio in a process of its own."""
    settings = tmp_path / "settings.toml"
    settings.write_text('[microphone]\ndevice = "mic"\n')
    with sound_server(tmp_path) as server:
        for _ in range(12):
            for frame in frames_of(SOUND):
                server.say(frame)
        code = "from edgeagent.cli.board import board_app; board_app()"
        done = subprocess.run(
            [sys.executable, "-c", code, "test", "--settings", settings, "--json", "--skip", "tone"],
            capture_output=True, check=True, timeout=60, env=environment(tmp_path),
        )  # fmt: skip
    (found,) = [one for one in json.loads(done.stdout) if one["step"] == "microphone"]
    assert found["verdict"] == "ok", found
    assert found["found"].startswith("speech -")
