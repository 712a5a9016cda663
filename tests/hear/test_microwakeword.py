"""Wake words on real sound, with the models of the package; and files that are none."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from synthesised import Sound, say, silence

from edgeagent.errors import ModelError
from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.hear.microwakeword import MicroWakeWords
from edgeagent.listening import Listening
from edgeagent.messages import FRAME_BYTES, Command, Frame, Step, Woken
from edgeagent.pipeline import Heard
from edgeagent.settings import AgentSettings, WakingSettings
from edgeagent.understand.interpret import Interpreter

WAKING = WakingSettings(words=("okay_nabu", "alexa"))
MODELS = files("pymicro_wakeword") / "models"


def frames(*sounds: Sound) -> Iterator[Frame]:
    data = np.concatenate(sounds).tobytes()
    return (data[at : at + FRAME_BYTES] for at in range(0, len(data) - FRAME_BYTES + 1, FRAME_BYTES))


DEVICES = "[{name: Kitchen Light, kind: light}, {name: Porch Light, kind: light}]"


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Listening:
    devices = tmp_path_factory.mktemp("house") / "devices.yaml"
    devices.write_text(DEVICES)
    automaton = compile_commands(commands.built_in(["home"]).with_names(names_of(devices)))
    interpreter = Interpreter(automaton, unsure_below=0.5)
    return Listening(AgentSettings(waking=WAKING), lambda: interpreter)


def heard(listening: Listening, *sounds: Sound) -> tuple[list[Heard], list[str]]:
    steps: list[Step] = []
    found = list(listening.hear(frames(silence(1.0), *sounds, silence(2.0)), steps.append))
    return found, [step.word for step in steps if isinstance(step, Woken)]


@pytest.mark.parametrize("pause_s", [0.0, 0.4, 2.0])
def test_an_order_after_the_wake_word_is_heard_without_the_wake_word(listening: Listening, pause_s: float) -> None:
    found, woken = heard(listening, say("okay nabu"), silence(pause_s), say("turn on the kitchen light"))
    assert woken == ["Okay Nabu"]
    assert [one.transcript.text for one in found] == ["turn on the kitchen light"]
    assert isinstance(found[0].interpretation, Command)


def test_an_order_without_the_wake_word_is_not_heard(listening: Listening) -> None:
    assert heard(listening, say("turn on the kitchen light")) == ([], [])


def test_an_order_that_follows_an_order_needs_no_wake_word(listening: Listening) -> None:
    found, woken = heard(
        listening, say("okay nabu"), silence(0.5), say("turn on the kitchen light"), silence(2.0),
        say("turn off the porch light"),
    )  # fmt: skip
    assert woken == ["Okay Nabu"]
    assert [one.transcript.text for one in found] == ["turn on the kitchen light", "turn off the porch light"]


def test_several_wake_words_are_looked_for_at_once() -> None:
    detector = MicroWakeWords(("okay_nabu", "alexa"), None)
    found = [name for frame in frames(silence(1.0), say("alexa"), silence(1.0)) if (name := detector(frame))]
    assert set(found) == {"Alexa"}
    detector.reset()
    found = [name for frame in frames(silence(1.0), say("okay nabu"), silence(1.0)) if (name := detector(frame))]
    assert set(found) == {"Okay Nabu"}


def test_an_own_model_is_loaded_by_its_file(tmp_path: Path) -> None:
    for name in ("okay_nabu.json", "okay_nabu.tflite"):
        (tmp_path / name).write_bytes((MODELS / name).read_bytes())
    detector = MicroWakeWords((str(tmp_path / "okay_nabu.json"),), 0.6)
    assert any(detector(frame) for frame in frames(silence(1.0), say("okay nabu"), silence(1.0)))


@pytest.mark.parametrize(
    ("config", "network", "message"),
    [
        (None, b"", "No such file"),
        ("{", b"", "not a microWakeWord model's JSON file"),
        ("[]", b"", "not a microWakeWord model's JSON file"),
        ({"model": "x.tflite"}, b"", "not a microWakeWord model's JSON file"),
        ({"model": "x.tflite", "probability_cutoff": 7}, b"abcdTFL3", "is wrong"),
        ({"model": "y.tflite"}, b"abcdTFL3", "No such file"),
        ({"model": "../../etc/passwd"}, b"abcdTFL3", "No such file"),
        ({"model": "x.tflite"}, b"", "not a TFLite model"),
        ({"model": "x.tflite"}, b"\0" * 100, "not a TFLite model"),
    ],
)
def test_a_file_that_is_no_model_is_named(tmp_path: Path, config: object, network: bytes, message: str) -> None:
    if isinstance(config, dict) and message != "not a microWakeWord model's JSON file":
        cutoff = config.pop("probability_cutoff", 0.9)
        config |= {"wake_word": "x", "micro": {"probability_cutoff": cutoff, "sliding_window_size": 5}}
    if config is not None:
        (tmp_path / "x.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (tmp_path / "x.tflite").write_bytes(network)
    with pytest.raises(ModelError, match=message) as caught:
        MicroWakeWords((str(tmp_path / "x.json"),), None)
    assert "okay_nabu" in caught.value.remedy
