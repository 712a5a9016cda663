"""The microphone gives frames, says when it is away, and comes back: by ALSA's file plugin, in a child process.

PortAudio reads the ALSA configuration when it starts, so every test is a process with a HOME of its own.
"""

import json
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeagent.messages import FRAME_BYTES

NEEDED = find_library("portaudio") and find_library("asound")

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


def child(home: Path, script: str, **settings: Any) -> dict[str, Any]:
    if not NEEDED:
        if os.environ.get("EDGEAGENT_CI"):
            pytest.fail("PortAudio and ALSA are needed: sudo apt-get install libportaudio2")
        pytest.skip("PortAudio or ALSA is not installed: sudo apt-get install libportaudio2")
    done = subprocess.run(
        [sys.executable, "-c", CHILD + script, json.dumps(settings)],
        env={**os.environ, "HOME": str(home)},
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
    plug_in(tmp_path, np.zeros(512))
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
