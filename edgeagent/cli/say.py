"""`edgeagent say`: typed sentences, the same way as spoken ones."""

import sys
from collections.abc import Sequence

from edgeagent.agent import Parts
from edgeagent.errors import BusError
from edgeagent.lifetimes import opened, running_broker
from edgeagent.messages import Answer, Rejection, Step
from edgeagent.settings import AgentSettings
from edgeagent.timeline import JsonTimeline
from edgeagent.timeline_printed import PrintedTimeline

REFUSED = 3
"""Exit code where nothing was done: refused, or it failed."""


async def say_all(
    settings: AgentSettings, sentences: Sequence[str], *, is_dry_run: bool, is_json: bool, explains: bool = False
) -> int:
    """Do what the sentences ask for; return 0 if every one was carried out, asked about or answered."""
    refused: list[Step] = []
    shown = JsonTimeline() if is_json else PrintedTimeline(explains=explains)

    def report(step: Step) -> None:
        shown(step)
        if isinstance(step, Rejection) or (isinstance(step, Answer) and step.is_trouble):
            refused.append(step)

    async with opened(running_broker(settings), Parts(report, is_dry_run=is_dry_run)) as agent:
        await agent.settle()
        if not agent.bus.is_connected:
            raise BusError(f"no broker: {agent.bus.trouble or 'it does not answer'}", remedy=_NO_BROKER)
        for sentence in sentences:
            await agent.obey_text(sentence)
    sys.stdout.flush()
    return REFUSED if refused else 0


_NO_BROKER = "Start the daemon (`edgeagent run`), or name your broker in the settings: [broker] host."
