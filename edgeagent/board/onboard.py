"""Settings and the HAT's profile to what a daemon has on board: signs that it shows, and duties that obey the person.

Rules:
    - What the owner says of a lamp or a button stands in place of what the HAT's profile says of it, whole.
    - A short press asks for an ear; not while the microphone is closed, which the lamps say.
    - A long press closes the microphone or opens it; it opens nothing that a switch holds closed.
    - A switch that is closed when we begin closes the microphone; one that is open opens nothing that was closed.
    - What stands in the way of a first boot is shown as a broker that is away: the device is not in its fleet.
"""

import asyncio
import difflib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgeagent.answer.patterns import Pattern, Sign
from edgeagent.bell import Wish
from edgeagent.board.button import Press, positions, presses
from edgeagent.board.errors import BoardError
from edgeagent.board.lights import TRY_AGAIN_S, Light, MuteLine, light_of, mute_line
from edgeagent.board.lines import LABELS, InputLine, Line, Lines, header
from edgeagent.board.nouns import HatLine, HatProfile
from edgeagent.board.profiles import boards, hats
from edgeagent.errors import SettingsError
from edgeagent.parts import Parts
from edgeagent.settings import AgentSettings, BoardSettings, ContactSettings, LightSettings
from edgeagent.unenrolled import is_left

log = logging.getLogger(__name__)

LOOK_AT_LINK_S = 1.0


@dataclass(frozen=True, slots=True)
class Fittings:
    """What there is on a board, and the labels of the chip that its lines are on."""

    labels: tuple[str, ...] = LABELS
    light: LightSettings | None = None
    button: ContactSettings | None = None
    switch: ContactSettings | None = None


def fittings(settings: BoardSettings, hat: HatProfile | None, labels: Sequence[str]) -> Fittings:
    """Return what there is, by the owner and by the HAT's profile. Raise BoardError if that one cannot be."""
    chips = tuple(labels) or LABELS
    return Fittings(
        chips if settings.chip is None else (settings.chip,),
        settings.light or (None if hat is None else _light(hat)),
        settings.button or (None if hat is None else _contact(hat.button)),
        settings.mute_switch or (None if hat is None else _contact(hat.mute)),
    )


def wish_of(press: Press, *, is_muted: bool, is_held_closed: bool) -> Wish | None:
    """Return what a press asks for; `is_held_closed`: a switch closes the microphone."""
    match press:
        case "short":
            return None if is_muted else "listen"
        case "long" if not is_muted:
            return "mute"
        case "long":
            return None if is_held_closed else "unmute"
        case "stuck":
            return None


@dataclass(frozen=True, slots=True)
class OnBoard:
    """What a daemon has on board."""

    fittings: Fittings
    lines: Callable[[], Lines]
    muted: threading.Event
    light: Light | None
    mute_lines: tuple[MuteLine, ...]
    is_away: threading.Event = field(default_factory=threading.Event)
    """Set while the broker is not in reach, or a first boot is not at its end."""
    held_closed: threading.Event = field(default_factory=threading.Event)
    """Set while a switch closes the microphone."""
    root: Path = Path("/")

    @property
    def signs(self) -> tuple[Sign, ...]:
        """What shows patterns."""
        return self.mute_lines if self.light is None else (self.light, *self.mute_lines)

    def shown_by(self, parts: Parts) -> Parts:
        """Return the parts of an agent, with these signs beside its own."""
        return replace(parts, signs=(*parts.signs, *self.signs))

    def duties(
        self, rung: Callable[[Wish], None], is_connected: Callable[[], bool]
    ) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what is to be done for ever: `rung` is told what the person wants."""
        duties: dict[str, Coroutine[Any, Any, None]] = {}
        if self.fittings.button is not None:
            duties["button"] = _kept("button", self.fittings.button, self.lines, lambda line: self._press(line, rung))
        if self.fittings.switch is not None:
            duties["mute switch"] = _kept(
                "mute switch", self.fittings.switch, self.lines, lambda line: self._follow(line, rung)
            )
        if self.light is not None:
            duties["show the link"] = self._show_link(self.light, is_connected)
        return duties

    async def _press(self, line: InputLine, rung: Callable[[Wish], None]) -> None:
        async for press in presses(line):
            if press == "stuck":
                log.warning("the button is stuck")
            is_muted, is_held = self.muted.is_set(), self.held_closed.is_set()
            if (wish := wish_of(press, is_muted=is_muted, is_held_closed=is_held)) is not None:
                rung(wish)

    async def _follow(self, line: InputLine, rung: Callable[[Wish], None]) -> None:
        is_first = True
        async for is_closed in positions(line):
            (self.held_closed.set if is_closed else self.held_closed.clear)()
            if is_closed != self.muted.is_set() and (is_closed or not is_first):
                rung("mute" if is_closed else "unmute")
            is_first = False

    async def _show_link(self, light: Light, is_connected: Callable[[], bool]) -> None:
        while True:
            is_away = not is_connected() or is_left(self.root)
            if is_away != self.is_away.is_set():
                (self.is_away.set if is_away else self.is_away.clear)()
                light.look()
            await asyncio.sleep(LOOK_AT_LINK_S)


@asynccontextmanager
async def on_board(
    settings: AgentSettings,
    muted: threading.Event,
    lines: Callable[[], Lines] | None = None,
    root: Path = Path("/"),
) -> AsyncIterator[OnBoard]:
    """Have lamps shine while the block runs. Raise SettingsError if the settings name a HAT that nobody knows."""
    board, found = settings.board, _found(settings)
    of_header = lines or (lambda: header(found.labels))
    is_away = threading.Event()

    def resting() -> Pattern:
        return "muted" if muted.is_set() else "offline" if is_away.is_set() else "idle"

    kind = None if found.light is None else light_of(found.light, board.brightness, of_header)
    light = None if kind is None else Light(*kind, resting)
    outputs = {"mute lamp": board.mute_lamp, "mute cut": board.mute_cut}
    mute_lines = tuple(
        mute_line(name, output, of_header, muted.is_set) for name, output in outputs.items() if output is not None
    )
    async with AsyncExitStack() as stack:
        for one in mute_lines:
            await stack.enter_async_context(one.running())
        if light is not None:
            await stack.enter_async_context(light.running())
        yield OnBoard(found, of_header, muted, light, mute_lines, is_away, root=root)


def _found(settings: AgentSettings) -> Fittings:
    """Return what there is. Profiles that cannot be read or used are said so, and what the owner has named stays."""
    board, hat, labels = settings.board, None, tuple[str, ...]()
    try:
        hat = _hat(board.hat)
        profile = None if board.chip is not None else boards().get(settings.device.board)
        labels = () if profile is None else profile.gpiochip_labels
        return fittings(board, hat, labels)
    except BoardError as error:
        log.warning("a profile cannot be used", extra={"problem": str(error), "remedy": error.remedy})
    return fittings(board, None, labels)


async def _kept(
    name: str,
    contact: ContactSettings,
    lines: Callable[[], Lines],
    attend: Callable[[InputLine], Coroutine[Any, Any, None]],
) -> None:
    """Attend to a line for ever; one that fails is said so once, and tried again."""
    is_away = False
    while True:
        try:
            with lines().input(Line(contact.line, contact.active_low)) as line:
                if is_away:
                    log.info("a line is back", extra={"what": name})
                is_away = False
                await attend(line)
        except BoardError as error:
            if not is_away:
                extra = {"what": name, "problem": str(error), "remedy": error.remedy}
                log.warning("a line cannot be used", extra=extra)
            is_away = True
        await asyncio.sleep(TRY_AGAIN_S)


def _hat(name: str | None) -> HatProfile | None:
    if name is None:
        return None
    known = hats()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"
    raise SettingsError(
        f"board.hat: there is no {name}{hint}", remedy="`edgeagent board show` names what is plugged in."
    )


def _light(hat: HatProfile) -> LightSettings | None:
    if hat.light.kind == "none":
        return None
    try:
        return LightSettings.model_validate(hat.light.model_dump())
    except ValidationError as error:
        problem = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
        raise BoardError(f"{hat.id}: light: {problem}", remedy="Mend the profile: see hardware/README.md.") from error


def _contact(line: HatLine | None) -> ContactSettings | None:
    return None if line is None else ContactSettings(line=line.line, active_low=line.active_low)
