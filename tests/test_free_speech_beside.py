"""The language model is made in a process of its own, which is ended with whoever waits for it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from edgeagent.errors import ModelError
from edgeagent.free_speech import made_beside
from edgeagent.grammar.acyclic import phrases
from edgeagent.hear.free_speech import Wordings, language_model
from edgeagent.hear.pocketsphinx import PocketsphinxRecognizer
from edgeagent.hear.pronounce import pronounce
from edgeagent.recognizers import use_free_speech

WORDINGS = Wordings(["turn on the {light}", "what a day"], {"light": ["desk lamp"]}, [("lights", "out")])


def children() -> set[int]:
    told = subprocess.run(["pgrep", "-f", "edgeagent.hear.free_speech"], capture_output=True, text=True, check=False)
    return {int(number) for number in told.stdout.split()}


def test_it_is_the_model_that_would_be_made_here() -> None:
    assert asyncio.run(made_beside(WORDINGS)) == language_model(WORDINGS)


def test_nothing_is_made_of_nothing() -> None:
    assert asyncio.run(made_beside(None)) is None


def test_the_process_ends_with_whoever_waits_for_it() -> None:
    many = Wordings([f"say word{number} and word{number + 1}" for number in range(60_000)], {}, [])

    async def give_up() -> None:
        before = children()
        making = asyncio.create_task(made_beside(many))
        for _ in range(200):
            await asyncio.sleep(0.02)
            if children() - before:
                break
        assert children() - before
        making.cancel()
        await asyncio.wait([making])
        assert not children() - before

    asyncio.run(give_up())


def test_a_process_that_fails_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(ModelError, match="no memory"):
        asyncio.run(made_beside(WORDINGS))


def test_what_is_no_model_is_refused_and_the_grammar_goes_on() -> None:
    recognizer = PocketsphinxRecognizer(phrases([("lights", "on")]), pronounce)
    with pytest.raises(ModelError):
        use_free_speech(recognizer, "\\data\\ nonsense")
