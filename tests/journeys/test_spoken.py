"""From sound to the device and back, over a real mosquitto: the programs as a person starts them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import HAS_MOSQUITTO, announced, eventually, free_port, mosquitto, run
from brokers import settings as broker_settings

from edgeagent.bus import connect
from edgeagent.simulate.house import small_house
from edgeagent.simulate.live import live

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
SOUNDS = Path(__file__).parents[2] / "edgeagent" / "demo" / "sounds"
PROGRAM = (sys.executable, "-m", "edgeagent")


@pytest.fixture
def port() -> Iterator[int]:
    with mosquitto() as broker:
        yield broker.port


def settings_file(folder: Path, port: int, more: str = "") -> Path:
    path = folder / "edgeagent.toml"
    path.write_text(
        f'[device]\narea = "Kitchen"\nstate_dir = "{folder}/state"\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
        f'[answering]\nspeech = "off"\n{more}'
    )
    return path


async def edgeagent(*arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    """Run the program to its end; return its exit code, the JSON lines that it printed, and its log."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, log = await process.communicate()
    return process.returncode or 0, [json.loads(line) for line in out.splitlines() if line[:1] == b"{"], log.decode()


def steps(rows: list[dict[str, Any]]) -> list[str]:
    return [row["step"] for row in rows if row["step"] != "hearing"]


def test_a_spoken_sentence_switches_a_lamp(tmp_path: Path, port: int) -> None:
    async def journey() -> None:
        house = small_house()
        neighbours = asyncio.create_task(live(house, broker_settings(port)))
        try:
            code, rows, log = await edgeagent(
                "run", "--settings", settings_file(tmp_path, port), "--fast", "--json",
                "--wav", SOUNDS / "kitchen-light.flac",
            )  # fmt: skip
        finally:
            neighbours.cancel()
        assert code == 0, log
        assert steps(rows) == ["heard", "understood", "published", "done", "answered"]
        assert [row["text"] for row in rows if row["step"] == "hearing"], "no partial transcript while it was spoken"
        assert house.state("kitchen_light")["POWER"] == "ON"

    run(journey(), 60)


def test_a_guarded_command_needs_its_second_sentence(tmp_path: Path, port: int) -> None:
    async def journey() -> None:
        house = small_house()
        neighbours = asyncio.create_task(live(house, broker_settings(port)))
        file = settings_file(tmp_path, port)
        _, alone, _ = await edgeagent("say", "unlock the front door", "--settings", file, "--json")
        is_locked = house.state("front_door") == {"state": "LOCKED"}
        _, both, _ = await edgeagent("say", "unlock the front door", "yes", "--settings", file, "--json")
        neighbours.cancel()
        assert steps(alone) == ["heard", "understood", "question", "answered"]
        assert is_locked
        assert "done" in steps(both)
        assert house.state("front_door") == {"state": "UNLOCKED"}

    run(journey(), 60)


def test_a_dry_run_shows_the_plan_and_publishes_nothing(tmp_path: Path, port: int) -> None:
    async def journey() -> None:
        house = small_house()
        neighbours = asyncio.create_task(live(house, broker_settings(port)))
        seen: list[str] = []
        async with connect(broker_settings(port), client_id="onlooker") as onlooker:
            onlooker.subscribe("#")
            file = settings_file(tmp_path, port)
            code, rows, _ = await edgeagent(
                "say", "turn on the kitchen light", "--dry-run", "--settings", file, "--json"
            )
            while onlooker.inbox.received > len(seen):
                seen.append((await onlooker.inbox.get()).topic)
        neighbours.cancel()
        assert code == 0
        assert steps(rows) == ["heard", "understood", "published"]
        assert not [topic for topic in seen if "cmnd" in topic or topic.startswith("ea/")]
        assert house.state("kitchen_light")["POWER"] == "OFF"

    run(journey(), 60)


def test_what_was_discovered_is_shown(tmp_path: Path, port: int) -> None:
    async def journey() -> None:
        neighbours = asyncio.create_task(live(small_house(), broker_settings(port)))
        code, (found,), _ = await edgeagent("devices", "--settings", settings_file(tmp_path, port), "--json")
        neighbours.cancel()
        assert code == 0
        assert [row["name"] for row in found["devices"]].count("Heater") == 2
        assert {row["kind"] for row in found["devices"]} == {"light", "cover", "lock", "climate"}

    run(journey(), 60)


def test_without_a_broker_a_sentence_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async def journey() -> None:
        code, _, log = await edgeagent("say", "turn on the light", "--settings", settings_file(tmp_path, free_port()))
        assert code == 1
        assert "no broker" in log
        assert "try:" in log

    run(journey(), 60)


def test_who_says_a_sentence_and_leaves_keeps_no_timer(tmp_path: Path, port: int) -> None:
    async def journey() -> None:
        file = settings_file(tmp_path, port)
        code, rows, _ = await edgeagent("say", "set a timer for ten minutes", "--settings", file, "--json")
        assert code == 3
        assert rows[2]["reason"] == "not-able"
        assert "daemon" in rows[2]["detail"]

    run(journey(), 60)


def test_ten_thousand_words_are_refused(tmp_path: Path, port: int) -> None:
    async def journey() -> None:
        file = settings_file(tmp_path, port)
        code, rows, _ = await edgeagent("say", "please " * 10_000, "--settings", file, "--json")
        assert code == 3
        assert rows[1]["reason"] == "too-long"

    run(journey(), 60)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_daemon_ends_at_once_when_it_is_told_to(
    tmp_path: Path, port: int, number: signal.Signals, code: int
) -> None:
    async def journey() -> None:
        states: list[bool] = []
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "run", "--settings", str(settings_file(tmp_path, port)),
            env={**os.environ, "HOME": str(tmp_path)}, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with connect(broker_settings(port), client_id="onlooker") as onlooker:
            onlooker.subscribe("ea/1/home/d/edgeagent/up/state")
            assert process.stderr is not None
            while b"ready" not in (line := await process.stderr.readline()):
                assert line, "it ended before it was ready"
            states.append(json.loads((await onlooker.inbox.get()).payload)["online"])
            asked = time.monotonic()
            process.send_signal(number)
            await process.stderr.read()
            assert await process.wait() == code
            assert time.monotonic() - asked < 10, "far beyond the 2 s that `make bench` shows"
            await eventually(lambda: onlooker.inbox.received > 1)
            states.append(json.loads((await onlooker.inbox.get()).payload)["online"])
        assert states == [True, False]

    run(journey(), 60)


def test_the_house_without_a_broker_has_ours(tmp_path: Path) -> None:
    async def journey() -> None:
        port = free_port()
        file = tmp_path / "own.toml"
        file.write_text(
            f'[device]\nstate_dir = "{tmp_path}/state"\n[broker]\nembedded_port = {port}\n[answering]\nspeech = "off"\n'
        )
        daemon = await asyncio.create_subprocess_exec(
            *PROGRAM,
            "run",
            "--settings",
            str(file),
            env={**os.environ, "HOME": str(tmp_path)},
            stderr=subprocess.PIPE,
        )
        assert daemon.stderr is not None
        house = small_house()
        neighbours = asyncio.create_task(live(house, broker_settings(port)))
        try:
            while b"ready" not in (line := await daemon.stderr.readline()):
                assert line, "it ended"
            await announced(house, port)
            code, rows, log = await edgeagent("say", "turn on the kitchen light", "--settings", file, "--json")
        finally:
            neighbours.cancel()
            daemon.terminate()
            await daemon.wait()
        assert code == 0, log
        assert "done" in steps(rows)
        assert house.state("kitchen_light")["POWER"] == "ON"

    run(journey(), 60)
