"""The Wyoming server, spoken to by the protocol's own client, and by clients that break the protocol."""

# ruff: noqa: I001  # ours comes first: it knows that the package's own import warns on Python 3.11

import asyncio
import json
import socket
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthesised import Sound, silence, spoken

from edgeagent.bridges import wyoming, wyoming_ear
from edgeagent.bridges.services import Answered, Services, serve_wyoming
from edgeagent.bridges.clients import MOST_CLIENTS
from edgeagent.bridges.wyoming import INTENTS, serve
from edgeagent.bridges.wyoming_wire import LARGEST_DATA_BYTES, LARGEST_PAYLOAD_BYTES, LONGEST_HEADER_BYTES
from edgeagent.errors import SettingsError
from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.listening import Listening
from edgeagent.messages import Command, Interpretation
from edgeagent.settings import AgentSettings, DeviceSettings, HearingSettings, WakingSettings, WyomingSettings
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import Describe, Info, SelectProgram
from wyoming.intent import Recognize
from wyoming.ping import Ping

DEVICES = Path(__file__).parents[1] / "data" / "home_devices.yaml"
ORDER = "turn on the kitchen lights"
OTHER = "turn off the tv in the kitchen"
SOON_S = 30.0
"""Until what comes must have come, on a board as busy as a test machine."""


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    automaton = compile_commands(commands.built_in(["home"]).with_names(names_of(DEVICES)))
    return Interpreter(automaton, unsure_below=HearingSettings().unsure_below)


def free_uri() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"tcp://127.0.0.1:{taken.getsockname()[1]}"


def settings(folder: Path, uri: str | None, *, beyond: bool = False) -> AgentSettings:
    return AgentSettings(
        device=DeviceSettings(state_dir=folder, area="Kitchen"),
        hearing=HearingSettings(effort="light"),
        waking=WakingSettings(push_to_talk=True),
        wyoming=WyomingSettings(uri=uri, beyond_this_machine=beyond),
    )


class House:
    """Understands by the grammar, and notes what it was to obey."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self.obeyed: list[str] = []

    def read(self, text: str) -> Interpretation:
        return self.interpreter.interpret(typed("w1", text))

    def understand(self, text: str) -> Sequence[Command]:
        found = self.read(text)
        return (found,) if isinstance(found, Command) else ()

    async def obey(self, text: str) -> Answered:
        self.obeyed.append(text)
        return Answered("Kitchen Lights is on.", is_done=isinstance(self.read(text), Command))

    @property
    def services(self) -> Services:
        return Services(self.understand, self.obey)


@asynccontextmanager
async def served(folder: Path, house: House, uri: str = "", services: Services | None = None) -> AsyncIterator[str]:
    uri = uri or free_uri()
    server = asyncio.create_task(serve(settings(folder, uri), lambda: house.interpreter, services or house.services))
    try:
        while not server.done():
            with suppress(OSError):
                async with AsyncClient.from_uri(uri):
                    break
            await asyncio.sleep(0.01)
        yield uri
    finally:
        server.cancel()
        with suppress(asyncio.CancelledError):
            await server


@asynccontextmanager
async def client_of(uri: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient.from_uri(uri, connect_timeout=SOON_S, read_timeout=SOON_S) as client:
        yield client


async def read_until(client: AsyncClient, *types: str) -> list[Event]:
    events = []
    while (event := await client.read_event()) is not None:
        events.append(event)
        if event.type in types:
            break
    return events


async def send(client: AsyncClient, sound: Sound, *, rate: int = 16_000, bytes_each: int = 2_050) -> None:
    await client.write_event(Transcribe(language="en").event())
    await client.write_event(AudioStart(rate, 2, 1).event())
    pcm = sound.tobytes()
    for at in range(0, len(pcm), bytes_each):
        await client.write_event(AudioChunk(rate, 2, 1, pcm[at : at + bytes_each]).event())


async def heard(client: AsyncClient, sound: Sound) -> str:
    await send(client, sound)
    await client.write_event(AudioStop().event())
    events = await read_until(client, "transcript", "error")
    return str(events[-1].data["text"])


async def asked(uri: str, *events: Event) -> Event:
    async with client_of(uri) as client:
        for event in events:
            await client.write_event(event)
        answer = await client.read_event()
        assert answer is not None
        return answer


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 4 * SOON_S))


def test_it_tells_what_it_offers_and_that_it_needs_no_detector_of_pauses(
    tmp_path: Path, interpreter: Interpreter
) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri:
            info = Info.from_event(await asked(uri, Describe().event()))
        (asr,), (intent,), (handle,) = info.asr, info.intent, info.handle
        assert (asr.requires_external_vad, asr.supports_transcript_streaming) == (False, True)
        assert asr.installed
        assert asr.models[0].languages == ["en"]
        assert intent.models[0].installed
        assert handle.supports_home_control
        assert not info.tts

    run(work())


def test_who_does_not_act_for_others_offers_no_handling(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        house = House(interpreter)
        async with served(tmp_path, house, services=Services(house.understand)) as uri:
            assert Info.from_event(await asked(uri, Describe().event())).handle == []
            assert (await asked(uri, Transcript(ORDER).event())).type == "intents-start"

    run(work())


def test_the_transcript_comes_while_the_client_still_sends(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            await send(client, spoken(ORDER))
            *before, last = await read_until(client, "transcript", "error")
            assert (last.type, last.data["text"]) == ("transcript", ORDER)
            assert {event.type for event in before} == {"transcript-start", "transcript-chunk"}
            await client.write_event(AudioStop().event())
            assert [event.type for event in await read_until(client, "transcript-stop")] == ["transcript-stop"]

    run(work())


def test_partial_transcripts_are_pieces_that_make_up_the_whole(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            await send(client, spoken(ORDER))
            events = await read_until(client, "transcript-stop")
        assert [event.type for event in (events[0], *events[-2:])] == [
            "transcript-start",
            "transcript",
            "transcript-stop",
        ]
        chunks = [event.data["text"] for event in events if event.type == "transcript-chunk"]
        assert len(chunks) >= 2
        assert "".join(chunks) == ORDER

    run(work())


def test_one_connection_is_heard_again_and_again(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            assert await heard(client, spoken(ORDER)) == ORDER
            assert await heard(client, spoken(OTHER)) == OTHER

    run(work())


def test_sound_that_ends_with_the_last_word_is_heard(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            assert await heard(client, spoken(ORDER, pause_s=0.1)) == ORDER

    run(work())


@pytest.mark.parametrize(
    "sound",
    [
        lambda: silence(1.0),
        lambda: silence(0.0),
        lambda: spoken("scientists have found a new kind of beetle in the mountains of peru"),
    ],
    ids=["silence", "nothing", "talk"],
)
def test_what_is_no_command_is_an_empty_transcript(
    tmp_path: Path, interpreter: Interpreter, sound: Callable[[], Sound]
) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            assert await heard(client, sound()) == ""

    run(work())


def test_sound_without_a_word_is_not_listened_to_for_ever(
    tmp_path: Path, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming_ear, "WORDLESS_S", 2.0)

    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            await send(client, silence(4.0))
            assert (await read_until(client, "transcript"))[-1].data["text"] == ""

    run(work())


def test_two_clients_at_once_are_heard_one_after_the_other(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as one, client_of(uri) as other:
            both: Sequence[str] = await asyncio.gather(heard(one, spoken(ORDER)), heard(other, spoken(OTHER)))
            assert list(both) == [ORDER, OTHER]

    run(work())


def test_who_waits_too_long_for_another_is_told(
    tmp_path: Path, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming_ear, "WAIT_S", 0.2)

    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as one, client_of(uri) as other:
            assert await heard(one, spoken(ORDER)) == ORDER
            await send(one, silence(0.5))  # and no end of it
            await asyncio.sleep(0.1)
            assert "busy" in await heard(other, spoken(OTHER))
            await one.write_event(AudioStop().event())
            assert (await read_until(one, "transcript"))[-1].data["text"] == ""
            assert await heard(other, spoken(OTHER)) == OTHER

    run(work())


def test_a_client_that_dies_in_the_middle_leaves_the_ear_to_others(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri:
            for _ in range(MOST_CLIENTS + 2):
                async with client_of(uri) as dying:
                    await send(dying, spoken(ORDER)[:20_000])
                    await asyncio.sleep(0.02)
            async with client_of(uri) as client:
                assert await heard(client, spoken(ORDER)) == ORDER

    run(work())


@pytest.mark.parametrize(("rate", "width", "channels"), [(22_050, 2, 1), (16_000, 4, 1), (16_000, 2, 2)])
def test_other_sound_is_refused_and_the_connection_goes_on(
    tmp_path: Path, interpreter: Interpreter, rate: int, width: int, channels: int
) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            await client.write_event(AudioStart(rate, width, channels).event())
            for _ in range(50):
                await client.write_event(AudioChunk(rate, width, channels, bytes(4096)).event())
            await client.write_event(AudioStop().event())
            await client.write_event(Ping(text="still there").event())
            events = await read_until(client, "pong")
            assert [event.type for event in events] == ["error", "pong"]
            assert str(rate) in events[0].data["text"]
            assert await heard(client, spoken(ORDER)) == ORDER

    run(work())


GARBAGE = {
    "bytes": b"\xff\xfe\x00garbage\n",
    "no object": b"[1, 2]\n",
    "no type": b'{"data": {}}\n',
    "a type that is none": b'{"type": ["describe"]}\n',
    "a long line": b'{"type": "' + b"x" * LONGEST_HEADER_BYTES + b'"}\n',
    "an endless line": b"x" * (LONGEST_HEADER_BYTES * 3),
    "deep": b'{"type": "describe", "data": {"a": ' + b"[" * 1000 + b"]" * 1000 + b"}}\n",
    "much data": b'{"type": "describe", "data_length": %d}\n' % (LARGEST_DATA_BYTES + 1),
    "a huge payload": b'{"type": "audio-chunk", "payload_length": %d}\n' % (1 << 62),
    "a larger payload": b'{"type": "audio-chunk", "payload_length": %d}\n' % (LARGEST_PAYLOAD_BYTES + 1),
    "a negative length": b'{"type": "describe", "data_length": -1}\n',
    "a length that is true": b'{"type": "describe", "payload_length": true}\n',
    "data that is no object": b'{"type": "describe", "data_length": 2}\n[]',
    "a text that is none": b'{"type": "transcript", "data": {"text": 7}}\n',
    "a text that is missing": b'{"type": "recognize"}\n',
    "a long text": b'{"type": "transcript", "data": {"text": "' + b"a " * 2000 + b'"}}\n',
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_client_that_breaks_the_protocol_is_told_and_only_it_goes(
    tmp_path: Path, interpreter: Interpreter, sent: bytes
) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri:
            port = int(uri.rsplit(":", 1)[1])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            answer = await asyncio.wait_for(reader.readline(), SOON_S)
            assert json.loads(answer)["type"] == "error"
            await asyncio.wait_for(reader.read(), SOON_S)
            writer.close()
            assert (await asked(uri, Describe().event())).type == "info"

    run(work())


def test_an_event_that_is_cut_off_is_the_end_of_that_client_alone(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(uri.rsplit(":", 1)[1]))
            writer.write(b'{"type": "audio-chunk", "payload_length": 4096}\nonly this')
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), SOON_S) == b""
            writer.close()
            assert (await asked(uri, Describe().event())).type == "info"

    run(work())


def test_a_client_that_says_nothing_is_let_go(
    tmp_path: Path, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming, "IDLE_S", 0.2)

    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            with suppress(ConnectionResetError):
                assert await client.read_event() is None

    run(work())


def test_more_clients_than_there_may_be_are_refused(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri:
            clients = [AsyncClient.from_uri(uri, read_timeout=SOON_S) for _ in range(MOST_CLIENTS)]
            for client in clients:
                await client.connect()
                await client.write_event(Ping().event())
                assert (await read_until(client, "pong"))[-1].type == "pong"
            with suppress(OSError):
                async with client_of(uri) as refused:
                    await refused.write_event(Ping().event())
                    assert await refused.read_event() is None
            await clients[0].disconnect()
            for _ in range(200):
                with suppress(OSError):
                    async with client_of(uri) as admitted:
                        await admitted.write_event(Ping().event())
                        if await admitted.read_event() is not None:
                            break
                await asyncio.sleep(0.01)
            else:
                pytest.fail("the place of who left is not free")
            for client in clients[1:]:
                await client.disconnect()

    run(work())


def test_a_sentence_is_recognized_as_intents_of_home_assistant(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        house = House(interpreter)
        async with served(tmp_path, house) as uri, client_of(uri) as client:
            await client.write_event(Recognize("set the bed light to 40 percent").event())
            start, intent, stop = await read_until(client, "intents-stop", "not-recognized")
            assert (start.type, intent.type, stop.type) == ("intents-start", "intent", "intents-stop")
            assert intent.data["name"] == "HassLightSet"
            assert {"name": "brightness", "value": 40} in intent.data["entities"]
            assert house.obeyed == []

    run(work())


def test_several_commands_in_a_sentence_are_several_intents_or_none(tmp_path: Path, interpreter: Interpreter) -> None:
    house = House(interpreter)
    (on,) = house.understand(ORDER)
    (off,) = house.understand("turn off the bed light")
    (louder,) = house.understand("make the lights brighter")  # Home Assistant has no intent for it
    said = {
        "both": (on, off),
        "one of another": (replace(on, then=(off,)),),
        "one without": (on, louder),
        "doubtful": (on, replace(off, doubt="it was hardly heard")),
        "none": (),
    }

    async def work() -> None:
        async with served(tmp_path, house, services=Services(said.__getitem__)) as uri, client_of(uri) as client:
            for text in said:
                await client.write_event(Recognize(text).event())
                events = await read_until(client, "intents-stop", "not-recognized")
                names = [event.data["name"] for event in events if event.type == "intent"]
                is_both = text in {"both", "one of another"}
                assert names == (["HassTurnOn", "HassTurnOff"] if is_both else []), text
                assert (events[-1].type == "not-recognized") is not is_both

    run(work())


def test_a_transcript_is_obeyed_and_answered(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        house = House(interpreter)
        async with served(tmp_path, house) as uri:
            context = {"conversation_id": "c1"}
            answer = await asked(uri, Transcript(ORDER, context=context, language="en").event())
            assert (answer.type, answer.data["text"]) == ("handled", "Kitchen Lights is on.")
            assert (await asked(uri, Transcript("how do you do").event())).type == "not-handled"
        assert house.obeyed == [ORDER, "how do you do"]

    run(work())


def test_who_selects_the_program_of_intents_has_nothing_done(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        house = House(interpreter)
        async with served(tmp_path, house) as uri:
            events = (SelectProgram(INTENTS).event(), Transcript(ORDER).event())
            assert (await asked(uri, *events)).type == "intents-start"
        assert house.obeyed == []

    run(work())


def test_obeying_that_takes_too_long_is_not_waited_for(
    tmp_path: Path, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming, "OBEYED_WITHIN_S", 0.1)

    async def never(_: str) -> Answered:
        await asyncio.sleep(SOON_S * 10)
        return Answered("", is_done=True)

    async def work() -> None:
        house = House(interpreter)
        async with served(tmp_path, house, services=Services(house.understand, never)) as uri:
            assert (await asked(uri, Transcript(ORDER).event())).type == "not-handled"

    run(work())


def test_work_beside_the_ear_begins_when_there_is_one(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        house, given = House(interpreter), asyncio.Event()

        async def accompany(listening: Listening) -> None:
            assert listening.wants_free_speech is False  # light effort
            given.set()
            await asyncio.Event().wait()

        async with served(tmp_path, house, services=replace(house.services, accompany=accompany)) as uri:
            assert not given.is_set()
            async with client_of(uri) as client:
                assert await heard(client, spoken(ORDER)) == ORDER
            await asyncio.wait_for(given.wait(), SOON_S)

    run(work())


def test_a_unix_socket_is_served_to_its_user_alone_and_gone_at_the_end(
    tmp_path: Path, interpreter: Interpreter
) -> None:
    path = tmp_path / "wyoming.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))  # left behind by a server that died

    async def work() -> None:
        async with served(tmp_path, House(interpreter), f"unix://{path}") as uri:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert (await asked(uri, Describe().event())).type == "info"
        assert not path.exists()

    run(work())


def test_a_socket_that_is_in_use_or_no_socket_is_left_alone(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        house, path = House(interpreter), tmp_path / "wyoming.sock"
        async with served(tmp_path, house, f"unix://{path}") as uri:
            with pytest.raises(SettingsError, match="in use"):
                await serve(settings(tmp_path, uri), lambda: interpreter, house.services)
            assert (await asked(uri, Describe().event())).type == "info"
        path.write_text("mine")
        with pytest.raises(SettingsError, match="something else"):
            await serve(settings(tmp_path, f"unix://{path}"), lambda: interpreter, house.services)
        assert path.read_text() == "mine"
        with pytest.raises(SettingsError, match="No such file"):
            await serve(settings(tmp_path, f"unix://{tmp_path}/no/such.sock"), lambda: interpreter, house.services)

    run(work())


def test_a_port_that_is_in_use_is_a_mistake_in_the_settings(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        house = House(interpreter)
        async with served(tmp_path, house) as uri:
            with pytest.raises(SettingsError, match="in use") as caught:
                await serve(settings(tmp_path, uri), lambda: interpreter, house.services)
            assert caught.value.remedy

    run(work())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "[::]", "example.com"])  # noqa: S104
def test_an_address_that_others_reach_needs_a_word_of_the_owner(
    tmp_path: Path, interpreter: Interpreter, host: str
) -> None:
    async def work() -> None:
        with pytest.raises(SettingsError, match="without a password") as caught:
            await serve(settings(tmp_path, f"tcp://{host}:10300"), lambda: interpreter, House(interpreter).services)
        assert "beyond_this_machine = true" in caught.value.remedy

    run(work())


def test_with_that_word_it_is_served(tmp_path: Path, interpreter: Interpreter) -> None:
    async def work() -> None:
        port = free_uri().rsplit(":", 1)[1]
        wide = settings(tmp_path, f"tcp://0.0.0.0:{port}", beyond=True)
        server = asyncio.create_task(serve(wide, lambda: interpreter, House(interpreter).services))
        await asyncio.sleep(0.2)
        assert (await asked(f"tcp://127.0.0.1:{port}", Describe().event())).type == "info"
        server.cancel()
        with suppress(asyncio.CancelledError):
            await server

    run(work())


@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:99999", "tcp://me@127.0.0.1:10300", "tcp://[::1:10300"])
def test_an_address_that_is_none_is_a_mistake_in_the_settings(
    tmp_path: Path, interpreter: Interpreter, uri: str
) -> None:
    async def work() -> None:
        with pytest.raises(SettingsError, match="uri"):
            await serve(settings(tmp_path, uri), lambda: interpreter, House(interpreter).services)

    run(work())


def test_without_an_address_nothing_is_served(tmp_path: Path, interpreter: Interpreter) -> None:
    run(serve_wyoming(settings(tmp_path, None), lambda: interpreter, House(interpreter).services))


def test_a_server_that_ends_in_the_middle_of_an_utterance_leaves_no_thread(
    tmp_path: Path, interpreter: Interpreter
) -> None:
    async def work() -> None:
        async with served(tmp_path, House(interpreter)) as uri, client_of(uri) as client:
            await send(client, spoken(ORDER)[:20_000])
            await client.write_event(Ping(text="sent").event())
            await read_until(client, "pong")

    before = threading.active_count()
    run(work())
    assert threading.active_count() == before


def test_where_the_package_is_missing_it_is_said_what_to_install(
    tmp_path: Path, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "edgeagent.bridges.wyoming")
    monkeypatch.setitem(sys.modules, "wyoming.asr", None)  # as Python marks what is not there

    async def work() -> None:
        with pytest.raises(SettingsError, match="not installed") as caught:
            await serve_wyoming(settings(tmp_path, free_uri()), lambda: interpreter, House(interpreter).services)
        assert 'pip install "edgeagent[wyoming]"' in caught.value.remedy

    run(work())
