"""Learning, epoch by epoch, with a checkpoint after each: killed, it goes on where it was."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from edgeagent.files import write_durably
from edgeagent.train.corpus import Encoded
from edgeagent.train.network import Batch, CommandNetwork, Hints, Offer, batch_of, hinted_loss, loss_of
from edgeagent.train.recipe import Distillation, Recipe, fingerprint
from edgeagent.train.told import Told

WARM_UP = 0.05
"""Share of all steps in which the rate rises."""
MOST_GRADIENT = 2.0
JUDGED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Epoch:
    """How an epoch went: mean loss, and per exit the share of validation sentences whose label was right."""

    number: int
    loss: float
    right: tuple[float, ...]
    took_s: float


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learned from and judged by; `told`: what a teacher says of what is learned from."""

    train: Encoded
    valid: Encoded
    told: Told | None = None


def learn(
    network: CommandNetwork,
    lessons: Lessons,
    recipe: Recipe,
    checkpoint: Path,
    report: Callable[[Epoch], None],
) -> list[Epoch]:
    """Teach the network in place; return how each epoch went. Goes on from a checkpoint of the same recipe."""
    train, wanted, seed = lessons.train, recipe.learning, recipe.seed
    steps = wanted.epochs * (-(-len(train) // wanted.batch))
    optimizer = torch.optim.AdamW(network.parameters(), lr=wanted.rate, weight_decay=wanted.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, wanted.rate, total_steps=steps + 1, pct_start=WARM_UP, anneal_strategy="cos"
    )
    mark = fingerprint(recipe)
    history = _resumed(checkpoint, mark, network, optimizer, schedule)
    for number in range(len(history) + 1, wanted.epochs + 1):
        began = time.perf_counter()
        network.train()
        losses = []
        order = np.random.default_rng((seed, number)).permutation(len(train))
        torch.manual_seed(seed * 1000 + number)
        for rows in _rows(order, wanted.batch):
            batch, labels, tags = _taken(train, rows)
            offers = network(batch)
            loss = loss_of(offers, labels, tags, smoothing=wanted.smoothing, distil=wanted.distil)
            if lessons.told is not None and recipe.distillation is not None:
                loss = loss + _hinted(network, offers, lessons.told, rows, recipe.distillation)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MOST_GRADIENT)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        epoch = Epoch(number, float(np.mean(losses)), rights(network, lessons.valid), time.perf_counter() - began)
        history.append(epoch)
        _save(checkpoint, mark, network, optimizer, schedule, history)
        report(epoch)
    return history


def offered(network: CommandNetwork, encoded: Encoded) -> Iterator[tuple[np.ndarray, list[Offer]]]:
    """Yield the rows of a part of the sentences, and what every exit offers for them."""
    network.eval()
    with torch.no_grad():
        for rows in _rows(np.arange(len(encoded)), JUDGED_AT_ONCE):
            batch, _, _ = _taken(encoded, rows)
            yield rows, network(batch)


def rights(network: CommandNetwork, encoded: Encoded) -> tuple[float, ...]:
    """Return for every exit the share of sentences whose label is right."""
    if not len(encoded):
        return ()
    right = np.zeros(len(network.shape.exits))
    for rows, offers in offered(network, encoded):
        for number, offer in enumerate(offers):
            right[number] += int((offer.labels.argmax(1).numpy() == encoded.labels[rows]).sum())
    return tuple(float(one) for one in right / len(encoded))


def _rows(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        if len(rows) > 1 or len(order) == 1:
            yield rows


def _taken(encoded: Encoded, rows: np.ndarray) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    batch = batch_of([encoded.ids[row] for row in rows], [encoded.marks[row] for row in rows])
    tags = torch.from_numpy(np.concatenate([encoded.tags[row] for row in rows]))
    return batch, torch.from_numpy(encoded.labels[rows]), tags


def _hinted(
    network: CommandNetwork, offers: list[Offer], told: Told, rows: np.ndarray, wanted: Distillation
) -> torch.Tensor:
    hints = Hints(
        torch.from_numpy(told.labels[rows]).float(),
        torch.from_numpy(np.concatenate([told.tags[row] for row in rows])).float(),
        torch.from_numpy(told.features[rows]).float(),
    )
    return hinted_loss(
        offers, hints, network.match,
        temperature=wanted.temperature, response=wanted.response, feature=wanted.feature,
    )  # fmt: skip


def _save(
    path: Path,
    mark: str,
    network: CommandNetwork,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    history: list[Epoch],
) -> None:
    state = {
        "fingerprint": mark,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "history": json.dumps([asdict(one) for one in history]),
    }
    buffer = BytesIO()
    torch.save(state, buffer)
    write_durably(path, buffer.getvalue())


def _resumed(
    path: Path,
    mark: str,
    network: CommandNetwork,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> list[Epoch]:
    if not path.is_file():
        return []
    state = torch.load(path, weights_only=True)
    if state["fingerprint"] != mark:
        return []
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return [
        Epoch(one["number"], one["loss"], tuple(one["right"]), one["took_s"]) for one in json.loads(state["history"])
    ]
