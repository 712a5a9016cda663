"""The owner's clips are heard anew, and what would be understood worse is told before it happens."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import soundfile
from homes import known
from synthesised import Sound, say, silence, spoken

from edgeagent.act.vocabulary import lists_of
from edgeagent.cli import record as recording
from edgeagent.cli.clips import show_changes
from edgeagent.cli.record import AGAIN, NOTHING, WAIT_S, Meant, Wish, asked, one_utterance, record
from edgeagent.errors import SettingsError, SoundError, UpdateError
from edgeagent.evaluate.clips import evaluate_clips, listener_in, replay
from edgeagent.evaluate.clips_of_candidate import play
from edgeagent.evaluate.speech import Listener
from edgeagent.hear.clips import LONGEST_S, Clip, Meaning, Understood, add_clip, load_clips, sound_file
from edgeagent.hear.files import frames_of
from edgeagent.messages import FRAME_BYTES, FRAME_S, Frame
from edgeagent.onlooking import House, house_without_names
from edgeagent.settings import AgentSettings, UnderstandingSettings
from edgeagent.shipped import built_in_model
from edgeagent.simulate.house import small_house
from edgeagent.update.self_test import with_clips

LIGHT_ON = "turn on the kitchen light"
LIGHT = Meaning(intent="turn_on", slots={"name": "kitchen light"})
NO_BUS = house_without_names("there is no broker")


@lru_cache(maxsize=1)
def home() -> House:
    devices = known(small_house())
    return House(lists_of(devices.names()), frozenset(device.kind for device in devices.all_devices()))


def settings_in(folder: Path, **hearing: Any) -> AgentSettings:
    written = {
        "device": {"state_dir": str(folder / "state")},
        "understanding": {"model": "off"},
        "acting": {"commands": ["home"]},
        "broker": {"host": "127.0.0.1", "port": 1, "connect_timeout_s": 0.5},
        "hearing": hearing,
    }
    return AgentSettings.model_validate_json(json.dumps(written))


@pytest.fixture
def settings(tmp_path: Path) -> AgentSettings:
    return settings_in(tmp_path)


@lru_cache(maxsize=1)
def listener() -> Listener:
    return listener_in(home(), settings_in(Path("nowhere")), None)


def file_of(folder: Path, sound: Sound) -> Path:
    path = folder / "said.wav"
    soundfile.write(path, sound, 16_000)
    return path


def frames(sound: Sound) -> list[Frame]:
    data = sound.astype("<i2").tobytes()
    return [data[at : at + FRAME_BYTES] for at in range(0, len(data) - FRAME_BYTES + 1, FRAME_BYTES)]


def nobody(_: str) -> str:
    raise AssertionError("nobody should be asked")


def answers(*texts: str) -> Callable[[str], str]:
    left = list(texts)
    return lambda _: left.pop(0)


def kept(settings: AgentSettings, wish: Wish, ask: Callable[[str], str] = nobody, house: House | None = None) -> Clip:
    return record(settings, house or home(), wish, lambda _: None, ask)


@lru_cache(maxsize=1)
def light() -> tuple[Clip, bytes]:
    """Return a clip that was recorded, and its sound."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        clip = kept(settings_in(folder), Wish("light", LIGHT_ON, wav=file_of(folder, spoken(LIGHT_ON))))
        return clip, sound_file(folder / "state" / "clips", clip).read_bytes()


def keep_light(settings: AgentSettings, number: int = 1, **changes: Any) -> None:
    """Keep that clip, with changes."""
    keep_light_in(settings.device.state_dir / "clips", number, **changes)


def keep_light_in(folder: Path, number: int = 1, **changes: Any) -> None:
    """Keep that clip in a folder."""
    clip, sound = light()
    add_clip(folder, clip.model_copy(update={"id": f"{number:012x}"} | changes), sound)


def only_row(figures: dict[str, Any]) -> dict[str, Any]:
    (row,) = figures["rows"]
    assert isinstance(row, dict)
    return row


def test_a_clip_keeps_what_was_meant_and_what_was_understood(tmp_path: Path, settings: AgentSettings) -> None:
    clip = kept(settings, Wish("light", LIGHT_ON, wav=file_of(tmp_path, spoken(LIGHT_ON))))
    assert load_clips(settings.device.state_dir / "clips").whole == (clip,)
    assert clip.meaning == LIGHT
    assert clip.understood == Understood(meanings=(LIGHT,))
    assert (clip.said, clip.heard, clip.recognizer) == (LIGHT_ON, LIGHT_ON, "pocketsphinx")
    assert clip.names == home().lists
    assert list(frames_of(sound_file(settings.device.state_dir / "clips", clip))) == list(
        frames_of(tmp_path / "said.wav")
    )


def test_what_has_not_changed_is_the_same(tmp_path: Path, settings: AgentSettings) -> None:
    keep_light(settings)
    kept(settings, Wish("tv", is_nothing=True, wav=file_of(tmp_path, spoken("what a lovely day it is"))))
    figures = evaluate_clips(settings, home())
    rows = figures.pop("rows")
    counts = {"n": 2, "right": 2, "same": 2, "changed": 0, "better": 0, "worse": 0, "unreadable": 0}
    assert figures == counts | {"names": "bus", "trouble": ""}
    assert [(row["name"], row["verdict"], row["now"]) for row in rows] == [
        ("light", "same", "turn on: name kitchen light"),
        ("tv", "same", "nothing"),
    ]


def test_settings_that_hear_worse_are_found_out(tmp_path: Path, settings: AgentSettings) -> None:
    keep_light(settings)
    deaf = settings_in(tmp_path, unsure_below=1.0)
    figures = evaluate_clips(deaf, home())
    assert (figures["worse"], figures["changed"], figures["same"], figures["right"]) == (1, 1, 0, 0)
    row = only_row(figures)
    assert (row["verdict"], row["before"], row["now"]) == ("worse", "turn on: name kitchen light", "nothing")
    assert "1.00 is needed" in row["why"][0]
    assert only_row(evaluate_clips(settings, home(), against=deaf))["verdict"] == "better"


def test_better_and_worse_are_judged_by_what_was_meant(settings: AgentSettings) -> None:
    plea, time = Meaning(intent="help"), Meaning(intent="get_time")
    cases = [  # what was meant, what was understood before; now it is LIGHT
        ("better", LIGHT, Understood()),
        ("better", LIGHT, Understood(meanings=(LIGHT,), is_asked=True)),
        ("better", LIGHT, Understood(meanings=(plea,))),
        ("better", LIGHT, Understood(meanings=(LIGHT, LIGHT))),
        ("same", LIGHT, Understood(meanings=(LIGHT,))),
        ("worse", None, Understood()),
        ("worse", None, Understood(meanings=(LIGHT,), is_asked=True)),
        ("changed", None, Understood(meanings=(LIGHT, LIGHT))),
        ("worse", plea, Understood()),
        ("worse", plea, Understood(meanings=(plea,))),
        ("changed", plea, Understood(meanings=(time,))),
        ("same", plea, Understood(meanings=(LIGHT,))),
    ]
    for number, (_, meaning, before) in enumerate(cases):
        keep_light(settings, number, name=f"{number:02}", meaning=meaning, understood=before)
    figures = evaluate_clips(settings, home())
    for row, (verdict, meaning, _) in zip(figures["rows"], cases, strict=True):
        assert (row["verdict"], row["is_right"]) == (verdict, meaning == LIGHT), row
    assert (figures["better"], figures["worse"], figures["changed"], figures["same"]) == (4, 4, 10, 2)


def test_a_device_that_got_another_name_is_found_out(settings: AgentSettings) -> None:
    keep_light(settings)
    renamed = {name: tuple(one for one in said if "kitchen" not in one[0]) for name, said in home().lists.items()}
    row = only_row(evaluate_clips(settings, House(renamed, home().kinds)))
    assert row["verdict"] == "worse"


def test_without_a_broker_the_names_are_those_that_were_kept(tmp_path: Path, settings: AgentSettings) -> None:
    keep_light(settings)
    other = {name: tuple((f"blue {said}", value) for said, value in one) for name, one in home().lists.items()}
    kept(
        settings,
        Wish("blue", "turn on the blue kitchen light", wav=file_of(tmp_path, spoken("turn on the blue kitchen light"))),
        house=House(other, home().kinds),
    )
    figures = evaluate_clips(settings, NO_BUS)
    assert (figures["names"], figures["trouble"]) == ("clips", "there is no broker")
    assert (figures["n"], figures["same"], figures["right"]) == (2, 2, 2)


def test_a_clip_that_cannot_be_read_is_told_and_holds_nothing_up(settings: AgentSettings) -> None:
    folder = settings.device.state_dir / "clips"
    for number, name in enumerate(("light", "gone", "noise")):
        keep_light(settings, number, name=name)
    clips = load_clips(folder)
    for name, content in (("gone", None), ("noise", b"no sound")):
        clip = clips.named(name)
        assert clip is not None
        path = sound_file(folder, clip)
        path.unlink() if content is None else path.write_bytes(content)
    (folder / "00000000000f.json").write_text('{"version": 9}')
    figures = evaluate_clips(settings, home())
    assert (figures["n"], figures["same"], figures["worse"], figures["unreadable"]) == (1, 1, 0, 3)
    reasons = {row["name"]: row["why"][0] for row in figures["rows"] if row["verdict"] == "unreadable"}
    assert set(reasons) == {"gone", "noise", "00000000000f"}
    assert "No such file or directory" in reasons["gone"]
    assert "no sound that can be read" in reasons["noise"]
    assert "of version 9" in reasons["00000000000f"]


def test_where_no_clip_is_kept_nothing_is_worse(settings: AgentSettings, capsys: pytest.CaptureFixture[str]) -> None:
    figures = evaluate_clips(settings, NO_BUS)
    assert (figures["n"], figures["worse"], figures["rows"]) == (0, 0, [])
    assert show_changes(settings, None, is_json=False) == 0
    assert capsys.readouterr().out.startswith("No clip is kept, so nothing can be compared.")


def test_people_see_what_would_change_and_scripts_an_exit_code(
    tmp_path: Path, settings: AgentSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_light(settings)
    assert show_changes(settings, None, is_json=False) == 0
    shown = capsys.readouterr().out
    assert "names: those kept with the clips, 127.0.0.1:1 cannot be reached" in shown
    assert "same       light: turn on: name kitchen light" in shown
    deaf = settings_in(tmp_path, unsure_below=1.0)
    assert show_changes(deaf, None, is_json=False) == 1
    shown = capsys.readouterr().out
    assert "worse      light: turn on: name kitchen light → nothing" in shown
    assert "1 clips: 0 as before, 0 better, 1 worse, 0 otherwise; 0 right" in shown
    (settings.device.state_dir / "clips" / "00000000000f.json").write_text("{")
    assert show_changes(settings, deaf, is_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["better"], told["unreadable"]) == (1, 1)


def test_what_is_said_to_be_meant_must_be_understood(tmp_path: Path, settings: AgentSettings) -> None:
    sound = file_of(tmp_path, spoken(LIGHT_ON))
    with pytest.raises(SettingsError, match='"make it so" is not understood as it stands') as caught:
        kept(settings, Wish("light", "make it so", wav=sound))
    assert caught.value.remedy
    assert not (settings.device.state_dir / "clips").exists()


def test_a_person_is_asked_until_what_was_meant_is_understood(tmp_path: Path, settings: AgentSettings) -> None:
    sound = file_of(tmp_path, spoken(LIGHT_ON))
    again = kept(settings, Wish("again", wav=sound), answers("again", "make it so", "turn off the kitchen light"))
    assert again.meaning == Meaning(intent="turn_off", slots={"name": "kitchen light"})
    assert again.said == "turn off the kitchen light"


def test_who_is_asked_may_agree_or_say_nothing_or_begin_again() -> None:
    told: list[str] = []

    def meant(understood: Sequence[Meaning], *typed: str) -> Meant | None:
        return asked(understood, listener().interpreter, told.append, answers(*typed))

    assert meant([LIGHT], "") == Meant(None, LIGHT)
    assert meant([LIGHT], NOTHING) == meant([], NOTHING) == Meant(None, None)
    assert meant([LIGHT], AGAIN) is None
    assert told == []
    assert meant([], "", LIGHT_ON) == meant([LIGHT, LIGHT], "", LIGHT_ON) == Meant(LIGHT_ON, LIGHT)
    assert told[0].startswith('"" is not understood as it stands: ')


def test_a_sound_that_is_too_long_or_none_is_refused(tmp_path: Path, settings: AgentSettings) -> None:
    long = file_of(tmp_path, silence(LONGEST_S + 0.1))
    with pytest.raises(SoundError, match="longer than 12 s"):
        kept(settings, Wish("long", is_nothing=True, wav=long))
    with pytest.raises(SoundError, match="No such file"):
        kept(settings, Wish("gone", is_nothing=True, wav=tmp_path / "gone.wav"))
    assert not (settings.device.state_dir / "clips").exists()


def test_a_name_that_is_taken_is_refused_before_anybody_speaks(tmp_path: Path, settings: AgentSettings) -> None:
    keep_light(settings)
    with pytest.raises(SettingsError, match="there is a clip 'light' already"):
        kept(settings, Wish("light", LIGHT_ON, wav=tmp_path / "gone.wav"))
    sound = file_of(tmp_path, silence(1.0))
    new = kept(settings, Wish("light", is_nothing=True, wav=sound, replaces=True))
    assert load_clips(settings.device.state_dir / "clips").whole == (new,)


def test_one_utterance_is_cut_out_with_the_room_around_it() -> None:
    sound = np.concatenate([silence(3.0), say(LIGHT_ON), silence(3.0), say(LIGHT_ON)])
    cut = one_utterance(frames(sound), listener())
    spoken_s = len(say(LIGHT_ON)) / 16_000
    assert spoken_s + 1.0 < len(cut) * FRAME_S < spoken_s + 3.5
    assert replay(cut, listener()).understood == Understood(meanings=(LIGHT,))


def test_an_utterance_is_no_longer_than_a_clip() -> None:
    endless = np.concatenate([say("turn on the kitchen light and then the bedroom light")] * 8)
    assert len(endless) / 16_000 > LONGEST_S
    cut = one_utterance(frames(endless), listener())
    assert 0 < len(cut) * FRAME_S <= LONGEST_S


def test_where_nobody_speaks_nothing_is_kept() -> None:
    asked_for = 0

    def quiet() -> Iterator[Frame]:
        nonlocal asked_for
        while True:
            asked_for += 1
            yield bytes(FRAME_BYTES)

    with pytest.raises(SoundError, match="nobody spoke within 30 s"):
        one_utterance(quiet(), listener())
    assert asked_for <= WAIT_S / FRAME_S + 1


def test_clips_are_shown_and_forgotten(settings: AgentSettings, capsys: pytest.CaptureFixture[str]) -> None:
    assert recording.show_clips(settings, is_json=False) == 0
    assert "No clip is kept. Keep one: edgeagent record NAME" in capsys.readouterr().out
    keep_light(settings)
    keep_light(settings, 2, name="[red]two")
    (settings.device.state_dir / "clips" / "broken.json").write_text("{")
    assert recording.show_clips(settings, is_json=False) == 0
    shown = capsys.readouterr().out
    assert "[red]two" in shown
    assert "broken: cannot be used: Invalid JSON" in shown
    assert recording.show_clips(settings, is_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told["clips"]] == ["[red]two", "light"]
    assert "names" not in told["clips"][0]
    assert recording.forget(settings, "light", is_json=False) == 0
    assert recording.forget(settings, "broken", is_json=True) == 0
    assert capsys.readouterr().out == 'light: removed\n{"removed": "broken"}\n'


@pytest.mark.slow
def test_a_candidate_is_judged_by_its_makers_clips_and_by_what_it_alone_makes_worse_of_the_owners(
    tmp_path: Path, settings: AgentSettings
) -> None:
    candidate = tmp_path / "candidate"
    shutil.copytree(built_in_model(), candidate)
    told = settings.model_copy(update={"understanding": UnderstandingSettings()}).model_dump_json()
    keep_light(settings)
    keep_light(settings, 2, name="never right", meaning=Meaning(intent="turn_off", slots={}))
    better_once = Understood(meanings=(Meaning(intent="turn_off", slots={}),), is_asked=False)
    keep_light(settings, 3, name="better once", meaning=better_once.meanings[0], understood=better_once)
    assert play(candidate, told) == (3, ())  # the current model makes the same of them
    keep_light_in(candidate / "clips")
    assert play(candidate, told) == (4, ())
    keep_light_in(candidate / "clips", 2, name="golden", meaning=better_once.meanings[0])
    assert play(candidate, told) == (5, ("golden",))


@pytest.mark.slow
def test_a_model_whose_golden_clip_comes_out_wrong_fails_its_trial(tmp_path: Path, settings: AgentSettings) -> None:
    candidate = tmp_path / "candidate"
    shutil.copytree(built_in_model(), candidate)
    keep_light_in(candidate / "clips")
    assert with_clips("model", candidate, None, settings).clips == 1
    keep_light_in(candidate / "clips", 2, name="golden", meaning=Meaning(intent="turn_off", slots={}))
    with pytest.raises(UpdateError, match="1 of 2 clips: 'golden'") as caught:
        with_clips("model", candidate, None, settings)
    assert caught.value.code == "self-test-clips"
