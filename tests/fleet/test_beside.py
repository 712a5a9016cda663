"""What takes long is done by another process: what came of it, how it fails, and that nothing of it is left."""

import asyncio
import json
from pathlib import Path

import pytest
from brokers import eventually, run

from edgeagent.errors import UpdateError
from edgeagent.fleet.beside import done_beside
from edgeagent.settings import AgentSettings, parse


def owners(state: Path, more: str = "") -> AgentSettings:
    return parse(f'[device]\nstate_dir = "{state}"\n{more}')


def children() -> list[int]:
    """Return the processes that do chores now, for this test's process."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = status.read_text().partition(" ")
            is_ours = "edgeagent.fleet.chores" in (status.parent / "cmdline").read_text()
        except OSError:
            continue
        if is_ours and rest.rpartition(")")[2].split()[1] == Path("/proc/self").resolve().name:
            found.append(int(number))
    return found


def test_a_device_looks_at_itself_but_not_at_what_the_daemon_holds(tmp_path: Path) -> None:
    async def scene() -> None:
        found = await done_beside("look", owners(tmp_path))
        subjects = {one["subject"]: one["verdict"] for one in found["findings"]}
        assert subjects["permissions"] == "ok"
        assert not {"microphone", "broker"} & subjects.keys()
        assert json.dumps(found)

    run(scene(), 60)


def test_what_fails_is_told_by_its_code_and_its_reason(tmp_path: Path) -> None:
    async def scene() -> None:
        (tmp_path / "model").mkdir()
        with pytest.raises(UpdateError) as caught:
            await done_beside("self-test", owners(tmp_path, f'[understanding]\nmodel = "{tmp_path / "model"}"\n'))
        assert caught.value.code == "self-test-refused"
        with pytest.raises(UpdateError, match="has failed") as caught:
            await done_beside("nothing", owners(tmp_path))  # type: ignore[arg-type]  # a child that crashes
        assert caught.value.code == "crash"

    run(scene(), 60)


def test_a_chore_that_is_no_longer_wanted_leaves_no_process_behind(tmp_path: Path) -> None:
    async def scene() -> None:
        task = asyncio.create_task(done_beside("self-test", owners(tmp_path)))
        await eventually(children)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not children()

    run(scene(), 60)
