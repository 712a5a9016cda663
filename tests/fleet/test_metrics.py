"""What is counted of utterances, and measured of board and sound."""

from pathlib import Path

import numpy as np
import pytest

from edgeagent.fleet.gauges import gauges, hardware
from edgeagent.fleet.metrics import Counted
from edgeagent.fleet.wire import HEALTH_BUCKETS_MS, LARGEST_SMALL_BYTES, Sample, read, written
from edgeagent.hear.quality import SoundQuality
from edgeagent.messages import (
    Action,
    Command,
    Device,
    EndedBy,
    Message,
    Outcome,
    Published,
    Rejection,
    Transcript,
    Word,
)

LAMP = Action("a1", "u1", Device("ha:1", "Bed", "light", frozenset({"power"})), "power", "on")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def said(utterance: str, text: str, ended_by: EndedBy | None = "silence", took_s: float = 0.25) -> Transcript:
    words = tuple(Word(one, 0.0, 1.0) for one in text.split())
    return Transcript(utterance, words, 1.0 + took_s, ended_by=ended_by)


def test_decisions_rejections_repeats_ends_by_cap_orders_and_outcomes_are_counted() -> None:
    clock = Clock()
    counted = Counted(clock)
    counted.note(said("u1", "lights on"))
    counted.note(Rejection("u1", "not-a-command"))
    clock.now += 9
    counted.note(said("u2", "lights on", "cap", took_s=9.0))
    clock.now += 11
    counted.note(said("u3", "lights on", took_s=0.05))
    counted.note(said("u4", "lights on", None))
    counted.note(said("t1", "typed", "text"))
    counted.note(Rejection("t1", "not-a-command"))
    counted.note(Command("u3", "turn_on", (), "lights on", 0, 1.0))
    counted.note(Published(LAMP, Message("x", b"")))
    counted.note(Outcome(LAMP, "done", 0.1))
    counted.note(Outcome(LAMP, "failed", 0.1, "no answer"))
    sample = counted.sample("b1", 5.0, {"clipped": 3}, {"load": 0.5})
    assert sample.counters == {
        "decisions": 3, "rejected": 1, "repeated": 1, "ended_by_cap": 1, "commands": 1, "orders": 1,
        "outcomes_done": 1, "outcomes_failed": 1, "clipped": 3,
    }  # fmt: skip
    assert sample.uptime_s == 20.0
    assert sum(sample.decision_ms) == 3
    assert sample.decision_ms[0] == 1, "50 ms belongs to the bucket of 50 ms"
    assert sample.decision_ms[HEALTH_BUCKETS_MS.index(300)] == 1
    assert sample.decision_ms[-1] == 1
    assert read(Sample, written(sample), largest=LARGEST_SMALL_BYTES) == sample


def test_what_is_told_has_bounds_however_much_was_said() -> None:
    counted = Counted(Clock())
    for number in range(10_000):
        counted.note(said(f"u{number}", f"words {number}"))
        counted.note(Rejection(f"u{number}", "not-a-command"))
    sample = counted.sample("b1", 5.0, {}, {})
    assert (sample.counters["decisions"], sample.counters["rejected"]) == (10_000, 10_000)
    assert len(written(sample)) < 2_000


def board(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_a_board_is_measured_as_far_as_it_tells(tmp_path: Path) -> None:
    root = board(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
            "sys/class/thermal/thermal_zone1/temp": "61000\n",
            "sys/class/thermal/thermal_zone2/temp": "-274000\n",
            "sys/class/thermal/thermal_zone3/temp": "hot\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
            "proc/meminfo": "MemTotal:  1024 kB\nMemAvailable:    512000 kB\n",
            "proc/self/status": "Name:\tedgeagent\nVmRSS:\t  204800 kB\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
            "proc/device-tree/serial-number": "10000000abcdef01\0",
        },
    )
    found = gauges(tmp_path, root)
    assert (found["temperature_c"], found["throttled"]) == (61.0, 1.0)
    assert (found["memory_free_mb"], found["memory_used_mb"]) == (500.0, 200.0)
    assert found["disk_free_mb"] > 0
    assert hardware(root) == ("Raspberry Pi 4 Model B Rev 1.5", "10000000abcdef01")


def test_what_a_board_does_not_tell_is_left_out(tmp_path: Path) -> None:
    assert set(gauges(tmp_path / "not" / "made", tmp_path / "nothing")) == {"disk_free_mb", "load"}
    assert hardware(tmp_path / "nothing") == ("", "")


def frame(level: float) -> bytes:
    return (np.sin(np.arange(512)) * level).clip(-32_768, 32_767).astype("<i2").tobytes()


def test_how_loud_the_room_is_and_what_is_too_loud_is_counted_frame_by_frame() -> None:
    sound = SoundQuality()
    assert sound.noise_floor_db is None
    for _ in range(100):
        sound.look_at(frame(300))
    assert sound.noise_floor_db == pytest.approx(46.5, abs=0.5)
    assert sound.clipped == 0
    for _ in range(7):
        sound.look_at(frame(60_000))
    assert (sound.frames, sound.clipped) == (107, 7)
    sound.look_at(bytes(1_024))
    assert sound.noise_floor_db == pytest.approx(46.5, abs=0.5), "a microphone that is off is no room"
