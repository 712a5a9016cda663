"""The device's side of a fleet alone, with a link and an outbox, but without ears."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edgeagent.act.remembered import RememberedOrders
from edgeagent.answer.patterns import Pattern
from edgeagent.bus import Bus, connect
from edgeagent.duties import doing
from edgeagent.fleet.member import Member
from edgeagent.fleet.settings_kept import KeptSettings
from edgeagent.fleet.side import FleetSide
from edgeagent.hear.quality import SoundQuality
from edgeagent.messages import Interpretation, Outcome
from edgeagent.orders import Orders
from edgeagent.releases import in_use
from edgeagent.settings import AgentSettings, BrokerSettings, parse
from edgeagent.understand.interpret import Interpreter


class Ears:
    """Whom the fleet's side serves: takes down what it is asked."""

    def __init__(self, state: Path) -> None:
        self.muted: list[bool] = []
        self.said: list[str] = []
        self.signs: list[Pattern] = []
        self.is_served, self.asked = False, 0
        self.orders = Orders(RememberedOrders(state / "orders.json"), self)

    @property
    def is_idle(self) -> bool:
        self.asked += 1
        return not self.is_served

    @property
    def interpreter(self) -> Interpreter:
        raise NotImplementedError("nobody speaks here")

    async def obey(self, interpretation: Interpretation) -> tuple[Outcome, ...]:
        raise NotImplementedError(str(interpretation))

    async def obey_text(self, text: str) -> tuple[Outcome, ...]:
        raise NotImplementedError(text)

    def mute(self, *, on: bool) -> None:
        self.muted.append(on)

    def listen(self, by: str) -> None:
        raise NotImplementedError(by)

    async def say(self, text: str) -> None:
        self.said.append(text)

    def sign(self, pattern: Pattern) -> None:
        self.signs.append(pattern)


def settings_of(state: Path, broker: BrokerSettings, more: str = "") -> AgentSettings:
    """Return settings of a device whose fleet has this broker to itself."""
    updates = "" if "[update]" in more else "[update]\nfamilies = []\n"
    settings = parse(f'[device]\nstate_dir = "{state}"\n{updates}{more}')
    return settings.model_copy(update={"fleet": settings.fleet.model_copy(update={"broker": broker})})


@asynccontextmanager
async def side(
    state: Path, broker: BrokerSettings, more: str = "", *, is_met: bool = True
) -> AsyncIterator[tuple[FleetSide, Bus, Ears]]:
    """Give the side of the device while it does its duties; beginning it again is a start of the agent.

    `is_met`: the fleet is there.
    """
    kept = KeptSettings(settings_of(state, broker, more))
    member = Member(in_use(kept.start()), kept, muted=False)
    reports = member.reports
    async with connect(broker, client_id="edgeagent", will=reports.will, greetings=member.greetings) as bus:
        ears = Ears(state)
        found = FleetSide(member, bus, SoundQuality(), ears)
        try:
            async with found.keeping_log(), doing(found.duties()):
                await asyncio.wait_for(bus.until(connected=is_met), 5)
                yield found, bus, ears
        finally:
            await asyncio.to_thread(found.close, is_orderly=True)
