"""A thousand simulated devices, a real broker and the real console, through everything that `make bench-fleet` does."""

import subprocess
import sys
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed"),
]
ROOT = Path(__file__).parents[2]
DEVICES = 1_000


def figures(*options: str) -> dict[str, str]:
    """Run the bench, and return the figures of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.fleet", "--devices", str(DEVICES), "--update-s", "8", *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return dict(part.split("=", 1) for part in done.stdout.splitlines()[-1].split())


def is_all_well(found: dict[str, str]) -> bool:
    """Tell whether every device is where it should be, and nothing was lost or done twice."""
    away = round(0.05 * DEVICES)
    return (
        (found["lost"], found["done_twice"], found["good_wrong_at_rest"]) == ("0", "0", "0")
        and float(found["good_updated"]) == DEVICES
        and float(found["week_updated"]) == float(found["week_settled"]) == away
        and 0 < float(found["bad_asked_share"]) < 1
    )


def test_a52_a54_a57_a65_a_thousand_devices_through_ends_of_broker_and_console_lose_nothing() -> None:
    assert is_all_well(figures())


def test_a_thousand_devices_with_certificates_of_their_own_lose_nothing() -> None:
    assert is_all_well(figures("--tls"))
