"""`edgeagent doctor`: the findings as a table or as JSON."""

import asyncio
import json
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from edgeagent.bus import connect
from edgeagent.doctor import examine
from edgeagent.errors import BusError
from edgeagent.lifetimes import running_broker
from edgeagent.logs import printable
from edgeagent.settings import AgentSettings

_MARKS = {"ok": ("ok      ", "green"), "warning": ("warning ", "yellow"), "failure": ("failure ", "red")}


async def show_findings(settings: AgentSettings, *, is_json: bool) -> int:
    """Print what was found; return 1 if something stands in the way, else 0."""
    findings = await examine(settings, lambda: _reach(settings))
    if is_json:
        print(json.dumps([asdict(finding) for finding in findings]))  # noqa: T201  # the command's result
    else:
        console = Console(highlight=False)
        for finding in findings:
            mark, style = _MARKS[finding.verdict]
            found = Text.assemble((mark, style), (finding.subject.ljust(12), "bold"), printable(finding.found))
            console.print(found, soft_wrap=True)
            if finding.remedy:
                console.print(Text.assemble(("        type: ", "dim"), printable(finding.remedy)), soft_wrap=True)
    return int(any(finding.verdict == "failure" for finding in findings))


async def _reach(settings: AgentSettings) -> str:
    broker = running_broker(settings).broker.model_copy(update={"session_expiry_s": 0})
    where = f"{broker.host}:{broker.port}"
    async with connect(broker, client_id=f"{settings.device.id}-doctor") as bus:
        try:
            async with asyncio.timeout(broker.connect_timeout_s):
                await bus.until(connected=True)
        except TimeoutError:
            if settings.broker.host is None:
                return f"none runs at {where} now; `edgeagent run` starts its own there"
            remedy = f"Is it running? nc -vz {broker.host} {broker.port}   # and check [broker] in the settings"
            trouble = bus.trouble or "no answer"
            found = trouble if trouble.startswith(where) else f"{where}: {trouble}"
            raise BusError(found, remedy=remedy) from None
        return f"{where} answers, MQTT {bus.protocol}"
