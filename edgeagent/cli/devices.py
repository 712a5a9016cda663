"""`edgeagent devices`: what was discovered, what can be said to it, and what was left out."""

import json
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from edgeagent.act.help import examples_for
from edgeagent.agent import Agent, Parts
from edgeagent.errors import BusError
from edgeagent.lifetimes import opened, running_broker
from edgeagent.logs import printable
from edgeagent.messages import Value
from edgeagent.settings import AgentSettings


async def show_devices(settings: AgentSettings, *, is_json: bool, with_examples: bool = False) -> int:
    """Print the devices on the bus, with what can be said to each if that is wanted; return the exit code."""
    async with opened(running_broker(settings), Parts(lambda _: None)) as agent:
        await agent.settle()
        if not agent.bus.is_connected:
            raise BusError(f"no broker: {agent.bus.trouble or 'it does not answer'}", remedy="`edgeagent doctor`")
        found = as_object(agent)
    if is_json:
        print(json.dumps(found))  # noqa: T201  # the command's result
    else:
        _print(found, Console(highlight=False, markup=False, emoji=False), with_examples=with_examples)
    return 0


def as_object(agent: Agent) -> dict[str, Any]:
    """Return everything that is known, ready for JSON."""
    registry, now_s = agent.devices, time.monotonic()
    rows = [
        {
            "id": device.id,
            "name": device.name,
            "kind": device.kind,
            "area": device.area,
            "can": sorted(device.capabilities),
            "dialect": device.dialect,
            "available": registry.is_available(device.id),
            "seen_s_ago": _ago(registry.seen_s(device.id), now_s),
            "risk": device.risk,
            "say": list(examples_for(device)),
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
    twins += [
        {"what": device.name, "why": "its owner has ruled out that it is spoken to"} for device in registry.unspoken()
    ]
    left_out = [{"what": one.subject, "why": one.reason} for one in (*registry.refusals, *registry.names().left_out)]
    conflicts = [
        {"device": one.device.id, "claimed_by": one.claimed_by, "held_by": one.held_by} for one in registry.conflicts
    ]
    return {"devices": rows, "left_out": [*left_out, *twins], "conflicts": conflicts}


def _ago(seen_s: float | None, now_s: float) -> float | None:
    return None if seen_s is None else round(now_s - seen_s, 1)


def _seen(ago_s: float | None) -> str:
    return "never" if ago_s is None else f"{ago_s:.0f} s ago"


def _print(found: dict[str, Any], console: Console, *, with_examples: bool) -> None:
    if not found["devices"]:
        console.print("No device has announced itself: by Home Assistant's discovery, Zigbee2MQTT, Tasmota or Homie 5.")
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for title in ("area", "name", "kind", "by", "can", "state", "seen"):
            table.add_column(title, overflow="fold")
        for row in found["devices"]:
            state = ", ".join(_shown(name, value, row["units"]) for name, value in row["values"].items())
            able = ", ".join(row["can"]).replace("_", " ")
            cells = (row["area"] or "", row["name"], row["kind"], row["dialect"], able)
            told = printable(state) if row["available"] else "offline"
            table.add_row(*map(printable, cells), told, _seen(row["seen_s_ago"]))
        console.print(table)
    for row in found["devices"] if with_examples else ():
        where = f" in the {row['area']}" if row["area"] else ""
        console.print(printable(f"{row['name']}{where}: {'; '.join(row['say'])}"), soft_wrap=True)
    for row in found["left_out"]:
        console.print(printable(f"left out: {row['what']}: {row['why']}"), style="yellow", soft_wrap=True)
    for row in found["conflicts"]:
        conflict = f"conflict: {row['claimed_by']} claims {row['device']}, which {row['held_by']} holds"
        console.print(printable(conflict), style="red", soft_wrap=True)


def _shown(capability: str, value: Value, units: Mapping[str, str]) -> str:
    number = f"{value:g}" if isinstance(value, float) else value
    return f"{capability.replace('_', ' ')} {number} {units.get(capability, '')}".rstrip()
