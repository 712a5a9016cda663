"""The guided check of a board: microphone, tone, lights, button, each tried and judged.

Who sits at a terminal is asked; without one, all that can be seen without a person is tried.
"""

import asyncio
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from edgeagent.answer.earcons import LONGEST_S, RATE_HZ, installed_player, tone
from edgeagent.board.button import Press, presses
from edgeagent.board.checking import Checked, Loudness, Step, judge_microphone, judged_by_a_person, skipped
from edgeagent.board.here import Here
from edgeagent.board.lights import light_of
from edgeagent.board.lines import InputLine, Line, Lines, header
from edgeagent.board.onboard import Fittings, fittings
from edgeagent.board.showing import OFF
from edgeagent.cli.monitor import Meter, Reading, level_bar
from edgeagent.cli.sources import source_of
from edgeagent.errors import EdgeAgentError
from edgeagent.hear import microphone
from edgeagent.hear.pocketsphinx import speech_detector
from edgeagent.messages import FRAME_S
from edgeagent.settings import AgentSettings, WakingSettings

_COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
Ask = Callable[[str], str]
"""Shows a person a line and returns what was typed: y, n, or s to leave the step out."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried, how long it is listened, and who is asked; None: nobody."""

    settings: AgentSettings
    here: Here
    wav: tuple[Path, ...] = ()
    skip: frozenset[str] = frozenset()
    seconds: float = 5.0
    ask: Ask | None = None
    shown_s: float = 0.6
    lines: Lines | None = None

    def lines_of(self, fitted: Fittings) -> Callable[[], Lines]:
        """Return what opens the lines: those that were given, or the header's."""
        return lambda: self.lines or header(fitted.labels)


def asked_on_terminal(question: str) -> str:
    """Return the first letter that is typed; y where there is none."""
    try:
        return (input(f"{question} ").strip().lower() or "y")[0]
    except EOFError:
        return "s"


def run_steps(trial: Trial) -> Iterator[Checked]:
    """Yield what came of each step. A step that fails takes no other along."""
    steps: dict[Step, Callable[[Trial], Checked]] = {
        "board": _board,
        "microphone": _microphone,
        "tone": _tone,
        "light": _light,
        "button": _button,
    }
    for step, tried in steps.items():
        if step in trial.skip:
            yield skipped(step, "as you wished")
            continue
        try:
            yield tried(trial)
        except EdgeAgentError as error:
            yield Checked(step, "failure", str(error), error.remedy)


def _board(trial: Trial) -> Checked:
    slowed = trial.here.throttling
    if slowed is not None and slowed.now:
        found = f"{trial.here.line}; slowed down: {', '.join(slowed.now)}"
        return Checked("board", "warning", found, "Cool it, or give it the supply that its maker names.")
    return Checked("board", "warning" if trial.here.board.note else "ok", trial.here.board.note or trial.here.line)


def _microphone(trial: Trial) -> Checked:
    if not trial.wav:
        microphone.check(trial.settings.microphone)
    if (
        trial.ask is not None
        and trial.ask("Speak after Enter, an arm's length from the microphone (s: leave out).") == "s"
    ):
        return skipped("microphone", "as you wished")
    readings: list[Reading] = []
    meter = Meter(speech_detector(trial.settings.hearing.vad_mode), readings.append)
    source = source_of(trial.settings.microphone, trial.wav, is_fast=bool(trial.wav))
    stop = threading.Event()
    console = Console(stderr=True, highlight=False)
    with Live(Text(), console=console, auto_refresh=False, transient=True) as live:
        for _ in islice(meter(source(stop)), round(trial.seconds / FRAME_S)):
            if trial.ask is not None:
                live.update(level_bar(readings[-1].level_dbfs, readings[-1].floor_dbfs), refresh=True)
    stop.set()
    return judge_microphone(_loudness(readings))


def _loudness(readings: Sequence[Reading]) -> Iterator[Loudness]:
    clipped = 0
    for one in readings:
        yield Loudness(one.level_dbfs, one.floor_dbfs, one.is_speech, one.clipped > clipped, one.mute_s > 0)
        clipped = one.clipped


def _tone(trial: Trial) -> Checked:
    player = installed_player()
    if player is None:
        return Checked("tone", "warning", "nothing can play", "sudo apt-get install alsa-utils")
    command = [part.format(rate=RATE_HZ) for part in player.command]
    try:
        done = subprocess.run(  # noqa: S603  # one of the programs that play the agent's own tones
            command, input=tone("done"), capture_output=True, timeout=LONGEST_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Checked("tone", "failure", f"{command[0]} does not play: {error}", "aplay -l   # which cards can play?")
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[:200]
        return Checked("tone", "failure", f"{command[0]}: {said}", "aplay -l   # which cards can play?")
    remedy = "Is something plugged in, and the mixer up? sudo edgeagent board apply; then alsamixer."
    return _asked(trial, "tone", f"{command[0]} played two notes", "Did you hear two notes? [Y/n]", remedy)


def _light(trial: Trial) -> Checked:
    fitted, brightness = _fittings(trial), trial.settings.board.brightness
    kind = None if fitted.light is None else light_of(fitted.light, brightness, trial.lines_of(fitted))
    if fitted.light is None or kind is None:
        return skipped("light", "neither the sound hardware nor [board] light has any")
    _, opened = kind
    with opened() as paint:
        for color in (*_COLORS, OFF):
            red, green, blue = (round(one * brightness) for one in color)
            paint(((red, green, blue),) * fitted.light.count)
            threading.Event().wait(trial.shown_s)
    what = "a lamp was lit" if fitted.light.kind == "gpio" else "lamps were red, green and blue"
    return _asked(trial, "light", what, "Did you see it? [Y/n]", "Check kind, SPI device and lines: [board] light.")


def _button(trial: Trial) -> Checked:
    fitted = _fittings(trial)
    if fitted.button is None:
        return skipped("button", "neither the sound hardware nor [board] button has one")
    if trial.ask is not None and trial.ask(f"Press the button within {trial.seconds:.0f} s after Enter.") == "s":
        return skipped("button", "as you wished")
    line = Line(fitted.button.line, fitted.button.active_low)
    with trial.lines_of(fitted)().input(line) as found:
        if trial.ask is None:
            return Checked("button", "ok", f"line {line.offset} is {'' if found.is_active() else 'not '}pressed now")
        press = asyncio.run(_pressed(found, trial.seconds))
    if press is None:
        return Checked("button", "failure", f"line {line.offset} told no press", "Check its line: [board] button.")
    return Checked("button", "ok", f"a {press} press on line {line.offset}{_of_no_use(trial.settings.waking)}")


def _of_no_use(waking: WakingSettings) -> str:
    """Return what a person may wonder about who presses it and sees nothing happen."""
    is_asked = waking.words or waking.push_to_talk
    return "" if is_asked else "; short ones change nothing: it always listens without [waking] push_to_talk or words"


async def _pressed(line: InputLine, within_s: float) -> Press | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            async for press in presses(line):
                return press
    return None


def _fittings(trial: Trial) -> Fittings:
    hat = trial.here.hats[0].profile if trial.here.hats else None
    return fittings(trial.settings.board, hat, trial.here.board.profile.gpiochip_labels)


def _asked(trial: Trial, step: Step, done: str, question: str, remedy: str) -> Checked:
    answer = None if trial.ask is None else trial.ask(question)
    if answer == "s":
        return skipped(step, "as you wished")
    return judged_by_a_person(step, done, is_right=None if answer is None else answer == "y", remedy=remedy)
