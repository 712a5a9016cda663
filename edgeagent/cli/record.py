"""`edgeagent record`: one utterance to a clip with what it meant; the only place where sound is kept."""

import asyncio
import json
import secrets
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edgeagent.errors import SettingsError, SoundError
from edgeagent.evaluate.clips import Replayed, kept_meaning, listener_in, replay
from edgeagent.evaluate.speech import Listener
from edgeagent.hear import clips, files, microphone
from edgeagent.hear.clip_files import flac
from edgeagent.hear.clips import CLIPS, LONGEST_S, Clip, Meaning
from edgeagent.logs import printable
from edgeagent.messages import FRAME_S, Command, Frame, Rejection
from edgeagent.onlooking import House, house_on_bus
from edgeagent.pipeline import perceive
from edgeagent.settings import AgentSettings, MicrophoneSettings
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed
from edgeagent.understanding import load_model

LEAD_S, TAIL_S = 0.6, 1.0
"""Sound of the room that is kept before and after the utterance: other settings may want to hear more of it."""
WAIT_S = 30.0
"""Who has not spoken by then will not."""
_MOST_FRAMES = int(LONGEST_S / FRAME_S)
NOTHING, AGAIN = "nothing", "again"

_IS_IT_RIGHT = f'Is that right? Enter, or what was meant in words, or "{NOTHING}", or "{AGAIN}": '
_WHAT_WAS_MEANT = f'What was meant? In words, or "{NOTHING}", or "{AGAIN}": '

Tell = Callable[[str], None]
Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Meant:
    """What a clip means, and the sentence that said so where one was typed."""

    said: str | None
    meaning: Meaning | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be recorded. `said` is what it means as a typed sentence; `is_nothing`: nothing must be done."""

    name: str
    said: str | None = None
    is_nothing: bool = False
    wav: Path | None = None
    replaces: bool = False


def record(settings: AgentSettings, house: House, wish: Wish, tell: Tell, ask: Ask) -> Clip:
    """Keep a clip and return it. `tell` shows a line to the person; `ask` shows a question and returns what was typed.

    Raise SettingsError if it cannot be kept or what was said is not understood, SoundError if nothing is heard.
    """
    folder = settings.device.state_dir / CLIPS
    clips.check_name(folder, wish.name, replaces=wish.replaces)
    listener = listener_in(house, settings, load_model(settings.understanding))
    told = _told(wish, listener.interpreter)  # what is not understood is refused before anybody speaks
    meant = None
    while meant is None:
        sound = _sound(settings.microphone, wish, listener, tell)
        heard = replay(sound, listener)
        tell(f'heard       "{heard.heard}"' if heard.heard else "heard       no words")
        tell(f"understood  {heard.understood.in_words()}")
        meant = told or asked(heard.understood.meanings, listener.interpreter, tell, ask)
    clip = _clip(settings, house, wish.name, heard, meant)
    clips.add_clip(folder, clip, flac(sound), replaces=wish.replaces)
    tell(f"kept        {clip.name}: means {clip.meant}")
    return clip


def asked(understood: Sequence[Meaning], interpreter: Interpreter, tell: Tell, ask: Ask) -> Meant | None:
    """Return what the person says was meant; None to record again."""
    prompt = _IS_IT_RIGHT if len(understood) == 1 else _WHAT_WAS_MEANT
    while True:
        text = ask(prompt).strip()
        if text == AGAIN:
            return None
        if text == NOTHING:
            return Meant(None, None)
        if not text and len(understood) == 1:
            return Meant(None, understood[0])
        try:
            return Meant(text, meaning_in_words(text, interpreter))
        except SettingsError as error:
            tell(f"{error}. {error.remedy}")


def meaning_in_words(said: str, interpreter: Interpreter) -> Meaning:
    """Return what a typed sentence means here. Raise SettingsError with the reason if it is not surely understood."""
    found = interpreter.interpret(typed("said", said))
    if isinstance(found, Command) and not found.doubt:
        return kept_meaning(found)
    why = found.doubt if isinstance(found, Command) else found.detail if isinstance(found, Rejection) else ""
    raise SettingsError(
        f'"{printable(said):.200}" is not understood as it stands{f": {why}" if why else ""}',
        remedy="Say what was meant in plain words, for example: turn on the kitchen light.",
    )


def one_utterance(frames: Iterable[Frame], listener: Listener) -> tuple[Frame, ...]:
    """Return the first utterance with some sound around it, at most LONGEST_S. Raise SoundError if there is none."""
    tape: list[Frame] = []
    sound = _onto(tape, frames)
    for heard in perceive(
        sound, listener.detector(), listener.recognizer, lambda: listener.interpreter, listener.settings
    ):
        began = round((heard.transcript.began_s - LEAD_S) / FRAME_S)
        for _ in range(round(TAIL_S / FRAME_S)):
            next(sound, None)
        return tuple(tape[max(began, 0) :][:_MOST_FRAMES])
    raise SoundError(
        f"nobody spoke within {WAIT_S:.0f} s", remedy="edgeagent listen --monitor shows what the microphone hears."
    )


def _onto(tape: list[Frame], frames: Iterable[Frame]) -> Iterator[Frame]:
    """Pass frames through for WAIT_S, and keep them on the tape: a megabyte."""
    for frame in islice(frames, round(WAIT_S / FRAME_S)):
        tape.append(frame)
        yield frame


def _sound(settings: MicrophoneSettings, wish: Wish, listener: Listener, tell: Tell) -> tuple[Frame, ...]:
    if wish.wav is None:
        tell(f'Say now: "{wish.said}"' if wish.said else "Speak now.")
        return one_utterance(microphone.frames_of(settings, threading.Event(), _refuse), listener)
    files.check(wish.wav)
    sound = []
    for frame in files.frames_of(wish.wav):
        sound.append(frame)
        if len(sound) > _MOST_FRAMES:
            raise SoundError(f"{wish.wav}: longer than {LONGEST_S:g} s", remedy="Cut it to the one utterance.")
    return tuple(sound)


def _refuse(error: SoundError | None) -> None:
    if error is not None:
        raise error


def _told(wish: Wish, interpreter: Interpreter) -> Meant | None:
    """Return what was said on the command line to be meant; None if the person is to be asked."""
    if wish.said is not None:
        return Meant(wish.said, meaning_in_words(wish.said, interpreter))
    return Meant(None, None) if wish.is_nothing else None


def _clip(settings: AgentSettings, house: House, name: str, heard: Replayed, meant: Meant) -> Clip:
    hearing = settings.hearing
    return Clip(
        id=secrets.token_hex(6),
        name=name,
        said=meant.said,
        when=datetime.now(UTC),
        meaning=meant.meaning,
        heard=heard.heard,
        understood=heard.understood,
        recognizer=hearing.recognizer if hearing.recognizer == "pocketsphinx" else f"vosk {hearing.model}"[:100],
        names=house.lists,
        kinds=house.kinds,
    )


def record_and_tell(settings: AgentSettings, wish: Wish, *, is_json: bool) -> int:
    """Record and keep a clip in talk with the person; return the exit code."""
    console = Console(stderr=is_json, highlight=False, markup=False, emoji=False)

    def tell(line: str) -> None:
        console.print(printable(line), soft_wrap=True)

    def ask(question: str) -> str:
        try:
            return console.input(question)
        except EOFError as error:
            raise SettingsError(
                "it was not said what was meant, so nothing is kept", remedy="Give --said SENTENCE or --nothing."
            ) from error

    house = asyncio.run(house_on_bus(settings))
    if not house.is_known:
        tell(f"No names of devices are known, only the built-in sentences: {house.trouble}")
    clip = record(settings, house, wish, tell, ask)
    if is_json:
        sys.stdout.write(json.dumps(_row(clip)) + "\n")
    return 0


def forget(settings: AgentSettings, name: str, *, is_json: bool) -> int:
    """Remove a clip and tell so; return the exit code."""
    clips.delete_clip(settings.device.state_dir / CLIPS, name)
    told = json.dumps({"removed": name}) if is_json else f"{printable(name)}: removed"
    sys.stdout.write(told + "\n")
    return 0


def _row(clip: Clip) -> dict[str, Any]:
    """Return a clip ready for JSON, without the names of the house."""
    return clip.model_dump(mode="json", exclude={"names", "kinds"})


def show_clips(settings: AgentSettings, *, is_json: bool) -> int:
    """Print what is kept; return the exit code."""
    kept = clips.load_clips(settings.device.state_dir / CLIPS)
    if is_json:
        rows = [_row(clip) for clip in kept.whole]
        damaged = [{"id": one.id, "reason": one.reason} for one in kept.damaged]
        sys.stdout.write(json.dumps({"clips": rows, "damaged": damaged}) + "\n")
        return 0
    console = Console(highlight=False, markup=False, emoji=False)
    if not kept.whole and not kept.damaged:
        console.print("No clip is kept. Keep one: edgeagent record NAME")
    if kept.whole:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for title in ("name", "meant", "understood then", "heard", "kept"):
            table.add_column(title, overflow="fold")
        for clip in kept.whole:
            cells = (clip.name, clip.meant, clip.understood.in_words(), clip.heard, f"{clip.when:%Y-%m-%d}")
            table.add_row(*map(printable, cells))
        console.print(table)
    for one in kept.damaged:
        console.print(printable(f"{one.id}: cannot be used: {one.reason}"), style="yellow", soft_wrap=True)
    return 0
