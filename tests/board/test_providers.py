"""What computes the model, with the onnxruntime that is here and with one that has more."""

import logging
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.board.providers import CPU, NAMES, Computing, chosen, started
from edgeagent.grammar.spoken import MOST_WORDS
from edgeagent.shipped import built_in_model
from edgeagent.understand.model.bundle import open_bundle
from edgeagent.understand.model.onnx_segments import OnnxSegments, session_by, warm_up
from edgeagent.understand.model.self_test import disagreements

JETSON = ("tensorrt", "cuda", "cpu")
ALL = tuple(NAMES.values())
HERE = onnxruntime.get_available_providers()


def problems(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(one.getMessage(), vars(one)["problem"]) for one in caplog.records]


@pytest.mark.skipif(NAMES["cuda"] in HERE, reason="this onnxruntime computes on a GPU")
def test_a_jetsons_settings_on_a_machine_without_gpu_decide_the_same_and_it_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bundle = open_bundle(built_in_model())
    with caplog.at_level(logging.WARNING):
        segments = OnnxSegments(bundle, Computing(JETSON, threads=2))
    count, different = disagreements(bundle, segments)
    assert count > 0
    assert not different
    lacking = [f"onnxruntime here has no {NAMES[one]}" for one in ("tensorrt", "cuda")]
    assert problems(caplog) == [("the model is computed by CPUExecutionProvider", "; ".join(lacking))]


def test_who_wants_the_cpu_gets_it_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="edgeagent"):
        OnnxSegments(open_bundle(built_in_model()))
    assert not caplog.records


def test_a_provider_that_is_there_and_does_not_start_gives_way_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    tried = []

    def start(names: tuple[str, ...]) -> str:
        tried.append(names)
        if names[0] != CPU:
            raise RuntimeError(f"libnvinfer.so.10: cannot open shared object file\n{names}")
        return "a session"

    assert started(JETSON, ALL, start) == ("a session", (CPU,))
    assert tried == [ALL, ALL[1:], ALL[2:]]
    told = "; ".join(f"{name} does not start: libnvinfer.so.10: cannot open shared object file" for name in ALL[:2])
    assert problems(caplog) == [("the model is computed by CPUExecutionProvider", told)]


def test_the_best_that_starts_is_kept_with_those_behind_it(caplog: pytest.LogCaptureFixture) -> None:
    assert started(JETSON, [NAMES["cuda"], CPU], tuple[str, ...]) == ((NAMES["cuda"], CPU), (NAMES["cuda"], CPU))
    assert problems(caplog) == [
        ("the model is computed by CUDAExecutionProvider", "onnxruntime here has no TensorrtExecutionProvider")
    ]


def test_what_the_cpu_does_not_take_is_the_models_fault() -> None:
    def start(names: tuple[str, ...]) -> str:
        raise ValueError(f"no model, by {names[0]}")

    with pytest.raises(ValueError, match=f"no model, by {CPU}"):
        started(JETSON, ALL, start)


@pytest.mark.skipif(NAMES["cuda"] in HERE, reason="this onnxruntime computes on a GPU")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_session_that_onnxruntime_starts_without_the_provider_is_not_taken_for_one_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = open_bundle(built_in_model()).read("segment1.onnx")
    start = partial(session_by, data, onnxruntime.SessionOptions())
    session, names = started(("cuda", "cpu"), ALL, start)
    assert (session.get_providers(), names) == ([CPU], (CPU,))
    ((message, problem),) = problems(caplog)
    assert message == "the model is computed by CPUExecutionProvider"
    assert problem == "CUDAExecutionProvider does not start: CUDAExecutionProvider lacks a library"


@pytest.mark.parametrize("file", ["segment1.onnx", "segment2.onnx"])
def test_every_segment_can_be_tried_with_the_shortest_and_the_longest_sentence(file: str) -> None:
    session = onnxruntime.InferenceSession(open_bundle(built_in_model()).read(file), providers=[CPU])
    runs: list[set[int]] = []
    shapes = {one.name: one.shape for one in session.get_inputs()}

    class Watched:
        get_inputs = session.get_inputs

        def run(self, names: None, inputs: dict[str, np.ndarray[Any, Any]]) -> None:
            sizes = [pair for name, array in inputs.items() for pair in zip(array.shape, shapes[name], strict=True)]
            runs.append({size for size, told in sizes if isinstance(told, str)})
            session.run(names, inputs)

    warm_up(Watched())
    assert runs == [{1}, {MOST_WORDS}]


@given(
    wanted=st.lists(st.sampled_from(sorted(NAMES)), min_size=1, max_size=3, unique=True),
    there=st.sets(st.sampled_from(["AzureExecutionProvider", *ALL])),
)
def test_only_what_is_wanted_and_there_is_chosen_and_the_cpu_is_last(wanted: list[str], there: set[str]) -> None:
    found = chosen(wanted, there)
    assert found[-1] == CPU
    assert found.count(CPU) == 1
    assert set(found) <= {NAMES[one] for one in wanted} & there | {CPU}
