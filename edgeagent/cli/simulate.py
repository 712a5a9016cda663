"""`edgeagent simulate`: a virtual house or plant on the bus, to try things out without devices."""

from rich.console import Console

from edgeagent.lifetimes import running_broker
from edgeagent.settings import AgentSettings, BrokerSettings
from edgeagent.simulate import sparkplug_plant
from edgeagent.simulate.house import house, mixed_house, plant
from edgeagent.simulate.live import live

HEARTBEAT_S = 5.0
PLACES = {"house": house, "mixed": mixed_house, "plant": plant}


async def simulate(settings: AgentSettings, place: str) -> int:
    """Run until interrupted."""
    broker = running_broker(settings).broker
    if place == "sparkplug":
        return await _sparkplug(settings.sparkplug.broker or broker)
    virtual = PLACES[place]()
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(f"a virtual {place} on {broker.host}:{broker.port}: {', '.join(virtual.keys)}")
    await live(virtual, broker, client_id=f"virtual-{place}")
    return 0


async def _sparkplug(broker: BrokerSettings) -> int:
    node = sparkplug_plant.plant()
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(
        f"a plant that speaks Sparkplug B on {broker.host}:{broker.port}: group {node.group}, node {node.node}"
    )
    await sparkplug_plant.live_plant(broker, node, heartbeat_s=HEARTBEAT_S)
    return 0
