"""The network in PyTorch: bags of word pieces, separable convolutions over the words, and exits on the way.

Words of all sentences of a batch lie one after the other, so nothing is computed for padding; `near` says which rows a
convolution sees. Normalisations are folded away when the weights leave here (`folded`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 5
Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the network is built of. `exits` holds after which block there is an exit, the last block's included."""

    pieces: int
    marks: int
    labels: int
    tags: int
    table: int = 96
    width: int = 128
    hidden: int = 256
    exits: tuple[int, ...] = (2, 6)
    teacher: int = 0  # width of a teacher's features; 0: there is no teacher


@dataclass(frozen=True, slots=True)
class Batch:
    """Words of sentences, one after the other. Row `len(ids)` of what is computed is zero: `near` points there."""

    ids: Tensor  # [words, pieces of a word]
    marks: Tensor  # [words, marks]
    near: Tensor  # [words, KERNEL]
    sentence: Tensor  # [words]: which sentence
    lengths: Tensor  # [sentences]


@dataclass(frozen=True, slots=True)
class Offer:
    """What an exit offers: logits of labels [sentences, labels], of tags [words, tags], features [sentences, width]."""

    labels: Tensor
    tags: Tensor
    features: Tensor


class Block(nn.Module):  # type: ignore[misc]  # torch is untyped where it is not installed
    """A convolution along the words, then two layers for each word, added to what came in."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        """Make the layers."""
        super().__init__()
        self.along = nn.Parameter(torch.randn(KERNEL, width) * (1 / KERNEL) ** 0.5)
        self.norm = nn.BatchNorm1d(width)
        self.widen = nn.Linear(width, hidden)
        self.norm_hidden = nn.BatchNorm1d(hidden)
        self.narrow = nn.Linear(hidden, width)
        self.norm_out = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, near: Tensor) -> Tensor:
        """Return the rows after the block."""
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
        seen = (padded[near] * self.along).sum(1)
        wide = torch.relu(self.norm_hidden(self.widen(self.norm(seen))))
        return x + self.dropout(self.norm_out(self.narrow(wide)))


class Head(nn.Module):  # type: ignore[misc]  # torch is untyped where it is not installed
    """An exit: what the whole sentence is, and what each word is."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        """Make the layers."""
        super().__init__()
        self.features = nn.Linear(2 * shape.width, shape.width)
        self.labels = nn.Linear(shape.width, shape.labels)
        self.tags = nn.Linear(shape.width, shape.tags)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, batch: Batch) -> Offer:
        """Return what the exit offers."""
        count = len(batch.lengths)
        index = batch.sentence[:, None].expand(-1, x.shape[1])
        mean = x.new_zeros(count, x.shape[1]).index_add(0, batch.sentence, x) / batch.lengths[:, None]
        most = x.new_full((count, x.shape[1]), -1e4).scatter_reduce(0, index, x, "amax")
        features = torch.relu(self.features(torch.cat([mean, most], 1)))
        return Offer(self.labels(self.dropout(features)), self.tags(self.dropout(x)), features)


class CommandNetwork(nn.Module):  # type: ignore[misc]  # torch is untyped where it is not installed
    """The whole network."""

    def __init__(self, shape: Shape, dropout: float = 0.1, table_dropout: float = 0.2) -> None:
        """Make the layers."""
        super().__init__()
        self.shape = shape
        self.table = nn.Embedding(shape.pieces, shape.table, padding_idx=0)
        self.first = nn.Linear(shape.table + shape.marks, shape.width)
        self.norm = nn.BatchNorm1d(shape.width)
        self.table_dropout = nn.Dropout(table_dropout)
        self.blocks = nn.ModuleList(Block(shape.width, shape.hidden, dropout) for _ in range(shape.exits[-1]))
        self.heads = nn.ModuleList(Head(shape, dropout) for _ in shape.exits)
        self.match = nn.Linear(shape.width, shape.teacher) if shape.teacher else None

    def forward(self, batch: Batch) -> list[Offer]:
        """Return what every exit offers."""
        words = self.table_dropout(self.table(batch.ids).sum(1))
        x = torch.relu(self.norm(self.first(torch.cat([words, batch.marks], 1))))
        offers: list[Offer] = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, batch.near)
            if number in self.shape.exits:
                offers.append(self.heads[len(offers)](x, batch))
        return offers


def batch_of(ids: list[NDArray[Any]], marks: list[NDArray[Any]]) -> Batch:
    """Return sentences as a batch; each has at least one word."""
    lengths = np.array([len(one) for one in ids])
    total = int(lengths.sum())
    near = np.full((total, KERNEL), total)
    start = 0
    for length in lengths:
        for offset in range(KERNEL):
            shift = offset - KERNEL // 2
            rows = np.arange(max(0, -shift), min(length, length - shift))
            near[start + rows, offset] = start + rows + shift
        start += length
    return Batch(
        torch.from_numpy(np.concatenate(ids).astype(np.int64)),
        torch.from_numpy(np.concatenate(marks).astype(np.float32)),
        torch.from_numpy(near),
        torch.from_numpy(np.repeat(np.arange(len(ids)), lengths)),
        torch.from_numpy(lengths.astype(np.float32)),
    )


def folded(network: CommandNetwork) -> Weights:
    """Return the weights without normalisations: matrices are [in, out], `along` is [KERNEL, width]."""
    state = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}
    weights: Weights = {"table": state["table.weight"]}
    weights["first.w"], weights["first.b"] = _folded(
        state["first.weight"].T, state["first.bias"], _affine(state, "norm")
    )
    for number in range(len(network.blocks)):
        at = f"blocks.{number}"
        scale, shift = _affine(state, f"{at}.norm")
        weights[f"{at}.along"] = state[f"{at}.along"] * scale
        weights[f"{at}.along.b"] = shift
        weights[f"{at}.widen.w"], weights[f"{at}.widen.b"] = _folded(
            state[f"{at}.widen.weight"].T, state[f"{at}.widen.bias"], _affine(state, f"{at}.norm_hidden")
        )
        weights[f"{at}.narrow.w"], weights[f"{at}.narrow.b"] = _folded(
            state[f"{at}.narrow.weight"].T, state[f"{at}.narrow.bias"], _affine(state, f"{at}.norm_out")
        )
    for number in range(len(network.heads)):
        for part in ("features", "labels", "tags"):
            weights[f"heads.{number}.{part}.w"] = state[f"heads.{number}.{part}.weight"].T
            weights[f"heads.{number}.{part}.b"] = state[f"heads.{number}.{part}.bias"]
    return {name: value.astype(np.float32) for name, value in weights.items()}


def _affine(state: dict[str, NDArray[Any]], norm: str) -> tuple[NDArray[Any], NDArray[Any]]:
    scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + 1e-5)
    return scale, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale


def _folded(
    matrix: NDArray[Any], bias: NDArray[Any], affine: tuple[NDArray[Any], NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    scale, shift = affine
    return matrix * scale, bias * scale + shift


@dataclass(frozen=True, slots=True)
class Hints:
    """What a teacher says of a batch: logits of labels, of the tags of all words, and features of the sentences."""

    labels: Tensor
    tags: Tensor
    features: Tensor


def loss_of(offers: list[Offer], labels: Tensor, tags: Tensor, *, smoothing: float, distil: float) -> Tensor:
    """Return the loss of all exits: labels and tags (-100: nobody knows), and early exits towards the last one."""
    total = offers[0].labels.new_zeros(())
    last = offers[-1]
    for number, offer in enumerate(offers):
        lost = functional.cross_entropy(
            offer.labels, labels, ignore_index=-100, reduction="sum", label_smoothing=smoothing
        )
        total = total + lost / (labels >= 0).sum().clamp(min=1)
        lost = functional.cross_entropy(offer.tags, tags, ignore_index=-100, reduction="sum")
        total = total + lost / (tags >= 0).sum().clamp(min=1)  # of a set without tags there is none
        if number < len(offers) - 1 and distil:
            total = total + distil * _apart(offer.labels, last.labels.detach(), 1.0)
    return total


def hinted_loss(
    offers: list[Offer], hints: Hints, match: nn.Module, *, temperature: float, response: float, feature: float
) -> Tensor:
    """Return how far all exits' answers, and the last one's features, are from what the teacher says."""
    total = offers[0].labels.new_zeros(())
    for offer in offers:
        total = total + response * _apart(offer.labels, hints.labels, temperature)
        total = total + response * _apart(offer.tags, hints.tags, temperature)
    alike = functional.cosine_similarity(match(offers[-1].features), hints.features, dim=1)
    return total + feature * (1 - alike).mean()


def _apart(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return the divergence of softened answers, in the measure that does not shrink with the temperature."""
    log = functional.log_softmax(logits / temperature, 1)
    return functional.kl_div(log, functional.softmax(wanted / temperature, 1), reduction="batchmean") * temperature**2
