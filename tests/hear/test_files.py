"""Sound files of any make become frames, or an error that says what is wrong with them."""

import os
import tracemalloc
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from edgeagent.errors import SoundError
from edgeagent.hear.files import check, followed_by_silence, frames_of, paced
from edgeagent.messages import FRAME_BYTES, FRAME_S, FRAME_SAMPLES


def tone(rate: int = 16_000, seconds: float = 1.0) -> npt.NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)


def samples(path: Path) -> npt.NDArray[np.int16]:
    frames = list(frames_of(path))
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    return np.frombuffer(b"".join(frames), "<i2")


def assert_is_the_tone(found: npt.NDArray[np.int16], within: float) -> None:
    assert len(found) == 32 * FRAME_SAMPLES
    assert np.abs(found[1000:15_000] / 32_768 - tone()[1000:15_000]).max() < within
    assert not found[16_000 + 50 :].any()


@pytest.mark.parametrize(
    ("rate", "channels", "subtype", "within"),
    [
        (16_000, 1, "PCM_16", 1e-4),
        (16_000, 2, "PCM_16", 1e-4),
        (16_000, 1, "PCM_U8", 1e-2),
        (16_000, 1, "PCM_24", 1e-4),
        (16_000, 1, "FLOAT", 1e-4),
        (16_000, 1, "ULAW", 5e-2),
        (44_100, 2, "PCM_16", 1e-3),
        (48_000, 6, "PCM_24", 1e-3),
        (22_050, 1, "FLOAT", 1e-3),
    ],
)
def test_any_rate_width_and_number_of_channels(
    tmp_path: Path, rate: int, channels: int, subtype: str, within: float
) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(rate)] * channels, axis=1), rate, subtype)
    assert_is_the_tone(samples(tmp_path / "a.wav"), within)


@pytest.mark.parametrize("ending", ["flac", "ogg", "mp3", "aiff"])
def test_other_formats(tmp_path: Path, ending: str) -> None:
    if ending.upper() not in soundfile.available_formats():
        pytest.skip(f"this libsndfile does not write {ending}")
    soundfile.write(tmp_path / f"a.{ending}", tone(), 16_000)
    found = samples(tmp_path / f"a.{ending}") / 32_768
    assert abs(float(np.sqrt(np.mean(found[2000:14_000] ** 2))) - 0.5 / np.sqrt(2)) < 0.02


def test_sixteen_bit_samples_stay_what_they_are(tmp_path: Path) -> None:
    written = np.arange(-32_768, 32_768, 8, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", written, 16_000)
    assert np.array_equal(samples(tmp_path / "a.wav")[: len(written)], written)


def test_what_is_too_loud_is_clipped_and_what_is_no_number_is_silent(tmp_path: Path) -> None:
    loud = np.array([2.0, -2.0, np.nan, np.inf, -np.inf, 0.25] * 100, np.float32)
    soundfile.write(tmp_path / "a.wav", loud, 16_000, "FLOAT")
    assert samples(tmp_path / "a.wav")[:6].tolist() == [32_767, -32_768, 0, 32_767, -32_768, 8192]


def test_a_streamed_wav_that_does_not_know_its_length_is_no_mistake(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    place = raw.index(b"data") + 4
    raw[place : place + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(raw)
    assert_is_the_tone(samples(tmp_path / "a.wav"), 1e-4)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_truncated_file_is_said_so(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tone(seconds=3), 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SoundError, match=str(path)):
        samples(path)


def test_what_is_no_sound_is_said_so(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "slow.wav", tone(), 1000)
    (tmp_path / "text.wav").write_text("turn on the light\n" * 100)
    (tmp_path / "nothing.wav").write_bytes(b"")
    soundfile.write(tmp_path / "nan.wav", np.full(1600, np.nan, np.float32), 16_000, subtype="FLOAT")
    expected = {
        "empty.wav": "holds no sound",
        "slow.wav": "1000 Hz is not usable",
        "text.wav": "no sound that can be read",
        "nothing.wav": "no sound that can be read",
        "missing.wav": "No such file or directory",
        ".": "Is a directory",
        "nan.wav": "holds no numbers",
    }
    for name, message in expected.items():
        with pytest.raises(SoundError, match=message) as caught:
            check(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert caught.value.remedy


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(SoundError, match="not a plain file"):
        check(tmp_path / "pipe.wav")


def test_an_hour_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        for _ in range(60):
            file.writeframesraw(bytes(2 * 8_000 * 60))
    tracemalloc.start()
    count = sum(1 for _ in frames_of(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 3600 * 16_000 // FRAME_SAMPLES
    assert peak < 2 << 20


def test_paced_frames_come_when_a_microphone_would_have_them() -> None:
    now = 5.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    got: Sequence[bytes] = list(paced([bytes(FRAME_BYTES)] * 3, lambda: now, sleep))
    assert len(got) == 3
    assert slept == pytest.approx([FRAME_S] * 3)


def test_frames_that_were_late_are_not_delayed_further() -> None:
    slept: list[float] = []
    ticks = iter([0.0, 1.0, 1.0, 1.0])
    assert len(list(paced([b""] * 3, lambda: next(ticks), slept.append))) == 3
    assert slept == []


def test_silence_follows() -> None:
    assert list(followed_by_silence([b"x"], 2)) == [b"x", bytes(FRAME_BYTES), bytes(FRAME_BYTES)]
