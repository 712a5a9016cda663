"""Jobs from the bus, and what is told of them."""

import json
from typing import Any

import pytest

from edgeagent.errors import PayloadError
from edgeagent.jobs import LARGEST_JOB_BYTES, LARGEST_RESULT_BYTES, CancelJob, job_of, told
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
