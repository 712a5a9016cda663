"""What takes long or much memory, in a process of its own: `python -m edgeagent.fleet.chores NAME`, by `beside.py`.

Settings come as JSON on the standard input; what came of it goes as one JSON object to the standard output. Whatever
becomes of this process, the daemon goes on listening.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from edgeagent import doctor
from edgeagent.errors import EdgeAgentError
from edgeagent.evaluate.clips import evaluate_clips
from edgeagent.onlooking import house_without_names
from edgeagent.settings import AgentSettings
from edgeagent.understanding import model_folder
from edgeagent.update.self_test import self_test

_NICENESS = 10
"""The daemon listens meanwhile."""
_FIGURES = ("n", "right", "same", "changed", "better", "worse", "unreadable")


def test_itself(settings: AgentSettings) -> dict[str, Any]:
    """Have the model that is in use decide its golden sentences. Raise UpdateError if it does so in another way."""
    folder = model_folder(settings.understanding)
    report = self_test("model", folder, None, settings=settings.model_dump_json())
    return {"model": folder.name, **report.model_dump()}


def play_clips(settings: AgentSettings) -> dict[str, Any]:
    """Play the owner's recordings, and tell how many are understood; not what is said in them."""
    found = evaluate_clips(settings, house_without_names("the names are those of the clips"))
    return {name: found[name] for name in _FIGURES}


def look(settings: AgentSettings) -> dict[str, Any]:
    """Look at what stands in the way. Not at microphone and broker: the daemon has them, and knows."""

    async def reached() -> str:
        return "left to the daemon"

    found = asyncio.run(doctor.examine(settings, reached))
    told = [one for one in found if one.subject not in {"microphone", "broker"}]
    return {"findings": [{"subject": one.subject, "verdict": one.verdict, "found": one.found} for one in told]}


CHORES: Mapping[str, Callable[[AgentSettings], dict[str, Any]]] = {
    "self-test": test_itself,
    "clips": play_clips,
    "look": look,
}


def main(name: str, given: str, output: int) -> int:
    """Do one of them; return the exit code."""
    os.nice(_NICENESS)
    told: dict[str, Any]
    try:
        told = {"result": CHORES[name](AgentSettings.model_validate_json(given))}
    except EdgeAgentError as error:
        told = {"code": getattr(error, "code", "") or "failed", "problem": f"{error} {error.remedy}".strip()}
    with os.fdopen(output, "w") as file:
        json.dump(told, file)
    return 0


if __name__ == "__main__":
    # What a library prints is not taken for what came of it.
    mine = os.dup(1)
    os.dup2(2, 1)
    sys.exit(main(sys.argv[1], sys.stdin.read(), mine))
