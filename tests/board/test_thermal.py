"""How hot the board is and what slows it down, from files as the kernel has them."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.board.thermal import Throttling, temperatures, throttling

PI = "sys/devices/platform/soc/soc:firmware/get_throttled"
PI_5 = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"


def told(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def zone(number: int, file: str) -> str:
    return f"sys/class/thermal/thermal_zone{number}/{file}"


def test_each_zone_is_named_and_what_no_thermometer_shows_is_left_out(tmp_path: Path) -> None:
    root = told(
        tmp_path,
        **{
            zone(0, "temp"): "48312\n",
            zone(0, "type"): "cpu-thermal\n",
            zone(1, "temp"): "-5000\n",
            zone(2, "temp"): "-256000\n",
            zone(3, "temp"): "warm\n",
        },
    )
    assert temperatures(root) == {"cpu-thermal 0": 48.312, "thermal_zone1": -5.0}


@pytest.mark.parametrize("path", [PI, PI_5])
@pytest.mark.parametrize(
    ("word", "now", "since_start"),
    [
        ("0", (), ()),
        ("50005", ("too little voltage", "throttled"), ("too little voltage", "throttled")),
        ("80008", ("soft limit of temperature",), ("soft limit of temperature",)),
        ("20000", (), ("frequency capped",)),
        ("0x2", ("frequency capped",), ()),
    ],
)
def test_the_firmwares_bits_are_told_in_words(
    tmp_path: Path, path: str, word: str, now: tuple[str, ...], since_start: tuple[str, ...]
) -> None:
    assert throttling(told(tmp_path, **{path: word + "\n"})) == Throttling(now, since_start)


def test_a_processor_that_is_cooled_by_running_slower_is_throttled_and_a_fan_is_not(tmp_path: Path) -> None:
    cooling = "sys/class/thermal/cooling_device{}/{}".format
    fan = {cooling(0, "type"): "pwm-fan\n", cooling(0, "cur_state"): "3\n"}
    assert throttling(told(tmp_path, **fan)) is None
    cool = {cooling(1, "type"): "cpufreq-cpu0\n", cooling(1, "cur_state"): "0\n"}
    assert throttling(told(tmp_path, **cool)) == Throttling()
    hot = {cooling(1, "cur_state"): "2\n"}
    assert throttling(told(tmp_path, **hot)) == Throttling(("cpufreq-cpu0 cooled by running slower",))


def test_a_jetson_counts_how_often_its_supply_was_too_weak(tmp_path: Path) -> None:
    counter = "sys/class/hwmon/hwmon2/oc1_event_cnt"
    assert throttling(told(tmp_path, **{counter: "0\n"})) == Throttling()
    assert throttling(told(tmp_path, **{counter: "7\n"})) == Throttling((), ("too much current",))


def test_a_board_that_tells_nothing_is_not_called_cool(tmp_path: Path) -> None:
    assert (temperatures(tmp_path), throttling(tmp_path)) == ({}, None)


@given(word=st.binary(max_size=400))
def test_rubbish_is_no_number_and_never_an_error(word: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = told(Path(folder), **{PI: "", zone(0, "temp"): ""})
        (root / PI).write_bytes(word)
        (root / zone(0, "temp")).write_bytes(word)
        found = throttling(root)
        assert found is None or set(found.now) <= {
            "too little voltage",
            "frequency capped",
            "throttled",
            "soft limit of temperature",
        }
        assert all(-60 < celsius < 200 for celsius in temperatures(root).values())
