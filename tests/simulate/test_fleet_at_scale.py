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


def what_is_wrong(found: dict[str, str]) -> dict[str, str]:
    """Return the figures that tell of a device that is not where it should be, of something lost or done twice."""
    away = round(0.05 * DEVICES)
    wanted = {"lost": 0, "done_twice": 0, "bad_wrong_at_rest": 0, "good_wrong_at_rest": 0}
    wanted |= {"good_updated": DEVICES, "week_updated": away, "week_settled": away}
    wrong = {name: found[name] for name, count in wanted.items() if float(found[name]) != count}
    if not 0 < float(found["bad_asked_share"]) < 1:
        wrong["bad_asked_share"] = found["bad_asked_share"]
    return wrong


def test_a52_a54_a57_a65_a_thousand_devices_through_ends_of_broker_and_console_lose_nothing() -> None:
    found = figures()
    assert not what_is_wrong(found), found


def test_a_thousand_devices_with_certificates_of_their_own_lose_nothing() -> None:
    found = figures("--tls")
    assert not what_is_wrong(found), found
