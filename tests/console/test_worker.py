"""The console's work on a real broker: nothing that is told is lost, whatever is slow, away or killed."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, proxy, run, settings
from console.running_console import BROKER, working
from console.telling import birth, event, progress, state, will
from sqlalchemy import func, select, update

from edgeagent.bus import Bus, connect
from edgeagent.console.authority import Authority
from edgeagent.console.database import Database
from edgeagent.console.enrolment import new_token
from edgeagent.console.errors import AwayError
from edgeagent.console.jobs import ask
from edgeagent.console.tables import Device, Event, Fleet, Job
from edgeagent.fleet import wire
from edgeagent.fleet.identity_keys import make_key, request
from edgeagent.inbox import Received
from edgeagent.messages import Message
from edgeagent.topics import Address

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/console.db?timeout=0.2")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
    yield database
    database.close()


def online(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Device).where(Device.online)) or 0


def device(database: Database, name: str) -> Device | None:
    with database.reading() as session:
        return session.scalar(select(Device).where(Device.name == name))


async def tell(bus: Bus, *messages: Message) -> None:
    """Publish, and wait until the broker has it all."""
    for start in range(0, len(messages), 100):
        taken = await asyncio.gather(*(bus.deliver(one) for one in messages[start : start + 100]))
        assert all(taken)


async def heard(bus: Bus, topic: str) -> Received:
    async for received in bus.received():
        received.acknowledge()
        if received.topic == topic and received.payload:
            return received
    raise AssertionError


def test_what_devices_tell_is_in_the_database_also_from_before_the_console_was_there(database: Database) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with connect(settings(broker.port), client_id="device") as bus:
                await tell(bus, birth("early"), state("early"))
                async with working(database, broker.port):
                    await eventually(lambda: online(database) == 1)
                    await tell(bus, birth("late"), state("late"), will("early"))
                    await eventually(lambda: (late := device(database, "late")) is not None and late.online)
                    await eventually(lambda: (early := device(database, "early")) is not None and not early.online)

    run(test())


def test_a_fleet_that_is_made_later_is_heard(database: Database) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with working(database, broker.port), connect(settings(broker.port), client_id="device") as bus:
                with database.session() as session:
                    session.add(Fleet(name="office", created=2.0))
                await tell(bus, birth("desk", fleet="office"))
                await eventually(lambda: device(database, "desk") is not None)

    run(test())


def test_what_the_broker_has_dropped_is_known_again_some_while_after_the_connection(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeagent.console.reading_again.AFTER_S", (1.0,))
    monkeypatch.setattr("edgeagent.console.worker.FLEETS_EVERY_S", 0.1)

    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with working(database, broker.port), connect(settings(broker.port), client_id="device") as bus:
                await tell(bus, birth("a"), state("a"))
                await eventually(lambda: online(database) == 1)
                with database.session() as session:  # as if its return had not been heard
                    session.execute(update(Device).values(online=False, seq=0))
                await eventually(lambda: online(database) == 1)

    run(test())


def test_while_the_database_is_held_messages_wait_and_none_is_lost_a86(database: Database) -> None:
    count = 3_000  # more than the broker may send before it waits

    async def test() -> None:
        with mosquitto(BROKER) as broker:
            devices = connect(settings(broker.port, outbox=10_000), client_id="devices")
            async with devices as bus, working(database, broker.port) as worker:
                await tell(bus, birth("first"), state("first"))
                await eventually(lambda: online(database) == 1)
                assert database.file
                with closing(sqlite3.connect(database.file, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    await tell(bus, *(birth(f"d{number}") for number in range(count)))
                    await tell(bus, *(state(f"d{number}") for number in range(count)))
                    await eventually(lambda: _counted(worker, "database away") > 0)
                    assert online(database) == 1
                    other.execute("ROLLBACK")
                await eventually(lambda: online(database) == count + 1, within_s=20)

    run(test(), within_s=60)


def _counted(worker: object, trouble: str) -> float:
    value: float = worker._figures.troubles.labels(trouble)._value.get()  # type: ignore[attr-defined]  # noqa: SLF001
    return value


def test_a_message_that_cannot_be_written_stops_no_other(database: Database) -> None:
    # The table of events is gone: whatever is an event cannot be written.
    with database.connection() as connection:
        connection.exec_driver_sql("DROP TABLE events")

    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with connect(settings(broker.port), client_id="devices") as bus:
                await tell(bus, birth("a"), birth("b"))
                async with working(database, broker.port) as worker:
                    await eventually(lambda: device(database, "b") is not None)
                    await tell(bus, event("a", "fault", b"{}"), birth("c"), birth("a", version="9"))
                    await eventually(lambda: device(database, "c") is not None)
                    await eventually(lambda: (a := device(database, "a")) is not None and a.version == "9")
                    assert _counted(worker, "message left out") == 1

    run(test())


def test_a_job_is_published_told_of_and_taken_off_again(database: Database) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with working(database, broker.port), connect(settings(broker.port), client_id="kitchen") as bus:
                bus.subscribe("ea/1/home/d/kitchen/dn/job")
                await tell(bus, birth("kitchen"), state("kitchen"))
                await eventually(lambda: online(database) == 1)
                with database.session() as session:
                    kitchen = session.scalars(select(Device)).one()
                    job = ask(session, kitchen, "identify", {"seconds": 3}, by="anna", now=time.time())
                    job_id = job.id
                pointer = await heard(bus, "ea/1/home/d/kitchen/dn/job")
                assert job_id.encode() in pointer.payload
                await tell(bus, progress("kitchen", job_id, 1, "accepted"), progress("kitchen", job_id, 2, "done"))
                await eventually(lambda: _job(database, job_id).state == "done")

    run(test())


def _job(database: Database, job_id: str) -> Job:
    with database.reading() as session:
        return session.get_one(Job, job_id)


def test_a_broker_that_has_forgotten_everything_is_told_again(database: Database) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with working(database, broker.port), connect(settings(broker.port), client_id="kitchen") as bus:
                await tell(bus, birth("kitchen"), state("kitchen"))
                await eventually(lambda: online(database) == 1)
                with database.session() as session:
                    kitchen = session.scalars(select(Device)).one()
                    job_id = ask(session, kitchen, "restart", {}, by="anna", now=time.time()).id
                await eventually(lambda: _job(database, job_id).sent is not None)
                broker.stop()  # it keeps nothing
                broker.start()
                bus.subscribe("ea/1/home/d/kitchen/dn/job")
                pointer = await heard(bus, "ea/1/home/d/kitchen/dn/job")
                assert job_id.encode() in pointer.payload

    run(test())


def test_after_every_interruption_all_pointers_are_told_again(database: Database) -> None:
    """A broker that was killed may know the console's session, and has forgotten results that it had acknowledged."""
    topic = "ea/1/home/d/kitchen/dn/job"

    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with (
                proxy(broker.port) as (way, port),
                working(database, port),
                connect(settings(broker.port), client_id="kitchen") as bus,
            ):
                bus.subscribe(topic)
                await tell(bus, birth("kitchen"), state("kitchen"))
                await eventually(lambda: online(database) == 1)
                with database.session() as session:
                    kitchen = session.scalars(select(Device)).one()
                    job_id = ask(session, kitchen, "restart", {}, by="anna", now=time.time()).id
                assert job_id.encode() in (await heard(bus, topic)).payload
                working_on_it = wire.Progress(id=f"{job_id}:1", job=job_id, state="working", at=time.time())
                await tell(bus, wire.progress(Address("home", "kitchen"), working_on_it))
                await eventually(lambda: _job(database, job_id).state == "working")
                way.cut()
                assert job_id.encode() in (await heard(bus, topic)).payload

    run(test())


def test_a_device_is_enrolled_over_the_bus(database: Database, tmp_path: Path) -> None:
    authority = Authority.init(tmp_path / "authority", "home", time.time())
    with database.session() as session:
        _, secret = new_token(
            session,
            fleet="home",
            serial="s-1",
            device="lamp",
            tags={"floor": "2"},
            by="anna",
            now=time.time(),
            lasts_s=60,
        )
    key = make_key("file")
    asked = wire.EnrolRequest(serial="s-1", token=secret, csr=request(key, "s-1"))

    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with working(database, broker.port) as worker, connect(settings(broker.port), client_id="x") as bus:
                worker.signer = authority
                question, answer = wire.enrolment("home", "nonce-1")
                bus.subscribe(answer)
                await eventually(lambda: bus.is_subscribed)
                await tell(bus, Message(question, wire.written(asked), qos=1))
                certified = wire.read(wire.Certified, (await heard(bus, answer)).payload, largest=wire.LARGEST_BYTES)
                assert (certified.device, certified.problem) == ("lamp", "")
                assert device(database, "lamp") is not None

    run(test())


def test_without_an_authority_who_asks_for_a_certificate_is_told_so(database: Database) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with working(database, broker.port), connect(settings(broker.port), client_id="x") as bus:
                question, answer = wire.enrolment("home", "nonce-1")
                bus.subscribe(answer)
                await eventually(lambda: bus.is_subscribed)
                asked = wire.EnrolRequest(serial="s-1", token="ABCD-EFGH", csr="pem")  # noqa: S106
                await tell(bus, Message(question, wire.written(asked), qos=1))
                certified = wire.read(wire.Certified, (await heard(bus, answer)).payload)
                assert "signs no certificates" in certified.problem

    run(test())


def test_an_order_for_a_device_goes_out_at_once_or_fails_with_what_to_do(database: Database) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            order = Message("ea/1/home/d/kitchen/dn/do/mute", b"{}", qos=1, expiry_s=5)
            async with working(database, broker.port) as worker, connect(settings(broker.port), client_id="x") as bus:
                bus.subscribe("ea/1/home/d/kitchen/dn/do/+")
                await eventually(lambda: bus.is_subscribed)
                await worker.publish(order)
                assert (await heard(bus, order.topic)).payload == b"{}"
                broker.stop()
                with pytest.raises(AwayError, match="broker"):
                    await _until_away(worker, order)
                broker.start()

    run(test())


async def _until_away(worker: object, order: Message) -> None:
    while True:
        await worker.publish(order)  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)


def test_consoles_that_share_hear_each_event_once_and_each_every_birth(database: Database) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with (
                working(database, broker.port, name="a", more="shared = true") as one,
                working(database, broker.port, name="b", more="shared = true") as two,
                connect(settings(broker.port), client_id="x") as bus,
            ):
                two.is_conductor = False
                both = (one, two)
                await tell(bus, *(birth(f"d{number}") for number in range(40)))
                await eventually(lambda: all(_heard(worker, "birth") == 40 for worker in both))
                await tell(bus, *(event(f"d{number}", "fault", b'{"n": 1}') for number in range(40)))
                await eventually(lambda: sum(_heard(worker, "event") for worker in both) == 40)
                assert _events(database) == 40
                assert all(0 < _heard(worker, "event") < 40 for worker in both)

    run(test())


def _heard(worker: object, kind: str) -> float:
    value: float = worker._figures.heard.labels(kind)._value.get()  # type: ignore[attr-defined]  # noqa: SLF001
    return value


def _events(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Event)) or 0
