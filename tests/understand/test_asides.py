"""What stands beside an order is left out only where it can change nothing about the order."""

import pytest

from edgeagent.understand.asides import cores, endings


def found(text: str, strange: str, covered: str = "") -> list[str]:
    words = text.split()
    places = [words.index(word) for word in strange.split()]
    inside = [words.index(word) for word in covered.split()]
    return [" ".join(words[core.start : core.end]) for core in cores(words, places, inside)]


def test_a_reason_before_the_order_is_left_out() -> None:
    assert found("the baby's asleep so take the lamp down", "baby's asleep", "lamp") == ["so take the lamp down"]


def test_a_reason_after_the_order_is_left_out() -> None:
    assert found("take the lamp down the neighbours are staring", "neighbours staring", "lamp")[0].startswith(
        "take the lamp down"
    )


def test_the_longest_order_comes_first() -> None:
    assert found("so please zap get the lamp on now zap2 and go", "zap zap2") == [
        "get the lamp on now", "so please", "and go",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "strange", "covered"),
    [
        ("turn on the lamp when granny arrives", "granny arrives", "lamp"),  # a condition
        ("granny arrives at seven turn on the lamp", "granny arrives", "lamp"),  # a time
        ("turn the light on in the basement", "basement", "light"),  # a place that is not known
        ("in the basement turn the light on", "basement", "light"),
        ("basement light on", "basement", "light"),  # no aside but a word of the name
        ("the wobbly light goes on now", "wobbly", "light"),
        ("turn on the lamp wobbly", "wobbly", "lamp"),  # one word is no aside
        ("turn on the wobbly please now", "wobbly", ""),  # half a phrase would be left
        ("granny lamp on granny2 off it goes", "granny granny2", "lamp off"),  # names on both sides of a strange word
    ],
)
def test_what_could_change_the_order_is_never_left_out(text: str, strange: str, covered: str) -> None:
    assert not any("lamp" in core or "light" in core for core in found(text, strange, covered))


def test_an_order_at_the_end_may_follow_on_anything_but_a_condition() -> None:
    def ends(text: str) -> list[str]:
        words = text.split()
        return [" ".join(words[core.start : core.end]) for core in endings(words, [])]

    assert "turn on the lamp" in ends("my eyes hurt so turn on the lamp")
    assert ends("when i cough turn on the lamp") == []
    assert ends("one two turn on the lamp") == []
