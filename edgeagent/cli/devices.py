"""`edgeagent devices`: what was discovered, what can be said to it, and what was left out."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from edgeagent.agent import Agent, Parts, opened, running_broker
from edgeagent.errors import BusError
from edgeagent.logs import printable
from edgeagent.messages import Value
from edgeagent.settings import AgentSettings


async def show_devices(settings: AgentSettings, *, is_json: bool) -> int:
    """Print the devices on the bus; return the exit code."""
    async with opened(running_broker(settings), Parts(lambda _: None)) as agent:
        await agent.settle()
        if not agent.bus.is_connected:
            raise BusError(f"no broker: {agent.bus.trouble or 'it does not answer'}", remedy="`edgeagent doctor`")
        found = as_object(agent)
    if is_json:
        print(json.dumps(found))  # noqa: T201  # the command's result
    else:
        _print(found, Console(highlight=False, markup=False, emoji=False))
    return 0


def as_object(agent: Agent) -> dict[str, Any]:
    """Return everything that is known, ready for JSON."""
    registry = agent.devices
    rows = [
        {
            "id": device.id,
            "name": device.name,
            "kind": device.kind,
            "area": device.area,
            "can": sorted(device.capabilities),
            "dialect": device.dialect,
            "available": registry.is_available(device.id),
            "values": dict(registry.values(device.id)),
            "units": dict(device.units),
        }
        for device in sorted(registry.all_devices(), key=lambda device: (device.area or "", device.name))
    ]
    twins = [
        {"what": entity.device.name, "why": f"its {entity.device.dialect} twin: spoken to by {better}"}
        for twin, better in registry.put_by().items()
        if (entity := registry.entity(twin)) is not None
    ]
    left_out = [{"what": one.subject, "why": one.reason} for one in (*registry.refusals, *registry.names().left_out)]
    conflicts = [
        {"device": one.device.id, "claimed_by": one.claimed_by, "held_by": one.held_by} for one in registry.conflicts
    ]
    return {"devices": rows, "left_out": [*left_out, *twins], "conflicts": conflicts}


def _print(found: dict[str, Any], console: Console) -> None:
    if not found["devices"]:
        console.print("No device has announced itself: by Home Assistant's discovery, Zigbee2MQTT, Tasmota or Homie 5.")
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for title in ("area", "name", "kind", "by", "can", "state"):
            table.add_column(title, overflow="fold")
        for row in found["devices"]:
            state = ", ".join(_shown(name, value, row["units"]) for name, value in row["values"].items())
            able = ", ".join(row["can"]).replace("_", " ")
            cells = (row["area"] or "", row["name"], row["kind"], row["dialect"], able)
            table.add_row(*map(printable, cells), printable(state) if row["available"] else "offline")
        console.print(table)
    for row in found["left_out"]:
        console.print(printable(f"left out: {row['what']}: {row['why']}"), style="yellow", soft_wrap=True)
    for row in found["conflicts"]:
        conflict = f"conflict: {row['claimed_by']} claims {row['device']}, which {row['held_by']} holds"
        console.print(printable(conflict), style="red", soft_wrap=True)


def _shown(capability: str, value: Value, units: Mapping[str, str]) -> str:
    number = f"{value:g}" if isinstance(value, float) else value
    return f"{capability.replace('_', ' ')} {number} {units.get(capability, '')}".rstrip()
