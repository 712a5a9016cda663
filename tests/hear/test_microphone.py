"""The microphone gives frames, says when it is away, and comes back: by ALSA's file plugin, in a child process.

PortAudio reads the ALSA configuration when it starts, so every test is a process with a HOME of its own.
"""

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
import threading
import tty
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from soundcards import NAME, environment, need, sound_server

from edgeagent.messages import FRAME_BYTES

WITHOUT_PRIVILEGES = ("setpriv", "--inh-caps=-sys_admin", "--bounding-set=-sys_admin") if os.geteuid() == 0 else ()
"""Root may open what is held by another; nobody else may."""

ASOUNDRC = """
pcm.mic { type file slave.pcm "null" file "/dev/null" infile "@speech" format "raw" }
"""

CHILD = """
import json, logging, sys, threading, time
from pathlib import Path
from edgeagent.errors import SoundError
from edgeagent.hear import microphone
from edgeagent.settings import MicrophoneSettings

told, frames, logged = [], [], []
stop = threading.Event()
settings = MicrophoneSettings(reopen_after_s=0.1, **json.loads(sys.argv[1]))

class Log(logging.Handler):
    def emit(self, record):
        logged.append(record.getMessage())

logging.getLogger().addHandler(Log())

def trouble(error):
    told.append(None if error is None else str(error))

def finish():
    print(json.dumps({"told": told, "frames": frames, "logged": logged, **result}))

result = {}
"""


def child(home: Path, script: str, *, keep: tuple[int, ...] = (), **settings: Any) -> dict[str, Any]:
    need()
    done = subprocess.run(
        [*WITHOUT_PRIVILEGES, sys.executable, "-c", CHILD + script, json.dumps(settings)],
        env=environment(home),
        pass_fds=keep,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(result, dict)
    return result


def plug_in(home: Path, samples: np.ndarray) -> None:
    (home / "speech").write_bytes(samples.astype("<i2").tobytes())
    (home / ".asoundrc").write_text(ASOUNDRC.replace("@speech", str(home / "speech")))


SPEECH = np.random.default_rng(1).integers(-20_000, 20_000, 512 * 40)

READ = """
for frame in microphone.frames_of(settings, stop, trouble):
    frames.append(frame.hex())
    if len(frames) == 30:
        stop.set()
finish()
"""


def test_frames_are_the_sound(tmp_path: Path) -> None:
    plug_in(tmp_path, SPEECH)
    got = child(tmp_path, READ, device="mic")
    sound = b"".join(map(bytes.fromhex, got["frames"]))
    assert {len(frame) for frame in got["frames"]} == {2 * FRAME_BYTES}
    assert sound == SPEECH.astype("<i2").tobytes()[: 30 * FRAME_BYTES]
    assert got["told"] == []


def test_gain_makes_it_louder_and_clips_and_says_so(tmp_path: Path) -> None:
    plug_in(tmp_path, SPEECH)
    got = child(tmp_path, READ.replace("30", "38"), device="mic", gain=4.0)
    sound = np.frombuffer(b"".join(map(bytes.fromhex, got["frames"])), "<i2")
    assert np.array_equal(sound, np.clip(SPEECH[: len(sound)] * 4, -32_768, 32_767))
    assert got["logged"] == ["microphone clips"]


def test_a_microphone_that_is_mute_is_said_so(tmp_path: Path) -> None:
    plug_in(tmp_path, np.zeros(512 * 420))
    assert child(tmp_path, READ.replace("30", "400"), device="mic")["logged"] == ["microphone is mute"]


def test_the_cards_are_listed_and_opened_to_check(tmp_path: Path) -> None:
    plug_in(tmp_path, SPEECH)
    script = "microphone.check(settings)\nresult['names'] = microphone.devices()\nfinish()"
    assert "mic" in child(tmp_path, script, device="mic")["names"]


def test_an_absent_microphone_is_said_once_and_silent_until_the_stop(tmp_path: Path) -> None:
    (tmp_path / ".asoundrc").write_text("")
    got = child(tmp_path, READ, device="mic")
    assert len(got["told"]) == 1
    assert "mic" in got["told"][0] or "no sound card" in got["told"][0]
    assert {frame.strip("0") for frame in got["frames"]} == {""}


def test_a_microphone_that_appears_later_is_opened(tmp_path: Path) -> None:
    (tmp_path / ".asoundrc").write_text("")
    (tmp_path / "speech").write_bytes(SPEECH.astype("<i2").tobytes())
    plugged = ASOUNDRC.replace("@speech", str(tmp_path / "speech"))
    script = f"""
for frame in microphone.frames_of(settings, stop, trouble):
    if len(frames) == 5:
        (Path.home() / ".asoundrc").write_text({plugged!r})
    frames.append(frame.hex())
    if any(frame) or len(frames) > 500:
        stop.set()
finish()
"""
    got = child(tmp_path, script, device="mic")
    assert len(got["told"]) == 2
    assert got["told"][1] is None
    assert bytes.fromhex(got["frames"][-1]) == SPEECH[:512].astype("<i2").tobytes()


@pytest.mark.parametrize("is_there", [True, False])
def test_it_stops_within_two_seconds(tmp_path: Path, is_there: bool) -> None:  # noqa: FBT001
    (tmp_path / ".asoundrc").write_text("")
    if is_there:
        plug_in(tmp_path, SPEECH)
    script = """
settings = settings.model_copy(update={"reopen_after_s": 60.0})
started = threading.Event()

def listen():
    for frame in microphone.frames_of(settings, stop, trouble):
        started.set()

thread = threading.Thread(target=listen)
thread.start()
started.wait(10)
began = time.monotonic()
stop.set()
thread.join(10)
result["took_s"] = time.monotonic() - began
finish()
"""
    assert child(tmp_path, script, device="mic")["took_s"] < 2


def test_a_microphone_that_another_program_holds_is_said_so_and_opened_when_it_is_free(tmp_path: Path) -> None:
    """A terminal stands in for the card: one that is held answers EBUSY, as a card does, and its bytes are sound."""
    ours, card = pty.openpty()
    tty.setraw(card)
    fcntl.ioctl(card, termios.TIOCEXCL)
    (tmp_path / ".asoundrc").write_text(ASOUNDRC.replace("@speech", os.ttyname(card)))
    script = f"""
import fcntl, termios
for frame in microphone.frames_of(settings, stop, trouble):
    frames.append(any(frame))
    if len(frames) == 5:
        fcntl.ioctl({card}, termios.TIOCNXCL)
    if any(frame) or len(frames) > 500:
        stop.set()
finish()
"""
    os.write(ours, SPEECH[:1024].astype("<i2").tobytes())
    try:
        got = child(tmp_path, script, keep=(card,), device="mic")
    finally:
        os.close(ours)
        os.close(card)
    assert len(got["told"]) == 2
    assert "another program" in got["told"][0]
    assert got["told"][1] is None
    assert got["frames"][-1]


UNPLUGGED = """
print("open", flush=True)
for frame in microphone.frames_of(settings, stop, trouble):
    if not frames or frames[-1] != any(frame):
        frames.append(any(frame))
        print("sound" if any(frame) else "silence", flush=True)
    if None in told and frames[-1]:
        stop.set()
finish()
"""


def test_a_microphone_that_is_unplugged_while_listening_is_said_so_and_comes_back(tmp_path: Path) -> None:  # A37
    with (
        sound_server(tmp_path) as server,
        subprocess.Popen(
            [sys.executable, "-c", CHILD + UNPLUGGED, json.dumps({"device": NAME})],
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        guard = threading.Timer(30, process.kill)
        guard.start()
        assert process.stdout is not None
        try:
            wait_for(process.stdout, "sound")
            server.unplug()
            wait_for(process.stdout, "silence")
            server.plug_in()
            wait_for(process.stdout, "sound")
            told = json.loads(process.stdout.readlines()[-1])["told"]
        finally:
            guard.cancel()
            process.kill()
    assert len(told) == 2
    assert "went away" in told[0]
    assert told[1] is None


def wait_for(lines: IO[str], wanted: str) -> None:
    for line in lines:
        if line.strip() == wanted:
            return
    raise AssertionError(f"it ended without {wanted!r}")


KEPT = """
import statistics, time
with microphone._opened(settings) as stream:
    stream.read(512)
    at = []
    while len(at) < 60:
        stream.read(512)
        at.append(time.monotonic())
    result["kept_s"] = stream.latency
    result["usual_gap_s"] = statistics.median(after - before for before, after in zip(at, at[1:]))
finish()
"""


def test_sound_is_kept_for_a_recognizer_that_is_late_and_comes_in_short_pieces_all_the_same(tmp_path: Path) -> None:
    with sound_server(tmp_path):
        got = child(tmp_path, KEPT, device=NAME)
    assert got["kept_s"] > 1.5
    assert got["usual_gap_s"] > 0.016, "pieces of several frames arrive at once: most have no gap"


ONLY_48_KHZ = """
import sounddevice
Real = sounddevice.RawInputStream

def card(samplerate, **rest):
    if samplerate != 48000:
        raise sounddevice.PortAudioError("Invalid sample rate", -9997)
    return Real(samplerate=samplerate, **rest)

sounddevice.RawInputStream = card
real_query = sounddevice.query_devices
sounddevice.query_devices = lambda *a: {**real_query(*a), "default_samplerate": 48000.0} if a else real_query()
"""
"""ALSA's plugins take any rate, so the refusal is put in front of PortAudio; what is read and made 16 kHz is real."""


def test_a_card_of_48_khz_alone_is_heard_at_16(tmp_path: Path) -> None:
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(3 * 16_000) / 48_000)
    plug_in(tmp_path, tone)
    got = child(tmp_path, ONLY_48_KHZ + READ.replace("30", "20"), device="mic")
    sound = np.frombuffer(b"".join(map(bytes.fromhex, got["frames"])), "<i2")
    assert got["told"] == []
    spectrum = np.abs(np.fft.rfft(sound[1024:9216]))
    assert np.argmax(spectrum) * 16_000 / 8192 == pytest.approx(440, abs=2)
    assert np.abs(sound[1024:9216]).max() == pytest.approx(8000, rel=0.02)
