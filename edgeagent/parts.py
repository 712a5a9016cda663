"""What the user of an agent chooses: who is told of every step, where sound comes from, how it answers."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edgeagent.answer.patterns import Sign
from edgeagent.answer.voice import Voice
from edgeagent.hear.quality import SoundQuality
from edgeagent.hear.waking import Bell
from edgeagent.messages import Frame, Report

Source = Callable[[threading.Event], Iterable[Frame]]
"""Gives frames until the event is set."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the user of an agent chooses: who is told of every step, and who speaks the answers.

    While `deaf` is set, nothing is heard: a voice sets it while it speaks. Who rings the `bell` is listened to next.
    While `muted` is set, the microphone is closed. `signs` show without words what is going on. What the `sound` is
    like is counted by who hears it.
    """

    report: Report
    voices: tuple[Voice, ...] = ()
    deaf: threading.Event = field(default_factory=threading.Event)
    bell: Bell = field(default_factory=Bell)
    muted: threading.Event = field(default_factory=threading.Event)
    sound: SoundQuality = field(default_factory=SoundQuality)
    signs: tuple[Sign, ...] = ()
    is_dry_run: bool = False
