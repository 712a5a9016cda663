"""What Home Assistant and a Rhasspy site want of this device, carried out; and what happens, told to both.

Rules:
- what takes no time is done at once; what is said aloud or understood waits its turn, in a queue that is soon full;
- a connection begins with all that is announced; so does a start of Home Assistant, but not too often.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from edgeagent import topics
from edgeagent.bridges import hermes, homeassistant
from edgeagent.bridges.hermes import InHermes
from edgeagent.bridges.hermes_forms import Listen, Mute, Query, SayAloud, StopListening
from edgeagent.bridges.homeassistant import (
    AnnounceAgain,
    Condition,
    InHomeAssistant,
    ListenWish,
    MuteWish,
    SensitivityWish,
    ThresholdWish,
)
from edgeagent.inbox import Received
from edgeagent.messages import Interpretation, Message, Step
from edgeagent.settings import AgentSettings

log = logging.getLogger(__name__)

WAITING = 4
"""Wishes that wait for one that is being said; more are dropped."""
LOOK_S = 1.0
"""How often it is looked whether the agent's condition has changed, or a session is late."""
ANNOUNCED_APART_S = 2.0
NOT_UNDERSTOOD = "not understood; more of these are only counted"


class Controlled(Protocol):
    """What may be wanted of an agent. All of it is called in the event loop."""

    def mute(self, *, on: bool) -> None:
        """Close the microphone, or open it."""
        ...

    def listen(self, by: str) -> None:
        """Listen to what is said next, as after a wake word; `by` says who wants it."""
        ...

    def stop_listening(self) -> None:
        """Listen no more, until called."""
        ...

    def use_threshold(self, unsure_below: float) -> None:
        """Refuse transcripts that are less sure than this, in 0..1, until the agent ends."""
        ...

    def use_cutoff(self, cutoff: float) -> None:
        """Take a wake word for said from this probability on, in 0.01..1, until the agent ends."""
        ...

    def understand(self, text: str) -> Interpretation:
        """Return what a typed sentence is taken for, and do nothing for it."""
        ...

    async def say(self, text: str) -> None:
        """Tell the person, in every way there is."""
        ...

    def condition(self) -> Condition:
        """Return how the agent is now."""
        ...


class Link(Protocol):
    """What is needed of the bus."""

    async def until(self, *, connected: bool) -> None:
        """Wait until the link is up, or until it is down."""
        ...


class Control:
    """Both bridges, as far as the settings want them. `offer` takes messages, and never waits."""

    def __init__(
        self, settings: AgentSettings, home: InHomeAssistant, agent: Controlled, offer: Callable[[Message], None]
    ) -> None:
        """Begin with nothing told."""
        self._home = home
        self._is_announced = settings.homeassistant.announce
        self._hermes = None if settings.hermes.site is None else InHermes(settings)
        self._agent = agent
        self._offer = offer
        self._wishes: asyncio.Queue[Listen | SayAloud | StopListening | Query] = asyncio.Queue(WAITING)
        self._is_to_announce = asyncio.Event()
        self.dropped = 0
        """Wishes that came while too many waited."""

    @property
    def filters(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return (*(self._home.filters if self._is_announced else ()), *(self._hermes.filters if self._hermes else ()))

    def tell(self, step: Step) -> None:
        """Tell others what happens."""
        if self._is_announced:
            self._offer_all(self._home.of_step(step))
        if self._hermes is not None:
            self._offer_all(self._hermes.of_step(step))

    def take(self, received: Received) -> bool:
        """Do what a message wants, or have it done in its turn; return whether it was one for a bridge."""
        if not any(topics.matches(pattern, received.topic) for pattern in self.filters):
            return False
        if received.topic.startswith("hermes/") and self._hermes is not None:
            self._take_hermes(self._hermes, received)
        else:
            self._take_home(received)
        return True

    def _take_home(self, received: Received) -> None:
        unread = self._home.unread
        match self._home.wish(received.topic, received.payload, retained=received.retained):
            case MuteWish(on=on):
                self._agent.mute(on=on)
            case ListenWish():
                self._agent.listen(homeassistant.RINGER)
            case ThresholdWish(unsure_below=value):
                self._agent.use_threshold(value)
                self._offer_all(self._home.state(self._agent.condition()))
            case SensitivityWish(cutoff=value):
                self._agent.use_cutoff(value)
                self._offer_all(self._home.state(self._agent.condition()))
            case AnnounceAgain():
                self._is_to_announce.set()
        if self._home.unread > unread == 0:
            log.warning(NOT_UNDERSTOOD, extra={"topic": received.topic[:200]})

    def _take_hermes(self, site: InHermes, received: Received) -> None:
        unread = site.unread
        wish = site.wish(received.topic, received.payload, retained=received.retained)
        if site.unread > unread == 0:
            log.warning(NOT_UNDERSTOOD, extra={"topic": received.topic[:200]})
        if isinstance(wish, StopListening):
            self._agent.stop_listening()
        match wish:
            case None:
                return
            case Mute(on=on):
                self._agent.mute(on=on)
            case _ if self._wishes.full():
                self.dropped += 1
                log.warning("too much is wanted at once", extra={"topic": received.topic[:200]})
            case _:
                self._wishes.put_nowait(wish)

    async def obey(self) -> None:
        """Do what is wanted, one wish after the other, for ever."""
        while self._hermes is not None:
            await self._do(await self._wishes.get(), self._hermes)

    async def watch(self) -> None:
        """Tell how the agent is when that changes, and end sessions in which nothing is said, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._is_announced:
                self._offer_all(self._home.state(self._agent.condition()))
            if self._hermes is not None:
                self._offer_all(self._hermes.late())

    async def greet(self, link: Link) -> None:
        """Announce the device on every connection, for ever; where it is not to be announced, take that back."""
        while True:
            await link.until(connected=True)
            if self._is_announced:
                self._is_to_announce.set()
            else:
                self._offer(self._home.withdrawal())
            await link.until(connected=False)

    async def announce(self) -> None:
        """Announce the device and tell its states where that is due, for ever."""
        while True:
            await self._is_to_announce.wait()
            self._is_to_announce.clear()
            self._offer(self._home.announcement())
            self._offer_all(self._home.states(self._agent.condition()))
            await asyncio.sleep(ANNOUNCED_APART_S)

    async def _do(self, wish: Listen | SayAloud | StopListening | Query, site: InHermes) -> None:
        match wish:
            case Listen(text=text):
                self._offer_all(site.begun(wish))
                if text:
                    await self._agent.say(text)
                self._agent.listen(hermes.RINGER)
            case SayAloud(text=text):
                self._offer_all(site.begun(wish))
                await self._agent.say(text)
                self._offer_all(site.said(wish))
            case StopListening(text=text):
                if text:
                    await self._agent.say(text)
                self._offer_all(site.stopped(wish))
            case Query(text=text):
                self._offer_all(site.answered(wish, self._agent.understand(text)))

    def _offer_all(self, messages: tuple[Message, ...]) -> None:
        for message in messages:
            self._offer(message)
