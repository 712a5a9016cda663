"""Training speech: strings of the vocabulary by many voices, with the phone that is heard in each frame.

The phones and their times come from espeak's own events, so nothing has to be aligned. Few voices generalise badly
(19 gave 44 % of words wrong on new ones); the many here, other vocal tracts and other microphones bring that to a few.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from tinyvosk.espeak import PLAIN_VOICE, Espeak, Manner, Phoneme
from tinyvosk.features import SHIFT, WINDOW, cepstra
from tinyvosk.speech import RATE, Floats, as_pcm, is_pause, resample, word_of_each


def _list(words: str) -> tuple[str, ...]:
    return tuple(words.split())


WORDS = _list("""
    zero one two three four five six seven eight nine yes no stop go turn on off the light kitchen play music volume up
    down bedroom please lamp open close door what time
""")
PHRASES = (
    "turn on the light",
    "turn off the light",
    "turn on the kitchen light",
    "turn off the kitchen light",
    "turn on the bedroom light",
    "turn off the bedroom light",
    "turn on the lamp",
    "turn off the lamp",
    "open the door",
    "close the door",
    "close the door please",
    "play music",
    "play the music",
    "stop the music",
    "turn on the music",
    "turn the volume up",
    "turn the volume down",
)
"""Half of the training speech begins with one of these; the other half is words at random."""
OTHER = _list("""
    banana elephant computer window garage yesterday umbrella purple hospital chocolate mountain breakfast jacket
    library garden orange magazine picture remember because hello question address husband problem fish dragon happy
    river children potato anybody
""")
"""Spoken only to teach the phone of other speech, OTHER_SPEECH."""
ACCENTS = ("en-us", "en-us", "en-us", "en", "en-gb-x-rp")
SPEAKERS = _list("""
    m1 m2 m3 m4 m5 m6 m7 f1 f2 f3 f4 Alex Alicia Andy Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Mike Mr
    anika antonio aunty belinda benjamin boris caleb david ed edward edward2 grandma grandpa gustave iven iven2 john
    adam announcer michel klatt5 klatt6 klatt klatt2 klatt3 klatt4 linda marcelo max miguel norbert pablo paul pedro
    quincy robert sandro shelby victor zac
""")
"""All plausible ones but "rob": espeak-ng 1.51 crashes on it where the pitch is low and its range wide."""
SILENCE, OTHER_SPEECH = "SIL", "SPN"

Pronunciation = tuple[str, ...]
Lexicon = Mapping[str, Sequence[Pronunciation]]


class Corpus(NamedTuple):
    """Utterances: their features, and the phone of each frame; and how each word was pronounced."""

    features: list[Floats]
    phones: list[list[str]]
    lexicon: Lexicon


def make_corpus(count: int, random: np.random.Generator) -> Corpus:
    """Let espeak-ng speak so many utterances, of 2 s or so each."""
    espeak = Espeak()
    features, phones = [], []
    heard: dict[str, Counter[Pronunciation]] = defaultdict(Counter)
    for number in range(count):
        text = _text(number, random)
        spoken = espeak.say(text, _manner(number, random))
        timeline = _timeline(spoken.phonemes, text)
        _count_pronunciations(timeline, heard)
        warp = int(random.integers(35, 47)) / 40  # a longer or shorter vocal tract, and time
        sound = np.frombuffer(spoken.pcm, "<i2").astype(np.float32)
        sound = resample(sound, espeak.rate, int(RATE * warp), tuple(random.uniform(-8, 8, 8)))
        sound, lead_s = _in_a_room(sound, random)
        features.append(cepstra(sound))
        phones.append(_phone_of_each_frame(timeline, len(features[-1]), warp, lead_s))
    return Corpus(features, phones, _lexicon(heard))


def _text(number: int, random: np.random.Generator) -> str:
    """Return words, with a comma after some of them."""
    has_others = number % 6 == 4
    words = [
        str(random.choice(OTHER if has_others and random.random() < 0.8 else WORDS))
        for _ in range(random.integers(1, 6))
    ]
    if number % 2:
        words = str(random.choice(PHRASES)).split() + words[: random.integers(0, 2)]
    return " ".join(word + "," * (random.random() < 0.15) for word in words).removesuffix(",")


def _manner(number: int, random: np.random.Generator) -> Manner:
    """Return one of the many voices, and every seventh time the one that the tests are spoken in."""
    speed, pitch, pitch_range = (int(random.integers(*limits)) for limits in ((110, 200), (30, 80), (20, 65)))
    if number % 7 == 0:
        return Manner(PLAIN_VOICE, speed)
    return Manner(f"{random.choice(ACCENTS)}+{SPEAKERS[number % len(SPEAKERS)]}", speed, pitch, pitch_range)


class _Stretch(NamedTuple):
    """What is said from here on."""

    start_s: float
    phone: str
    word: str
    position: int
    """Which word of the sentence that is."""


def _timeline(phonemes: Sequence[Phoneme], text: str) -> list[_Stretch]:
    words = [word.rstrip(",") for word in text.split()]
    stretches = [_Stretch(0.0, SILENCE, "", -1)]
    for phoneme, index in zip(phonemes, word_of_each(phonemes, text), strict=True):
        stretches.append(_Stretch(phoneme.start_s, _phone(phoneme), words[index], index))
    return stretches


def _phone(phoneme: Phoneme) -> str:
    """Return the name without its allophone and, from espeak-ng 1.52 on, its stress: "t2" is "t", "'aI" is "aI"."""
    name = phoneme.name.lstrip("',%")
    return SILENCE if is_pause(phoneme) else name.rstrip("0123456789#;") or name


def _count_pronunciations(timeline: Sequence[_Stretch], heard: dict[str, Counter[Pronunciation]]) -> None:
    """Count how each word is said, but where espeak-ng runs it together with the next one, as it does "on the"."""
    spoken = (stretch for stretch in timeline if stretch.phone != SILENCE)
    words = {position: list(said) for position, said in itertools.groupby(spoken, key=attrgetter("position"))}
    for position, said in words.items():
        if position + 1 in words or position == max(words):
            heard[said[0].word][tuple(stretch.phone for stretch in said)] += 1


def _lexicon(heard: Mapping[str, Counter[Pronunciation]]) -> Lexicon:
    """Return of each word what is said in at least a tenth of its occurrences."""
    return {
        word: [said for said, count in heard[word].most_common(3) if count >= 0.1 * heard[word].total()]
        for word in WORDS
    }


def _in_a_room(sound: Floats, random: np.random.Generator) -> tuple[Floats, float]:
    """Return the sound with silence before and after, softer or louder, mostly in noise; and the seconds before it.

    Two of five have no noise, so that the zeros of synthetic test sounds are silence too.
    """
    lead, tail = random.integers(RATE // 20, RATE // 2, 2)
    sound = np.pad(sound, (lead, tail)) * np.float32(10 ** random.uniform(-1.0, 0.1))
    if random.random() < 0.6:
        noise = random.standard_normal(len(sound), np.float32)
        if random.random() < 0.5:
            noise = np.convolve(noise, np.full(6, 1 / 2.45, np.float32), "same")  # darker
        sound += noise * np.float32(10 ** random.uniform(-0.5, 2.3))
    return as_pcm(sound).astype(np.float32), lead / RATE


def _phone_of_each_frame(timeline: Sequence[_Stretch], frames: int, warp: float, lead_s: float) -> list[str]:
    """Return what is said in the middle of each frame; words that are not ours are all one phone."""
    middle_s = (np.arange(frames) * SHIFT + WINDOW / 2) / RATE - lead_s
    which = np.searchsorted([stretch.start_s * warp for stretch in timeline], middle_s, "right") - 1
    names = [
        OTHER_SPEECH if stretch.phone != SILENCE and stretch.word in OTHER else stretch.phone for stretch in timeline
    ]
    return [names[index] for index in np.maximum(0, which)]
