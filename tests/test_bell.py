"""Push to talk and mute from the same machine: a wish a line; who is not there, or may not, is told so."""

import asyncio
import logging
import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeagent.__main__ import app
from edgeagent.bell import SOCKET, answer_rings, ask
from edgeagent.errors import SettingsError


async def rung(folder: Path, times: int) -> list[str]:
    """Return by whom the daemon was rung."""
    heard: list[str] = []
    answering = asyncio.create_task(answer_rings(folder, heard.append))
    await _made(folder / SOCKET)
    for _ in range(times):
        await asyncio.to_thread(ask, folder, "listen")
    answering.cancel()
    await asyncio.wait([answering])
    return heard


async def _made(path: Path) -> None:
    for _ in range(500):
        if path.is_socket():  # noqa: ASYNC240  # the file system is not waited for
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} was never made")


def test_each_connection_rings_once(tmp_path: Path) -> None:
    assert asyncio.run(rung(tmp_path, 3)) == ["listen"] * 3


@pytest.mark.parametrize("line", [b"sing\n", b"\n", b"listen", b"x" * 10_000 + b"\n"])
def test_what_is_no_wish_does_nothing_and_the_next_wish_is_heard(tmp_path: Path, line: bytes) -> None:
    heard: list[str] = []

    def shout() -> None:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(tmp_path / SOCKET))
            caller.sendall(line)
            caller.shutdown(socket.SHUT_WR)
            caller.settimeout(5)
            with suppress(ConnectionError):
                assert caller.recv(32) in {b"unknown\n", b""}

    async def test() -> None:
        answering = asyncio.create_task(answer_rings(tmp_path, heard.append))
        await _made(tmp_path / SOCKET)
        await asyncio.to_thread(shout)
        await asyncio.to_thread(ask, tmp_path, "mute")
        answering.cancel()
        await asyncio.wait([answering])

    asyncio.run(test())
    assert heard == ["mute"]


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    asyncio.run(rung(tmp_path, 1))
    (tmp_path / SOCKET).unlink(missing_ok=True)
    (tmp_path / SOCKET).touch()
    assert asyncio.run(rung(tmp_path, 1)) == ["listen"]


def test_only_the_own_user_may_ring(tmp_path: Path) -> None:
    async def mode() -> int:
        answering = asyncio.create_task(answer_rings(tmp_path, lambda _: None))
        await _made(tmp_path / SOCKET)
        found = stat.S_IMODE((tmp_path / SOCKET).stat().st_mode)
        answering.cancel()
        await asyncio.wait([answering])
        return found

    assert asyncio.run(mode()) == 0o600


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no daemon answers") as caught:
        ask(tmp_path, "listen")
    assert "edgeagent run" in caught.value.remedy


def test_a_folder_that_takes_no_socket_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    asyncio.run(answer_rings(tmp_path / "absent", lambda _: None))
    assert "no push to talk" in caplog.text


def test_who_always_listens_need_not_be_called(tmp_path: Path) -> None:
    file = tmp_path / "edgeagent.toml"
    file.write_text(f'[device]\nstate_dir = "{tmp_path}"\n')
    done = CliRunner().invoke(app, ["talk", "--settings", str(file)])
    assert isinstance(done.exception, SettingsError)
    assert "push_to_talk" in done.exception.remedy
