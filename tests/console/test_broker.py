"""The hardened broker, attacked: what its configuration must not let through, on a real mosquitto."""

import asyncio
import json
import os
import shutil
import socket
import ssl
import struct
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, run
from console.hardened_broker import HardenedBroker, hardened_broker
from typer.testing import CliRunner

from edgeagent.bus import Bus, connect
from edgeagent.cli.console_broker import broker_app
from edgeagent.console import broker_conf, broker_files, certificates
from edgeagent.console.authority import Authority, Pair, Revoked, issued_of
from edgeagent.console.authority_roots import new_root, pem_of
from edgeagent.console.errors import ConsoleError
from edgeagent.errors import BusError
from edgeagent.fleet import wire
from edgeagent.fleet.identity_keys import make_key, request
from edgeagent.fleet.identity_probe import ask, enter
from edgeagent.inbox import Received
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings, TlsSettings
from edgeagent.topics import Address

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardenedBroker]:
    with hardened_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


async def connected(bus: Bus) -> Bus:
    async with asyncio.timeout(10):
        await bus.until(connected=True)
    return bus


def session_of(settings: BrokerSettings) -> BrokerSettings:
    return settings.model_copy(update={"session_expiry_s": 0})


def test_a39_a_client_id_of_another_takes_no_session_over(broker: HardenedBroker) -> None:
    async def scene() -> None:
        async with connect(broker.device("victim"), client_id="victim") as victim:
            await connected(victim)
            for claimed in ("victim", "console-1"):
                async with connect(session_of(broker.device("thief")), client_id=claimed) as thief:
                    await connected(thief)
                    thief.subscribe("ea/1/home/d/victim/dn/#")
                    await asyncio.wait_for(thief.deliver(Message("ea/1/home/d/thief/up/state", b"{}", qos=1)), 5)
            assert victim.is_connected
            assert victim.counters.connections == 1

    run(scene())
    assert "as thief (" in broker.log
    assert "Client victim already connected" not in broker.log


def test_a39_a_claim_takes_no_device_s_session_over(broker: HardenedBroker) -> None:
    async def scene() -> None:
        async with connect(broker.device("bystander"), client_id="bystander") as victim:
            await connected(victim)
            async with connect(broker.claim(), client_id="bystander") as thief:
                await connected(thief)
            assert victim.counters.connections == 1
            assert victim.is_connected

    run(scene())


def test_a40_publishing_as_another_device_is_refused_and_counted(broker: HardenedBroker) -> None:
    async def scene() -> None:
        async with (
            connect(session_of(broker.console()), client_id="console-1") as console,
            connect(session_of(broker.device("liar")), client_id="liar") as liar,
        ):
            console.subscribe("ea/1/+/d/+/up/#")
            await connected(console)
            await connected(liar)
            await eventually(lambda: console.is_subscribed)
            for topic in (
                "ea/1/home/d/victim/up/state",
                "ea/1/home/d/liar/dn/job",
                "ea/1/home/all/dn/announce",
                "ea/1/home/enrol/x/rsp",
                "ea/1/home/d/console-1/up/state",
                "$SYS/broker/uptime",
                "elsewhere",
            ):
                await liar.deliver(Message(topic, b"forged", qos=1))
            assert liar.counters.refused >= 6
            await liar.deliver(Message("ea/1/home/d/liar/up/state", b"true", qos=1))
            first = await anext(console.received())
            assert (first.topic, first.payload) == ("ea/1/home/d/liar/up/state", b"true")

    run(scene())
    assert "Denied PUBLISH from liar" in broker.log


def test_a41_subscribing_to_everything_leaks_nothing(broker: HardenedBroker) -> None:
    async def scene() -> None:
        async with (
            connect(session_of(broker.console()), client_id="console-1") as console,
            connect(session_of(broker.device("spy")), client_id="spy") as spy,
        ):
            await connected(console)
            await connected(spy)
            spy.subscribe("#", "$SYS/#", "ea/1/+/d/+/dn/#", "ea/1/+/d/+/up/#", "+/+/+/+/+/+/+", "ea/1/home/enrol/#")
            for topic in ("ea/1/home/d/victim/dn/job", "ea/1/home/d/victim/dn/desired", "ea/1/home/enrol/n/rsp"):
                await console.deliver(Message(topic, b"secret", qos=1))
            await console.deliver(Message("ea/1/home/d/spy/dn/job", b"ours", qos=1))
            heard = await anext(spy.received())
            assert (heard.topic, heard.payload) == ("ea/1/home/d/spy/dn/job", b"ours")

    run(scene())


def test_a42_a_revoked_device_is_disconnected_and_stays_out(tmp_path: Path) -> None:
    async def scene(broker: HardenedBroker) -> None:
        settings = broker.device("kitchen")
        assert settings.tls is not None
        assert settings.tls.certificate is not None
        serial = issued_of(settings.tls.certificate.read_text()).serial
        async with (
            connect(settings, client_id="kitchen") as kitchen,
            connect(broker.device("hall"), client_id="hall") as hall,
        ):
            await connected(kitchen)
            await connected(hall)
            revoked = [Revoked(serial, time.time())]
            revoking = broker.revoking()
            assert not certificates.is_enforced(revoked, revoking.crl)
            enforcing = asyncio.to_thread(
                certificates.enforce, revoked, ["kitchen"], broker.authority, revoking, time.time()
            )
            await enforcing
            await asyncio.wait_for(kitchen.until(connected=False), 5)
            assert certificates.is_enforced(revoked, revoking.crl)
            failures = kitchen.counters.failures
            await eventually(lambda: kitchen.counters.failures >= failures + 3)
            assert kitchen.counters.connections == 1
            assert (hall.is_connected, hall.counters.connections) == (True, 1)
        assert await asyncio.to_thread(ask, settings) == "refused"
        again = [*revoked, Revoked("1234", time.time())]
        await asyncio.to_thread(certificates.enforce, again, [], broker.authority, revoking, time.time())
        assert await asyncio.to_thread(ask, settings) == "refused"

    with hardened_broker(tmp_path / "b") as broker:
        run(scene(broker))
        broker.stop()
        broker.start()
        assert ask(broker.device("hall")) == "accepted"


def test_a42_a_session_that_was_resumed_does_not_get_around_the_list(tmp_path: Path) -> None:
    with hardened_broker(tmp_path / "b") as broker:
        settings = broker.device("kitchen")
        assert settings.tls is not None
        assert settings.tls.certificate is not None
        context = ssl.create_default_context(cafile=str(settings.tls.ca))
        context.load_cert_chain(settings.tls.certificate, settings.tls.key)
        answer, session = spoken(broker.plan.port, context)
        assert answer[:1] == b"\x20"
        assert spoken(broker.plan.port, context, session)[0][:1] == b"\x20"
        revoked = [Revoked(issued_of(settings.tls.certificate.read_text()).serial, time.time())]
        certificates.enforce(revoked, [], broker.authority, broker.revoking(), time.time())
        assert spoken(broker.plan.port, context, session)[0] == b""


def spoken(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[bytes, ssl.SSLSession | None]:
    """Connect, say hello in no version that there is, and return the answer, and the session."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as secured:
                secured.sendall(b"\x10\x0c\x00\x04MQTT\x7f\x02\x00\x0a\x00\x00")
                return secured.recv(4), secured.session
        except OSError:
            return b"", None


def test_a43_what_is_too_large_is_not_sent_and_a_client_that_sends_it_is_thrown_out(broker: HardenedBroker) -> None:
    settings = broker.device("loud")

    async def scene() -> None:
        async with connect(session_of(settings), client_id="loud") as loud:
            await connected(loud)
            with pytest.raises(BusError, match="262144"):
                await loud.publish(Message("ea/1/home/d/loud/up/event/x", b"x" * 300_000, qos=1))
            assert (loud.counters.oversize, loud.counters.connections) == (1, 1)
            await loud.deliver(Message("ea/1/home/d/loud/up/event/x", b"x" * 200_000, qos=1))

    run(scene())
    assert settings.tls is not None
    context = ssl.create_default_context(cafile=str(settings.tls.ca))
    assert settings.tls.certificate is not None
    context.load_cert_chain(settings.tls.certificate, settings.tls.key)
    with (
        socket.create_connection(("127.0.0.1", broker.plan.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x0a\x00\x04loud")
        assert secured.recv(4)[:1] == b"\x20"
        topic = b"ea/1/home/d/loud/up/event/x"
        # A PUBLISH that says it has 200 MB.
        secured.sendall(b"\x30\x80\x80\xb0\x5f" + struct.pack(">H", len(topic)) + topic + b"x" * 1000)
        answer = b"?"
        with suppress(OSError):
            answer = secured.recv(4)
        assert answer in {b"?", b""}  # thrown out, however
    assert ask(settings) == "accepted"


@pytest.mark.parametrize("what", ["another root", "expired root", "another name", "a device's certificate"])
def test_a59_a_broker_that_does_not_prove_who_it_is_gets_no_word(tmp_path: Path, what: str) -> None:
    with hardened_broker(tmp_path / "b") as broker:
        settings = broker.device("kitchen")
        broker.stop()
        server = broker.folder / "broker" / "server"
        now = time.time()
        ca = broker.folder / "console" / "ca.pem"
        match what:
            case "another root":
                pair = Authority.init(tmp_path / "other", "other", now).server_certificate(["127.0.0.1"], now)
            case "expired root":
                root = new_root("old", now - 20 * 366 * 86_400)
                pair = root.server_pair(["127.0.0.1"], now, 86_400)
                ca.write_bytes(pem_of(root.certificate))
            case "another name":
                pair = broker.authority.server_certificate(["elsewhere.example"], now)
            case _:
                pair = broker.authority.passing_certificate("127.0.0.1", now)
        server.with_suffix(".pem").write_bytes(pair.certificate)
        server.with_suffix(".key").write_bytes(pair.key)
        broker.start()

        async def scene() -> None:
            async with connect(settings, client_id="kitchen") as bus:
                await eventually(lambda: bus.trouble is not None)
                assert bus.counters.connections == 0
                assert bus.trouble is not None
                assert "does not prove to be 127.0.0.1" in bus.trouble

        run(scene())
        with pytest.raises(BusError, match="does not prove"):
            ask(settings)


def test_a59_old_tls_and_clients_of_other_authorities_are_refused(broker: HardenedBroker, tmp_path: Path) -> None:
    settings = broker.device("kitchen")
    assert settings.tls is not None
    assert settings.tls.certificate is not None
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.load_verify_locations(settings.tls.ca)
    old.load_cert_chain(settings.tls.certificate, settings.tls.key)
    assert spoken(broker.plan.port, old)[0] == b""
    now = time.time()
    stranger = Authority.init(tmp_path / "other", "other", now).passing_certificate("kitchen", now)
    expired = broker.authority.passing_certificate("kitchen", now - 3_600)
    server = broker.authority.server_certificate(["localhost"], now)
    for name, pair in (("stranger", stranger), ("expired", expired), ("server", server)):
        assert ask(broker.pair(name, pair)) == "refused", name
    nobody = ssl.create_default_context(cafile=str(settings.tls.ca))
    assert spoken(broker.plan.port, nobody)[0] == b""
    assert ask(settings) == "accepted"


def test_certificates_stand_the_strict_checks_that_python_3_13_makes(broker: HardenedBroker) -> None:
    settings = broker.device("strict")
    assert settings.tls is not None
    assert settings.tls.certificate is not None
    context = ssl.create_default_context(cafile=str(settings.tls.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_cert_chain(settings.tls.certificate, settings.tls.key)
    assert spoken(broker.plan.port, context)[0][:1] == b"\x20"


def test_a60_a_name_with_wildcards_in_a_certificate_opens_nothing(broker: HardenedBroker) -> None:
    names = ("+", "#", "a/+", "kitchen/up", "x\\#")

    async def scene() -> None:
        async with connect(session_of(broker.console()), client_id="console-1") as console:
            await connected(console)
            for name in names:
                pair = broker.authority.passing_certificate(name, time.time())
                settings = broker.pair("hostile", pair, session_expiry_s=0)
                async with connect(settings, client_id="any") as hostile:
                    await connected(hostile)
                    hostile.subscribe("ea/1/home/d/+/dn/#", "ea/1/home/d/#")
                    await hostile.deliver(Message("ea/1/home/d/victim/up/state", b"forged", qos=1))
                    await console.deliver(Message("ea/1/home/d/victim/dn/job", b"secret", qos=1))
                    await console.deliver(Message("ea/1/home/all/dn/announce", b"to all", qos=1))
                    heard = await heard_within(hostile, 0.3)
                    assert {one.topic for one in heard} <= {"ea/1/home/all/dn/announce"}

    run(scene())
    assert [name for name in names if f"Denied PUBLISH from {name} (" not in broker.log] == []


async def heard_within(bus: Bus, seconds: float) -> list[Received]:
    """Return what is heard within a moment, if anything is."""
    heard: list[Received] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for received in bus.received():
                heard.append(received)  # noqa: PERF401  # it never ends by itself
    return heard


def test_a63_a_claim_can_ask_and_nothing_else(broker: HardenedBroker) -> None:
    assert ask(broker.claim(port=broker.plan.port)) == "refused"
    device = broker.device("kitchen", port=broker.plan.enrolment_port)
    assert ask(device) == "refused"

    async def scene() -> None:
        async with (
            connect(session_of(broker.console()), client_id="console-1") as console,
            connect(broker.claim(), client_id="any") as claim,
        ):
            await connected(console)
            await connected(claim)
            console.subscribe("ea/1/+/d/+/up/#", "ea/1/+/enrol/+/req")
            await eventually(lambda: console.is_subscribed)
            claim.subscribe("#", "ea/1/home/enrol/+/req", "ea/1/home/d/+/dn/#", "ea/1/home/all/dn/#")
            for topic in (
                "ea/1/home/d/claim-1/up/state",
                "ea/1/home/d/kitchen/up/state",
                "ea/1/home/enrol/n/rsp",
                "ea/1/home/enrol/n/req/more",
                "ea/1/home/all/dn/announce",
            ):
                await claim.deliver(Message(topic, b"forged", qos=1))
            assert claim.counters.refused >= 5
            await console.deliver(Message("ea/1/home/d/claim-1/dn/job", b"secret", qos=1))
            await console.deliver(Message("ea/1/home/all/dn/announce", b"secret", qos=1))
            await claim.deliver(Message("ea/1/home/enrol/n/req", b"asked", qos=1))
            heard = await anext(console.received())
            assert (heard.topic, heard.payload) == ("ea/1/home/enrol/n/req", b"asked")
            assert await heard_within(claim, 0.2) == []

    run(scene())


def test_a63_what_another_claim_reads_of_an_answer_is_of_no_use_without_the_key(
    broker: HardenedBroker, tmp_path: Path
) -> None:
    device = broker.device("answered")
    assert device.tls is not None
    assert device.tls.certificate is not None
    read_by_another = device.tls.certificate.read_bytes()
    (tmp_path / "own.key").write_bytes(make_key("file"))
    (tmp_path / "read.pem").write_bytes(read_by_another)
    with pytest.raises(BusError, match="certificates for the broker cannot be used"):
        ask(broker.link(tmp_path / "read.pem", tmp_path / "own.key"))


def test_a63_a_claim_that_was_revoked_cannot_even_ask(tmp_path: Path) -> None:
    with hardened_broker(tmp_path / "b") as broker:
        old = broker.claim()
        lost = tmp_path / "lost.pem"
        shutil.copy(broker.folder / "devices" / "claim.pem", lost)
        other = broker.pair(
            "other", broker.authority.claim_certificate("2", time.time()), port=broker.plan.enrolment_port
        )
        assert (ask(old), ask(other)) == ("accepted", "accepted")
        for _ in range(2):
            done = CliRunner().invoke(broker_app, ["revoke", str(broker.folder), str(lost)])
            assert "1 in all" in done.output, done.output
        broker.reload()
        deadline = time.monotonic() + 10
        while ask(old) == "accepted":
            assert time.monotonic() < deadline
        assert ask(other) == "accepted"
        (tmp_path / "device.pem").write_text(device_certificate(broker))
        for wrong, said in (
            (broker.folder / "broker" / "ca.pem", "no claim and no console"),
            (tmp_path / "device.pem", "no claim and no console"),
            (broker.folder / "broker" / "acl", "no certificate of this authority"),
        ):
            with pytest.raises(ConsoleError, match=said):
                broker_files.revoke(broker.folder, wrong, time.time())


def device_certificate(broker: HardenedBroker) -> str:
    settings = broker.device("revoked")
    assert settings.tls is not None
    assert settings.tls.certificate is not None
    return settings.tls.certificate.read_text()


def test_a42_a_console_s_certificate_that_was_replaced_can_be_revoked(tmp_path: Path) -> None:
    with hardened_broker(tmp_path / "b") as broker:
        devices = [broker.device("kitchen"), broker.device("hall")]
        certificate = devices[0].tls.certificate if devices[0].tls else None
        assert certificate is not None
        serial = issued_of(certificate.read_text()).serial
        certificates.enforce([Revoked(serial, time.time())], [], broker.authority, broker.revoking(), time.time())
        start = broker.folder / "console" / "console-1"
        stolen = broker.pair(
            "stolen", Pair(start.with_suffix(".pem").read_bytes(), start.with_suffix(".key").read_bytes())
        )
        broker_files.renew(broker.folder, broker.plan, time.time())
        assert ask(stolen) == "accepted"
        (replaced,) = (broker.folder / "authority" / "replaced").glob("console-1-*.pem")
        assert broker_files.revoke(broker.folder, replaced, time.time()) >= 2
        broker.stop()
        broker.start()
        assert [ask(one) for one in (stolen, *devices)] == ["refused", "refused", "accepted"]
        assert ask(broker.console()) == "accepted"


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given to others by root alone")
def test_what_is_renewed_stays_with_those_who_had_it(tmp_path: Path) -> None:
    folder, plan = tmp_path / "b", broker_files.Plan(("broker.example",))
    broker_files.init(folder, plan, time.time())
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 4_321, 4_322)
    os.chown(folder / "broker" / "server.key", 4_321, 4_323)
    broker_files.renew(folder, replace(plan, consoles=("1", "2")), time.time())
    owners = {path: (path.stat().st_uid, path.stat().st_gid) for path in folder.rglob("*.*")}
    assert owners.pop(folder / "broker" / "server.key")[0] == 4_321
    assert folder / "console" / "console-2.key" in owners
    assert {
        path: owner for path, owner in owners.items() if owner != (4_321, 4_322) and path.parent.name != "replaced"
    } == {}


def test_a43_what_is_retained_does_not_take_all_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_conf, "MOST_MEMORY_BYTES", 20 << 20)

    async def scene(broker: HardenedBroker) -> None:
        async with connect(broker.claim(), client_id="x") as claim:
            await connected(claim)
            began = claim.counters.connections
            for number in range(400):
                topic = f"ea/1/nowhere{number}/enrol/n/req"
                with suppress(TimeoutError):
                    await asyncio.wait_for(claim.deliver(Message(topic, b"x" * 200_000, qos=1, retain=True)), 0.5)
                if claim.counters.connections > began:
                    break
            assert claim.counters.connections > began or not claim.is_connected, "nobody was thrown out"

    with hardened_broker(tmp_path / "b") as broker:
        run(scene(broker))
        assert resident_bytes(broker) < 60 << 20


def resident_bytes(broker: HardenedBroker) -> int:
    status = Path(f"/proc/{broker.pid_file.read_text().strip()}/status").read_text()
    return 1_024 * int(status.partition("VmRSS:")[2].split()[0])


def test_a40_a_device_writes_to_topics_of_ours_alone(broker: HardenedBroker) -> None:
    address = Address("home", "writer")
    ours = [
        wire.reported(address, wire.Reported(version=0, standing="none")),
        wire.sample(address, wire.Sample(boot="b", at=1.0, uptime_s=1.0)),
        wire.progress(address, wire.Progress(id="j:1", job="j", state="done", at=1.0)),
        wire.renewal(address, wire.RenewRequest(nonce="n", csr="x")),
        *(Message(f"{address.up}/{kind}", b"{}", qos=1) for kind in ("birth", "state", "get", "event/fault")),
    ]
    others = [f"{address.up}/{kind}" for kind in ("", "other", "a/b/1", "job", "job/a/b", "event/a/b", "birth/1")]

    async def scene() -> None:
        async with connect(session_of(broker.device("writer")), client_id="writer") as writer:
            await connected(writer)
            for one in ours:
                await writer.deliver(replace(one, qos=1))
            assert writer.counters.refused == 0
            for topic in others:
                await writer.deliver(Message(topic, b"x", qos=1))
            assert writer.counters.refused == len(others)

    run(scene())


def test_a42_an_authority_outside_signs_and_its_list_counts_too(tmp_path: Path) -> None:
    now = time.time()
    outside = Authority.init(tmp_path / "outside", "outside", now)
    (tmp_path / "outside.pem").write_text(outside.trusted)
    (tmp_path / "outside-crl.pem").write_bytes(outside.crl([], b"", now))
    files = {"outside_ca": tmp_path / "outside.pem", "outside_crl": tmp_path / "outside-crl.pem"}
    with hardened_broker(tmp_path / "b", **files) as broker:
        key = make_key("file")
        issued = outside.sign_device(request(key, "x"), "home", "kitchen", now)
        kitchen = broker.pair("kitchen", Pair(issued.pem.encode(), key))
        hall = broker.pair("hall", outside.passing_certificate("hall", now))
        assert (ask(kitchen), ask(hall), ask(broker.device("own"))) == ("accepted", "accepted", "accepted")
        revoked = [Revoked(issued.serial, now)]
        certificates.enforce([Revoked("12", now)], [], broker.authority, broker.revoking(), now)
        assert ask(hall) == "accepted", "the other authority's list was lost"
        (tmp_path / "newer.pem").write_bytes(outside.crl(revoked, (tmp_path / "outside-crl.pem").read_bytes(), now))
        command = ("/bin/sh", "-c", f"read serial; test $serial = {issued.serial} && cat {tmp_path}/newer.pem")
        revoking = replace(broker.revoking(), revoke=command)
        certificates.enforce(revoked, ["kitchen"], broker.authority, revoking, now)
        assert (ask(kitchen), ask(hall), ask(broker.device("own"))) == ("refused", "accepted", "accepted")
        with pytest.raises(ConsoleError, match="prints no list"):
            certificates.enforce(revoked, [], broker.authority, replace(revoking, revoke=("true",)), now)


def test_only_the_two_ports_are_open(broker: HardenedBroker) -> None:
    opened = [line.rpartition(" ")[2].strip(".") for line in broker.log.splitlines() if "listen socket on port" in line]
    assert set(opened) == {str(broker.plan.port), str(broker.plan.enrolment_port)}
    assert "Warning: Mosquitto should" in broker.log
    assert "Error" not in broker.log.split(" running")[0]


def test_a_console_reads_what_devices_say_and_two_of_them_do_not_take_turns(tmp_path: Path) -> None:
    async def scene(broker: HardenedBroker) -> None:
        async with (
            connect(session_of(broker.console("1")), client_id="x") as one,
            connect(session_of(broker.console("second")), client_id="x") as two,
            connect(session_of(broker.device("kitchen")), client_id="kitchen") as kitchen,
        ):
            for bus in (one, two, kitchen):
                await connected(bus)
            one.subscribe("$share/console/ea/1/+/d/+/up/#")
            two.subscribe("$share/console/ea/1/+/d/+/up/#")
            await eventually(lambda: one.is_subscribed and two.is_subscribed)
            for number in range(10):
                await kitchen.deliver(Message("ea/1/home/d/kitchen/up/event/x", str(number).encode(), qos=1))
            shares = [await heard_within(one, 0.3), await heard_within(two, 0.3)]
            assert sorted(int(one.payload) for share in shares for one in share) == list(range(10))
            assert all(shares), "one console got nothing"
            assert {bus.counters.connections for bus in (one, two)} == {1}

    with hardened_broker(tmp_path / "b", consoles=("1", "second")) as broker:
        run(scene(broker))


def test_what_was_written_is_not_readable_by_others(broker: HardenedBroker) -> None:
    modes = {
        str(path.relative_to(broker.folder)): path.stat().st_mode & 0o777
        for part in ("authority", "broker", "console", "devices")
        for path in (broker.folder / part).rglob("*.key")
    }
    assert len(modes) == 5
    assert all(mode in {0o600, 0o640} for mode in modes.values()), modes
    assert (broker.folder / "authority").stat().st_mode & 0o777 == 0o700


def test_the_commands_write_a_broker_and_renew_its_certificates(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    runner = CliRunner()
    made = runner.invoke(broker_app, ["init", str(folder), "--name", "broker.example", "--name", "10.0.0.2"])
    assert made.exit_code == 0, made.output
    assert "edgeagent enrol --broker broker.example:8883" in made.output
    first = (folder / "broker" / "server.pem").read_text()
    ca = (folder / "broker" / "ca.pem").read_text()
    again = runner.invoke(broker_app, ["renew", str(folder), "--console", "1", "--console", "2", "--json"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.output)["consoles"] == ["1", "2"]
    assert (folder / "broker" / "server.pem").read_text() != first
    assert (folder / "broker" / "ca.pem").read_text() == ca
    assert "user console-2" in (folder / "broker" / "acl").read_text()
    with pytest.raises(ConsoleError, match="holds an authority already"):
        runner.invoke(broker_app, ["init", str(folder), "--name", "x"], catch_exceptions=False)
    shutil.rmtree(folder / "authority")
    with pytest.raises(ConsoleError, match="cannot be read"):
        runner.invoke(broker_app, ["renew", str(folder)], catch_exceptions=False)


@pytest.mark.parametrize(
    "given",
    [
        {"names": ()},
        {"names": ("two words",)},
        {"names": ("x\nlistener 1",)},
        {"names": ("x",), "consoles": ("a\nuser b",)},
        {"names": ("x",), "batch": "#"},
        {"names": ("x",), "port": 1, "enrolment_port": 1},
    ],
)
def test_names_that_would_write_something_else_are_refused(given: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ConsoleError):
        broker_files.Plan(**given)  # type: ignore[arg-type]  # that is the point


def test_a_broker_that_does_not_reload_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "RELOAD_S", 0.3)
    with hardened_broker(tmp_path / "b") as broker:
        deaf = certificates.Broker(broker.console(), broker.folder / "broker" / "crl.pem", ("true",))
        with pytest.raises(ConsoleError, match="does not use its new list"):
            certificates.enforce([Revoked("12", time.time())], [], broker.authority, deaf, time.time())
        assert not certificates.is_enforced([Revoked("12", time.time())], deaf.crl)
        other = Authority.init(tmp_path / "other", "other", time.time())
        with pytest.raises(ConsoleError, match="does not take certificates"):
            certificates.enforce([], [], other, deaf, time.time())


def test_knocking_at_a_door_where_nobody_is_says_so(tmp_path: Path) -> None:
    authority = Authority.init(tmp_path / "a", "a", time.time())
    pair = authority.passing_certificate("x", time.time())
    (tmp_path / "x.pem").write_bytes(pair.certificate)
    (tmp_path / "x.key").write_bytes(pair.key)
    tls = TlsSettings(ca=tmp_path / "a" / "ca.pem", certificate=tmp_path / "x.pem", key=tmp_path / "x.key")
    with pytest.raises(BusError, match="cannot be reached"):
        enter(BrokerSettings(host="127.0.0.1", port=1, tls=tls), "x")
