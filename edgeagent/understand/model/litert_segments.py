"""The model's segments in LiteRT, or in the older tflite-runtime; the only importer of both."""

from importlib import import_module
from typing import Any

import numpy as np

from edgeagent.errors import ModelError
from edgeagent.understand.model.bundle import Bundle
from edgeagent.understand.model.gazetteer import Marks
from edgeagent.understand.model.segments import Floats, RawOffer
from edgeagent.understand.model.wordpieces import Ids

_RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


class LitertSegments:
    """One interpreter per exit; it is laid out anew when a sentence has another number of words than the one before."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the files. Raise ModelError if the model has none for LiteRT, or they are not of this form."""
        runtime = _runtime()
        self._interpreters: list[Any] = []
        for one in bundle.manifest.exits:
            if one.tflite is None:
                raise ModelError(f"{bundle.folder}: the model has no files for LiteRT", remedy='Use runtime = "onnx".')
            try:
                interpreter = runtime.Interpreter(
                    model_content=bundle.read(one.tflite),
                    num_threads=1,
                    experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                )
            except (ValueError, RuntimeError) as error:
                raise ModelError(f"{bundle.folder / one.tflite}: LiteRT does not take it: {error}") from error
            self._interpreters.append(interpreter)
        self._words = [0] * len(self._interpreters)

    def first(self, ids: Ids, marks: Marks) -> RawOffer:
        """Run the first segment on a sentence of at least one word."""
        return self._run(0, [ids, marks.astype(np.float32)])

    def later(self, number: int, hidden: Floats) -> RawOffer:
        """Run segment `number`, counted from 0, on what the one before left."""
        return self._run(number, [hidden])

    def _run(self, number: int, inputs: list[np.ndarray]) -> RawOffer:
        interpreter = self._interpreters[number]
        places = [one["index"] for one in interpreter.get_input_details()]
        if len(inputs[0]) != self._words[number]:
            for place, value in zip(places, inputs, strict=True):
                interpreter.resize_tensor_input(place, value.shape)
            interpreter.allocate_tensors()
            self._words[number] = len(inputs[0])
        for place, value in zip(places, inputs, strict=True):
            interpreter.set_tensor(place, value)
        interpreter.invoke()
        labels, tags, features, *rest = (
            interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()
        )
        return RawOffer(labels[0], tags, features[0], rest[0] if rest else None)


def _runtime() -> Any:
    for name in _RUNTIMES:
        try:
            return import_module(name)
        except ImportError:
            continue
    remedy = 'pip install "edgeagent[litert]", or set [understanding] runtime = "onnx".'
    raise ModelError("LiteRT is not installed", remedy=remedy)
