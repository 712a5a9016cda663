import asyncio

import pytest

from edgeagent.act.acknowledgements import Expectations, is_reached, is_under_way
from edgeagent.messages import Capability, Observation, Value


@pytest.mark.parametrize(
    ("capability", "wanted", "seen", "reached"),
    [
        ("power", "on", "on", True),
        ("power", "on", "off", False),
        ("brightness", 50, 52.0, True),
        ("brightness", 50, 53.0, False),
        ("position", 0, 2, True),
        ("speed", 66.0, 63, False),
        ("target_temperature", 21, 21.25, True),
        ("target_temperature", 21, 21.5, False),
        ("color", "cyan", "turquoise", True),
        ("color", "red", "blue", False),
        ("opening", "open", "opening", False),
        ("opening", "stopped", "open", True),
        ("opening", "stopped", "closing", False),
        ("lock", "locked", "jammed", False),
        ("setpoint", 1200, 1200.0, True),
        ("setpoint", 1200, 1201.0, False),
        ("brightness", 50, "on", False),
        ("brightness", 50, float("nan"), False),
    ],
)
def test_a_value_is_reached_within_what_devices_round(
    capability: Capability,
    wanted: Value,
    seen: Value,
    reached: bool,  # noqa: FBT001 - the parameter is the expectation
) -> None:
    assert is_reached(capability, wanted, seen) is reached


def test_moving_the_right_way_is_under_way() -> None:
    assert is_under_way("opening", "closed", "closing")
    assert not is_under_way("opening", "closed", "opening")
    assert is_under_way("lock", "locked", "locking")
    assert not is_under_way("brightness", 50, 40)


def test_an_expected_value_answers_and_an_other_does_not() -> None:
    async def journey() -> None:
        expectations = Expectations()
        with expectations.expect("lamp", "power", "on") as lit:
            expectations.observe(Observation("lamp", {"power": "off"}))
            expectations.observe(Observation("other", {"power": "on"}))
            expectations.observe(Observation("lamp", {"brightness": 5}))
            assert not lit.answer.done()
            expectations.observe(Observation("lamp", {"power": "on"}))
            expectations.observe(Observation("lamp", {"power": "on"}))
            assert await lit.answer == "on"
        assert len(expectations) == 0

    asyncio.run(journey())


def test_a_late_answer_finds_nobody() -> None:
    async def wait(expectations: Expectations) -> None:
        with expectations.expect("lamp", "power", "on") as lit:
            async with asyncio.timeout(0.01):
                await lit.answer

    async def journey() -> None:
        expectations = Expectations()
        with pytest.raises(TimeoutError):
            await wait(expectations)
        assert len(expectations) == 0
        expectations.observe(Observation("lamp", {"power": "on"}))

    asyncio.run(journey())


def test_two_who_wait_for_one_device_are_both_answered() -> None:
    async def journey() -> None:
        expectations = Expectations()
        with (
            expectations.expect("lamp", "power", "on") as power,
            expectations.expect("lamp", "brightness", 50) as brightness,
        ):
            expectations.observe(Observation("lamp", {"power": "on", "brightness": 51.0}))
            assert (await power.answer, await brightness.answer) == ("on", 51.0)
            assert len(expectations) == 2
        assert len(expectations) == 0

    asyncio.run(journey())


def test_it_is_forgotten_when_the_block_fails() -> None:
    async def journey() -> None:
        expectations = Expectations()
        with pytest.raises(RuntimeError), expectations.expect("lamp", "power", "on"):
            raise RuntimeError
        assert len(expectations) == 0

    asyncio.run(journey())
