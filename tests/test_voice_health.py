"""How voice control goes, counted for each release, over restarts and crashes."""

import json
from pathlib import Path

from edgeagent import voice_health
from edgeagent.messages import Rejection, Transcript, Word
from edgeagent.update.probation import Figures
from edgeagent.voice_health import HEALTH, VoiceHealth, figures_of

OURS = ("command-en:abc@0",)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def heard(text: str, waited_s: float = 0.2, ended_by: str = "silence") -> Transcript:
    words = tuple(Word(word, 0.0, 1.0, 1.0) for word in text.split())
    return Transcript("u1", words, 1.0 + waited_s, ended_by=ended_by)  # type: ignore[arg-type]


def counted(path: Path) -> Figures:
    return figures_of(path, "command-en", "abc")


def test_what_is_heard_is_counted_for_every_release_in_use(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / HEALTH
    health = VoiceHealth(path, (*OURS, "wake:@0"), clock)
    for waited_s in [0.1] * 18 + [0.8, 0.9]:
        clock.now += 60
        health.note(heard("lights on", waited_s))
    health.note(Rejection("u1", "not-a-command", "rubbish"))
    health.note(heard("typed", ended_by="text"))
    health.note(Rejection("t1", "not-a-command", "typed"))
    health.reach(is_fleet_reachable=True)
    health.save()
    found = counted(path)
    assert (found.decisions, found.rejected, found.starts, found.observed_s) == (20, 1, 1, 1_200.0)
    assert 750 < found.p95_ms < 900
    assert found.is_fleet_reachable
    assert figures_of(path, "wake", None).decisions == 20


def test_the_same_words_again_soon_are_a_repetition_and_later_are_none(tmp_path: Path) -> None:
    clock = Clock()
    health = VoiceHealth(tmp_path / HEALTH, OURS, clock)
    for pause_s in (0, 5, 60):
        clock.now += pause_s
        health.note(heard("lights on"))
    health.note(heard("a very long sentence", ended_by="cap"))
    health.save()
    assert (counted(tmp_path / HEALTH).repeated, counted(tmp_path / HEALTH).ended_by_cap) == (1, 1)


def test_a_run_that_ends_without_a_word_has_crashed_and_one_that_ends_in_order_has_not(tmp_path: Path) -> None:
    path = tmp_path / HEALTH
    VoiceHealth(path, OURS, Clock()).save()
    VoiceHealth(path, OURS, Clock()).save(is_over=True)
    VoiceHealth(path, OURS, Clock()).save(is_over=True)
    assert (counted(path).starts, counted(path).crashes) == (3, 1)


def test_a_power_cut_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / HEALTH
    VoiceHealth(path, OURS, Clock()).save()
    told = json.loads(path.read_text())
    told["running"]["boot"] = "another time that this machine was switched on"
    path.write_text(json.dumps(told))
    VoiceHealth(path, OURS, Clock()).save()
    assert counted(path).crashes == 0


def test_where_nothing_can_be_written_the_agent_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    health = VoiceHealth(tmp_path / "file" / HEALTH, OURS, Clock())
    health.note(heard("lights on"))
    health.save(is_over=True)


def test_of_many_releases_the_oldest_are_forgotten_but_never_those_in_use(tmp_path: Path) -> None:
    path = tmp_path / HEALTH
    VoiceHealth(path, OURS, Clock()).save(is_over=True)
    for number in range(voice_health.MOST_RELEASES + 5):
        VoiceHealth(path, (f"command-en:{number}@0",), Clock()).save(is_over=True)
    assert counted(path).starts == 0
    assert len(voice_health.read(path)) <= voice_health.MOST_RELEASES + 1


def test_an_earlier_service_of_a_release_is_not_counted_again(tmp_path: Path) -> None:
    path = tmp_path / HEALTH
    VoiceHealth(path, ("command-en:abc@1",), Clock()).save()
    VoiceHealth(path, ("command-en:abc@2",), Clock()).save()
    assert (counted(path).starts, counted(path).crashes) == (1, 0)


def test_the_broker_is_away_since_it_was_there_last(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / HEALTH
    health = VoiceHealth(path, OURS, clock)
    found = []
    for is_there in (True, False, False, True, False):
        clock.now += 100
        health.reach(is_fleet_reachable=is_there)
        health.save()
        found.append((counted(path).is_fleet_reachable, counted(path).unreachable_s))
    assert found == [(True, 0.0), (False, 100.0), (False, 200.0), (True, 0.0), (False, 100.0)]
