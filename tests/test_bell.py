"""Push to talk from the same machine: to connect is to ring; who is not there, or may not, is told so."""

import asyncio
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeagent.__main__ import app
from edgeagent.bell import SOCKET, answer_rings, ring
from edgeagent.errors import SettingsError


async def rung(folder: Path, times: int) -> list[str]:
    """Return by whom the daemon was rung."""
    heard: list[str] = []
    answering = asyncio.create_task(answer_rings(folder, heard.append))
    await _made(folder / SOCKET)
    for _ in range(times):
        await asyncio.to_thread(ring, folder)
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
    assert asyncio.run(rung(tmp_path, 3)) == ["bell"] * 3


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    asyncio.run(rung(tmp_path, 1))
    (tmp_path / SOCKET).unlink(missing_ok=True)
    (tmp_path / SOCKET).touch()
    assert asyncio.run(rung(tmp_path, 1)) == ["bell"]


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
        ring(tmp_path)
    assert "edgeagent run" in caught.value.remedy


def test_a_folder_that_takes_no_socket_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(answer_rings(tmp_path / "absent", lambda _: None))
    assert "no push to talk" in caplog.text


def test_who_always_listens_need_not_be_called(tmp_path: Path) -> None:
    file = tmp_path / "edgeagent.toml"
    file.write_text(f'[device]\nstate_dir = "{tmp_path}"\n')
    done = CliRunner().invoke(app, ["talk", "--settings", str(file)])
    assert isinstance(done.exception, SettingsError)
    assert "push_to_talk" in done.exception.remedy
