"""What goes on without a pause is no new sentence, and what is much quieter than the order before is somebody else."""

import pytest

from edgeagent.hear.before import BREATH_S, FARTHER_DB, STILL_SPEAKING_S, Before
from edgeagent.messages import EndedBy, Transcript, Word


def said(
    start_s: float, end_s: float, level_db: float | None = 60.0, ended_by: EndedBy = "silence", *, words: bool = True
) -> Transcript:
    """An utterance that began at second 100, with one word."""
    heard = (Word("stop", start_s, end_s),) if words else ()
    return Transcript("u1", heard, end_s + 0.5, 100.0, 0.9, ended_by, level_db)


def test_the_first_sentence_is_objected_to_by_nothing() -> None:
    assert Before().objection(said(0.2, 0.6)) == ""


@pytest.mark.parametrize(("gap_s", "goes_on"), [(BREATH_S - 0.1, True), (BREATH_S + 0.1, False)])
def test_what_follows_without_a_pause_goes_on(gap_s: float, *, goes_on: bool) -> None:
    before = Before()
    before.note(said(0.2, 1.0), is_order=False)
    assert bool(before.objection(said(1.0 + gap_s, 2.0))) == goes_on


def test_noise_before_a_sentence_does_not_make_it_the_rest_of_one() -> None:
    before = Before()
    before.note(said(0.0, 1.5, words=False), is_order=False)
    assert before.objection(said(1.6, 2.5)) == ""


def test_what_follows_an_utterance_that_was_cut_at_the_cap_goes_on() -> None:
    before = Before()
    before.note(said(0.0, 12.0, ended_by="cap", words=False), is_order=False)
    assert "goes on" in before.objection(said(12.6, 13.0))


@pytest.mark.parametrize(("quieter_db", "is_refused"), [(FARTHER_DB + 2, True), (FARTHER_DB - 2, False)])
def test_what_is_much_quieter_than_the_order_before_is_somebody_else(quieter_db: float, *, is_refused: bool) -> None:
    before = Before()
    before.note(said(0.2, 1.0), is_order=True)
    assert ("quieter" in before.objection(said(2.0, 2.5, 60.0 - quieter_db))) == is_refused


def test_after_a_while_anybody_may_give_an_order() -> None:
    before = Before()
    before.note(said(0.2, 1.0), is_order=True)
    assert before.objection(said(2.0 + STILL_SPEAKING_S, 9.0, 20.0)) == ""


def test_what_was_no_order_sets_no_measure() -> None:
    before = Before()
    before.note(said(0.2, 1.0), is_order=False)
    assert before.objection(said(2.0, 2.5, 20.0)) == ""


def test_a_recognizer_that_tells_no_level_is_not_measured_by_it() -> None:
    before = Before()
    before.note(said(0.2, 1.0, None), is_order=True)
    assert before.objection(said(2.0, 2.5, None)) == ""
