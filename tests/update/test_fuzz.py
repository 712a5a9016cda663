"""What is read before it is trusted, with rubbish and with good bytes that were damaged: errors, never falls.

EDGEAGENT_FUZZ is how many examples each gets: `EDGEAGENT_FUZZ=20000 python -m pytest tests/update/test_fuzz.py` takes
minutes.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from update.folder_repository import manifest_of
from update.updating import FAMILY, FolderPublisher

from edgeagent import voice_health
from edgeagent.errors import PayloadError, UpdateError
from edgeagent.jobs import job_of
from edgeagent.update.block_frames import Block, Question, block_of, question_of
from edgeagent.update.deltas import apply, make
from edgeagent.update.floor import Floor, decode, encode
from edgeagent.update.journal import Journal
from edgeagent.update.kept import HIGHEST_SECURITY, Kept, Quarantined
from edgeagent.update.manifest import read_manifest
from edgeagent.update.metadata import TrustedMetadata
from edgeagent.update.progress import PROGRESS, progress_in
from edgeagent.update.roots import facts_of
from edgeagent.update.transports import FolderTransport
from edgeagent.update.trusted_time import BoardClock
from edgeagent.voice_health import VoiceHealth

EXAMPLES = int(os.environ.get("EDGEAGENT_FUZZ", "60"))
OLD = bytes(range(256)) * 12
NEW = OLD[:1_500] + b"something else" + OLD[1_500:]
FILES = {"manifest.json": b"one", "words.txt": b"a\nb\n"}
JOB = {"id": "j1", "kind": "update", "family": FAMILY, "version": "1.2.0", "created": 1.5, "not_after": 2e9}
NUMBERS = st.sampled_from([b"-1", b"0", b"1e999", b"NaN", b"9" * 400, b"null", b"[]", b'""', b"true", b"1.5"])


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Good bytes with some of them changed, taken out, doubled, or exchanged for a value of another kind."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        match draw(st.sampled_from(["flip", "cut", "tail", "double", "value", "rubbish"])):
            case "flip" if content:
                content[at] ^= draw(st.integers(1, 255))
            case "cut":
                del content[at : at + draw(st.integers(1, 40))]
            case "tail":
                del content[at:]
            case "double":
                content[at:at] = content[at : at + draw(st.integers(1, 200))]
            case "value":
                digits = next((place for place in range(at, len(content)) if chr(content[place]).isdigit()), at)
                content[digits : digits + 1] = draw(NUMBERS)
            case _:
                content[at:at] = draw(st.binary(max_size=20))
    return bytes(content)


def _delta(content: bytes) -> None:
    apply(OLD, content, len(NEW))


PARSERS: Mapping[str, tuple[bytes, Callable[[bytes], object]]] = {
    "manifest": (manifest_of(FAMILY, "1.0.0", FILES), read_manifest),
    "job": (json.dumps(JOB).encode(), lambda content: job_of(content, 1.8e9)),
    "question for blocks": (
        Question(id=1, path="metadata/1.root.json", at=0, most=4_096, block=4_096).raw(),
        question_of,
    ),
    "block": (Block(1, 4_096, b"content", is_last=True).raw(), block_of),
    "delta": (make(OLD, NEW) or b"", _delta),
    "floor": (encode(Floor()), decode),
}


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=EXAMPLES * 4, deadline=None)
def test_what_is_damaged_is_read_or_refused(name: str, data: st.DataObject) -> None:
    good, parser = PARSERS[name]
    parser(good)
    content = data.draw(damaged(good) | st.binary(max_size=300))
    with suppress(UpdateError, PayloadError):
        parser(content)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> FolderPublisher:
    publisher = FolderPublisher(tmp_path_factory.mktemp("publisher"))
    publisher.publish("1.0.0", FILES)
    return publisher


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_repository_with_any_file_damaged_is_refused_or_says_what_it_said(
    published: FolderPublisher, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    metadata = published.out / "metadata"
    name = data.draw(st.sampled_from(sorted(path.name for path in metadata.iterdir())))
    good = (metadata / name).read_bytes()
    try:
        (metadata / name).write_bytes(data.draw(damaged(good)))
        clock = BoardClock(lambda: (datetime.now(UTC), True), datetime(2026, 1, 1, tzinfo=UTC))
        trusted = TrustedMetadata(
            tmp_path_factory.mktemp("device"),
            [FolderTransport(published.out)],
            bootstrap=published.root if name != "1.root.json" else good,
            clock=clock,
        )
        with suppress(UpdateError):
            trusted.refresh()
            found = trusted.target(f"{FAMILY}/1.0.0.json")
            assert found is not None
            assert (published.out / "targets" / FAMILY / f"{found.sha256}.1.0.0.json").is_file()
    finally:
        (metadata / name).write_bytes(good)


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_root_of_trust_that_is_damaged_is_refused_or_the_same(
    published: FolderPublisher, data: st.DataObject
) -> None:
    good = facts_of(published.root, "root")
    with suppress(UpdateError):
        found = facts_of(data.draw(damaged(published.root)), "root")
        assert (found.version, found.keys, found.threshold) == (good.version, good.keys, good.threshold)


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_files_of_our_own_that_are_damaged_count_as_nothing_or_are_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    tmp_path = tmp_path_factory.mktemp("files")
    health = VoiceHealth(tmp_path / "health.json", ["command-en:@0"], lambda: 1.0)
    health.save()
    Kept(tmp_path).quarantine(Quarantined(release="a" * 64, code="crashes", targets_version=3))
    Kept(tmp_path).raise_floor(FAMILY, 2)
    Kept(tmp_path).pin(FAMILY, "1.0.0")
    (tmp_path / PROGRESS).write_text('{"job": "j1", "have": 1, "total": 2}')
    for name in ("health.json", "quarantine.json", "security.json", "pins.json", PROGRESS):
        path = tmp_path / name
        good = path.read_bytes()
        path.write_bytes(data.draw(damaged(good) | st.binary(max_size=50)))
    voice_health.figures_of(tmp_path / "health.json", FAMILY, None)
    VoiceHealth(tmp_path / "health.json", ["command-en:@0"], lambda: 1.0).save(is_over=True)
    Kept(tmp_path).quarantined("a" * 64, 1)
    assert all(0 <= floor <= HIGHEST_SECURITY for floor in Kept(tmp_path).floors().values())
    Kept(tmp_path).pins()
    progress_in(tmp_path)


@given(data=st.data())
@settings(
    max_examples=max(10, EXAMPLES // 3), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_journal_that_is_damaged_is_mended_or_begun_anew(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    Journal(path).close()
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    with suppress(UpdateError):
        journal = Journal(path)
        try:
            journal.history()
            journal.results()
            journal.floors()
        finally:
            journal.close()
