"""The names of a house's devices, as an onlooker finds them on the bus, to what is understood with them."""

import asyncio
import time
from dataclasses import dataclass
from typing import get_args

from edgeagent.act import names
from edgeagent.act.vocabulary import Lists, lists_of
from edgeagent.agent import TAUGHT, Parts
from edgeagent.grammar import commands
from edgeagent.lifetimes import opened, running_broker
from edgeagent.messages import Kind
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.taught import load_taught
from edgeagent.understanding import interpreter_of

REACHED_WITHIN_S = 1.0
"""A broker that is there answers sooner; who only wants to listen does not wait longer for one that is not."""
_LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class House:
    """What the devices are called, and of which kinds they are. `trouble` says why the bus told nothing."""

    lists: Lists
    kinds: frozenset[Kind]
    trouble: str = ""

    @property
    def is_known(self) -> bool:
        """Tell whether this is what the bus told."""
        return not self.trouble


def house_without_names(trouble: str) -> House:
    """Return a house of which nothing is known: there may be anything in it, called by no name."""
    return House(lists_of(names.collect(())), frozenset(get_args(Kind)), trouble)


async def house_on_bus(settings: AgentSettings, within_s: float = REACHED_WITHIN_S) -> House:
    """Return what is on the bus now; where no broker answers in time, a house without names that says so."""
    async with opened(running_broker(settings), Parts(lambda _: None)) as agent:
        began = time.monotonic()
        while not agent.bus.is_connected:
            if time.monotonic() - began > within_s:
                return house_without_names(str(agent.bus.trouble or "the broker does not answer"))
            await asyncio.sleep(_LOOK_AGAIN_S)
        await agent.settle()
        kinds = frozenset(device.kind for device in agent.devices.all_devices())
        return House(lists_of(agent.devices.names()), kinds)


def interpreter_in(house: House, settings: AgentSettings, model: CommandModel | None) -> Interpreter:
    """Return what understands as the daemon does: the commands, what was taught, and the names of this house."""
    own = [commands.load(path) for path in settings.acting.command_files]
    return interpreter_of(
        commands.merge([commands.built_in(settings.acting.commands), *own]),
        house.lists,
        house.kinds,
        model,
        unsure_below=settings.hearing.unsure_below,
        taught=load_taught(settings.device.state_dir / TAUGHT),
    )
