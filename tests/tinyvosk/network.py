"""A time-delay network that tells the phone of a frame from the 25 frames around it, trained with plain numpy.

Two hidden layers of rectified units; cross-entropy, Adam, a learning rate that falls to zero.
"""

import itertools
import logging
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tinyvosk.speech import Floats

log = logging.getLogger(__name__)

OFFSETS = tuple(range(-12, 13, 2))
"""The frames that are looked at, relative to the one whose phone is told."""
HIDDEN = 128
BATCH = 256
FASTEST = 3e-3
"""The learning rate at the start."""

Labels = npt.NDArray[np.intp]
Parameters = list[Floats]
"""The weights (inputs, outputs) and the bias (outputs,) of each layer in turn."""


def train(
    utterances: Sequence[Floats], labels: Sequence[Labels], *, phones: int, batches: int, random: np.random.Generator
) -> Parameters:
    """Return the parameters of the three layers after so many batches of frames at random."""
    mean, deviation = _statistics(utterances)
    frames, middles = _in_one_row([(utterance - mean) / deviation for utterance in utterances])
    truth = np.concatenate(labels)
    parameters = _initial([len(OFFSETS) * len(mean), HIDDEN, HIDDEN, phones], random)
    learner = _Adam(parameters)
    loss = math.log(phones)
    for batch in range(1, batches + 1):
        which = random.integers(0, len(middles), BATCH)
        given = frames[middles[which][:, None] + np.array(OFFSETS)].reshape(BATCH, -1)
        gradients, batch_loss = _gradients(parameters, given, truth[which])
        learner.step(gradients, FASTEST * (1 - batch / (batches + 1)))
        loss += 0.01 * (batch_loss - loss)
        if batch % 1000 == 0:
            log.info("batch %d of %d: loss %.3f", batch, batches, loss)
    return _for_raw_features(parameters, mean, deviation)


def _statistics(utterances: Sequence[Floats]) -> tuple[Floats, Floats]:
    together = np.concatenate(utterances)
    return together.mean(0), together.std(0)


def _in_one_row(utterances: Sequence[Floats]) -> tuple[Floats, Labels]:
    """Return the utterances after one another, their edges repeated as Kaldi does it, and where the frames are."""
    margin = OFFSETS[-1]
    padded = [np.pad(utterance, ((margin, margin), (0, 0)), "edge") for utterance in utterances]
    begins = np.cumsum([0, *map(len, padded[:-1])]) + margin
    middles = [begin + np.arange(len(utterance)) for begin, utterance in zip(begins, utterances, strict=True)]
    return np.concatenate(padded), np.concatenate(middles)


def _initial(sizes: Sequence[int], random: np.random.Generator) -> Parameters:
    parameters = []
    for inputs, outputs in itertools.pairwise(sizes):
        weights = random.standard_normal((inputs, outputs), np.float32) * np.float32(math.sqrt(2 / inputs))
        parameters += [weights, np.zeros(outputs, np.float32)]
    return parameters


def _gradients(parameters: Parameters, given: Floats, truth: Labels) -> tuple[Parameters, float]:
    """Return what the parameters add to the mean cross-entropy of a batch, and that."""
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    inputs = [given]  # of each layer: (BATCH, inputs)
    for weights, bias in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ weights + bias, 0))
    scores = inputs[-1] @ layers[-1][0] + layers[-1][1]  # (BATCH, phones)
    scores -= scores.max(1, keepdims=True)
    likely = np.exp(scores)
    likely /= likely.sum(1, keepdims=True)
    rows = np.arange(len(truth))
    loss = -float(np.log(likely[rows, truth] + 1e-20).mean())
    likely[rows, truth] -= 1
    error = likely / len(truth)
    gradients: Parameters = []
    for depth in reversed(range(len(layers))):
        gradients = [inputs[depth].T @ error, error.sum(0), *gradients]
        if depth:
            error = (error @ layers[depth][0].T) * (inputs[depth] > 0)
    return gradients, loss


class _Adam:
    """Kingma and Ba 2015, with their constants; changes the parameters in place."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._means = [np.zeros_like(one) for one in parameters]
        self._squares = [np.zeros_like(one) for one in parameters]
        self._steps = 0

    def step(self, gradients: Parameters, rate: float) -> None:
        self._steps += 1
        rate *= math.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
        for index, gradient in enumerate(gradients):
            self._means[index] += 0.1 * (gradient - self._means[index])
            self._squares[index] += 0.001 * (gradient * gradient - self._squares[index])
            self._parameters[index] -= rate * self._means[index] / (np.sqrt(self._squares[index]) + 1e-8)


def _for_raw_features(parameters: Parameters, mean: Floats, deviation: Floats) -> Parameters:
    """Return the parameters with the normalisation of the features inside the first layer."""
    weights, bias, *rest = parameters
    weights = weights / np.tile(deviation, len(OFFSETS))[:, None]
    return [weights, bias - np.tile(mean, len(OFFSETS)) @ weights, *rest]
