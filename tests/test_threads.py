"""What a thread produces reaches the event loop in order; its errors too; and it ends with the block."""

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from edgeagent.threads import QUEUE_SIZE, running


def unwanted(item: int) -> None:
    raise AssertionError(item)


async def collected(count: int) -> list[int]:
    turn = threading.Semaphore(1)

    def produce(_: threading.Event) -> Iterator[int]:
        for item in range(count):
            turn.acquire(timeout=5)
            yield item

    got = []
    async with running(produce, name="test", overflow=unwanted) as items:
        async for item in items:
            got.append(item)
            turn.release()
    return got


def test_the_order_is_kept() -> None:
    assert asyncio.run(collected(50)) == list(range(50))


def test_an_error_reaches_the_reader_after_what_came_before() -> None:
    def produce(_: threading.Event) -> Iterator[int]:
        yield 1
        raise OSError("unplugged")

    got: list[int] = []

    async def read() -> None:
        async with running(produce, name="test", overflow=unwanted) as items:
            async for item in items:
                got.append(item)  # noqa: PERF401  # the error comes in the middle

    with pytest.raises(OSError, match="unplugged"):
        asyncio.run(read())
    assert got == [1]


def test_what_finds_no_room_goes_to_the_overflow() -> None:
    lost: list[int] = []

    async def read() -> list[int]:
        finished = threading.Event()

        def produce(_: threading.Event) -> Iterator[int]:
            yield from range(10)
            finished.set()

        async with running(produce, name="test", overflow=lost.append) as items:
            finished.wait(5)  # the loop is held up, as a busy one is
            return [item async for item in items]

    assert asyncio.run(read()) == list(range(QUEUE_SIZE))
    assert lost == list(range(QUEUE_SIZE, 10))


def test_leaving_the_block_ends_the_thread() -> None:
    def produce(stop: threading.Event) -> Iterator[int]:
        number = 0
        while not stop.wait(0.005):
            yield number
            number += 1

    async def leave() -> None:
        async with running(produce, name="endless", overflow=lambda _: None) as items:
            assert await anext(items) == 0

    asyncio.run(leave())
    assert "endless" not in {thread.name for thread in threading.enumerate()}


def test_cancelling_the_reader_ends_the_thread() -> None:
    def produce(stop: threading.Event) -> Iterator[int]:
        stop.wait(30)
        yield from ()

    async def leave() -> None:
        async with asyncio.timeout(0.05), running(produce, name="waiting", overflow=unwanted) as items:
            async for _ in items:
                pass

    with pytest.raises(TimeoutError):
        asyncio.run(leave())
    assert "waiting" not in {thread.name for thread in threading.enumerate()}


def test_a_thread_that_does_not_end_is_told_of_and_does_not_hold_up(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    def produce(_: threading.Event) -> Iterator[int]:
        release.wait(30)
        yield from ()

    async def leave() -> None:
        async with running(produce, name="stuck", overflow=unwanted):
            pass

    with caplog.at_level(logging.ERROR):
        asyncio.run(leave())
    release.set()
    assert [(record.message, record.__dict__["producer"]) for record in caplog.records] == [
        ("thread does not end", "stuck")
    ]


def test_what_is_urgent_does_not_wait_in_the_queue() -> None:
    hurried: list[int] = []

    def express(item: int) -> bool:
        if item == QUEUE_SIZE:
            hurried.append(item)
        return item == QUEUE_SIZE

    async def read() -> list[int]:
        finished = threading.Event()

        def produce(_: threading.Event) -> Iterator[int]:
            yield from range(QUEUE_SIZE + 1)
            finished.set()

        async with running(produce, name="test", overflow=unwanted, express=express) as items:
            await asyncio.to_thread(finished.wait, 5)
            await asyncio.sleep(0)
            assert hurried == [QUEUE_SIZE]
            return [item async for item in items]

    assert asyncio.run(read()) == list(range(QUEUE_SIZE))
