"""What must be known to have arrived: the link tells so only when the broker has taken it."""

import asyncio

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, run, settings

from edgeagent.bus import connect
from edgeagent.messages import Message

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
RESULT = Message("ea/1/home/d/a/up/job/j", b"{}", qos=1)


def test_what_the_broker_has_taken_is_told_to_whom_it_matters() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with connect(settings(broker.port), client_id="a") as bus:
                assert await bus.deliver(RESULT)

    run(test())


def test_without_a_broker_nothing_is_said_to_have_arrived_and_when_it_is_back_it_is() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with connect(settings(broker.port), client_id="a") as bus:
                await bus.until(connected=True)
                broker.stop()
                await bus.until(connected=False)
                delivering = asyncio.create_task(bus.deliver(RESULT))
                await eventually(lambda: len(bus.outbox) == 1)
                assert not delivering.done()
                broker.start()
                assert await delivering

    run(test())


def test_what_is_dropped_for_newer_reports_is_told_as_such() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            chosen = settings(broker.port).model_copy(update={"outbox": 1})
            broker.stop()
            async with connect(chosen, client_id="a") as bus:
                first = asyncio.create_task(bus.deliver(RESULT))
                await eventually(lambda: len(bus.outbox) == 1)
                await bus.publish(RESULT)
                assert not await first

    run(test())
