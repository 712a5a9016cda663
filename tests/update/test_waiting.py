"""When an update may begin: hours, battery, heat."""

from datetime import time
from pathlib import Path

import pytest

from edgeagent.settings import UpdateSettings
from edgeagent.update.waiting import Power, power_of, why_wait

NOON = time(12, 0)


@pytest.mark.parametrize(
    ("window", "now", "waits"),
    [
        (None, NOON, False),
        ("02:00-05:00", NOON, True),
        ("02:00-05:00", time(2, 0), False),
        ("02:00-05:00", time(5, 0), True),
        ("22:00-06:00", time(23, 30), False),
        ("22:00-06:00", time(5, 59), False),
        ("22:00-06:00", NOON, True),
    ],
)
def test_an_update_begins_in_its_window_also_over_midnight(window: str | None, now: time, *, waits: bool) -> None:
    assert bool(why_wait(UpdateSettings(window=window), now, Power())) is waits


@pytest.mark.parametrize("power", [Power(is_on_battery=True), Power(is_throttled=True)])
def test_an_update_waits_for_the_mains_and_for_cooler_days_unless_told_not_to(power: Power) -> None:
    assert why_wait(UpdateSettings(), NOON, power)
    assert not why_wait(UpdateSettings(on_battery=True), NOON, power)
    assert not why_wait(UpdateSettings(), NOON, Power())


def supply(folder: Path, name: str, **told: str) -> None:
    supplies = folder / "sys/class/power_supply" / name
    supplies.mkdir(parents=True)
    for file, text in told.items():
        (supplies / file).write_text(text + "\n")


def test_a_battery_that_drains_without_mains_is_seen(tmp_path: Path) -> None:
    supply(tmp_path / "a", "BAT0", type="Battery", status="Discharging")
    supply(tmp_path / "b", "BAT0", type="Battery", status="Discharging")
    supply(tmp_path / "b", "AC", type="Mains", online="1")
    supply(tmp_path / "c", "BAT0", type="Battery", status="Charging")
    found = [power_of(tmp_path / name).is_on_battery for name in "abcd"]
    assert found == [True, False, False, False]


@pytest.mark.parametrize(
    ("told", "is_throttled"),
    [("0", False), ("50000", False), ("50005", True), ("8", True), ("rubbish", False), ("", False)],
)
def test_what_the_firmware_says_of_now_counts_not_what_was_once(
    tmp_path: Path, told: str, *, is_throttled: bool
) -> None:
    firmware = tmp_path / "sys/devices/platform/soc/soc:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text(told)
    assert power_of(tmp_path).is_throttled is is_throttled
