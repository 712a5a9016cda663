"""Messages from devices to rows: what they change, what they do not, and what is refused."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console.telling import birth, event, incoming, progress, sample, state, will
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from edgeagent.console.database import Database
from edgeagent.console.ingest import MOST_EVENTS, SPARE_EVENTS, Effects, Incoming, ingest
from edgeagent.console.tables import Device, Event, Fleet, HealthHour, Installed, Job
from edgeagent.fleet import wire
from edgeagent.messages import Message
from edgeagent.topics import Address

NOW = 1_700_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
        session.flush()
        session.add_all(Device(fleet="home", name=name, created=1.0) for name in ("kitchen", "hall"))
    yield database
    database.close()


def hear(
    database: Database, *messages: Message | Incoming, now: float = NOW, retained: bool = False, adopt: bool = False
) -> Effects:
    batch = [one if isinstance(one, Incoming) else incoming(one, retained=retained) for one in messages]
    with database.session() as session:
        return ingest(session, batch, now, adopt=adopt)


def device(database: Database, name: str = "kitchen") -> Device:
    with database.reading() as session:
        return session.scalars(select(Device).where(Device.name == name)).one()


def events(database: Database, name: str = "kitchen") -> list[tuple[str, Any]]:
    with database.reading() as session:
        told = select(Event).join(Device, Device.id == Event.device).where(Device.name == name).order_by(Event.id)
        return [(one.kind, one.body) for one in session.scalars(told)]


def hours(database: Database, name: str = "kitchen") -> list[HealthHour]:
    with database.reading() as session:
        counted = select(HealthHour).join(Device, Device.id == HealthHour.device).where(Device.name == name)
        return list(session.scalars(counted.order_by(HealthHour.hour)))


def total(database: Database) -> int:
    return sum(hour.decisions for hour in hours(database))


def test_what_a_birth_says_is_in_the_row_and_can_be_filtered(database: Database) -> None:
    born = birth(
        "kitchen",
        capabilities=("say", "listen"),
        releases={"command-en": "1.10.0"},
        board="rpi4",
        hardware="Pi 4",
        system="Debian",
        serial="s-1",
        area="Kitchen",
        desired=3,
        job="j-1",
        certificate_until=NOW + 90 * 86_400,
    )
    effects = hear(database, born)
    row = device(database)
    assert (row.version, row.board, row.hardware, row.system, row.serial) == ("0.6.0", "rpi4", "Pi 4", "Debian", "s-1")
    assert (row.boot, row.born, row.seen, row.desired_seen, row.job_seen) == ("boot-1", NOW, NOW, 3, "j-1")
    assert row.capabilities == ["say", "listen"]
    assert not row.online
    assert effects.born == [("home", "kitchen")]
    assert effects.changed == {row.id}
    with database.reading() as session:
        assert session.execute(select(Installed.family, Installed.version)).one() == ("command-en", "1.10.0")
    hear(database, birth("kitchen", "boot-2", releases={}))
    with database.reading() as session:
        assert session.execute(select(Installed.family)).all() == []


def test_what_is_retained_and_comes_again_changes_nothing_and_is_no_sign_of_life(database: Database) -> None:
    told = (birth("kitchen"), state("kitchen", at=NOW), wire.reported(Address("home", "kitchen"), reported(2)))
    hear(database, *told)
    before = device(database)
    effects = hear(database, *told, now=NOW + 3_600, retained=True)
    after = device(database)
    assert effects.changed == set()
    assert not effects.refused
    assert {column: getattr(before, column) for column in Device.__table__.columns.keys()} == {  # noqa: SIM118
        column: getattr(after, column)
        for column in Device.__table__.columns.keys()  # noqa: SIM118
    }
    assert [kind for kind, _ in events(database)] == ["online", "settings"]


def reported(version: int, standing: wire.Standing = "applied", **more: Any) -> wire.Reported:
    return wire.Reported(version=version, standing=standing, **more)


def test_a_last_will_counts_for_the_start_that_it_names_and_no_other(database: Database) -> None:
    hear(database, birth("kitchen", "old"), state("kitchen", "old", 5))
    hear(database, will("kitchen", "old"))
    assert not device(database).online
    assert device(database).health == "warn"
    hear(database, birth("kitchen", "new"), state("kitchen", "new", 1))
    effects = hear(database, will("kitchen", "old"))
    assert device(database).online
    assert effects.refused == {"earlier start": 1}
    hear(database, will("kitchen", "new"))
    assert not device(database).online
    assert [kind for kind, _ in events(database)] == ["online", "offline", "online", "offline"]


def test_no_start_of_the_last_few_comes_back(database: Database) -> None:
    for number in range(4):
        hear(database, birth("kitchen", f"boot-{number}"), state("kitchen", f"boot-{number}", 1))
    for number in range(3):
        late = (
            birth("kitchen", f"boot-{number}"),
            state("kitchen", f"boot-{number}", 9),
            will("kitchen", f"boot-{number}"),
        )
        assert hear(database, *late).refused == {"earlier start": 3}
    assert device(database).boot == "boot-3"
    assert device(database).online


def test_what_was_missed_while_the_console_was_away_is_read_from_what_is_retained(database: Database) -> None:
    hear(database, birth("kitchen", "old"), state("kitchen", "old", 5))
    # The broker gives them in any order: here the state of a start of which the birth is still to come.
    hear(database, will("kitchen", "new"), retained=True)
    hear(database, birth("kitchen", "new", version="0.7"), retained=True)
    row = device(database)
    assert (row.boot, row.online, row.version) == ("new", False, "0.7")


def test_states_of_one_start_count_in_their_order(database: Database) -> None:
    hear(database, state("kitchen", seq=7, muted=True))
    hear(database, state("kitchen", seq=6, muted=False))
    assert device(database).muted
    hear(database, state("kitchen", seq=8, online=False, reason="stopped"))
    row = device(database)
    assert (row.online, row.reason, row.health) == (False, "stopped", "ok")


def test_reported_settings_and_how_the_device_stands_to_them(database: Database) -> None:
    address = Address("home", "kitchen")
    hear(database, wire.reported(address, reported(3, "trial", settings={"hearing.unsure_below": 0.5})))
    hear(database, wire.reported(address, reported(3, "undone", problem="it was cut off")))
    row = device(database)
    assert (row.reported_version, row.standing, row.standing_problem) == (3, "undone", "it was cut off")
    assert row.health == "warn"
    assert "cut off" in row.health_reason
    bodies = [body for _, body in events(database)]
    assert bodies == [
        {"version": 3, "standing": "trial"},
        {"version": 3, "standing": "undone", "problem": "it was cut off"},
    ]


def test_events_are_kept_with_our_time_and_once(database: Database) -> None:
    hear(database, birth("kitchen"))
    command = json.dumps({"v": 1, "boot": "boot-1", "seq": 4, "at": 5.0, "intent": "TurnOn", "slots": {"name": "x"}})
    for _ in range(3):  # a broker repeats what was not acknowledged
        hear(database, event("kitchen", "command", command.encode()))
    assert events(database) == [("command", {"at": 5.0, "intent": "TurnOn", "slots": {"name": "x"}})]
    with database.reading() as session:
        assert session.scalars(select(Event.at)).all() == [NOW]


def test_of_a_device_the_newest_events_are_kept_whatever_it_tells(database: Database) -> None:
    for start in range(0, 1_000, 250):
        flood = [
            event("kitchen", "fault", json.dumps({"boot": "boot-1", "seq": number}).encode() + b" " * (number % 3))
            for number in range(start, start + 250)
        ]
        hear(database, birth("kitchen"), *flood, event("hall", "fault", b'{"message": "one"}'))
        assert len(events(database)) <= MOST_EVENTS + SPARE_EVENTS
    assert len(events(database, "hall")) == 4


def test_counters_become_what_was_counted_in_each_hour(database: Database) -> None:
    hear(database, birth("kitchen"))
    hear(database, sample("kitchen", 60, decisions=5, rejected=1, gauges={"temperature_c": 50.0}))
    hear(database, sample("kitchen", 120, decisions=9, rejected=1, gauges={"temperature_c": 55.0}), now=NOW + 60)
    hear(database, sample("kitchen", 3_700, decisions=20, rejected=4), now=NOW + 3_600)
    assert [(hour.decisions, hour.rejected) for hour in hours(database)] == [(9, 1), (11, 3)]
    assert hours(database)[0].gauges == {"temperature_c": 55.0}
    assert device(database).gauges == {}


def test_a_sample_that_comes_again_or_late_is_counted_once(database: Database) -> None:
    hear(database, birth("kitchen"))
    early, late = sample("kitchen", 60, decisions=5), sample("kitchen", 120, decisions=9)
    for one in (early, early, late, early, late):
        hear(database, one)
    assert total(database) == 9


def test_samples_that_are_lost_cost_resolution_and_no_counts(database: Database) -> None:
    hear(database, birth("kitchen"))
    hear(database, sample("kitchen", 60, decisions=5))
    hear(database, sample("kitchen", 7 * 86_400, decisions=900), now=NOW + 7 * 86_400)
    assert total(database) == 900


def test_another_start_counts_from_nothing_and_an_earlier_one_from_where_it_was(database: Database) -> None:
    hear(database, birth("kitchen"), sample("kitchen", 600, decisions=100))
    hear(database, birth("kitchen", "boot-2"), sample("kitchen", 60, "boot-2", decisions=3))
    late = sample("kitchen", 700, decisions=150, gauges={"temperature_c": 99.0})
    hear(database, late, late)
    assert total(database) == 153
    assert (device(database).boot, device(database).gauges) == ("boot-2", {})
    hear(database, sample("kitchen", 120, "boot-2", decisions=4), sample("kitchen", 800, decisions=151))
    assert total(database) == 155


def test_samples_of_a_start_that_we_never_met_are_counted_and_begin_none(database: Database) -> None:
    hear(database, birth("kitchen", "a"), state("kitchen", "a", 1), sample("kitchen", 60, "a", decisions=1))
    hear(database, will("kitchen", "a"))
    hear(database, birth("kitchen", "c"), state("kitchen", "c", 1))
    hear(database, sample("kitchen", 300, "a", decisions=3), sample("kitchen", 300, "b", decisions=5))
    assert (device(database).boot, total(database)) == ("c", 8)
    hear(database, sample("kitchen", 600, "b", decisions=6), sample("kitchen", 60, "c", decisions=1))
    assert total(database) == 10
    assert not hear(database, will("kitchen", "c")).refused
    assert not device(database).online


def test_what_an_unknown_start_counted_before_we_knew_the_device_is_left_out(database: Database) -> None:
    hear(database, birth("kitchen", "c"), now=100.0)
    hear(database, sample("kitchen", 300, "b", decisions=5), now=100.0)
    assert total(database) == 0


def test_samples_that_waited_count_in_the_hour_in_which_they_were_taken(database: Database) -> None:
    hear(database, birth("kitchen"), state("kitchen", at=NOW), sample("kitchen", 60, at=NOW, decisions=1))
    later = NOW + 10 * 3_600
    waiting = [sample("kitchen", n * 3_600, at=NOW + n * 3_600, decisions=1 + n) for n in range(1, 4)]
    hear(database, *waiting, now=later)
    first = int(NOW // 3_600)
    assert [(one.hour - first, one.decisions) for one in hours(database)] == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_samples_of_a_clock_that_is_wrong_count_in_the_hour_in_which_they_come(database: Database) -> None:
    hear(database, birth("kitchen"), state("kitchen", at=NOW - 7_200))
    hear(database, sample("kitchen", 60, at=NOW - 7_200, decisions=1))
    assert [one.hour for one in hours(database)] == [int(NOW // 3_600)]


@pytest.mark.parametrize(("at", "expected"), [(NOW - 3 * 3_600, None), (NOW, 0.0), (NOW + 600, 600.0)])
def test_what_waited_for_the_console_shows_no_clock_that_is_behind(
    database: Database, at: float, expected: float | None
) -> None:
    with database.session() as session:
        ingest(session, [incoming(birth("kitchen")), incoming(state("kitchen", at=at))], NOW, is_live=False)
    assert device(database).clock_ahead_s == expected
    if expected is None:
        assert device(database).health == "ok"


def test_settings_are_wanted_anew_above_a_version_that_the_device_has_already(database: Database) -> None:
    with database.session() as session:
        kitchen = session.scalars(select(Device).where(Device.name == "kitchen")).one()
        kitchen.desired, kitchen.desired_version = {"hearing.unsure_below": 0.4}, 3
    for name in ("kitchen", "hall"):
        hear(database, wire.reported(Address("home", name), reported(50)))
    kitchen, hall = device(database), device(database, "hall")
    assert (kitchen.desired_version, kitchen.desired_due, hall.desired_version, hall.desired_due) == (51, NOW, 50, None)
    hear(database, birth("kitchen", desired=51), now=NOW + 1)
    assert (device(database).desired_version, device(database).desired_due) == (51, NOW)


def test_a_device_that_starts_anew_counts_the_steps_of_its_job_from_one(database: Database) -> None:
    job(database)
    hear(database, birth("kitchen", "a"), progress("kitchen", "j-1", 6, "testing"))
    hear(database, progress("kitchen", "j-1", 7, "switching"), birth("kitchen", "b"))
    hear(database, progress("kitchen", "j-1", 2, "working"), progress("kitchen", "j-1", 1, "accepted"))
    assert (job_row(database).state, job_row(database).step) == ("working", 2)


def test_who_was_retired_is_not_taken_in_again_by_itself(database: Database) -> None:
    with database.session() as session:
        session.scalars(select(Device).where(Device.name == "kitchen")).one().retired = NOW
    assert hear(database, birth("kitchen"), adopt=True).refused == {"retired": 1}
    assert device(database).retired == NOW


def test_the_end_of_a_job_counts_although_its_device_was_set_up_anew_and_counts_from_one(database: Database) -> None:
    job(database, "j-1")
    hear(database, progress("kitchen", "j-1", 6, "testing"))
    hear(database, birth("kitchen", "new-card"), progress("kitchen", "j-1", 2, "confirmed"))
    with database.reading() as session:
        row = session.get_one(Job, "j-1")
        assert (row.state, row.ended) == ("confirmed", NOW)


def test_counters_that_go_back_or_jump_do_not_spoil_the_sum(database: Database) -> None:
    hear(database, birth("kitchen"))
    for uptime, decisions in ((60, 50), (120, 20), (180, 25), (240, 1 << 53)):
        hear(database, sample("kitchen", uptime, decisions=decisions))
    assert 55 <= total(database) <= 55 + 100_000


def test_a_device_that_ran_long_before_we_knew_it_counts_from_now_on(database: Database) -> None:
    hear(database, sample("kitchen", 86_400, decisions=10_000))
    hear(database, sample("kitchen", 86_460, decisions=10_003))
    assert total(database) == 3


def test_a_sample_that_has_waited_says_nothing_of_the_clock(database: Database) -> None:
    hear(database, birth("kitchen"), state("kitchen", at=NOW))
    hear(database, sample("kitchen", 60, at=NOW - 7 * 86_400, decisions=5))
    assert (device(database).clock_ahead_s, total(database)) == (0.0, 5)


@pytest.mark.parametrize("ahead_s", [-3 * 3_600.0, 5 * 3_600.0, 40 * 365 * 86_400.0])
def test_clocks_apart_by_hours_ours_counts(database: Database, ahead_s: float) -> None:
    hear(database, birth("kitchen"), state("kitchen", at=NOW + ahead_s))
    hear(database, sample("kitchen", 60, at=NOW + ahead_s, decisions=5))
    row = device(database)
    assert (row.seen, row.clock_ahead_s) == (NOW, ahead_s)
    assert [hour.hour for hour in hours(database)] == [int(NOW // 3_600)]
    assert row.health == "warn"
    assert "its clock is" in row.health_reason


def job(database: Database, job_id: str = "j-1", name: str = "kitchen", **more: Any) -> None:
    with database.session() as session:
        row = session.scalars(select(Device).where(Device.name == name)).one()
        body = {"id": job_id, "kind": "restart"}
        session.add(Job(id=job_id, device=row.id, kind="restart", body=body, state="sent", created=NOW, **more))


def job_row(database: Database, job_id: str = "j-1") -> Job:
    with database.reading() as session:
        return session.get_one(Job, job_id)


def test_a_job_goes_forward_and_what_has_ended_stays(database: Database) -> None:
    job(database)
    assert hear(database, progress("kitchen", "j-1", 1, "accepted")).jobs == {"j-1"}
    assert (job_row(database).state, job_row(database).told, job_row(database).reached) == ("accepted", NOW, NOW)
    hear(database, progress("kitchen", "j-1", 3, "working"), now=NOW + 5)
    assert hear(database, progress("kitchen", "j-1", 2, "accepted"), now=NOW + 6).jobs == set()
    assert (job_row(database).state, job_row(database).step, job_row(database).told) == ("working", 3, NOW + 6)
    done = progress("kitchen", "j-1", 4, "done", result={"lines": ["a"]})
    hear(database, done, now=NOW + 7)
    row = job_row(database)
    assert (row.state, row.ended, row.result) == ("done", NOW + 7, {"lines": ["a"]})
    for again in (done, progress("kitchen", "j-1", 9, "failed", problem="too late")):
        assert hear(database, again, now=NOW + 9).jobs == set()
    assert (job_row(database).state, job_row(database).ended) == ("done", NOW + 7)


def test_steps_that_come_together_end_in_the_last(database: Database) -> None:
    job(database)
    steps = [progress("kitchen", "j-1", step, told) for step, told in enumerate(("accepted", "working", "done"), 1)]
    hear(database, *steps)
    assert (job_row(database).state, job_row(database).step) == ("done", 3)


def test_a_failed_job_tells_why_on_the_device_until_one_succeeds(database: Database) -> None:
    job(database)
    hear(database, progress("kitchen", "j-1", 1, "failed", code="no-room", problem="the disk is full"))
    assert job_row(database).reason == "no-room: the disk is full"
    assert (device(database).health, device(database).health_reason) == (
        "warn",
        "its last job failed: no-room: the disk is full",
    )
    job(database, "j-2")
    hear(database, progress("kitchen", "j-2", 1, "done"))
    assert device(database).health == "ok"


def test_an_update_that_failed_is_told_as_the_device_tells_it(database: Database) -> None:
    job(database)
    body = {"id": "j-1:7", "job": "j-1", "family": "command-en", "state": "failed", "at": "testing", "code": "slow"}
    body |= {"detail": "two seconds", "remedy": "Take a smaller one.", "evidence": {"p95_ms": 2000}}  # type: ignore[dict-item]
    hear(database, Message("ea/1/home/d/kitchen/up/job/j-1", json.dumps(body).encode()))
    row = job_row(database)
    assert (row.state, row.reason) == ("failed", "slow: two seconds")
    assert row.result["failed_in"] == "testing"
    assert row.result["evidence"] == {"p95_ms": 2000}
    assert row.result["remedy"] == "Take a smaller one."


def test_nobody_tells_of_anothers_job_a40(database: Database) -> None:
    job(database)
    assert hear(database, progress("hall", "j-1", 1, "done")).refused == {"not its job": 1}
    assert hear(database, progress("kitchen", "j-9", 1, "done")).refused == {"unknown job": 1}
    assert hear(database, progress("kitchen", "j-1", 1, "exploded")).refused == {"state": 1}
    assert job_row(database).state == "sent"


def test_who_is_not_known_is_not_heard_and_who_is_retired_no_more(database: Database) -> None:
    with database.session() as session:
        session.scalars(select(Device).where(Device.name == "hall")).one().retired = NOW
    effects = hear(database, birth("stranger"), birth("kitchen", fleet="other"), birth("hall"), state("hall"))
    assert effects.refused == {"unknown device": 2, "retired": 2}
    assert device(database, "hall").version == ""


def test_at_home_whoever_is_born_is_taken_in(database: Database) -> None:
    effects = hear(
        database, state("early"), birth("early"), birth("new"), birth("new"), birth("x", fleet="unknown"), adopt=True
    )
    assert device(database, "new").version == "0.6.0"
    assert device(database, "early").online
    assert effects.refused == {"unknown device": 1}


def test_questions_for_certificates_are_handed_on(database: Database) -> None:
    enrol = wire.EnrolRequest(serial="s-1", token="ABCD-EFGH", csr="pem")  # noqa: S106
    renew = wire.RenewRequest(nonce="n-2", csr="pem")
    effects = hear(
        database,
        Incoming(wire.enrolment("home", "n-1")[0], wire.written(enrol)),
        wire.renewal(Address("home", "kitchen"), renew),
        wire.renewal(Address("home", "stranger"), renew),
    )
    assert effects.enrolments == [("home", "n-1", enrol)]
    assert effects.renewals == [("home", "kitchen", renew)]
    assert effects.refused == {"unknown device": 1}


GOOD = wire.written(wire.Birth(boot="b", version="1"))


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("ea/1/home/d/kitchen/up/birth", b"\xff", "payload"),
        ("ea/1/home/d/kitchen/up/birth", b"[" * 5_000, "payload"),
        ("ea/1/home/d/kitchen/up/birth", b'{"boot": NaN, "version": "1"}', "payload"),
        ("ea/1/home/d/kitchen/up/birth", b'{"boot": "a", "boot": "b", "version": "1"}', "payload"),
        ("ea/1/home/d/kitchen/up/birth", b'{"version": "1"}', "payload"),
        ("ea/1/home/d/kitchen/up/birth", b'"text"', "payload"),
        ("ea/1/home/d/kitchen/up/birth", GOOD + b" " * 20_000, "too-large"),
        ("ea/1/home/d/kitchen/up/state", b'{"online": 1, "boot": "b", "seq": 1}', "payload"),
        ("ea/1/home/d/kitchen/up/state", b'{"online": true, "boot": "b", "seq": -1}', "payload"),
        ("ea/1/home/d/kitchen/up/metrics", b'{"boot": "b", "at": 1e999, "uptime_s": 1}', "payload"),
        ("ea/1/home/d/kitchen/up/event/command", b"[]", "payload"),
        ("ea/1/home/d/kitchen/up/event/gossip", b"{}", "event"),
        ("ea/1/home/d/kitchen/up/event/command", b'{"x": "' + b"x" * 5_000 + b'"}', "too-large"),
        ("ea/1/home/d/kitchen/up/job/j-1", b'{"id": "a:1", "job": "j-2", "state": "done", "at": 1}', "job"),
        (
            "ea/1/home/d/kitchen/up/job/j-1",
            b'{"id": "a:1", "job": "j-1", "state": "done", "at": 1, "result": 3}',
            "payload",
        ),
        ("ea/1/home/d/kitchen/up/job", b"{}", "topic"),
        ("ea/1/home/d/kitchen/up/birth/more", GOOD, "topic"),
        ("ea/1/home/d/Kitchen/up/birth", GOOD, "topic"),
        ("ea/1/home/d/kit\0chen/up/birth", GOOD, "topic"),
        ("ea/1/home/d/+/up/birth", GOOD, "topic"),
        ("ea/1/home/d/../up/birth", GOOD, "topic"),
        ("ea/2/home/d/kitchen/up/birth", GOOD, "topic"),
        ("ea/1/home/d/kitchen/dn/job", GOOD, "topic"),
        ("", GOOD, "topic"),
    ],
)
def test_what_cannot_be_used_is_refused_and_counted_a44_a60(
    database: Database, topic: str, payload: bytes, reason: str
) -> None:
    effects = hear(database, Incoming(topic, payload), birth("hall"))
    assert effects.refused == {reason: 1}
    assert device(database, "hall").version == "0.6.0"  # the others are heard


def test_letters_that_no_database_takes_are_replaced_a60_a82(database: Database) -> None:
    payload = b'{"boot": "b", "version": "1\\u0000", "area": "\\ud800<script>", "releases": {"f\\u0000": "\\udfff"}}'
    hear(database, Incoming("ea/1/home/d/kitchen/up/birth", payload))
    hear(database, event("kitchen", "fault", b'{"message": "\\u0000\\ud800"}'))
    row = device(database)
    assert (row.version, row.area) == ("1\ufffd", "\ufffd<script>")
    assert events(database)[-1][1] == {"message": "\ufffd\ufffd"}


def test_numbers_and_texts_as_large_as_the_wire_allows_fit_their_columns(database: Database) -> None:
    most = 1 << 53
    text = "\u00e4" * 500
    releases = {f"{number:03d}": "v" for number in range(300)}
    hear(
        database,
        birth("kitchen", "b" * 64, version=text, board=text, area=text, serial=text, desired=most, releases=releases),
    )
    hear(database, state("kitchen", "b" * 64, most, reason=text))
    hear(database, wire.reported(Address("home", "kitchen"), reported(most, problem=text)))
    row = device(database)
    limits = {column.name: getattr(column.type, "length", None) for column in Device.__table__.columns}
    for name, limit in limits.items():
        assert limit is None or len(getattr(row, name)) <= limit, name
    assert len(row.releases) == 50
    assert row.seq == row.reported_version == most


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "boot",
    "version",
    "online",
    "seq",
    "at",
    "uptime_s",
    "counters",
    "gauges",
    "id",
    "job",
    "state",
    "result",
    "settings",
]
TOPICS = st.sampled_from(
    ["birth", "state", "reported", "metrics", "event/command", "job/j-1", "renew", "job/../x", "event/", "get"]
).map("ea/1/home/d/kitchen/up/{}".format)


@given(
    st.lists(
        st.tuples(
            TOPICS | st.text(max_size=30),
            st.binary(max_size=60)
            | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8).map(json.dumps).map(str.encode),
            st.booleans(),
        ),
        max_size=6,
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_nothing_is_raised_a44_a82(database: Database, sent: list[tuple[str, bytes, bool]]) -> None:
    hear(database, *(Incoming(topic, payload, is_retained) for topic, payload, is_retained in sent), adopt=True)


def test_what_came_of_two_batches_is_put_together(database: Database) -> None:
    one = hear(database, birth("kitchen"), birth("stranger"))
    other = hear(database, birth("hall"), birth("stranger"))
    both = one.with_more(other)
    assert both.refused == {"unknown device": 2}
    assert both.born == [("home", "kitchen"), ("home", "hall")]
    assert len(both.changed) == 2
    assert math.isclose(both.heard["birth"], 4)


def test_a_batch_of_hundreds_takes_few_questions(database: Database) -> None:
    messages = [one for number in range(100) for one in (birth(f"d{number}"), state(f"d{number}"))]
    hear(database, *messages, adopt=True)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Device).where(Device.online)) == 100
