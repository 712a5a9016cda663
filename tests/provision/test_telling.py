"""What a first boot says: by lines, to systemd, as light and as voice; and nothing of that stops it."""

import shutil
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from edgeagent.answer.patterns import Pattern
from edgeagent.errors import SoundError
from edgeagent.health import notify
from edgeagent.messages import Answer
from edgeagent.provision.first_boot_rules import Trouble
from edgeagent.provision.telling import Teller, installed_voices

LATER = Trouble("no-network", "the fleet's broker cannot be reached", "Check the network.")
FINAL = Trouble("expired", "the token on the card is too old", "Make a new token.", is_final=True, erases=True)


class Lamp:
    def __init__(self, *, is_broken: bool = False) -> None:
        self.shown: list[str] = []
        self._is_broken = is_broken

    def show(self, pattern: Pattern) -> None:
        if self._is_broken:
            raise OSError(5, "Input/output error")
        self.shown.append(pattern)


class Mouth:
    def __init__(self, *, is_broken: bool = False) -> None:
        self.said: list[Answer] = []
        self._is_broken = is_broken

    async def say(self, answer: Answer) -> None:
        if self._is_broken:
            raise SoundError("no card")
        self.said.append(answer)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_everybody_is_told_in_plain_words(supervisor: socket.socket) -> None:
    lines: list[str] = []
    lamp, mouth = Lamp(), Mouth()
    told = partial(notify, environment={"NOTIFY_SOCKET": supervisor.getsockname()})
    teller = Teller(lines.append, (lamp,), (mouth,), told)
    teller.doing("enrolling at broker.home")
    teller.trouble(LATER)
    teller.trouble(FINAL)
    teller.doing("enrolled: kitchen of home", "done", spoken=True)
    assert lines == [
        "enrolling at broker.home",
        "problem: the fleet's broker cannot be reached. It is tried again.",
        "  try: Check the network.",
        "problem: the token on the card is too old.",
        "  try: Make a new token.",
        "enrolled: kitchen of home",
    ]
    assert [supervisor.recv(1_000).decode() for _ in range(4)] == [
        "STATUS=enrolling at broker.home",
        "STATUS=the fleet's broker cannot be reached",
        "STATUS=the token on the card is too old",
        "STATUS=enrolled: kitchen of home",
    ]
    assert lamp.shown == ["thinking", "offline", "failed", "done"]
    assert [(one.text, one.is_trouble) for one in mouth.said] == [
        ("Not enrolled: the token on the card is too old.", True),
        ("enrolled: kitchen of home", False),
    ]


def test_a_lamp_and_a_voice_that_fail_stop_nothing() -> None:
    lines: list[str] = []
    teller = Teller(lines.append, (Lamp(is_broken=True),), (Mouth(is_broken=True),), lambda _: None)
    teller.trouble(FINAL)
    teller.doing("going on", spoken=True)
    assert lines[-1] == "going on"


def test_what_a_file_says_moves_no_cursor_and_adds_no_line_for_systemd() -> None:
    lines: list[str] = []
    told: list[str] = []
    teller = Teller(lines.append, supervisor=told.append)
    teller.doing("enrolling at \x1b[2Jhost\nREADY=1")
    assert "\x1b" not in lines[0] + told[0]
    assert "\n" not in told[0]


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_where_espeak_is_installed_it_speaks() -> None:
    assert any(type(voice).__name__ == "Spoken" for voice in installed_voices())
