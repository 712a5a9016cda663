"""Connections that keep the console waiting are ended, and take no place from others."""

import asyncio
import socket
import threading
import time

import httpx
import pytest
from console.web.website import HOME, Website
from starlette.types import Receive, Scope, Send

from edgeagent.console.serving import Impatient, LookAfter

HEAD = b"GET /login HTTP/1.1\r\nHost: x\r\nX-A: "


def is_ended(one: socket.socket) -> bool:
    """Wait until the other side has ended a connection, and tell so."""
    one.settimeout(60)
    try:
        return one.recv(1) == b""
    except ConnectionError:
        return True


def connected(website: Website) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(website.base.rpartition(":")[2])))


def test_three_hundred_who_say_nothing_or_never_end_are_put_out_and_live_news_goes_on(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Impatient, "head_within_s", 1.0)
    monkeypatch.setattr(Impatient, "most_of_an_address", 400)
    visitor, lines = website.visitor("vic"), []
    has_begun, may_end = threading.Event(), threading.Event()

    def listen() -> None:
        with visitor.http.stream("GET", f"{HOME}/live?topic=fleet") as news:
            for line in news.iter_lines():
                lines.append(line)
                has_begun.set()
                if "changed" in line or may_end.is_set():
                    return

    listening = threading.Thread(target=listen)
    listening.start()
    assert has_begun.wait(30)
    held = [connected(website) for _ in range(300)]
    for one in held[::2]:
        one.sendall(HEAD)
    assert all(is_ended(one) for one in held)
    assert website.stranger().get("/login").status_code == 200
    website.news.changed("fleet:home")
    listening.join(30)
    assert "event: changed" in lines
    for one in held:
        one.close()


def test_who_asks_slowly_for_a_second_time_is_put_out_too(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Impatient, "head_within_s", 1.0)
    with connected(website) as one:
        one.sendall(b"GET /static/icon.svg HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.recv(100_000).startswith(b"HTTP/1.1 200")
        one.sendall(HEAD)
        while not is_ended(one):
            pass


def test_an_address_has_so_many_connections_at_most(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Impatient, "most_of_an_address", 3)
    held = [connected(website) for _ in range(3)]
    with connected(website) as one_more:
        assert is_ended(one_more)
    for one in held:
        one.close()
    deadline = time.monotonic() + 30
    while not is_served(website):  # until the server has seen that they are gone
        assert time.monotonic() < deadline


def is_served(website: Website) -> bool:
    """Tell whether a page comes."""
    try:
        return website.stranger().get("/login").status_code == 200
    except httpx.TransportError:
        return False


def looked(method: str, status: int, *, is_known: bool) -> int:
    """Return how often the worker was woken by a request."""
    found: list[int] = []

    async def pages(scope: Scope, _receive: Receive, send: Send) -> None:
        assert found == []  # not before it has been changed
        if is_known:
            scope.setdefault("state", {})["visit"] = object()
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def nothing(*_: object) -> None:
        return

    look_after = LookAfter(pages, lambda: found.append(1))
    asyncio.run(look_after({"type": "http", "method": method}, nothing, nothing))  # type: ignore[arg-type]  # nothing is read
    return len(found)


@pytest.mark.parametrize(
    ("method", "status", "is_known", "times"),
    [("POST", 303, True, 1), ("POST", 303, False, 0), ("POST", 403, True, 0), ("GET", 200, True, 0)],
)
def test_the_worker_is_woken_by_changes_alone(method: str, status: int, *, is_known: bool, times: int) -> None:
    assert looked(method, status, is_known=is_known) == times
