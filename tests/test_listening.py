"""The whole listening side on real sound: not itself, not two people at once; where it waits for a ring, who rings."""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from homes import known
from synthesised import Sound, say, silence, spoken

from edgeagent.act.vocabulary import lists_of
from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.automaton import compile_commands
from edgeagent.hear import own_pronunciations
from edgeagent.hear.own_pronunciations import PRONUNCIATIONS, phones_of
from edgeagent.hear.pocketsphinx import PocketsphinxRecognizer
from edgeagent.hear.waking import Bell
from edgeagent.listening import Listening
from edgeagent.messages import FRAME_BYTES, FRAME_S, Command, Frame, Step, Woken
from edgeagent.settings import AgentSettings, DeviceSettings, HearingSettings, WakingSettings
from edgeagent.understand.interpret import Interpreter

DEVICES = Path(__file__).parent / "data" / "home_devices.yaml"
ORDER = "turn on the kitchen lights"


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    automaton = compile_commands(commands.built_in(["home"]).with_names(names_of(DEVICES)))
    return Interpreter(automaton, unsure_below=HearingSettings().unsure_below)


def settings(folder: Path, *, push_to_talk: bool = False) -> AgentSettings:
    return AgentSettings(
        device=DeviceSettings(state_dir=folder),
        hearing=HearingSettings(effort="light"),
        waking=WakingSettings(push_to_talk=push_to_talk),
    )


def frames(sound: Sound) -> Iterator[Frame]:
    pcm = sound.tobytes()
    for at in range(0, len(pcm) - FRAME_BYTES, FRAME_BYTES):
        yield pcm[at : at + FRAME_BYTES]


def ordered(listening: Listening, sound: Sound, steps: list[Step] | None = None) -> list[str]:
    report = (lambda _: None) if steps is None else steps.append
    all_heard = listening.hear(frames(sound), report)
    return [one.interpretation.intent for one in all_heard if isinstance(one.interpretation, Command)]


def test_what_is_said_while_it_speaks_itself_is_not_obeyed(tmp_path: Path, interpreter: Interpreter) -> None:  # A68
    deaf = threading.Event()
    listening = Listening(settings(tmp_path), lambda: interpreter, deaf)
    deaf.set()
    assert ordered(listening, spoken(ORDER)) == []
    deaf.clear()
    assert ordered(listening, spoken(ORDER)) == ["turn_on"]


def test_two_people_at_once_make_no_third_order(tmp_path: Path, interpreter: Interpreter) -> None:
    one, other = say(ORDER).astype(np.float32), say("close the blinds in the office").astype(np.float32)
    both = np.zeros(max(len(one), len(other)), np.float32)
    both[: len(one)] += 0.5 * one
    both[: len(other)] += 0.5 * other
    sound = np.concatenate([silence(0.6), both.astype(np.int16), silence(1.6)])
    assert set(ordered(Listening(settings(tmp_path), lambda: interpreter), sound)) <= {"turn_on", "close"}


def test_a_voice_that_talks_of_other_things_is_not_obeyed(tmp_path: Path, interpreter: Interpreter) -> None:  # A67
    talk = spoken(
        "the minister said on tuesday that the budget would be presented in the autumn",
        "scientists have found a new kind of beetle in the mountains of peru",
        pause_s=1.0,
    )
    assert ordered(Listening(settings(tmp_path), lambda: interpreter), talk) == []


def test_sound_that_never_becomes_silent_is_cut_and_never_waited_for(tmp_path: Path, interpreter: Interpreter) -> None:
    listening = Listening(settings(tmp_path), lambda: interpreter)
    babble = np.tile(say("and so on and so forth without a pause"), 12)[: 16_000 * 16]
    lengths_s = [one.transcript.heard_s for one in listening.hear(frames(babble), lambda _: None)]
    assert lengths_s
    assert max(lengths_s) <= HearingSettings().cap_s + 0.1


def test_where_it_waits_for_a_ring_only_what_follows_one_is_heard(tmp_path: Path, interpreter: Interpreter) -> None:
    bell, steps = Bell(), list[Step]()
    listening = Listening(settings(tmp_path, push_to_talk=True), lambda: interpreter, bell=bell)
    assert ordered(listening, spoken(ORDER), steps) == []
    bell.ring("button")
    assert ordered(listening, spoken(ORDER), steps) == ["turn_on"]
    assert [step.word for step in steps if isinstance(step, Woken)] == ["button"]


@pytest.fixture
def used_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After how many of `counted`'s frames the recognizer was given new sentences."""
    whens: list[int] = []
    use = PocketsphinxRecognizer.use

    def noted(recognizer: PocketsphinxRecognizer, sentences: Acyclic) -> None:
        whens.append(_counted[0])
        use(recognizer, sentences)

    monkeypatch.setattr(PocketsphinxRecognizer, "use", noted)
    _counted[0] = 0
    return whens


def nobody() -> Interpreter:
    """Return what understands in a house without devices."""
    named = commands.built_in(["home"]).with_names(dict(lists_of(known().names())))
    return Interpreter(compile_commands(named), unsure_below=HearingSettings().unsure_below)


_counted = [0]


def counted(sound: Sound) -> Iterator[Frame]:
    for frame in frames(sound):
        yield frame
        _counted[0] += 1


@pytest.mark.parametrize("push_to_talk", [False, True])
def test_new_names_are_made_ready_for_while_nobody_speaks(
    tmp_path: Path, interpreter: Interpreter, used_at: list[int], *, push_to_talk: bool
) -> None:
    current = [nobody()]
    bell = Bell()
    listening = Listening(settings(tmp_path, push_to_talk=push_to_talk), lambda: current[0], bell=bell)
    current[0] = interpreter
    bell.ring("button")
    said = [one.interpretation for one in listening.hear(counted(spoken(ORDER)), lambda _: None)]
    assert [one.intent for one in said if isinstance(one, Command)] == ["turn_on"]
    assert used_at == [0, 0], "once when it was made, once at the first frame, long before somebody speaks"


def test_names_that_come_in_the_middle_of_a_sentence_count_from_the_next_one_on(
    tmp_path: Path, interpreter: Interpreter, used_at: list[int]
) -> None:
    before, middle = nobody(), round((0.6 + 0.4) / FRAME_S)
    listening = Listening(settings(tmp_path), lambda: before if _counted[0] < middle else interpreter)
    all_heard = list(listening.hear(counted(spoken("what time is it", ORDER, pause_s=2.0)), lambda _: None))
    commands_heard = [one.interpretation for one in all_heard if isinstance(one.interpretation, Command)]
    assert [one.intent for one in commands_heard] == ["get_time", "turn_on"]
    made, again = used_at
    assert made == 0
    began_s, heard_s = all_heard[0].transcript.began_s, all_heard[0].transcript.heard_s
    assert again >= round((began_s + heard_s) / FRAME_S)


@pytest.mark.parametrize("fault", ["offset", "quiet", "clipped"])
def test_a_microphone_with_a_fault_is_heard_all_the_same(tmp_path: Path, interpreter: Interpreter, fault: str) -> None:
    whole = spoken(ORDER).astype(np.float32)
    faulty = {
        "offset": whole * 0.5 + 6000,
        "quiet": whole * 10 ** (-40 / 20),
        "clipped": np.clip(whole * 2.5, -32_768, 32_767),
    }[fault]
    sound = np.rint(np.clip(faulty, -32_768, 32_767)).astype(np.int16)
    assert ordered(Listening(settings(tmp_path), lambda: interpreter), sound) == ["turn_on"]


def test_what_the_owner_corrects_is_heard_from_the_next_utterance_on(tmp_path: Path) -> None:
    named = [{"name": "xylia", "kind": "light"}]
    (tmp_path / "devices.yaml").write_text(json.dumps(named))
    automaton = compile_commands(commands.built_in(["home"]).with_names(names_of(tmp_path / "devices.yaml")))
    interpreter = Interpreter(automaton, unsure_below=HearingSettings().unsure_below)
    listening = Listening(settings(tmp_path), lambda: interpreter)

    def names() -> list[object]:
        all_heard = listening.hear(frames(spoken("turn on the bathtub")), lambda _: None)
        orders = (one.interpretation for one in all_heard if isinstance(one.interpretation, Command))
        return [slot.value for order in orders for slot in order.slots if slot.name == "name"]

    before = listening.pronounced
    assert names() == []
    own_pronunciations.add(tmp_path / PRONUNCIATIONS, "xylia", phones_of("B AE TH T AH B"))
    assert names() == ["xylia"]
    assert listening.pronounced != before
    own_pronunciations.remove(tmp_path / PRONUNCIATIONS, "xylia")
    assert names() == []


def test_a_damaged_file_of_pronunciations_changes_nothing(
    tmp_path: Path, interpreter: Interpreter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    listening = Listening(settings(tmp_path), lambda: interpreter)
    (tmp_path / PRONUNCIATIONS).write_text("lights L AI TS\n")
    assert ordered(listening, spoken(ORDER)) == ["turn_on"]
    assert "pronunciations.txt:1: there is no phone 'AI'" in caplog.records[0].__dict__["problem"]
