"""`edgeagent simulate`: a virtual house or plant on the bus, to try things out without devices."""

from rich.console import Console

from edgeagent.agent import running_broker
from edgeagent.settings import AgentSettings
from edgeagent.simulate.house import house, mixed_house, plant
from edgeagent.simulate.live import live

PLACES = {"house": house, "mixed": mixed_house, "plant": plant}


async def simulate(settings: AgentSettings, place: str) -> int:
    """Run until interrupted."""
    broker = running_broker(settings).broker
    virtual = PLACES[place]()
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(f"a virtual {place} on {broker.host}:{broker.port}: {', '.join(virtual.keys)}")
    await live(virtual, broker, client_id=f"virtual-{place}")
    return 0
