"""What a recognizer's mistakes cost: sentences are spoken by flite, heard with a free language model, and judged again.

The recognizer is pocketsphinx with the house's own language model of free speech (`hear/free_speech.py`), not the
grammar that the daemon listens with: this is the text that a tolerant tier gets.
"""

import gzip
import json
import random
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pocketsphinx

from edgeagent.edits import edits
from edgeagent.errors import SettingsError
from edgeagent.evaluate.judging import Judge, Outcome
from edgeagent.grammar.spoken import spell_out
from edgeagent.hear.files import frames_of
from edgeagent.hear.free_speech import Wordings, language_model
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.settings import UnderstandingSettings
from edgeagent.understand.model.bundle import open_bundle
from edgeagent.understanding import load_model

GRAMMAR_SENTENCES = 4000
VOICES = ("slt", "rms", "awb")


def heard(model: Path, folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Return the word error rate and what it costs, over `count` commands of a folder's commands.jsonl.

    Raise SettingsError if flite is not installed, or the model in the folder `model` has no phrases.
    """
    flite = shutil.which("flite")
    if flite is None:
        raise SettingsError("this needs flite", remedy="sudo apt-get install flite")
    rows = [json.loads(line) for line in (folder / "commands.jsonl").read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["place"] == "home"]
    random_ = random.Random(seed)
    rows = random_.sample(rows, min(count, len(rows)))
    judge = Judge("home", load_model(UnderstandingSettings(model=str(model))))
    decoder = _decoder(model, judge, random_)
    errors = words = 0
    right = {"true": 0, "heard": 0}
    wrong = {"true": 0, "heard": 0}
    for number, row in enumerate(rows):
        said = spell_out(row["text"])
        found = _recognised(decoder, " ".join(said), flite, VOICES[number % len(VOICES)])
        errors += edits(said, found)
        words += len(said)
        expected = judge.expected(row["intent"], row["slots"]).meaning
        for name, text in (("true", " ".join(said)), ("heard", " ".join(found))):
            outcome = judge(text)
            right[name] += int(expected is not None and outcome.meaning == expected)
            wrong[name] += int(_is_wrong(outcome, expected))
    total = max(1, len(rows))
    return {
        "n": len(rows),
        "word_error_rate": round(errors / max(1, words), 4),
        **{f"right_of_{name}_text": round(value / total, 4) for name, value in right.items()},
        **{f"wrong_of_{name}_text": round(value / total, 4) for name, value in wrong.items()},
    }


def _is_wrong(outcome: Outcome, expected: object) -> bool:
    return outcome.kind == "obeyed" and outcome.meaning != expected


def _decoder(model: Path, judge: Judge, random_: random.Random) -> Any:
    bundle = open_bundle(model)
    if bundle.manifest.phrases is None:
        raise SettingsError(f"{model}: the model has no phrases", remedy="Make it from a recipe with templates.")
    phrases = gzip.decompress(bundle.read(bundle.manifest.phrases)).decode().splitlines()
    names = {place: [said for said, _ in entries] for place, entries in judge.home.lists.items()}
    automaton = judge.interpreter.automaton
    grammar = [automaton.generate(random_) for _ in range(GRAMMAR_SENTENCES)]
    text = language_model(Wordings(phrases, names, grammar))
    decoder = pocketsphinx.Decoder(lm=None, dict=None, bestpath=False, loglevel="FATAL", beam=1e-60, wbeam=1e-40)
    pronounce = Pronunciations()
    for line in text.split("\\1-grams:")[1].split("\\2-grams:")[0].splitlines():
        word = line.split("\t")[1] if "\t" in line else ""
        if word and not word.startswith("<"):
            for number, phones in enumerate(pronounce(word), start=1):
                decoder.add_word(word if number == 1 else f"{word}({number})", " ".join(phones), update=False)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "free.arpa"
        path.write_text(text, "utf-8")
        decoder.add_lm("free", pocketsphinx.NGramModel(decoder.config, decoder.logmath, str(path)))
    decoder.activate_search("free")
    return decoder


def _recognised(decoder: Any, text: str, flite: str, voice: str) -> Sequence[str]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "said.wav"
        subprocess.run([flite, "-voice", voice, "-t", text, "-o", str(path)], check=True)  # noqa: S603  # our own words
        sound = b"".join(frames_of(path))
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return tuple(found.hypstr.split()) if found is not None else ()
