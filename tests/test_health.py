"""systemd hears that we are ready, and that we live while we listen."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from edgeagent import health


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(5)
        yield supervisor


def environment(systemd: socket.socket, **more: str) -> Mapping[str, str]:
    return {"NOTIFY_SOCKET": systemd.getsockname(), **more}


def test_what_is_told_arrives(systemd: socket.socket) -> None:
    assert health.notify("READY=1", environment(systemd))
    assert systemd.recv(100) == b"READY=1"


def test_an_abstract_socket_is_reached() -> None:
    name = f"edgeagent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("\0" + name)
        assert health.notify("READY=1", {"NOTIFY_SOCKET": "@" + name})
        assert supervisor.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1", "/nonexistent/notify"])
def test_nobody_to_tell_is_no_error(address: str) -> None:
    assert not health.notify("READY=1", {"NOTIFY_SOCKET": address})


def test_a_supervisor_that_does_not_read_holds_nothing_up(systemd: socket.socket) -> None:
    began = time.monotonic()
    while health.notify("WATCHDOG=1", environment(systemd)):
        assert time.monotonic() - began < 5
    assert time.monotonic() - began < 5


def fed(systemd: socket.socket, listened_s_ago: float, for_s: float) -> int:
    async def feed() -> None:
        watch = environment(systemd, WATCHDOG_USEC="60000")
        async with asyncio.timeout(for_s):
            await health.feed_watchdog(lambda: time.monotonic() - listened_s_ago, watch)

    with pytest.raises(TimeoutError):
        asyncio.run(feed())
    systemd.settimeout(0)
    assert systemd.recv(100) == b"WATCHDOG_USEC=60000"
    count = 0
    try:
        while systemd.recv(100) == b"WATCHDOG=1":
            count += 1
    except BlockingIOError:
        return count
    raise AssertionError("something else was told")


def test_the_watchdog_is_fed_three_times_per_limit_while_we_listen(systemd: socket.socket) -> None:
    assert 5 <= fed(systemd, 0.0, 0.3) <= 16


def test_the_watchdog_starves_when_the_listening_stops(systemd: socket.socket) -> None:
    assert fed(systemd, health.LISTENING_WITHIN_S + 1, 0.2) == 0


def test_the_watchdog_waits_for_a_new_start_in_place_and_is_then_as_strict_as_before(systemd: socket.socket) -> None:
    health.allow_new_start(environment(systemd, WATCHDOG_USEC="30000000"))
    assert systemd.recv(100) == b"WATCHDOG_USEC=120000000"
    with pytest.raises(TimeoutError):
        asyncio.run(
            asyncio.wait_for(health.feed_watchdog(time.monotonic, environment(systemd, WATCHDOG_USEC="30000000")), 0.1)
        )
    assert (systemd.recv(100), systemd.recv(100)) == (b"WATCHDOG_USEC=30000000", b"WATCHDOG=1")


def test_the_unit_gives_a_start_the_time_that_a_new_start_is_given() -> None:
    unit = Path(__file__).parents[1] / "systemd/edgeagent.service"
    assert f"TimeoutStartSec={health.START_WITHIN_S}" in unit.read_text().splitlines()


def test_without_a_watchdog_nothing_is_said_before_a_new_start(systemd: socket.socket) -> None:
    health.allow_new_start(environment(systemd))
    systemd.settimeout(0)
    with pytest.raises(BlockingIOError):
        systemd.recv(100)


@pytest.mark.parametrize(
    "watch",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "٣"},
        {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_watchdog_of_ours_nothing_is_fed(watch: Mapping[str, str]) -> None:
    asyncio.run(asyncio.wait_for(health.feed_watchdog(time.monotonic, watch), 1))
