"""A server of the Wyoming protocol: `asr` that ends its own utterances, `intent`, `handle`. The only user of wyoming.

Rules:
    - The protocol has no passwords, so only this machine is served unless the settings say otherwise (address.py).
    - Everything is bounded: clients, the length of each part of an event, sound, texts, time.
    - `recognize` asks for intents, and we do nothing. `transcript` asks us to act, with all rules of safety, where we
      act for others at all; who selects the program of intents is given intents for it, too.
    - A client that breaks the protocol is told so and shown the door; one that dies leaves nothing behind.
"""

import asyncio
import io
import logging
import warnings
from collections.abc import Callable
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wyoming.audio imports audioop, which 3.11 warns of
    from wyoming.asr import Transcript as TranscriptEvent
    from wyoming.asr import TranscriptChunk, TranscriptStart, TranscriptStop
    from wyoming.error import Error
    from wyoming.event import Eventable, write_event
    from wyoming.handle import Handled, NotHandled
    from wyoming.info import (
        AsrModel,
        AsrProgram,
        Attribution,
        HandleModel,
        HandleProgram,
        Info,
        IntentModel,
        IntentProgram,
    )
    from wyoming.intent import Entity, Intent, IntentsStart, IntentsStop, NotRecognized
    from wyoming.ping import Pong

from edgeagent import __version__
from edgeagent.bridges.address import listening_at
from edgeagent.bridges.clients import Clients
from edgeagent.bridges.homeassistant_intents import intent_of
from edgeagent.bridges.services import Services
from edgeagent.bridges.wyoming_ear import Ear, Settled, Sound
from edgeagent.bridges.wyoming_wire import LONGEST_HEADER_BYTES, Received, receive
from edgeagent.errors import EdgeAgentError, PayloadError
from edgeagent.messages import SAMPLE_RATE_HZ, Transcript
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter

log = logging.getLogger(__name__)

IDLE_S = 60.0
"""A client that sends no whole event for this long is gone."""
OBEYED_WITHIN_S = 60.0
TAKEN_WITHIN_S = 10.0
"""A client that does not take what it is sent for this long is gone."""
GOODBYE_S = 0.5
"""How long a client that was shown the door may go on sending, so that it reads why."""
LONGEST_TEXT = 1_000
INTENTS, ACTS = "edgeagent-intents", "edgeagent"
"""The programs' names, for who selects one."""
NOT_UNDERSTOOD = "I did not understand that."
_LANGUAGES = ["en"]
_OUR_FORMAT = {"rate": SAMPLE_RATE_HZ, "width": 2, "channels": 1}


async def serve(settings: AgentSettings, current: Callable[[], Interpreter], services: Services) -> None:
    """Serve clients at `settings.wyoming.uri` for ever.

    `current` gives the interpreter by which the next utterance is heard. Raise SettingsError if the address may not be
    used, or cannot be.
    """
    uri = settings.wyoming.uri or ""
    ear = Ear(settings, current)
    clients = Clients("wyoming", lambda *streams: _Conversation(settings, ear, services, *streams).hold())
    wider = settings.wyoming.beyond_this_machine
    async with listening_at(uri, clients.admit, beyond_this_machine=wider, limit=LONGEST_HEADER_BYTES):
        log.info("wyoming", extra={"uri": uri})
        try:
            if services.accompany is not None:
                await services.accompany(await ear.loaded())
            await asyncio.Event().wait()
        finally:
            await clients.dismiss()


class _Conversation:
    """One client: what it asks, and what it is told."""

    def __init__(
        self,
        settings: AgentSettings,
        ear: Ear,
        services: Services,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._settings = settings
        self._ear = ear
        self._services = services
        self._reader = reader
        self._writer = writer
        self._program = ""
        self._sound: Sound | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._is_refused = False

    async def hold(self) -> None:
        """Answer until the client is gone, idle, or wrong."""
        try:
            while (event := await self._next()) is not None:
                await self._answer(event)
                async with asyncio.timeout(TAKEN_WITHIN_S):
                    await self._writer.drain()
            if self._hearing is not None and self._sound is not None and self._sound.is_over:
                await self._hearing  # it has sent all, and may still read
            await self._hang_up_politely()
        except PayloadError as error:
            log.warning("wyoming client refused", extra={"problem": str(error)})
            self._tell(Error(str(error), "protocol"))
            await self._hang_up_politely()
        finally:
            await self._stop_hearing()

    async def _next(self) -> Received | None:
        async with asyncio.timeout(IDLE_S):
            return await receive(self._reader)

    async def _answer(self, event: Received) -> None:
        match event.type:
            case "describe":
                self._tell(_info(self._settings, acts=self._services.obey is not None))
            case "ping":
                self._tell(Pong(text=None if event.data.get("text") is None else _text(event)))
            case "select-program":
                self._program = _text(event, "name")
            case "transcribe" | "audio-start" | "audio-chunk" | "audio-stop":
                await self._attend(event)
            case "recognize":
                self._tell_intents(_text(event))
            case "transcript":
                await self._obey(_text(event))
            case _:
                log.debug("wyoming event ignored", extra={"event": event.type})

    async def _attend(self, event: Received) -> None:
        if event.type in {"transcribe", "audio-start"}:
            await self._stop_hearing()
            self._is_refused = False
        if event.type in {"audio-start", "audio-chunk"} and self._sound is None and not self._is_refused:
            self._begin_hearing(event)
        if self._sound is not None:
            self._sound.write(event.payload)
            if event.type == "audio-stop":
                self._sound.end()

    def _begin_hearing(self, event: Received) -> None:
        found = {key: event.data.get(key) for key in _OUR_FORMAT}
        if found != _OUR_FORMAT:
            self._is_refused = True  # what follows is dropped: a client reads only when it has sent all
            self._tell(Error(f"expected sound of {_OUR_FORMAT}, found {found!r:.100}", "format"))
            return
        self._sound = Sound()
        self._hearing = asyncio.create_task(self._hear(self._sound), name="wyoming utterance")

    async def _hear(self, sound: Sound) -> None:
        settled = Settled()
        parts: list[str] = []

        def partial(transcript: Transcript) -> None:
            if more := settled.more(transcript):
                self._tell(*([] if parts else [TranscriptStart(language=_LANGUAGES[0])]), TranscriptChunk(more))
                parts.append(more)

        try:
            text = await self._ear.hear(sound, partial)
        except EdgeAgentError as error:
            log.warning("wyoming: not heard", extra={"problem": str(error)})
            self._tell(Error(str(error), "asr"))
            return
        if not parts:
            self._tell(TranscriptStart(language=_LANGUAGES[0]))
        said = "".join(parts)
        if rest := text.removeprefix(said) if text.startswith(said) else "":
            self._tell(TranscriptChunk(rest))
        self._tell(TranscriptEvent(text, language=_LANGUAGES[0]), TranscriptStop())

    async def _stop_hearing(self) -> None:
        hearing, self._hearing, self._sound = self._hearing, None, None
        if hearing is not None:
            hearing.cancel()
            await asyncio.wait([hearing])

    async def _obey(self, text: str) -> None:
        if self._services.obey is None or self._program == INTENTS:
            self._tell_intents(text)
            return
        try:
            async with asyncio.timeout(OBEYED_WITHIN_S):
                answer = await self._services.obey(text)
        except TimeoutError:
            self._tell(NotHandled("That took too long."))
            return
        except EdgeAgentError as error:
            log.warning("wyoming: not obeyed", extra={"problem": str(error)})
            self._tell(NotHandled(str(error)))
            return
        self._tell(Handled(answer.text) if answer.is_done else NotHandled(answer.text))

    def _tell_intents(self, text: str) -> None:
        commands = [part for command in self._services.understand(text) for part in command.parts]
        here = self._settings.device.area
        found = [None if one.doubt else intent_of(one, here, self._services.named) for one in commands]
        intents = [one for one in found if one is not None]
        if not intents or len(intents) < len(found):  # half of a sentence is not what was asked for
            self._tell(NotRecognized(NOT_UNDERSTOOD))
            return
        events = [
            Intent(one.name, [Entity(name, value) for name, value in one.slots.items()], one.says) for one in intents
        ]
        self._tell(IntentsStart(), *events, IntentsStop())

    def _tell(self, *events: Eventable) -> None:
        """Send events, in their order, when the client takes them."""
        if self._writer.is_closing():
            return
        for event in events:
            buffer = io.BytesIO()
            write_event(event.event(), buffer)
            self._writer.write(buffer.getvalue())

    async def _hang_up_politely(self) -> None:
        """End what we send, and read what the client still sends: else it would lose what it was told."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._writer.drain()
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                while await self._reader.read(LONGEST_HEADER_BYTES):
                    pass
        except (OSError, TimeoutError):
            return


def _text(event: Received, key: str = "text") -> str:
    value = event.data.get(key)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise PayloadError(f"{event.type}: {key}: expected at most {LONGEST_TEXT} characters, found {value!r:.40}")
    return value


def _info(settings: AgentSettings, *, acts: bool) -> Info:
    maker = Attribution("edgeagent", "https://pypi.org/project/edgeagent/")
    common: dict[str, Any] = {"attribution": maker, "installed": True, "version": __version__}
    heard_by = AsrModel(
        name=settings.hearing.recognizer, description="The commands of this house", languages=_LANGUAGES, **common
    )
    asr = AsrProgram(
        name=ACTS,
        description="Hears the commands of this house, and when they have ended",
        models=[heard_by],
        supports_transcript_streaming=True,
        requires_external_vad=False,
        prefers_auto_gain_enabled=False,
        prefers_noise_reduction_enabled=False,
        **common,
    )
    understood_by = IntentModel(name="commands", description="Commands", languages=_LANGUAGES, **common)
    intent = IntentProgram(name=INTENTS, description="Understands commands", models=[understood_by], **common)
    done_by = HandleModel(name="commands", description="Commands", languages=_LANGUAGES, **common)
    handle = HandleProgram(
        name=ACTS, description="Does what is asked", models=[done_by], supports_home_control=True, **common
    )
    return Info(asr=[asr], intent=[intent], handle=[handle] if acts else [])
