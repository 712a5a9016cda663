"""The owner's clips through the present listening path: what would be understood otherwise than before.

What was understood before is what a clip's record says, or what other settings make of the clip now. The clips are
heard with the names that are on the bus, or, without a broker, with those of the house in which each was kept.
Understanding is compared, not what the house then does about it: whether a device is there now is its own affair. A
clip is heard as if somebody were being listened to already: wake words are left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, assert_never

from edgeagent.errors import SoundError
from edgeagent.evaluate.cases import meaning_of
from edgeagent.evaluate.speech import Listener
from edgeagent.hear.clips import CLIPS, Clip, Meaning, Understood, load_clips, sound_file
from edgeagent.hear.files import followed_by_silence, frames_of
from edgeagent.hear.pocketsphinx import speech_detector
from edgeagent.messages import FRAME_S, Command, Frame, Interpretation, Question, Rejection
from edgeagent.onlooking import House, interpreter_in
from edgeagent.pipeline import perceive
from edgeagent.recognizers import learn_free_speech, recognizer_of, searched
from edgeagent.settings import AgentSettings
from edgeagent.understand.model.model import CommandModel
from edgeagent.understanding import load_model

Verdict = Literal["same", "changed", "better", "worse", "unreadable"]
_RIGHT, _ASKED, _USELESS, _WRONG = 3, 2, 1, 0
_MARGIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was understood of a clip, what was heard in it, and why it was taken so."""

    understood: Understood
    heard: str
    why: tuple[str, ...]


def listener_in(house: House, settings: AgentSettings, model: CommandModel | None) -> Listener:
    """Return what hears and understands in this house as the daemon does. Raise ModelError if it cannot be loaded."""
    interpreter = interpreter_in(house, settings, model)
    recognizer = recognizer_of(settings, searched(interpreter))
    learn_free_speech(recognizer, settings.hearing.effort, interpreter)
    return Listener(recognizer, interpreter, lambda: speech_detector(settings.hearing.vad_mode), settings.hearing)


def replay(sound: Iterable[Frame], listener: Listener) -> Replayed:
    """Play frames to a listener, then so much silence that every utterance ends."""
    pause = round((listener.settings.unfinished_s + _MARGIN_S) / FRAME_S)
    frames = followed_by_silence(sound, pause)
    path = perceive(frames, listener.detector(), listener.recognizer, lambda: listener.interpreter, listener.settings)
    heard = list(path)
    commands = [one.interpretation for one in heard if isinstance(one.interpretation, Command)]
    return Replayed(
        Understood(
            meanings=tuple(kept_meaning(command) for command in commands),
            is_asked=bool(commands) and all(command.doubt for command in commands),
        ),
        " / ".join(one.transcript.text for one in heard),
        tuple(reason for one in heard for reason in _reasons(one.interpretation)),
    )


def _reasons(interpretation: Interpretation) -> tuple[str, ...]:
    match interpretation:
        case Command():
            return interpretation.why
        case Rejection():
            return interpretation.why or (interpretation.detail or interpretation.reason,)
        case Question():
            return (interpretation.prompt,)
    assert_never(interpretation)


def kept_meaning(command: Command) -> Meaning:
    """Return what a command means in the form in which it is kept and compared."""
    meaning = meaning_of(command)
    return Meaning(intent=meaning.intent, slots=dict(meaning.slots))


def evaluate_clips(
    settings: AgentSettings,
    house: House,
    against: AgentSettings | None = None,
    advance: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return the figures and a row for each clip, ready for JSON; `worse` counts what no change should bring.

    Before is what was understood when a clip was kept, or what the settings `against` make of it now. `advance` is told
    the name of each clip. Raise SettingsError if the clips' folder cannot be read; a clip that cannot be is a row.
    """
    folder = settings.device.state_dir / CLIPS
    kept = load_clips(folder)
    now = _Ears(settings, house)
    before = None if against is None else _Ears(against, house)
    rows: dict[str, Mapping[str, Any]] = {}
    for clip in sorted(kept.whole, key=_in_same_house):
        advance(clip.name)
        try:
            sound = tuple(frames_of(sound_file(folder, clip)))
        except SoundError as error:
            rows[clip.id] = _unreadable(clip.name, f"{error}. {error.remedy}")
            continue
        previous = clip.understood if before is None else replay(sound, before.in_house_of(clip)).understood
        rows[clip.id] = _row(clip, previous, replay(sound, now.in_house_of(clip)))
    told = [rows[clip.id] for clip in kept.whole] + [_unreadable(one.id, one.reason) for one in kept.damaged]
    return _figures(told) | {"names": "bus" if house.is_known else "clips", "trouble": house.trouble, "rows": told}


class _Ears:
    """A listener for the house of a clip, made anew only when the house is another."""

    def __init__(self, settings: AgentSettings, house: House) -> None:
        self._settings = settings
        self._house = house
        self._made: tuple[House, Listener] | None = None

    def in_house_of(self, clip: Clip) -> Listener:
        house = self._house if self._house.is_known else House(clip.names, clip.kinds, self._house.trouble)
        if self._made is None or self._made[0] != house:
            self._made = house, listener_in(house, self._settings, self._model)
        return self._made[1]

    @cached_property
    def _model(self) -> CommandModel | None:
        return load_model(self._settings.understanding)


def _in_same_house(clip: Clip) -> tuple[str, str]:
    """Order clips so that those of one house follow one another."""
    return repr((sorted(clip.names.items()), sorted(clip.kinds))), clip.name


def _row(clip: Clip, before: Understood, now: Replayed) -> dict[str, Any]:
    return {
        "name": clip.name,
        "verdict": _verdict(clip.meaning, before, now.understood),
        "is_right": _rank(clip.meaning, now.understood) == _RIGHT,
        "meant": clip.meant,
        "before": before.in_words(),
        "now": now.understood.in_words(),
        "heard": now.heard,
        "why": list(now.why),
    }


def _unreadable(name: str, reason: str) -> dict[str, Any]:
    return {"name": name, "verdict": "unreadable", "is_right": False, "why": [reason]}


def _verdict(meaning: Meaning | None, before: Understood, now: Understood) -> Verdict:
    if before == now:
        return "same"
    gained = _rank(meaning, now) - _rank(meaning, before)
    return "better" if gained > 0 else "worse" if gained < 0 else "changed"


def _rank(meaning: Meaning | None, understood: Understood) -> int:
    """Return how good it is: the right thing; the right thing after a question; nothing is done; the wrong thing."""
    wanted = () if meaning is None else (meaning,)
    if understood.meanings == wanted:
        return _ASKED if understood.is_asked else _RIGHT
    return _USELESS if understood.is_asked or not understood.meanings else _WRONG


def _figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    verdicts = [row["verdict"] for row in rows]
    replayed = len(verdicts) - verdicts.count("unreadable")
    return {
        "n": replayed,
        "right": sum(row["is_right"] for row in rows),
        "same": verdicts.count("same"),
        "changed": replayed - verdicts.count("same"),
        "better": verdicts.count("better"),
        "worse": verdicts.count("worse"),
        "unreadable": verdicts.count("unreadable"),
    }
