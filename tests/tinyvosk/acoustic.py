"""`am/final.mdl` in Kaldi's binary form (base/io-funcs): the transition model, the network and how common phones are.

A token is its text and one space; a number is its size in bytes and its value; a vector is "FV ", a matrix "FM ". The
plan of the network is text even in a binary file, and ends with a blank line.
"""

import math
import struct
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tinyvosk.features import CEPSTRA
from tinyvosk.network import OFFSETS, Parameters
from tinyvosk.phones import Phones

_BINARY = b"\0B"


def final_mdl(phones: Phones, parameters: Parameters, priors: npt.ArrayLike) -> bytes:
    """Return the file. `priors` are the shares of the network's outputs in the training speech."""
    return _BINARY + _transition_model(phones) + _acoustic_model(parameters, priors)


def _tokens(*tokens: str) -> bytes:
    return b"".join(token.encode() + b" " for token in tokens)


def _integers(*values: int) -> bytes:
    return b"".join(b"\4" + struct.pack("<i", value) for value in values)


def _real(value: float) -> bytes:
    return b"\4" + struct.pack("<f", value)


def _integer_vector(values: Sequence[int]) -> bytes:
    return b"\4" + struct.pack(f"<i{len(values)}i", len(values), *values)


def _vector(values: npt.ArrayLike) -> bytes:
    reals = np.asarray(values, "<f4")
    return _tokens("FV") + _integers(len(reals)) + reals.tobytes()


def _matrix(values: npt.ArrayLike) -> bytes:
    reals = np.ascontiguousarray(values, "<f4")
    return _tokens("FM") + _integers(*reals.shape) + reals.tobytes()


def _transition_model(phones: Phones) -> bytes:
    """hmm/transition-model.cc: one state a phone, so that phone p stays by transition 2p-1 and is left by 2p."""
    count = len(phones.names)
    one_state = _integers(0, 2, 0) + _real(0.5) + _integers(1) + _real(0.5)
    triples = b"".join(_integers(number, 0, output) for number, output in enumerate(phones.outputs, 1))
    return b"".join(
        [
            _tokens("<TransitionModel>", "<Topology>"),
            _integer_vector(range(1, count + 1)),
            _integer_vector([-1, *[0] * count]),  # all phones have topology 0
            _integers(1, 2) + one_state + _integers(-1, 0),  # one topology of two states, the last one final
            _tokens("</Topology>", "<Triples>") + _integers(count) + triples + _tokens("</Triples>", "<LogProbs>"),
            _vector([0.0, *[math.log(0.5)] * (2 * count)]) + _tokens("</LogProbs>", "</TransitionModel>"),
        ]
    )


def _acoustic_model(parameters: Parameters, priors: npt.ArrayLike) -> bytes:
    """nnet3/am-nnet-simple.cc."""
    spliced = ", ".join(f"Offset(input, {offset})" if offset else "input" for offset in OFFSETS)
    plan, source = [f"input-node name=input dim={CEPSTRA}"], f"Append({spliced})"
    components = list(_components(parameters))
    for name, _, _ in components:
        plan.append(f"component-node name={name} component={name} input={source}")
        source = name
    plan.append(f"output-node name=output input={source} objective=linear")
    return b"".join(
        [
            _tokens("<Nnet3>") + ("\n" + "\n".join(plan) + "\n\n").encode(),
            _tokens("<NumComponents>") + _integers(len(components)),
            *(
                _tokens("<ComponentName>", name, f"<{kind}>") + body + _tokens(f"</{kind}>")
                for name, kind, body in components
            ),
            _tokens("</Nnet3>"),
            _tokens("<LeftContext>") + _integers(-OFFSETS[0]) + _tokens("<RightContext>") + _integers(OFFSETS[-1]),
            _tokens("<Priors>") + _vector(priors),
        ]
    )


def _components(parameters: Parameters) -> Iterable[tuple[str, str, bytes]]:
    """Yield the name, kind and content of each (nnet3/nnet-simple-component.cc)."""
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    for depth, (weights, bias) in enumerate(layers, 1):
        affine = _tokens("<LearningRate>") + _real(0.001) + _tokens("<LinearParams>") + _matrix(weights.T)
        yield f"affine{depth}", "AffineComponent", affine + _tokens("<BiasParams>") + _vector(bias)
        kind = "LogSoftmaxComponent" if depth == len(layers) else "RectifiedLinearComponent"
        yield f"nonlinear{depth}", kind, _without_statistics(len(bias))


def _without_statistics(size: int) -> bytes:
    """Return a component that has no parameters, and no statistics of its training."""
    empty = _tokens("<ValueAvg>") + _vector([]) + _tokens("<DerivAvg>") + _vector([])
    return _tokens("<Dim>") + _integers(size) + empty + _tokens("<Count>") + _real(0)
