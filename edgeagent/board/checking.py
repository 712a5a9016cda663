"""Measurements and answers to findings: whether microphone, tone, lights and button of a board work. Pure.

Rules:
- a microphone that gives nothing but zeros is off; one whose speech stays below -45 dBFS is hardly heard, and one that
  reaches full scale in more than a tenth of what is speech is distorted;
- what only a person can judge (a tone, a light) counts as done when the program did it, and says that nobody was asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Step = Literal["board", "microphone", "tone", "light", "button"]
Verdict = Literal["ok", "warning", "failure", "skipped"]
STEPS: tuple[Step, ...] = ("board", "microphone", "tone", "light", "button")

QUIET_DBFS = -45.0
"""Speech at arm's length reaches -30 to -15; what is below is lost in the noise of cheap converters."""
NOISY_DBFS = -35.0
MOST_CLIPPED = 0.1
_MIXER = "Set its mixer: sudo edgeagent board apply; then alsamixer, or [microphone] gain."


@dataclass(frozen=True, slots=True)
class Checked:
    """A step of the check: what came of it, what was found, and what to do where it is not well."""

    step: Step
    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Loudness:
    """A frame: how loud it is, how loud the room, whether it is speech, clipped, or nothing but zeros."""

    level_dbfs: float
    floor_dbfs: float | None
    is_speech: bool
    is_clipped: bool
    is_mute: bool


def judge_microphone(frames: Iterable[Loudness]) -> Checked:
    """Return what can be said of a microphone by what it gave while somebody was to speak."""
    heard = list(frames)
    if not heard:
        return Checked("microphone", "failure", "it gives no sound", "fuser -v /dev/snd/*   # who holds it?")
    if all(one.is_mute for one in heard):
        return Checked("microphone", "failure", "it opens and gives nothing but zeros", f"Is it switched off? {_MIXER}")
    speech = [one for one in heard if one.is_speech]
    loudest = max(one.level_dbfs for one in speech or heard)
    floor = next((one.floor_dbfs for one in reversed(heard) if one.floor_dbfs is not None), None)
    room = f", the room {floor:.0f}" if floor is not None else ""
    measured = f"{'speech' if speech else 'no speech; the loudest'} {loudest:.0f} dBFS{room}"
    if not speech:
        return Checked("microphone", "warning", measured, "Try again and speak, an arm's length from it.")
    if sum(one.is_clipped for one in speech) > MOST_CLIPPED * len(speech):
        return Checked("microphone", "warning", f"{measured}; it is too loud and distorted", _MIXER)
    if loudest < QUIET_DBFS:
        return Checked("microphone", "warning", f"{measured}; it is too quiet", _MIXER)
    if floor is not None and floor > NOISY_DBFS:
        return Checked("microphone", "warning", f"{measured}; the room, or the card, is loud", _MIXER)
    return Checked("microphone", "ok", measured)


def judged_by_a_person(step: Step, done: str, *, is_right: bool | None, remedy: str) -> Checked:
    """Return what a person says of what was `done`; None: nobody was asked."""
    if is_right is None:
        return Checked(step, "ok", f"{done}; nobody was asked")
    return Checked(step, "ok", done) if is_right else Checked(step, "failure", f"{done}, but not as it should", remedy)


def skipped(step: Step, why: str) -> Checked:
    """Return that a step was left out."""
    return Checked(step, "skipped", why)
