"""The table of states: what it promises, read off the table itself."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgeagent.update.states import ENDS, EVENTS, MOST_WRITES, STATES, TABLE, Event, Refusal, State, next_state
from edgeagent.update.updater import STEPS

WAY: tuple[State, ...] = (
    *("accepted", "waiting", "metadata", "planning", "downloading", "verifying", "staging", "testing", "switching"),
    *("probation", "confirmed"),
)
ENDINGS: tuple[Event, ...] = ("fail", "cancel", "supersede", "time out")


def test_the_way_of_an_update_is_this() -> None:
    for state, after in pairwise(WAY):
        assert next_state(state, "done") == after


def test_every_state_has_a_row_and_every_state_that_is_no_end_has_a_step() -> None:
    assert set(TABLE) == set(STATES)
    assert set(STEPS) == set(STATES) - ENDS


def test_from_an_end_nothing_follows() -> None:
    assert {"confirmed", "failed", "rejected", "cancelled", "superseded", "timed out"} == ENDS
    for state in ENDS:
        assert all(isinstance(next_state(state, event), Refusal) for event in EVENTS)


def test_whatever_may_have_changed_the_links_is_put_back_before_it_ends() -> None:
    for state in ("planning", "downloading", "verifying", "staging", "testing", "switching", "probation"):
        assert {next_state(state, event) for event in ENDINGS} == {"rolled back"}


def test_each_ending_is_told_apart_after_the_way_back() -> None:
    found = [next_state("rolled back", event) for event in ENDINGS]
    assert found == ["failed", "cancelled", "superseded", "timed out"]


def test_only_before_anything_is_fetched_may_a_job_be_refused() -> None:
    assert [state for state in STATES if "refuse" in TABLE[state]] == ["accepted", "waiting", "planning"]


def test_every_state_can_end_within_the_writes_that_are_allowed() -> None:
    assert len(WAY) < MOST_WRITES
    for state in set(STATES) - ENDS:
        assert any(after in {*ENDS, "rolled back"} for after in TABLE[state].values())


@given(st.lists(st.sampled_from(EVENTS)))
def test_no_order_of_events_leaves_the_table(events: list[Event]) -> None:
    state: State = "accepted"
    for event in events:
        after = next_state(state, event)
        if isinstance(after, Refusal):
            assert event not in TABLE[state]
            assert str(event) in str(after)
        else:
            assert state not in ENDS
            state = after


def test_what_was_rolled_back_is_never_confirmed() -> None:
    assert "confirmed" not in TABLE["rolled back"].values()
