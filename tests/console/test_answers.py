"""Questions for certificates: whoever asks too much holds up nobody."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, run, settings
from console.hardened_broker import database, token
from console.running_console import BROKER, working
from console.telling import event
from sqlalchemy import func, select

from edgeagent.bus import connect
from edgeagent.console import answers
from edgeagent.console.answers import Answering
from edgeagent.console.authority import Authority, Issued
from edgeagent.console.database import Database
from edgeagent.console.ingest import Effects
from edgeagent.console.tables import Device, Event
from edgeagent.fleet import wire
from edgeagent.fleet.identity_keys import make_key, request
from edgeagent.messages import Message


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    found = database(tmp_path)
    yield found
    found.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.init(tmp_path_factory.mktemp("authority") / "a", "tests", time.time())


def question(secret: str, serial: str = "S-1") -> wire.EnrolRequest:
    return wire.EnrolRequest(serial=serial, token=secret, csr=request(make_key("file"), "x"))


async def answered(answering: Answering, is_enough: Callable[[list[wire.Certified]], bool]) -> list[wire.Certified]:
    """Return what is told until it is enough."""
    told: list[wire.Certified] = []

    async def tell(message: Message) -> None:
        told.append(wire.read(wire.Certified, message.payload, largest=wire.LARGEST_BYTES))

    task = asyncio.create_task(answering.answer(tell))
    try:
        await eventually(lambda: is_enough(told))
    finally:
        task.cancel()
        await asyncio.wait([task])
    return told


def test_a63_a_right_token_is_answered_among_hundreds_of_wrong_ones(made: Database, authority: Authority) -> None:
    secret = token(made)
    dropped: list[int] = []

    async def scene() -> None:
        answering = Answering(made, lambda: authority, lambda error: pytest.fail(str(error)), dropped.append)
        csr = request(make_key("file"), "x")
        wrong = [wire.EnrolRequest(serial="S", token="WRONGWRONG", csr=csr)] * 3 * answers.MOST_WAITING  # noqa: S106
        asked = [("home", f"n{number}", one) for number, one in enumerate(wrong)]
        asked.insert(answers.MOST_WAITING - 1, ("home", "right", question(secret)))
        answering.ask(Effects(enrolments=asked))
        assert sum(dropped) == len(asked) - answers.MOST_WAITING
        told = await answered(answering, lambda told: any(one.nonce == "right" for one in told))
        assert [one.device for one in told if one.nonce == "right"] == ["kitchen"]
        assert len(told) <= 1 + 3 * answers.MOST_WRONG

    run(scene())


def test_a_device_that_asks_on_and_on_has_one_question(made: Database, authority: Authority) -> None:
    dropped: list[int] = []

    async def scene() -> None:
        answering = Answering(made, lambda: authority, lambda error: pytest.fail(str(error)), dropped.append)
        csr = request(make_key("file"), "x")
        asked = [("home", "kitchen", wire.RenewRequest(nonce=f"n{number}", csr=csr)) for number in range(2_000)]
        answering.ask(Effects(renewals=asked))
        assert dropped == []
        told = await answered(answering, bool)
        assert [one.nonce for one in told] == ["n1999"]

    run(scene())


class _Stuck:
    trusted, signs_subjects = "", False

    def __init__(self) -> None:
        self.is_asked, self.may_end = asyncio.Event(), False
        self._loop = asyncio.get_running_loop()

    def sign_device(self, csr_pem: str, fleet: str, device: str, now: float) -> Issued:
        self._loop.call_soon_threadsafe(self.is_asked.set)
        while not self.may_end:
            time.sleep(0.01)
        raise AssertionError((csr_pem, fleet, device, now))


@pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
def test_what_devices_tell_is_written_while_the_authority_signs(made: Database) -> None:
    secret = token(made)

    async def scene() -> None:
        with mosquitto(BROKER) as broker:
            async with working(made, broker.port) as worker, connect(settings(broker.port), client_id="x") as bus:
                worker.signer = stuck = _Stuck()
                try:
                    ask_at, answer_at = wire.enrolment("home", "n1")
                    bus.subscribe(answer_at)
                    await bus.deliver(Message(ask_at, wire.written(question(secret)), qos=1))
                    await stuck.is_asked.wait()
                    with made.session() as session:
                        session.add(Device(fleet="home", name="hall", created=1.0))
                    await bus.deliver(event("hall", "fault", b'{"n": 1}'))
                    await eventually(lambda: _events(made) == 1)
                finally:
                    stuck.may_end = True
                async for received in bus.received():
                    assert wire.read(wire.Certified, received.payload).problem == answers.FAILED
                    break

    run(scene())


@pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
def test_a63_questions_that_are_left_on_the_broker_are_taken_away_and_not_answered(
    made: Database, authority: Authority
) -> None:
    secret = token(made)

    async def scene() -> None:
        with mosquitto(BROKER) as broker:
            async with connect(settings(broker.port), client_id="x") as bus:
                left = [Message(f"ea/1/home/enrol/n{number}/req", b"x" * 20_000, 1, retain=True) for number in range(5)]
                ask_at, answer_at = wire.enrolment("home", "right")
                left.append(Message(ask_at, wire.written(question(secret)), 1, retain=True))
                for one in left:
                    assert await bus.deliver(one)
                bus.subscribe(answer_at)
                async with working(made, broker.port) as worker:
                    worker.signer = authority
                    await eventually(lambda: taken_away(worker) >= len(left))
                    # Also what is left while the console is there, in whatever fleet.
                    assert await bus.deliver(Message("ea/1/nowhere/enrol/live/req", b"x" * 20_000, 1, retain=True))
                    await eventually(lambda: taken_away(worker) >= len(left) + 1)
            async with connect(settings(broker.port), client_id="y") as late:
                late.subscribe("ea/1/+/enrol/+/req")
                await eventually(lambda: late.is_subscribed)
                await late.deliver(Message("ea/1/home/enrol/end/req", b"end", 1))
                async for received in late.received():
                    assert received.payload == b"end"
                    break
            with made.reading() as session:
                assert session.scalar(select(func.count()).select_from(Device)) == 0

    run(scene())


def taken_away(worker: object) -> float:
    """How many retained messages were taken away."""
    value: float = worker._figures.published.labels("req")._value.get()  # type: ignore[attr-defined]  # noqa: SLF001
    return value


def _events(made: Database) -> int:
    with made.reading() as session:
        return session.scalar(select(func.count()).select_from(Event)) or 0
