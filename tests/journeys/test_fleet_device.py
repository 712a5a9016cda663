"""The running daemon in a fleet: settings tried, kept, undone; jobs; a broker of the fleet's own, there and away."""

import json
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from brokers import HAS_MOSQUITTO, eventually, free_port, mosquitto, run
from console.hardened_broker import HardenedBroker, answering_console, database, hardened_broker
from fleet.fleet_device import Device, Office, broker_table, device, office
from update.published import FAMILY, Publisher
from update.running_device import command

from edgeagent.console.database import Database
from edgeagent.console.enrolment import enrol, new_token
from edgeagent.fleet.diagnostics import unpacked
from edgeagent.fleet.identity import Identity
from edgeagent.fleet.identity_keys import make_key, request
from edgeagent.fleet.identity_store import Identities
from edgeagent.fleet.wire import EnrolRequest
from edgeagent.topics import Address

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
        reason="mosquitto is not installed: apt-get install mosquitto",
    ),
]


def reported(fleet: Office) -> tuple[int, str]:
    last: dict[str, Any] = fleet.last("reported")
    return last.get("version", 0), last.get("standing", "")


def waiting(path: Path) -> int:
    """Return how many samples wait in an outbox."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database, suppress(sqlite3.OperationalError):  # it is being made
        found: int = database.execute("SELECT count(*) FROM samples").fetchone()[0]
        return found
    return 0


def test_settings_that_the_fleet_wants_are_tried_by_a_new_start_kept_and_told(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            soon = broker_table("broker", broker.port) + "[fleet]\nundo_after_s = 10\n"
            async with office(broker.port) as fleet, device(tmp_path, soon) as agent:
                await eventually(lambda: reported(fleet) == (0, "none"))
                await fleet.ask("s1", "settings", version=3)
                await fleet.want(3, hearing__unsure_below=0.55, device__area="kitchen")
                await eventually(lambda: reported(fleet) == (3, "waiting"))
                await eventually(lambda: reported(fleet) == (3, "applied"), within_s=60)
                assert agent.starts == 2
                assert agent.process.returncode is None, "it is the same process for who supervises it"
                assert fleet.last("reported")["settings"]["hearing.unsure_below"] == 0.55
                assert [one["area"] for one in fleet.told["birth"][-1:]] == ["kitchen"]
                await eventually(lambda: fleet.states("s1") == ["accepted", "working", "done"])
                told = len(fleet.told["reported"])
                await fleet.want(2, hearing__unsure_below=0.1)  # A62
                await eventually(lambda: len(fleet.told["reported"]) > told)
                assert reported(fleet) == (3, "applied")
                await fleet.want(4, acting__command_files=("/etc/passwd",))
                await eventually(lambda: reported(fleet) == (4, "refused"))
                assert "may_set" in fleet.last("reported")["problem"]
                await fleet.ask("s2", "settings", version=4)
                await eventually(lambda: fleet.states("s2")[-1:] == ["failed"])
                assert fleet.last("job/s2")["code"] == "refused"
                assert agent.starts == 2

    run(journey(), 120)


def test_a35_settings_that_cut_the_device_off_are_undone_by_itself(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as house, mosquitto() as broker:
            more = f"[fleet]\nundo_after_s = 4\n{broker_table('fleet.broker', broker.port)}"
            settings = broker_table("broker", house.port) + more
            async with (
                office(house.port) as home,
                office(broker.port) as fleet,
                device(tmp_path, settings) as agent,
            ):
                await eventually(lambda: reported(fleet) == (0, "none"))
                await fleet.ask("s1", "settings", version=1)
                await fleet.want(1, fleet__broker__port=free_port(), hearing__unsure_below=0.6)
                await eventually(lambda: agent.starts == 2, within_s=60)
                assert home.last("state")["online"], "the house is served meanwhile"
                await eventually(lambda: reported(fleet) == (1, "undone"), within_s=60)
                assert "not reached" in fleet.last("reported")["problem"]
                await eventually(lambda: agent.starts == 3, within_s=60)
                assert fleet.last("reported")["settings"]["fleet.broker.port"] == broker.port
                assert fleet.last("reported")["settings"]["hearing.unsure_below"] == 0.4
                await eventually(lambda: fleet.states("s1") == ["accepted", "working", "failed"])
                assert fleet.last("job/s1")["code"] == "undone"

    run(journey(), 120)


def test_settings_with_which_the_agent_cannot_be_opened_are_undone_by_itself(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet, device(tmp_path, broker_table("broker", broker.port)) as agent:
                await fleet.want(1, hearing__recognizer="vosk", hearing__model="no-such-model")
                await eventually(lambda: reported(fleet) == (1, "undone"), within_s=60)
                assert "no-such-model" in fleet.last("reported")["problem"]
                await eventually(lambda: agent.starts == 2, within_s=60)
                assert fleet.last("reported")["settings"]["hearing.recognizer"] == "pocketsphinx"

    run(journey(), 120)


def test_settings_that_were_kept_stay_where_the_agent_cannot_be_opened_with_them_and_one_start_goes_without(
    tmp_path: Path,
) -> None:
    async def journey() -> None:
        kept = tmp_path / "state" / "fleet" / "settings.json"
        kept.parent.mkdir(parents=True)
        wanted = {"hearing.recognizer": "vosk", "hearing.model": "no-such-model", "hearing.unsure_below": 0.6}
        standing = {"version": 7, "standing": "applied", "problem": "", "starts": 0, "was_reached": True}
        kept.write_text(json.dumps(standing | {"overlay": wanted, "before": wanted}))
        with mosquitto() as broker:
            async with office(broker.port) as fleet, device(tmp_path, broker_table("broker", broker.port)) as agent:
                await eventually(lambda: reported(fleet) == (7, "undone"), within_s=60)
                assert "no-such-model" in fleet.last("reported")["problem"]
                assert fleet.last("reported")["settings"]["hearing.unsure_below"] == 0.4
                assert json.loads(kept.read_text())["overlay"] == wanted
                await agent.kill()
                kept.write_text(
                    kept.read_text().replace("no-such-model", "vosk-small-en").replace('vosk"', 'pocketsphinx"')
                )
                await agent.start()
                await eventually(lambda: reported(fleet) == (7, "applied"), within_s=60)
                assert fleet.last("reported")["settings"]["hearing.unsure_below"] == 0.6

    run(journey(), 120)


def test_jobs_are_done_once_and_told_until_the_fleet_has_heard(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            settings = broker_table("broker", broker.port) + 'password = "s3cret-of-the-house"\nusername = "u"\n'
            async with office(broker.port) as fleet, device(tmp_path, settings) as agent:
                await fleet.ask("i1", "identify", seconds=1)
                await eventually(lambda: fleet.states("i1") == ["accepted", "working", "done"], within_s=20)
                await fleet.ask("l1", "logs", lines=50)
                await eventually(lambda: fleet.states("l1")[-1:] == ["done"])
                assert any(" ready" in line for line in fleet.last("job/l1")["result"]["lines"])
                order = {"id": "o1", "text": "my secret wish", "expires": time.time() + 50}
                await fleet.send("do/say", json.dumps(order).encode())
                await fleet.ask("t1", "self-test")
                await eventually(lambda: fleet.states("t1")[-1:] == ["done"], within_s=60)
                assert fleet.last("job/t1")["result"]["golden"] > 0
                await fleet.ask("c1", "clips")
                await eventually(lambda: fleet.states("c1")[-1:] == ["done"], within_s=60)
                assert fleet.last("job/c1")["result"]["n"] == 0
                await fleet.ask("d1", "diagnostics")
                await eventually(lambda: fleet.states("d1")[-1:] == ["done"], within_s=60)
                bundle = unpacked(fleet.last("job/d1")["result"])
                assert {"doctor", "settings", "sample", "health", "log", "version", "updates"} <= bundle.keys()
                assert "s3cret-of-the-house" not in json.dumps(bundle)
                assert "my secret wish" not in json.dumps(bundle)
                assert {one["subject"] for one in bundle["doctor"]["findings"]} >= {"disk", "clock", "models"}
                await fleet.send("job", json.dumps({"id": "x1", "kind": "dance", "created": 1.0}).encode())
                await eventually(lambda: fleet.states("x1") == ["rejected"])
                await fleet.ask("r1", "restart")
                await eventually(lambda: fleet.states("r1") == ["accepted", "working", "done"], within_s=60)
                await eventually(lambda: agent.starts == 2, within_s=60)
                count = len(fleet.told["job/r1"])
                await fleet.ask("r1", "restart")  # A49
                await eventually(lambda: len(fleet.told["job/r1"]) > count)
                assert fleet.last("job/r1")["state"] == "done"
                await agent.kill()
                await agent.start()
                await eventually(lambda: fleet.last("birth")["job"] == "r1")
                assert agent.starts == 3

    run(journey(), 200)


def test_a_fleet_that_is_away_is_missed_by_nobody_and_told_everything_when_it_is_back(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as house, mosquitto("allow_anonymous true\npersistence false\n") as broker:
            more = f"[fleet]\nsample_every_s = 1\n{broker_table('fleet.broker', broker.port)}"
            settings = broker_table("broker", house.port) + more
            async with office(house.port) as home, device(tmp_path, settings) as agent:
                async with office(broker.port) as fleet:
                    await eventually(lambda: fleet.last("state").get("online"))
                    boot = fleet.last("birth")["boot"]
                    assert home.last("birth")["boot"] != boot, "a link of its own, with messages of its own"
                    assert "hardware" in fleet.last("birth") or "system" in fleet.last("birth")
                    mute = {"id": "m1", "on": True, "expires": fleet.last("state")["at"] + 50}
                    await fleet.send("do/mute", json.dumps(mute).encode())
                    await eventually(lambda: home.last("state")["muted"])
                    await eventually(lambda: fleet.last("state")["muted"])
                    await fleet.send("do/mute", json.dumps(mute).encode())  # A46
                    await fleet.send("desired", b"[" * 5_000)  # A44
                    await fleet.send("job", b'{"id": "a", "id": "b"}')
                    await eventually(lambda: fleet.last("metrics").get("counters", {}).get("fleet_refused", 0) >= 2)
                    assert fleet.last("state")["muted"]
                broker.stop()
                samples = tmp_path / "state" / "fleet" / "fleet.db"
                await eventually(lambda: waiting(samples) >= 3, within_s=20)
                unmute = {"id": "m3", "on": False, "expires": home.last("state")["at"] + 60}
                await home.send("do/mute", json.dumps(unmute).encode())
                await eventually(lambda: not home.last("state")["muted"])
                broker.start()
                async with office(broker.port) as fleet:
                    await eventually(lambda: len(fleet.told.get("metrics", [])) >= 3, within_s=20)
                    uptimes = [one["uptime_s"] for one in fleet.told["metrics"]]
                    assert uptimes == sorted(uptimes), "none twice, in their order"
                    assert fleet.last("birth")["boot"] == boot
                    assert agent.starts == 1

    run(journey(), 120)


def enrolled_long_ago(broker: HardenedBroker, made: Database, state: Path) -> Identity:
    """Give a device an identity that is due for renewal."""
    then = time.time() - 61 * 86_400.0
    key = make_key("file")
    with made.session() as session:
        _, secret = new_token(
            session, fleet="home", serial="S-1", device="kitchen", tags={}, by="tests", now=then, lasts_s=3_600
        )
    asked = EnrolRequest(serial="S-1", token=secret, csr=request(key, "kitchen"))
    answer = enrol(made, broker.authority, "home", asked, then, nonce="n")
    assert answer is not None
    store = Identities(state)
    store.add(key, answer.certificate, answer.ca, Address("home", "kitchen"))
    return store.adopt()


def test_an_enrolled_device_is_met_under_its_own_name_over_tls_and_renews_its_certificate(tmp_path: Path) -> None:
    async def journey() -> None:
        (tmp_path / "state").mkdir()
        made = database(tmp_path)
        with mosquitto() as house, hardened_broker(tmp_path / "broker", consoles=("1", "2")) as broker:
            old = enrolled_long_ago(broker, made, tmp_path / "state")
            settings = broker_table("broker", house.port) + broker_table("fleet.broker", broker.plan.port)
            async with (
                answering_console(broker, made),
                office(broker.console("2"), old.address, "console-2") as fleet,
                device(tmp_path, settings) as agent,
            ):
                await eventually(lambda: fleet.last("state").get("online"), within_s=20)
                assert fleet.last("birth")["device"] == "kitchen"
                await eventually(lambda: Identities(tmp_path / "state").current() != old, within_s=30)
                await fleet.ask("j1", "logs")
                await eventually(lambda: fleet.states("j1")[-1:] == ["done"])
                await fleet.ask("r1", "restart")
                await eventually(lambda: agent.starts == 2, within_s=60)
                await eventually(lambda: fleet.states("r1")[-1:] == ["done"])
                assert fleet.last("birth")["certificate_until"] > old.not_after

    run(journey(), 120)


def test_a35_settings_with_which_three_starts_do_not_last_are_undone(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as house, mosquitto() as broker:
            settings = broker_table("broker", house.port) + broker_table("fleet.broker", broker.port)
            async with office(broker.port) as fleet, device(tmp_path, settings) as agent:
                await eventually(lambda: reported(fleet) == (0, "none"))
                await fleet.want(1, fleet__broker__port=free_port())
                await eventually(lambda: agent.starts == 2, within_s=60)
                for _ in range(3):
                    await agent.kill()
                    await agent.start()
                await eventually(lambda: reported(fleet) == (1, "undone"))
                assert "did not last" in fleet.last("reported")["problem"]

    run(journey(), 120)


def test_a_fleet_that_can_never_be_met_or_is_not_wanted_keeps_nobody_from_being_served(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as house:
            never = broker_table("fleet.broker", 8883) + '[fleet.broker.tls]\nca = "/no/such/ca.pem"\n'
            for name, more in (("never", never), ("unwanted", "[fleet]\nenabled = false\n")):
                (tmp_path / name).mkdir()
                async with (
                    office(house.port, client_id=name) as home,
                    device(tmp_path / name, broker_table("broker", house.port) + more) as agent,
                ):
                    await eventually(lambda: home.last("state").get("online"), within_s=10)
                    await home.want(1, hearing__vad_mode=3)
                    await home.ask("j1", "logs")
                    mute = {"id": name, "on": True, "expires": time.time() + 50}
                    await home.send("do/mute", json.dumps(mute).encode())
                    await eventually(lambda: home.last("state")["muted"])
                    assert "job/j1" not in home.told
                    assert "reported" not in home.told
                    assert (name == "never") == any("the fleet cannot be met" in line for line in agent.log)

    run(journey(), 60)


def test_an_update_is_asked_for_and_told_over_the_fleets_own_link(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0")
        with mosquitto() as house, mosquitto() as broker:
            settings = (
                broker_table("broker", house.port)
                + broker_table("fleet.broker", broker.port)
                + f'[update]\nfolder = "{publisher.out}"\nconfirm_after_s = 2\nconfirm_quiet_after_s = 2\n'
            )
            trusting = Device(tmp_path, settings)
            code, said = await command("update", "trust", publisher.root, "--yes", "--settings", trusting.file)
            assert code == 0, said
            async with office(house.port) as home, office(broker.port) as fleet, device(tmp_path, settings) as agent:
                asked = {"id": "u1", "kind": "update", "family": FAMILY, "version": "0.2.0", "created": time.time()}
                await fleet.send("job", json.dumps(asked).encode(), retain=True)
                await eventually(lambda: fleet.told.get("job/u1", [{}])[-1].get("state") == "confirmed", within_s=100)
                assert fleet.last("birth")["releases"] == home.last("birth")["releases"] == {FAMILY: "0.2.0"}
                assert agent.starts == 2
                assert "job/u1" not in home.told
                await fleet.ask("d1", "diagnostics")
                await eventually(lambda: fleet.states("d1")[-1:] == ["done"], within_s=60)
                assert unpacked(fleet.last("job/d1")["result"])["updates"][0]["state"] == "confirmed"

    run(journey(), 200)
