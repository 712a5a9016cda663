"""Speech by the C library of espeak-ng, which also tells when each phoneme begins; the command of that name does not.

Run as a program, it says one sentence in the plain voice: espeak-ng has crashed on odd voices, and a crash in a child
is an error and not the end of the tests. So that the child starts at once, this module needs nothing but Python.
"""

import ctypes
import functools
import itertools
import json
import sys
from base64 import b64encode
from typing import Any, NamedTuple

LIBRARY = "libespeak-ng.so.1"
REMEDY = "sudo apt-get install libespeak-ng1 espeak-ng-data"
PLAIN_VOICE = "en-us"

# Of espeak-ng's speak_lib.h:
_WITHOUT_SOUND_CARD = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_PHONEME_EVENTS, _DO_NOT_EXIT = 0x0001, 0x8000
_PHONEME_EVENT = 7
_SPEED, _PITCH, _PITCH_RANGE = 1, 3, 4
_AT_CHARACTER, _UTF8 = 1, 1


class EspeakError(Exception):
    """espeak-ng is missing, or does not do what it is told."""


class Manner(NamedTuple):
    """How something is said."""

    voice: str = PLAIN_VOICE
    speed: int = 150
    """Words a minute."""
    pitch: int = 50
    pitch_range: int = 50


class Phoneme(NamedTuple):
    """A phoneme by espeak's name, such as "t2", or "_:" for a pause."""

    start_s: float
    name: str
    letter: int
    """Where in the text its word begins."""


class Spoken(NamedTuple):
    """A sound of 16-bit samples at espeak's rate, and what is said in it."""

    pcm: bytes
    phonemes: list[Phoneme]


class _Event(ctypes.Structure):
    """`espeak_EVENT`."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


@functools.cache
def library() -> ctypes.CDLL:
    """Return the C library. Raise EspeakError if it is not installed."""
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise EspeakError(f"{LIBRARY} cannot be loaded ({error}): {REMEDY}") from error


def version() -> str:
    """Return the version of the library, such as "1.51"."""
    tell = library().espeak_Info
    tell.restype = ctypes.c_char_p
    return str(tell(None).decode())


class Espeak:
    """The speaking library. It has one state for the whole process."""

    def __init__(self) -> None:
        self._library = library()
        options = _PHONEME_EVENTS | _DO_NOT_EXIT
        self.rate: int = self._library.espeak_Initialize(_WITHOUT_SOUND_CARD, 0, None, options)
        if self.rate <= 0:
            raise EspeakError(f"espeak-ng does not start, perhaps for want of its data: {REMEDY}")
        self._callback = _Callback(self._receive)  # kept, for the library holds a pointer to it
        self._library.espeak_SetSynthCallback(self._callback)
        self._pcm: list[bytes] = []
        self._phonemes: list[Phoneme] = []

    def say(self, text: str, manner: Manner) -> Spoken:
        """Return the sound of a text. Raise EspeakError if there is no such voice."""
        self._pcm, self._phonemes = [], []
        if self._library.espeak_SetVoiceByName(manner.voice.encode()):
            raise EspeakError(f"espeak-ng has no voice {manner.voice!r}")
        for parameter, value in (_SPEED, manner.speed), (_PITCH, manner.pitch), (_PITCH_RANGE, manner.pitch_range):
            self._library.espeak_SetParameter(parameter, value, 0)
        raw = text.encode()
        self._library.espeak_Synth(raw, ctypes.c_size_t(len(raw) + 1), 0, _AT_CHARACTER, 0, _UTF8, None, None)
        return Spoken(b"".join(self._pcm), self._phonemes)

    def _receive(self, samples: int | None, count: int, events: Any) -> int:
        """Keep what the library has just made; the list of events ends with one of type 0."""
        if samples and count:
            self._pcm.append(ctypes.string_at(samples, 2 * count))
        for event in itertools.takewhile(lambda event: event.type, map(events.__getitem__, itertools.count())):
            if event.type == _PHONEME_EVENT:
                name = event.id.decode("ascii", "replace")
                self._phonemes.append(Phoneme(event.sample / self.rate, name, event.text_position - 1))
        return 0


def main() -> None:
    """Say the first argument at the speed of the second, as JSON."""
    espeak = Espeak()
    text, speed = sys.argv[1:]
    spoken = espeak.say(text, Manner(speed=int(speed)))
    answer = {"rate": espeak.rate, "pcm": b64encode(spoken.pcm).decode(), "phonemes": spoken.phonemes}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
