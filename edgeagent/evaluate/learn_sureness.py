"""Real sentences, others and noise to the weights of `hear/sureness.py`.

    python -m edgeagent.evaluate.learn_sureness ORDERS COMMANDS HOME DEVICES TALK [--effort light]

ORDERS and HOME are two folders as `edgeagent evaluate speech` takes them, with the orders' command set and the home's
devices; TALK is a text file with a sentence that is no command on each line. Every second sound file is heard by its
own grammar, and by the other one's, which has no sentence for it; the talk is spoken by flite. All of it is heard in
quiet and in two noises that are made here (`made_noises.py`). What was heard as a command is right, or it is not: a
logistic regression tells both apart. It prints the weights, how well they tell, and how well weights tell that were
learned without the noise that they are judged in. It takes 40 minutes on one core, 10 with `--effort light`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product
from pathlib import Path
from random import Random
from typing import Annotated

import numpy as np
import typer

from edgeagent.evaluate.cases import Meaning, load_cases, meaning_of
from edgeagent.evaluate.flite import VOICES, frames_of, spoken
from edgeagent.evaluate.household import names_of
from edgeagent.evaluate.made_noises import cafe, kitchen
from edgeagent.evaluate.noise import Noise
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.hear import files, sureness
from edgeagent.hear.pocketsphinx import Effort, PocketsphinxRecognizer, speech_detector
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.messages import Command, Frame
from edgeagent.pipeline import WEIGHTY, perceive
from edgeagent.settings import HearingSettings
from edgeagent.understand.interpret import Interpreter

EVERY = 2
"""Of the sound files, so many are heard once; the others stay to judge by."""
RATIOS_DB = (6.0, 12.0)
TALK = 60
SILENCE_FRAMES = 40
SEED = 7
ROUNDS = 200
RIDGE = 0.01
THRESHOLDS = (0.3, 0.4, 0.5, 0.7)
WEAKEST = (0.05, 0.1, 0.15, 0.25)
Floats = np.ndarray


@dataclass(frozen=True, slots=True)
class Sample:
    """What was heard as a command: the noise that was around, what sureness() was asked, and whether it was right."""

    noise: str
    is_right: bool
    fit: float
    above_db: float
    frames: int
    weakest: float

    @property
    def features(self) -> tuple[float, float, float]:
        """Return what is weighed."""
        length = math.log(min(self.frames, sureness.LONG_ENOUGH_FRAMES))
        return (self.fit, min(self.above_db, sureness.LOUD_ENOUGH_DB), length)


@dataclass(frozen=True, slots=True)
class Play:
    """A sound for one of the ears, and what it says there; None: nothing that the ear's grammar has."""

    ear: "Ear"
    sound: Callable[[], Iterable[Frame]]
    expected: Meaning | None


class Ear:
    """A grammar that listens with nothing refused, and remembers what its sureness was made of."""

    def __init__(self, chosen: commands.CommandSet, effort: Effort) -> None:
        """Compile the commands."""
        self.automaton = compile_commands(chosen)
        self._interpreter = Interpreter(self.automaton, unsure_below=0.0)
        self._recognizer = PocketsphinxRecognizer(self.automaton.flat(), Pronunciations(), effort, self._note)
        self._settings = HearingSettings(unsure_below=0.0)
        self._asked = (0.0, 0.0, 0)

    def hear(self, play: Play, noise: str, around: Noise | None) -> Iterator[Sample]:
        """Yield a sample for every command that is heard."""
        sound = play.sound() if around is None else around.over(play.sound())
        detector = speech_detector(self._settings.vad_mode)
        for heard in perceive(sound, detector, self._recognizer, lambda: self._interpreter, self._settings):
            found, words = heard.interpretation, heard.transcript.words
            if isinstance(found, Command):
                weakest = min((word.confidence for word in words if len(word.text) >= WEIGHTY), default=1.0)
                is_right = play.expected is not None and meaning_of(found) == play.expected
                yield Sample(noise, is_right, *self._asked, weakest)

    def _note(self, fit: float, above_db: float, frames: int) -> float:
        self._asked = (fit, above_db, frames)  # the sentence is asked about last, after its words
        return sureness.sureness(fit, above_db, frames)


def main(
    orders: Path,
    order_commands: Path,
    home: Path,
    devices: Path,
    talk: Path,
    effort: Annotated[Effort, typer.Option(help="Whose weights.")] = "accurate",
) -> None:
    """Play everything, fit, and print the weights and how good they are."""
    sentences = [line for line in talk.read_text("utf-8").splitlines() if line]
    ears = {
        orders: Ear(commands.load(order_commands), effort),
        home: Ear(commands.built_in(("home",)).with_names(names_of(devices)), effort),
    }
    plays = [*_own(ears), *_foreign(ears), *_talk(ears[home], sentences)]
    noises = {"kitchen": kitchen(SEED), "cafe": cafe(sentences, SEED)}
    samples: list[Sample] = []
    for name, ratio_db in [("quiet", 0.0), *product(noises, RATIOS_DB)]:
        around = Noise(noises[name], ratio_db, np.random.default_rng(SEED)) if name in noises else None
        samples += [sample for play in plays for sample in play.ear.hear(play, name, around)]
        typer.echo(f"{name} {f'{ratio_db:g} dB' if around else ''}: {len(samples)} commands heard by now")
    for line in _told(samples):
        typer.echo(line)


def _own(ears: Mapping[Path, Ear]) -> Iterator[Play]:
    for folder, ear in ears.items():
        for case in load_cases(folder, ear.automaton)[::EVERY]:
            yield Play(ear, partial(files.frames_of, case.path), case.expected)


def _foreign(ears: Mapping[Path, Ear]) -> Iterator[Play]:
    for (folder, _), (_, ear) in permutations(ears.items(), 2):
        for path in sorted(folder.glob("*.flac"))[::EVERY]:
            yield Play(ear, partial(files.frames_of, path), None)


def _talk(ear: Ear, sentences: Sequence[str]) -> Iterator[Play]:
    for number, said in enumerate(Random(SEED).sample(sentences, TALK)):  # a sample
        frames = list(files.followed_by_silence(frames_of(spoken(said, VOICES[number % len(VOICES)])), SILENCE_FRAMES))
        yield Play(ear, partial(list, frames), None)


def _told(samples: Sequence[Sample]) -> Iterator[str]:
    features = np.array([sample.features for sample in samples])
    right = np.array([sample.is_right for sample in samples])
    noise = np.array([sample.noise for sample in samples])
    weights = fit(features, right)
    yield f"{len(samples)} commands, {right.sum()} of them right"
    yield "FIT_WEIGHT, LEVEL_WEIGHT, LENGTH_WEIGHT, OFFSET = " + ", ".join(f"{weight:.4g}" for weight in weights)
    yield f"area under the ROC curve {area(sure(features, weights), right):.3f}"
    unseen = np.zeros(len(samples))
    for name in set(noise):
        is_left = noise == name
        unseen[is_left] = sure(features[is_left], fit(features[~is_left], right[~is_left]))
    yield f"each noise judged by weights that were learned without it {area(unseen, right):.3f}"
    for number, name in enumerate(("fit", "loudness", "length")):
        yield f"{name} alone {area(features[:, number], right):.3f}"
    told, weakest = sure(features, weights), np.array([sample.weakest for sample in samples])
    for threshold in THRESHOLDS:
        yield (
            f"below {threshold}: {(told[right] < threshold).sum()} of {right.sum()} right ones, "
            f"{(told[~right] < threshold).sum()} of {(~right).sum()} others"
        )
    for threshold in WEAKEST:
        yield (
            f"a word below {threshold} (as weighed now): {(weakest[right] < threshold).sum()} of the right ones, "
            f"{(weakest[~right] < threshold).sum()} of the others"
        )


def sure(features: Floats, weights: Floats) -> Floats:
    """Return the chance of being right of each row, by weights of which the last is the offset."""
    return np.asarray(1 / (1 + np.exp(-np.clip(features @ weights[:-1] + weights[-1], -50, 50))))


def fit(features: Floats, right: Floats) -> Floats:
    """Return the weights of a logistic regression, and its offset last (Newton's method, hardly any ridge)."""
    scale = features.std(axis=0)
    scaled = np.column_stack([features / scale, np.ones(len(features))])
    weights = np.zeros(scaled.shape[1])
    for _ in range(ROUNDS):
        chance = sure(scaled[:, :-1], weights)
        hessian = scaled.T @ (scaled * (chance * (1 - chance))[:, None]) + RIDGE * np.eye(len(weights))
        weights += np.linalg.solve(hessian, scaled.T @ (right - chance) - RIDGE * weights)
    return np.append(weights[:-1] / scale, weights[-1])


def area(told: Floats, right: Floats) -> float:
    """Return the area under the ROC curve: how often a right one is surer than another one; a tie counts half."""
    one, other = told[right][:, None], told[~right][None]
    return float((one > other).mean() + (one == other).mean() / 2)


if __name__ == "__main__":
    typer.run(main)
