"""A chore to what came of it, done by another process, which is killed when it takes too long or is not wanted."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any, Literal

from edgeagent.errors import UpdateError
from edgeagent.settings import AgentSettings

LARGEST_RESULT_BYTES = 1 << 20
LARGEST_NOISE_BYTES = 2_000


async def done_beside(chore: Literal["self-test", "clips", "look"], settings: AgentSettings) -> dict[str, Any]:
    """Have a chore done with these settings, and return what came of it. Raise UpdateError by how it failed."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "edgeagent.fleet.chores", chore),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            limit=LARGEST_RESULT_BYTES,
        )
    except OSError as error:
        raise UpdateError(f"{chore} cannot be started: {error.strerror}", code="crash") from error
    try:
        said, noise = await process.communicate(settings.model_dump_json().encode())
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    try:
        found = json.loads(said[:LARGEST_RESULT_BYTES])
        if process.returncode or not isinstance(found, dict):
            raise ValueError(f"exit status {process.returncode}")  # noqa: TRY301  # one way out of many
    except (ValueError, RecursionError) as error:
        last = noise[-LARGEST_NOISE_BYTES:].decode(errors="replace").strip().rpartition("\n")[2]
        raise UpdateError(f"{chore} has failed: {error}: {last}", code="crash") from error
    if "result" not in found:
        raise UpdateError(str(found.get("problem", "")), code=str(found.get("code", "failed")))
    result: dict[str, Any] = found["result"]
    return result
