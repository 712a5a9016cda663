"""The microphone to frames: blocking reads by sounddevice, whose only importer this is.

A microphone that is absent, busy or unplugged is said so once and tried again until it is back. Until then there is
silence: an utterance that was under way ends, and whoever watches the listening thread sees that it lives. One that is
mute or too loud is said so, too.
"""

import ctypes
import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgeagent.errors import SoundError
from edgeagent.hear.quality import CLIPPED_SAMPLES, SoundQuality
from edgeagent.messages import FRAME_BYTES, FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Frame
from edgeagent.settings import MicrophoneSettings

log = logging.getLogger(__name__)

REMEDY = "Plug it in, or end the program that holds it (fuser -v /dev/snd/*), or name another: [microphone] device."

MUTE_AFTER_S = 10.0
"""A microphone always hears some noise: this long nothing but zeros comes from one that is switched off."""
BUFFER_S = 2.0
"""Sound that the card keeps for a recognizer that is late; by default it is 0.06 s, and the rest is lost."""
PERIODS = 64
"""It comes in as many pieces, about a frame each. PortAudio's usual four would each be half a second late."""
CLIPS_AFTER = 32
"""Clipped frames after which it is said, and then again at every doubling."""
_FULL_SCALE = 32_767
_INVALID_RATE = -9997
"""PortAudio's paInvalidSampleRate."""


def frames_of(
    settings: MicrophoneSettings,
    stop: threading.Event,
    trouble: Callable[[SoundError | None], None],
    muted: threading.Event | None = None,
    sound: SoundQuality | None = None,
) -> Iterator[Frame]:
    """Yield frames until `stop` is set. `trouble` hears when the microphone goes away, and None when it is back.

    While `muted` is set, it is closed, and there is silence. What is lost is counted in `sound`.
    """
    counts = sound or SoundQuality()
    is_away = False
    closed = muted or threading.Event()
    while not stop.is_set():
        if closed.is_set():
            yield from _silence(FRAME_S, stop)
            continue
        try:
            with _opened(settings) as stream:
                if is_away:
                    is_away = False
                    trouble(None)
                else:
                    log.info("microphone is open", extra={"device": settings.device})
                for frame in _read(stream, settings, stop, counts):
                    yield frame
                    if closed.is_set():
                        break
        except SoundError as error:
            if not is_away:
                is_away = True
                trouble(error)
            yield from _silence(settings.reopen_after_s, stop)


def devices() -> tuple[str, ...]:
    """Return the names of the sound cards that can record. Raise SoundError if there is no sound system."""
    sounddevice = _sounddevice()
    try:
        return tuple(str(card["name"]) for card in sounddevice.query_devices() if card["max_input_channels"] > 0)
    except sounddevice.PortAudioError as error:
        raise SoundError(f"the sound cards cannot be listed: {error}", remedy=REMEDY) from error


def check(settings: MicrophoneSettings) -> None:
    """Open the microphone and close it again. Raise SoundError if that fails."""
    with _opened(settings):
        pass


def _read(stream: Any, settings: MicrophoneSettings, stop: threading.Event, counts: SoundQuality) -> Iterator[Frame]:
    quality = _Quality()
    for frame in _at_our_rate(stream, stop, counts):
        louder = frame if settings.gain == 1 else _louder(frame, settings.gain)
        quality.look_at(louder)
        yield louder


def _at_our_rate(stream: Any, stop: threading.Event, counts: SoundQuality) -> Iterator[Frame]:
    """Yield frames of 16 kHz, whatever rate the card gives; PortAudio sees to channels and sample formats."""
    rate_hz = round(stream.samplerate)
    if rate_hz == SAMPLE_RATE_HZ:
        yield from _blocks(stream, FRAME_SAMPLES, stop, counts)
        return
    from edgeagent.hear.files import Resampled  # noqa: PLC0415  # libraries that a microphone of 16 kHz does not need

    resampled = Resampled(rate_hz)
    for block in _blocks(stream, round(FRAME_S * rate_hz), stop, counts):
        yield from resampled(block)


def _blocks(stream: Any, samples: int, stop: threading.Event, counts: SoundQuality) -> Iterator[bytes]:
    sounddevice = _sounddevice()
    overflows = 0
    while not stop.is_set():
        try:
            data, has_overflowed = stream.read(samples)
        except sounddevice.PortAudioError as error:
            raise SoundError(f"the microphone went away: {error}", remedy=REMEDY) from error
        if has_overflowed:
            overflows += 1
            counts.overflows += 1
            if overflows & (overflows - 1) == 0:  # 1, 2, 4, 8 …: said, not shouted
                log.warning("microphone overflow", extra={"count": overflows})
        yield bytes(data)


class _Quality:
    """Says in the log when frames come from a microphone that is mute or too loud."""

    def __init__(self) -> None:
        self._mute = 0
        self._clipped = 0
        self._tell_at = CLIPS_AFTER

    def look_at(self, frame: Frame) -> None:
        samples = np.frombuffer(frame, "<i2")
        self._mute = 0 if samples.any() else self._mute + 1
        if self._mute == round(MUTE_AFTER_S / FRAME_S):
            log.warning("microphone is mute", extra={"seconds": MUTE_AFTER_S})
        self._clipped += int(np.count_nonzero(np.abs(samples.astype(np.int32)) >= _FULL_SCALE)) >= CLIPPED_SAMPLES
        if self._clipped == self._tell_at:
            self._tell_at *= 2
            log.warning("microphone clips", extra={"frames": self._clipped})


def _silence(seconds: float, stop: threading.Event) -> Iterator[Frame]:
    for _ in range(math.ceil(seconds / FRAME_S)):
        if stop.wait(FRAME_S):
            return
        yield bytes(FRAME_BYTES)


def _louder(frame: Frame, gain: float) -> Frame:
    samples = np.frombuffer(frame, "<i2") * gain
    return np.clip(samples, -_FULL_SCALE - 1, _FULL_SCALE).astype("<i2").tobytes()


@contextmanager
def _opened(settings: MicrophoneSettings) -> Iterator[Any]:
    """Give a stream that runs while the block does; one whose card was unplugged can be closed, but not stopped."""
    sounddevice = _sounddevice()
    try:
        _find_cards_anew(sounddevice)
        stream = _stream(sounddevice, settings)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise _unusable(settings, error) from error
    try:
        try:
            stream.start()
        except sounddevice.PortAudioError as error:
            raise _unusable(settings, error) from error
        yield stream
    finally:
        stream.close(ignore_errors=True)


def _stream(sounddevice: Any, settings: MicrophoneSettings) -> Any:
    """Return a stream of 16 kHz, or of the card's own rate where it refuses that."""
    _ask_for_short_periods(sounddevice)
    wanted = {"device": settings.device, "channels": 1, "dtype": "int16", "latency": BUFFER_S}
    try:
        return sounddevice.RawInputStream(samplerate=SAMPLE_RATE_HZ, blocksize=FRAME_SAMPLES, **wanted)
    except sounddevice.PortAudioError as error:
        if _INVALID_RATE not in error.args:
            raise
        rate_hz = round(sounddevice.query_devices(settings.device, "input")["default_samplerate"])
        log.info("microphone of another rate", extra={"hz": rate_hz})
        return sounddevice.RawInputStream(samplerate=rate_hz, blocksize=round(FRAME_S * rate_hz), **wanted)


def _ask_for_short_periods(sounddevice: Any) -> None:
    """Have ALSA give sound away in short pieces, however much it keeps (pa_linux_alsa.h)."""
    ask = getattr(ctypes.CDLL(sounddevice._libname), "PaAlsa_SetNumPeriods", None)  # noqa: SLF001  # the library it has found
    if ask is not None:
        ask(PERIODS)


def _find_cards_anew(sounddevice: Any) -> None:
    """Start PortAudio anew: it lists the cards once, so one that was plugged in later is never seen."""
    if sounddevice._initialized:  # noqa: SLF001  # the documented way has no public name
        sounddevice._terminate()  # noqa: SLF001
    sounddevice._initialize()  # noqa: SLF001


def _unusable(settings: MicrophoneSettings, error: Exception) -> SoundError:
    if not devices():
        return SoundError("there is no sound card that can record, or another program holds it", remedy=REMEDY)
    name = "the default microphone" if settings.device is None else f"the microphone {settings.device!r}"
    # PortAudio lists no card that is busy while it looks: that one, too, is "not there".
    return SoundError(f"{name} is not there, or another program holds it: {error}", remedy=REMEDY)


def _sounddevice() -> Any:
    """Import sounddevice late: without PortAudio's library it fails, and text and files work without it."""
    try:
        import sounddevice  # noqa: PLC0415  # see above
    except OSError as error:
        raise SoundError(f"PortAudio is missing: {error}", remedy="sudo apt-get install libportaudio2") from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # raised by the import itself, which cannot name it yet
            raise
        raise SoundError(f"PortAudio does not start: {error}", remedy=REMEDY) from error
    return sounddevice
