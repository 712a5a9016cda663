"""The model's segments in onnxruntime; its only importer."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeagent.board.providers import CPU, NAMES, Computing, started
from edgeagent.errors import ModelError
from edgeagent.grammar.spoken import MOST_WORDS
from edgeagent.understand.model.bundle import Bundle
from edgeagent.understand.model.gazetteer import Marks
from edgeagent.understand.model.segments import Floats, RawOffer
from edgeagent.understand.model.wordpieces import Ids

_PLAIN = Computing()
_TYPES = {"tensor(int32)": np.int32, "tensor(float)": np.float32}


class OnnxSegments:
    """One session per exit. One thread is enough: a sentence is too short to share out."""

    def __init__(self, bundle: Bundle, computing: Computing = _PLAIN) -> None:
        """Load the files. Raise ModelError if one is no model, or not one of this form."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = computing.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        wanted: Sequence[str] = computing.providers
        available = onnxruntime.get_available_providers()
        self._sessions: list[Any] = []
        for one in bundle.manifest.exits:
            data = bundle.read(one.onnx)
            try:
                session, names = started(wanted, available, partial(session_by, data, options))
            except Exception as error:  # onnxruntime's own errors share no base class
                raise ModelError(f"{bundle.folder / one.onnx}: onnxruntime does not take it: {error}") from error
            wanted = [short for short, name in NAMES.items() if name in names]  # what failed once is not tried again
            self._sessions.append(session)

    def first(self, ids: Ids, marks: Marks) -> RawOffer:
        """Run the first segment on a sentence of at least one word."""
        return _offer(self._sessions[0].run(None, {"ids": ids, "marks": marks.astype(np.float32)}))

    def later(self, number: int, hidden: Floats) -> RawOffer:
        """Run segment `number`, counted from 0, on what the one before left."""
        return _offer(self._sessions[number].run(None, {"hidden": hidden}))


def session_by(data: bytes, options: Any, names: Sequence[str]) -> Any:
    """Start a session of a model with these providers, and try it where they are not the CPU.

    Raise ModelError if the first is not among those that compute: onnxruntime itself goes on without it.
    """
    session = onnxruntime.InferenceSession(data, options, providers=list(names), enable_fallback=0)
    if names[0] not in session.get_providers():
        raise ModelError(f"{names[0]} lacks a library")
    if names[0] != CPU:
        warm_up(session)
    return session


def warm_up(session: Any) -> None:
    """Run the shortest and the longest sentence. Raise whatever onnxruntime raises.

    A GPU that is there and broken shows it now and not at the first order. TensorRT builds an engine for the lengths
    that it has seen, which takes seconds, and anew for a length outside of them (onnxruntime issue 13559).
    """
    for words in (1, MOST_WORDS):
        session.run(
            None,
            {
                one.name: np.zeros([words if isinstance(size, str) else size for size in one.shape], _TYPES[one.type])
                for one in session.get_inputs()
            },
        )


def _offer(outputs: Sequence[NDArray[np.float32]]) -> RawOffer:
    labels, tags, features, *rest = outputs
    return RawOffer(labels[0], tags, features[0], rest[0] if rest else None)
