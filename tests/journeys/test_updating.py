"""Updates of the running daemon: by jobs from the bus and by its owner, over the web and over the broker."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, run
from update.folder_repository import install
from update.published import FAMILY, Publisher
from update.running_device import PROGRAM, command, device, served, settings_in

from edgeagent.muting import keep_muted

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)


def test_a_job_from_the_fleet_is_carried_out_while_orders_are_obeyed_and_told_to_its_end(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0")
        with mosquitto() as broker, served(publisher.out) as url:
            async with device(tmp_path, f'url = "{url}"', broker.port, publisher.root) as agent:
                await agent.ask("j1", "0.2.0")
                await agent.turned("ON")
                await eventually(lambda: "probation" in agent.states("j1"), within_s=60)
                await eventually(lambda: len(agent.births) > 1, within_s=40)
                assert agent.births[-1]["releases"] == {FAMILY: "0.2.0"}
                assert agent.process.returncode is None, "it is the same process for who supervises it"
                await agent.turned("OFF")
                await eventually(lambda: agent.states("j1")[-1:] == ["confirmed"], within_s=60)
                spent = agent.told["j1"][-1]["spent_s"]
                assert set(spent) > {"downloading", "testing", "switching", "probation"}
                await agent.ask("j1", "0.2.0")  # A49
                await eventually(lambda: agent.states("j1").count("confirmed") > 1, within_s=20)
                assert len(agent.births) == 2

    run(journey(), 150)


def test_the_owner_has_the_newest_version_keeps_it_and_goes_back(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0")
        publisher.release("0.10.0")
        with mosquitto() as broker, served(publisher.out) as url:
            async with device(tmp_path, f'url = "{url}"', broker.port, publisher.root) as agent:
                file = tmp_path / "edgeagent.toml"
                code, said = await command("update", "apply", "--wait", "--settings", file)
                assert (code, "0.10.0 is confirmed" in said) == (0, True), said
                assert "downloading:" in said
                code, said = await command("update", "status", "--json", "--settings", file)
                assert json.loads(said)["families"][FAMILY]["current"] == "0.10.0"
                assert (await command("update", "pin", "--as", "0.10.0", "--settings", file))[0] == 0
                await agent.ask("j1", "0.2.0")
                await eventually(lambda: agent.states("j1")[-1:] == ["rejected"], within_s=60)
                assert agent.told["j1"][-1]["code"] == "pinned"
                births = len(agent.births)
                code, said = await command("update", "rollback", "--settings", file)
                assert (code, "as it ships" in said) == (0, True), said
                await eventually(lambda: len(agent.births) > births, within_s=40)
                assert agent.births[-1]["releases"] == {}

    run(journey(), 200)


def test_without_an_agent_the_owner_updates_all_the_same_and_a_fault_is_told(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0")
        publisher.release("0.3.0", {"golden.json": b"{}"})
        file = settings_in(tmp_path, 1, f'folder = "{publisher.out}"')
        code, said = await command("update", "apply", "--settings", file)
        assert (code, "edgeagent update trust" in said) == (1, True), said
        assert (await command("update", "trust", publisher.root, "--yes", "--settings", file))[0] == 0
        code, said = await command("update", "apply", "--as", "0.3.0", "--settings", file)
        assert (code, "failed: self-test-refused" in said) == (1, True), said
        code, said = await command("update", "apply", "--as", "0.2.0", "--settings", file)
        assert (code, "0.2.0 is in place" in said) == (0, True), said
        code, said = await command("update", "history", "--settings", file)
        assert (code, "0.3.0: failed (self-test-refused" in said, "0.2.0: probation" in said) == (0, True, True), said
        code, said = await command("update", "rollback", "--settings", file)
        assert (code, "0.2.0 is cancelled" in said) == (0, True), said
        code, said = await command("update", "status", "--settings", file)
        assert (code, f"{FAMILY}: ships" in said, "under way" in said) == (0, True, False), said
        code, said = await command("update", "cancel", "--settings", file)
        assert (code, said) == (0, "nothing is under way\n")
        code, said = await command("update", "rollback", "--settings", file)
        assert (code, "as it ships" in said) == (1, True), said

    run(journey(), 100)


def test_a_device_without_the_web_gets_its_update_over_the_broker(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0", {"words.txt": b"not looked at" * 100_000})
        with mosquitto() as broker:
            async with device(tmp_path, "over_bus = true", broker.port, publisher.root) as agent:
                serving = await asyncio.create_subprocess_exec(
                    *PROGRAM, "release", "serve", str(publisher.out), "--settings", str(tmp_path / "edgeagent.toml")
                )
                try:
                    await agent.ask("j1", "0.2.0")
                    await eventually(lambda: "probation" in agent.states("j1"), within_s=60)
                    await agent.turned("ON")
                    await eventually(lambda: agent.states("j1")[-1:] == ["confirmed"], within_s=60)
                finally:
                    serving.terminate()
                    assert await serving.wait() == 0

    run(journey(), 150)


def test_a_release_that_cannot_be_opened_leaves_what_ships_and_a_muted_microphone_stays_closed(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0")
        broken = b'language: en\nintents:\n  turn_on:\n    data:\n      - sentences: ["turn <nosuchrule> on"]\n'
        install(tmp_path / "state", "workshop", {"workshop.yaml": broken}, kind="commands")
        keep_muted(tmp_path / "state", on=True)
        update = f'folder = "{publisher.out}"\nfamilies = ["{FAMILY}", "workshop"]'
        with mosquitto() as broker:
            async with device(tmp_path, update, broker.port, publisher.root) as agent:
                assert any("a release cannot be opened" in line for line in agent.log), agent.log
                await agent.turned("ON")
                await eventually(lambda: agent.is_muted)
                code, said = await command("run", "--settings", tmp_path / "edgeagent.toml")
                assert (code, "another edgeagent is running" in said) == (1, True), said

    run(journey(), 100)
