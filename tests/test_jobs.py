"""Jobs from the bus, and what is told of them."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.errors import PayloadError
from edgeagent.fleet.wire import FleetJob
from edgeagent.jobs import (
    LARGEST_JOB_BYTES,
    LARGEST_RESULT_BYTES,
    CancelJob,
    fleet_job_of,
    job_of,
    name_of,
    told,
)
from edgeagent.topics import Address
from edgeagent.update.course import Job, Told

NOW = 1_790_000_000.0
GOOD = {"id": "j1", "kind": "update", "family": "command-en", "version": "1.2.0", "created": 5.0}


def raw(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def test_a_job_is_read_and_what_newer_senders_add_is_passed_over() -> None:
    assert job_of(raw(wave=3), NOW) == Job("j1", "command-en", "1.2.0", 5.0)
    assert job_of(b'{"id": "j1", "kind": "cancel"}', NOW) == CancelJob(id="j1", kind="cancel")
    assert job_of(b"", NOW) is None


def test_no_job_from_the_bus_is_the_owners_or_may_go_back() -> None:
    job = job_of(raw(is_local=True, may_go_back=True), NOW)
    assert isinstance(job, Job)
    assert not job.is_local
    assert not job.may_go_back


@pytest.mark.parametrize(
    "content",
    [
        b"[]", b"null", b"{", b'{"id": "j1"}', raw(id="../x"), raw(id=""), raw(family="../etc"), raw(version="latest"),
        raw(version="1.2.0/../../x"), raw(created="now"), raw(created=-1), raw(created=1e300), raw(kind="shell"),
        raw(not_after="x"), raw(not_before=1e11), raw(id="j" * 65), raw(more="x" * LARGEST_JOB_BYTES),
        b'{"id": "a", "id": "b"}',
        raw(created=float("nan")),
    ],
)  # fmt: skip
def test_a44_what_is_no_job_is_refused(content: bytes) -> None:
    with pytest.raises(PayloadError):
        job_of(content, NOW)


def test_what_became_of_a_job_is_told_within_bounds() -> None:
    address = Address("home", "kitchen")
    message = told(
        address, Told(seq=1, is_end=True, body={"id": "j1:4", "job": "j1", "state": "failed", "code": "slower"})
    )
    assert (message.topic, message.qos, message.retain) == ("ea/1/home/d/kitchen/up/job/j1", 1, False)
    assert json.loads(message.payload)["code"] == "slower"
    body = {"id": "j1:4", "job": "j1", "state": "failed", "detail": "x" * 20_000, "evidence": {"a": "b" * 20_000}}
    short = told(address, Told(seq=1, is_end=True, body=body))
    assert len(short.payload) < LARGEST_RESULT_BYTES
    assert json.loads(short.payload)["state"] == "failed"


def test_a_job_from_the_future_is_not_newer_than_those_to_come() -> None:
    job = job_of(raw(created=1e11), NOW)
    assert isinstance(job, Job)
    assert job.created == NOW


def test_what_is_too_large_for_a_broker_is_told_without_its_evidence() -> None:
    body = {"id": "j1:4", "job": "j1", "state": "failed", "code": "slower", "evidence": {"before": {"p95_ms": 1.0}}}
    short = told(Address("home", "kitchen"), Told(seq=1, is_end=True, body=body), is_short=True)
    assert json.loads(short.payload) == {"id": "j1:4", "job": "j1", "state": "failed", "code": "slower"}


def test_a_job_besides_updates_is_told_from_one_of_the_updates() -> None:
    asked = {"id": "j1", "kind": "logs", "created": 5.0, "options": {"lines": 10}, "newer": [1]}
    assert fleet_job_of(json.dumps(asked).encode()) == FleetJob(
        id="j1", kind="logs", created=5.0, options={"lines": 10}
    )
    assert fleet_job_of(raw()) is None
    assert fleet_job_of(b"") is None
    assert fleet_job_of(b'{"id": "j1", "kind": "cancel"}') == CancelJob(id="j1", kind="cancel")


@pytest.mark.parametrize(
    "content",
    [
        b"[]", b"null", b"{", b"\xff", b'{"id": "j1"}', raw(kind="dance"), raw(kind="logs", id="../x"),
        raw(kind=["update"]),
        raw(kind="logs", created="now"), raw(kind="logs", created=float("nan")), raw(kind="logs", options=[1]),
        raw(kind="logs", options={"lines": {"deep": 1}}), raw(kind="cancel", id=""), b'{"id": "a", "id": "b"}',
        raw(kind="logs", more="x" * LARGEST_JOB_BYTES), b"[" * 3_000,
    ],
)  # fmt: skip
def test_a44_what_is_no_job_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(PayloadError):
        fleet_job_of(content)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a44_no_bytes_break_the_reading_of_jobs(content: bytes) -> None:
    with suppress(PayloadError):
        fleet_job_of(content)
    name_of(content)


def test_who_is_refused_is_called_by_its_name_where_that_is_one() -> None:
    assert name_of(raw(kind="dance")) == "j1"
    assert name_of(raw(id="../x")) is None
    assert name_of(b"[]") is None
    assert name_of(b"{") is None
