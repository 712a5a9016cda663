"""Asleep, nothing is heard but the wake word; awake, a sentence is not cut, and one more may follow an order."""

from collections.abc import Iterator

from edgeagent.hear.waking import SILENCE, SPEAKING_S, Bell, Gate
from edgeagent.messages import FRAME_BYTES, FRAME_S, Frame
from edgeagent.settings import WakingSettings

SETTINGS = WakingSettings(words=("okay_nabu",), wait_s=1.0, follow_up_s=2.0)
WAIT, FOLLOW, SPEAKING = (round(seconds / FRAME_S) for seconds in (1.0, 2.0, SPEAKING_S))


class Detector:
    """Hears a W."""

    def __init__(self) -> None:
        self.looked_at = 0
        self.resets = 0

    def __call__(self, frame: Frame) -> str | None:
        self.looked_at += 1
        return "Okay Nabu" if frame[0] == ord("W") else None

    def reset(self) -> None:
        self.resets += 1

    def use_cutoff(self, cutoff: float) -> None:
        self.cutoff = cutoff


def frames(script: str) -> Iterator[Frame]:
    """One frame per letter: W ends the wake word, S is speech, a dot silence with a trace of noise."""
    return (letter.encode() + bytes(FRAME_BYTES - 1) for letter in script)


def through(gate: Gate, script: str) -> str:
    """Return the script with an underscore for each frame that was silenced."""
    return "".join("_" if frame == SILENCE else chr(frame[0]) for frame in gate(frames(script)))


def gate_with(woken: list[str]) -> tuple[Gate, Detector]:
    detector = Detector()
    return Gate(detector, lambda frame: frame[0] == ord("S"), SETTINGS, woken.append), detector


def test_nothing_is_heard_without_the_wake_word() -> None:
    woken: list[str] = []
    gate, detector = gate_with(woken)
    assert through(gate, "SS..SS") == "______"
    assert woken == []
    assert detector.looked_at == 6


def test_what_follows_the_wake_word_is_heard_and_the_word_itself_is_not() -> None:
    woken: list[str] = []
    gate, detector = gate_with(woken)
    assert through(gate, "SWSS.S") == "__SS.S"
    assert woken == ["Okay Nabu"]
    assert detector.resets == 1


def test_it_falls_asleep_when_nothing_is_said() -> None:
    gate, _ = gate_with([])
    heard = through(gate, "W" + "." * (WAIT + 5))
    assert heard.startswith("_" + "." * WAIT)
    assert heard.endswith("____")


def test_a_sentence_that_began_in_time_is_not_cut() -> None:
    gate, _ = gate_with([])
    script = "W" + "." * (WAIT - 3) + "S" * 100 + "." * (SPEAKING - 5)
    assert "_" not in through(gate, script)[1:]


def test_an_order_may_follow_an_order_but_not_talk() -> None:
    gate, _ = gate_with([])
    through(gate, "WSSS")
    gate.heard(is_for_us=True)
    assert through(gate, "." * (FOLLOW - 2) + "SS") == "." * (FOLLOW - 2) + "SS"
    gate.heard(is_for_us=False)
    assert through(gate, "SS") == "__"


def test_who_rings_is_listened_to_without_a_wake_word() -> None:
    woken: list[str] = []
    bell = Bell()
    gate = Gate(None, lambda frame: frame[0] == ord("S"), SETTINGS, woken.append, bell)
    assert through(gate, "S") == "_"
    bell.ring("button")
    assert through(gate, "SS.") == "SS."
    assert woken == ["button"]


def test_ringing_twice_before_it_is_heard_calls_once() -> None:
    bell = Bell()
    bell.ring("button")
    bell.ring("bus")
    assert bell.heard() == "bus"
    assert bell.heard() is None


def test_a_ring_while_awake_gives_the_whole_time_anew() -> None:
    woken: list[str] = []
    bell = Bell()
    gate = Gate(None, lambda _: False, SETTINGS, woken.append, bell)
    bell.ring("button")
    through(gate, "." * (WAIT - 1))
    bell.ring("button")
    assert "_" not in through(gate, "." * (WAIT - 1))
    assert woken == ["button", "button"]
