"""The inbox's bounds."""

import asyncio
import tracemalloc

from edgeagent.inbox import MOST_BYTES, Inbox, Received


def test_what_does_not_fit_is_acknowledged_and_counted_so_that_the_broker_goes_on() -> None:
    acknowledged: list[str] = []

    def received(topic: str, size: int) -> Received:
        return Received(topic, bytes(size), acknowledge=lambda: acknowledged.append(topic))

    inbox = Inbox(most=2, largest_bytes=10)
    for topic, size in (("a", 10), ("too large", 11), ("b", 0), ("too many", 1)):
        inbox.put(received(topic, size))
    assert acknowledged == ["too large", "too many"]
    assert (inbox.received, inbox.oversize, inbox.dropped) == (4, 1, 1)


def test_its_memory_is_bounded_whatever_the_number_of_messages_allows() -> None:
    async def test() -> None:
        inbox = Inbox(most=100_000, largest_bytes=1 << 20)
        tracemalloc.start()
        for _ in range(200):
            inbox.put(Received("camera", bytes(1 << 20)))
        assert tracemalloc.get_traced_memory()[0] < MOST_BYTES + (2 << 20)
        tracemalloc.stop()
        assert inbox.dropped == 200 - 64
        for _ in range(64):
            await inbox.get()
        inbox.put(Received("camera", bytes(1 << 20)))
        assert inbox.dropped == 200 - 64

    asyncio.run(test())
