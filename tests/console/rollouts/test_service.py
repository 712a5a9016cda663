"""What operators do with rollouts, and what they are told when it cannot be."""

from collections.abc import Callable
from pathlib import Path

import pytest
from console.rollouts.worlds import FLEET, World, plan
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts import service
from edgeagent.console.rollouts.service import Change, Conflict, NotThere
from edgeagent.console.tables import Job, Rollout


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, 10)


@pytest.mark.parametrize("deed", [service.start, service.approve, service.pause, service.resume, service.abort])
def test_a84_a_rollout_of_another_fleet_is_not_there(
    world: World, deed: Callable[[Session, str, str, Change], Rollout]
) -> None:
    rollout = world.begin(plan())
    for fleet in ("other", "none", "' OR 1=1"):
        with pytest.raises(NotThere), world.database.session() as session:
            deed(session, fleet, rollout, Change("eve", world.now, 1))
    assert world.rollout(rollout).state == "running"


def test_a84_nor_can_it_be_looked_at(world: World) -> None:
    rollout = world.begin(plan())
    with world.reading() as session:
        assert service.rollouts_of(session, "other") == []
        with pytest.raises(NotThere):
            service.summary(session, "other", rollout)
        with pytest.raises(NotThere):
            service.devices_of(session, "other", rollout, world.now)


def test_a85_two_operators_change_the_same_one_wins_and_the_other_is_told_who_did_what(world: World) -> None:
    rollout = world.begin(plan())
    seen = world.rollout(rollout).revision
    with world.database.session() as session:
        service.pause(session, FLEET, rollout, Change("ann", world.now, seen))
    words = "ann has paused it meanwhile: it is paused now"
    with pytest.raises(Conflict, match=words) as raised, world.database.session() as session:
        service.abort(session, FLEET, rollout, Change("bob", world.now, seen))
    assert "as it stands now" in raised.value.remedy
    assert world.rollout(rollout).state == "paused"


def test_who_made_it_cannot_agree_to_it(world: World) -> None:
    rollout = world.begin(plan(needs_approval=True))
    assert world.rollout(rollout).state == "waiting-for-approval"
    world.tick()
    assert world.began_jobs() == 0
    with pytest.raises(ConsoleError, match="ann has made this rollout"):
        world.change(service.approve, rollout, by="ann")
    world.change(service.approve, rollout, by="bob")
    world.until("done", rollout)
    assert world.rollout(rollout).approved_by == "bob"


def test_what_has_ended_stays_ended(world: World) -> None:
    rollout = world.begin(plan())
    world.until("done", rollout)
    for deed in (service.pause, service.resume, service.abort, service.approve):
        with pytest.raises(ConsoleError, match="is done"):
            world.change(deed, rollout, by="bob")


def test_abort_calls_back_what_is_under_way(world: World) -> None:
    for device in world.devices.values():
        device.takes = 1_000
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [0.5, 1.0]}))
    world.tick()
    world.tick()
    world.change(service.abort, rollout)
    world.until("aborted", rollout)
    counts = world.counts(rollout)
    assert (counts.undone, counts.skipped) == (5, 5)
    assert world.rollout(rollout).reason == "Aborted by ann."
    world.check(rollout)


def test_a_draft_can_be_changed_and_has_its_own_forecast(world: World) -> None:
    with world.database.session() as session:
        draft = service.draft(session, FLEET, plan(), title=" New words ", by="ann", now=world.now).id
    for _ in range(3):
        world.tick()
    assert world.began_jobs() == 0
    with world.reading() as session:
        forecast = service.what_if(session, FLEET, plan(), world.now, rollout=draft)
    world.change(service.start, draft)
    world.conduct()
    with world.reading() as session:
        wave = session.scalars(select(Job.device).where(Job.rollout == draft, Job.wave == 0)).all()
    assert [world.devices[number].address.device for number in wave] == list(forecast.waves[0].names)
    assert world.rollout(draft).title == "New words"


def test_what_if_says_who_is_left_out_and_why_and_how_long_it_takes(tmp_path: Path) -> None:
    world = World(
        tmp_path, 100, build=lambda number: {"installed": "2.0" if number < 20 else "1.0", "is_online": number != 50}
    )
    with world.reading() as session:
        found = service.what_if(session, FLEET, plan(bake_s=3_600.0, filter="name:d00*"), world.now)
        assert session.scalar(select(func.count()).select_from(Rollout)) == 0
    assert [wave.devices for wave in found.waves] == [1, 3, 16, 60]
    assert [wave.begins_after_s for wave in found.waves] == [0.0, 3_600.0, 7_200.0, 10_800.0]
    assert found.least_s == 10_800.0
    assert sum(wave.offline for wave in found.waves) == 1
    assert [(one.reason, one.devices) for one in found.excluded] == [("It has it already.", 20)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"filter": "online and and muted"}, "column 12"),
        ({"what": {"kind": "settings", "settings": {"hearing.unsure_belw": 0.5}}}, "no such setting"),
        ({"what": {"kind": "settings", "settings": {"device.id": "evil"}}}, "not for the fleet to change"),
        ({"what": {"kind": "identify", "options": {"secons": 5}}}, "has no option 'secons'"),
    ],
)
def test_a_plan_that_no_device_could_follow_is_refused(world: World, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConsoleError, match=words) as raised:
        world.begin(plan(**changes))
    assert raised.value.remedy


def test_a_release_that_is_not_in_the_repository_is_refused() -> None:
    with pytest.raises(ConsoleError, match="no family command-en"):
        service.refuse_unknown_release(plan(), {"wake-en": {"1.0"}})
    with pytest.raises(ConsoleError, match=r"no command-en 2\.0") as raised:
        service.refuse_unknown_release(plan(), {"command-en": {"1.0", "1.1"}})
    assert "1.0, 1.1" in raised.value.remedy
    service.refuse_unknown_release(plan(), {"command-en": {"2.0"}})


def test_pages_of_devices_have_each_device_once(tmp_path: Path) -> None:
    world = World(tmp_path, 57)
    rollout = world.begin(plan())
    world.tick()
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        with world.reading() as session:
            page = service.devices_of(session, FLEET, rollout, world.now, after=after, most=10)
        found += [row.name for row in page.rows]
        after = page.after
    assert sorted(found) == [f"d{number:04}" for number in range(57)]
    with world.reading() as session:
        words = {row.words for row in service.devices_of(session, FLEET, rollout, world.now, wave=2).rows}
        assert words == {"Wave 3 has not begun."}
        with pytest.raises(ConsoleError, match="no place"):
            service.devices_of(session, FLEET, rollout, world.now, after="1; DROP TABLE jobs")
