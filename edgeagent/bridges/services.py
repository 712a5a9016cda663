"""What edgeagent offers to programs that speak to it in their own protocols, and the start of those that are wanted."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from edgeagent.errors import SettingsError
from edgeagent.listening import Listening
from edgeagent.messages import Command, Device
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a sentence that was to be obeyed: the sentence for the person, and whether all of it was done."""

    text: str
    is_done: bool


def _nobody(_: str) -> Device | None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """What is done for others.

    `understand` gives the commands of a sentence in their order, none where it was not understood. `obey` does what a
    sentence asks for; None where sentences are only to be understood. `named` gives the one device of a name, None
    where there is none or several. `accompany` is endless work beside an ear that was made, as learning free speech.
    """

    understand: Callable[[str], Sequence[Command]]
    obey: Callable[[str], Awaitable[Answered]] | None = None
    named: Callable[[str], Device | None] = _nobody
    accompany: Callable[[Listening], Coroutine[Any, Any, None]] | None = None


async def serve_wyoming(settings: AgentSettings, current: Callable[[], Interpreter], services: Services) -> None:
    """Serve the Wyoming protocol for ever where the settings say so; return at once where they do not.

    `current` gives the interpreter by which the next utterance is heard. Raise SettingsError if the package is missing,
    the address may not be used, or somebody else uses it.
    """
    if settings.wyoming.uri is None:
        return
    try:
        from edgeagent.bridges.wyoming import serve  # noqa: PLC0415  # an extra, loaded where it is wanted
    except ImportError as error:
        remedy = 'pip install "edgeagent[wyoming]", or leave [wyoming] uri out.'
        raise SettingsError("[wyoming] needs the package wyoming, which is not installed", remedy=remedy) from error
    await serve(settings, current, services)
