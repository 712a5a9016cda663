"""Endless work beside other work."""

import asyncio

import pytest

from edgeagent.duties import doing


async def endless(seen: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        seen.append("ended")


async def failing() -> None:
    await asyncio.sleep(0)
    raise LookupError("nobody expected this")


def test_duties_end_with_the_block() -> None:
    seen: list[str] = []

    async def block() -> None:
        async with doing({"wait": endless(seen)}):
            await asyncio.sleep(0)
            assert not seen

    asyncio.run(block())
    assert seen == ["ended"]


def test_a_duty_that_fails_ends_the_block_and_is_told() -> None:
    seen: list[str] = []

    async def block() -> None:
        async with doing({"wait": endless(seen), "fail": failing()}):
            await asyncio.Event().wait()

    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="nobody expected this")):
        asyncio.run(block())
    assert seen == ["ended"]
