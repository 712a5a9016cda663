"""The model's segments in onnxruntime; its only importer."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeagent.errors import ModelError
from edgeagent.understand.model.bundle import Bundle
from edgeagent.understand.model.gazetteer import Marks
from edgeagent.understand.model.segments import Floats, RawOffer
from edgeagent.understand.model.wordpieces import Ids


class OnnxSegments:
    """One session per exit, each on one thread: a sentence is too short to share out."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the files. Raise ModelError if one is no model, or not one of this form."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._sessions = []
        for one in bundle.manifest.exits:
            data = bundle.read(one.onnx)
            try:
                self._sessions.append(onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]))
            except Exception as error:  # onnxruntime's own errors share no base class
                raise ModelError(f"{bundle.folder / one.onnx}: onnxruntime does not take it: {error}") from error

    def first(self, ids: Ids, marks: Marks) -> RawOffer:
        """Run the first segment on a sentence of at least one word."""
        return _offer(self._sessions[0].run(None, {"ids": ids, "marks": marks.astype(np.float32)}))

    def later(self, number: int, hidden: Floats) -> RawOffer:
        """Run segment `number`, counted from 0, on what the one before left."""
        return _offer(self._sessions[number].run(None, {"hidden": hidden}))


def _offer(outputs: Sequence[NDArray[np.float32]]) -> RawOffer:
    labels, tags, features, *rest = outputs
    return RawOffer(labels[0], tags, features[0], rest[0] if rest else None)
