"""The microphone to frames: blocking reads by sounddevice, whose only importer this is.

A microphone that is absent, busy or unplugged is said so once and tried again until it is back.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edgeagent.errors import SoundError
from edgeagent.messages import FRAME_SAMPLES, SAMPLE_RATE_HZ, Frame
from edgeagent.settings import MicrophoneSettings

log = logging.getLogger(__name__)

REMEDY = "Plug it in, or name one that `edgeagent doctor` lists in the settings: [microphone] device = \"…\"."


def frames_of(
    settings: MicrophoneSettings, stop: threading.Event, trouble: Callable[[SoundError | None], None]
) -> Iterator[Frame]:
    """Yield frames until `stop` is set. `trouble` hears when the microphone goes away, and None when it is back."""
    is_away = False
    while not stop.is_set():
        try:
            with _open(settings) as stream:
                if is_away:
                    is_away = False
                    trouble(None)
                yield from _read(stream, settings, stop)
        except SoundError as error:
            if not is_away:
                is_away = True
                trouble(error)
            stop.wait(settings.reopen_after_s)


def devices() -> tuple[str, ...]:
    """Return the names of the sound cards that can record. Raise SoundError if there is no sound system."""
    sounddevice = _sounddevice()
    try:
        return tuple(str(card["name"]) for card in sounddevice.query_devices() if card["max_input_channels"] > 0)
    except sounddevice.PortAudioError as error:
        raise SoundError(f"the sound cards cannot be listed: {error}", remedy=REMEDY) from error


def check(settings: MicrophoneSettings) -> None:
    """Open the microphone and close it again. Raise SoundError if that fails."""
    with _open(settings):
        pass


def _read(stream: Any, settings: MicrophoneSettings, stop: threading.Event) -> Iterator[Frame]:
    sounddevice = _sounddevice()
    overflows = 0
    while not stop.is_set():
        try:
            data, has_overflowed = stream.read(FRAME_SAMPLES)
        except sounddevice.PortAudioError as error:
            raise SoundError(f"the microphone went away: {error}", remedy=REMEDY) from error
        if has_overflowed:
            overflows += 1
            if overflows & (overflows - 1) == 0:  # 1, 2, 4, 8 …: said, not shouted
                log.warning("microphone overflow", extra={"count": overflows})
        yield bytes(data) if settings.gain == 1 else _louder(bytes(data), settings.gain)


def _louder(frame: Frame, gain: float) -> Frame:
    samples = np.frombuffer(frame, "<i2") * gain
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def _open(settings: MicrophoneSettings) -> Any:
    sounddevice = _sounddevice()
    # PortAudio lists the cards once, when it starts; without a new start a card that was plugged in is never seen.
    sounddevice._terminate()  # noqa: SLF001  # the documented way has no public name
    sounddevice._initialize()  # noqa: SLF001
    try:
        return sounddevice.RawInputStream(
            samplerate=SAMPLE_RATE_HZ, blocksize=FRAME_SAMPLES, device=settings.device, channels=1, dtype="int16"
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        if not devices():
            raise SoundError("there is no sound card that can record", remedy=REMEDY) from error
        name = "the default microphone" if settings.device is None else f"the microphone {settings.device!r}"
        raise SoundError(f"{name} cannot be opened: {error}", remedy=REMEDY) from error


def _sounddevice() -> Any:
    """Import sounddevice late: without PortAudio's library it fails, and text and files work without it."""
    try:
        import sounddevice  # noqa: PLC0415  # see above
    except OSError as error:
        raise SoundError(f"PortAudio is missing: {error}", remedy="sudo apt-get install libportaudio2") from error
    return sounddevice
