"""What must be known to have arrived: the link tells so only when the broker has taken it."""

import asyncio
from dataclasses import replace

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, proxy, run, settings

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


@pytest.mark.parametrize("asks_always", [True, False])
def test_who_asks_always_hears_what_is_retained_again_on_every_connection(asks_always: bool) -> None:  # noqa: FBT001
    """A broker that was killed knows the session, but not what it had acknowledged in it."""
    retained = Message("ea/1/home/d/a/up/state", b"{}", qos=1, retain=True)

    async def test() -> None:
        with mosquitto() as broker:
            async with proxy(broker.port) as (way, port), connect(settings(broker.port), client_id="a") as device:
                assert await device.deliver(retained)
                async with connect(settings(port), client_id="console-1", asks_always=asks_always) as bus:
                    bus.subscribe("ea/1/+/d/+/up/state")
                    (await bus.inbox.get()).acknowledge()
                    assert await bus.deliver(Message("elsewhere", b"", qos=1))  # by now the broker has read that
                    way.cut()
                    await bus.until(connected=False)
                    await bus.until(connected=True)
                    await eventually(lambda: bus.is_subscribed)
                    assert await device.deliver(replace(retained, retain=False))  # behind whatever comes again
                    (await bus.inbox.get()).acknowledge()
                    await eventually(lambda: bus.inbox.received == 2 + asks_always)
                    assert bus.counters.sessions == 1, "the broker knew the session"

    run(test())


def test_what_is_retained_is_heard_again_when_it_is_asked_for() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with connect(settings(broker.port), client_id="a") as bus:
                assert await bus.deliver(Message("ea/1/home/d/a/up/state", b"{}", qos=1, retain=True))
                bus.subscribe("ea/1/+/d/+/up/state")
                (await bus.inbox.get()).acknowledge()
                bus.ask_again()
                assert (await bus.inbox.get()).retained
                await eventually(lambda: bus.is_subscribed)

    run(test())
