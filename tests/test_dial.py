"""How long to wait between tries; what it takes to connect is proven in test_bus.py."""

import asyncio
import socket

import pytest
from brokers import eventually, run, served, settings
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.dial import STALE_S, dial, hang_up, wait_s
from edgeagent.errors import BusError
from edgeagent.settings import BrokerSettings


def test_the_bound_of_the_wait_doubles_up_to_the_most() -> None:
    assert [wait_s(failures, 0.5, 10, 1.0) for failures in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


@given(st.integers(0, 10**9), st.floats(0.01, 10), st.floats(0.01, 1000), st.floats(0, 1))
def test_the_wait_is_spread_over_all_of_its_bound_and_never_above_it(
    failures: int, least_s: float, most_s: float, fraction: float
) -> None:
    assert 0 <= wait_s(failures, least_s, most_s, fraction) <= most_s


def test_a_connected_socket_waits_for_nothing_and_gives_up_in_time() -> None:
    async def test() -> None:
        async with served(_hold) as port:
            connected = await dial(settings(port))
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == STALE_S * 1000
            assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert connected.gettimeout() == 0
            hang_up(connected, discard=True)
            hang_up(connected, discard=True)

    run(test())


@pytest.mark.parametrize("discard", [True, False])
def test_what_is_discarded_is_reset_and_what_is_not_is_closed(*, discard: bool) -> None:
    endings: list[str] = []

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
            endings.append("closed")
        except ConnectionResetError:
            endings.append("reset")

    async def test() -> None:
        async with served(serve) as port:
            hang_up(await dial(settings(port)), discard=discard)
            await eventually(lambda: endings == ["reset" if discard else "closed"])

    run(test())


async def _hold(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("host", "words"),
    [("broker.invalid", "cannot be reached"), ("x" * 300, "cannot be reached"), ("a..b", "cannot be reached")],
)
def test_a_host_that_is_none_is_an_error_in_plain_words(host: str, words: str) -> None:
    async def test() -> None:
        with pytest.raises(BusError, match=words) as caught:
            await dial(settings(1, host=host))
        assert "host" in caught.value.remedy

    run(test())


def test_without_a_host_there_is_nothing_to_dial() -> None:
    async def test() -> None:
        with pytest.raises(BusError, match="no broker is named"):
            await dial(BrokerSettings())

    run(test())
