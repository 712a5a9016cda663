"""What says nothing is taken away, what was corrected is replaced, and what was called off is not done."""

import pytest

from edgeagent.evaluate.judging import Judge
from edgeagent.messages import Command
from edgeagent.understand.repair import MOST_REPAIRS, has_correction, is_taken_back, repairs


def said(text: str) -> list[str]:
    return text.split()


@pytest.fixture(scope="module")
def home() -> Judge:
    return Judge("home", None)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("um turn on the desk lamp", "turn on the desk lamp"),
        ("hey could you uh turn on the desk lamp thanks", "turn on the desk lamp"),
        ("i was wondering if you could turn on the desk lamp", "turn on the desk lamp"),
        ("turn turn on the the desk lamp", "turn on the desk lamp"),
        ("turn on turn on the desk lamp", "turn on the desk lamp"),
        ("turn on the no off the desk lamp", "turn off the desk lamp"),
        ("turn on no wait turn off the desk lamp", "turn off the desk lamp"),
        ("turn on the desk lamp no off", "turn off the desk lamp"),
        ("turn on the floor lamp sorry the desk lamp", "turn on the desk lamp"),
        ("set the thermostat to nineteen no wait twenty one degrees", "set the thermostat to twenty one degrees"),
        ("dim the desk lamp to twenty i mean thirty percent", "dim the desk lamp to thirty percent"),
        ("no turn on the desk lamp", None),
        ("kill the no", None),
        ("don't turn on the desk lamp", None),
        ("never ever turn on the desk lamp", None),
        ("if you turn on the desk lamp", None),
        ("she said turn on the desk lamp", None),
        ("turn on the desk lamp no never mind", None),
        ("turn on the desk lamp cancel that", None),
        ("turn on the desk lamp not", None),
    ],
)
def test_what_is_meant_is_done_and_nothing_else(home: Judge, text: str, meant: str | None) -> None:
    found = home(text)
    if meant is None:
        assert found.kind == "refused", found
    else:
        assert (found.kind, found.meaning) == ("obeyed", home(meant).meaning), found


def test_a_repaired_command_says_what_was_left_out(home: Judge) -> None:
    found = home("um turn on the desk lamp please thanks").interpretation
    assert isinstance(found, Command)
    assert '"um" was left out' in found.why


def test_half_a_number_is_not_kept() -> None:
    tried = {repair.words for repair in repairs(said("set it to twenty two no three percent"))}
    assert ("set", "it", "to", "three", "percent") in tried
    assert ("set", "it", "to", "twenty", "three", "percent") not in tried


def test_repairs_are_few_whatever_was_said() -> None:
    assert len(list(repairs(["no", "light"] * 32))) <= MOST_REPAIRS
    assert list(repairs(["um"])) == []
    assert not list(repairs([]))


def test_a_correction_needs_something_before_and_after_it() -> None:
    assert has_correction(said("turn on no off the lamp"))
    assert not has_correction(said("no turn off the lamp"))
    assert not has_correction(said("turn off the lamp no"))
    assert is_taken_back(said("turn off the lamp no"))
    assert not is_taken_back(["cancel"])
