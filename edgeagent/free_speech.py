"""The language model of free speech, made in a process of its own: it takes seconds, and the listening needs the lock.

Whoever stops waiting for the process ends it.
"""

import asyncio
import json
import sys
from dataclasses import asdict

from edgeagent.errors import ModelError
from edgeagent.hear.free_speech import Wordings

_NICE = 10
"""Nobody waits for it: what is heard and done now comes first."""


async def made_beside(wordings: Wordings | None) -> str | None:
    """Return the model of what may be said; None of nothing. Raise ModelError if the process fails."""
    if wordings is None:
        return None
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", str(_NICE), sys.executable, "-m", "edgeagent.hear.free_speech"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        model, complaint = await process.communicate(json.dumps(asdict(wordings)).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        said = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
        remedy = 'The grammar goes on alone; [hearing] effort = "light" does without.'
        raise ModelError(f"the language model cannot be made ({process.returncode}): {' '.join(said)}", remedy=remedy)
    return model.decode("utf-8")
