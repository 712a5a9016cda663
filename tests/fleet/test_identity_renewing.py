"""Enrolling and renewing on a real broker with a real authority: answers that are lost, wrong, or none."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, run
from console.hardened_broker import HardenedBroker, answering_console, database, hardened_broker, token
from sqlalchemy import select

from edgeagent.bus import connect
from edgeagent.console import enrolment
from edgeagent.console.authority import Authority, Issued, common_name_of
from edgeagent.console.database import Database
from edgeagent.console.tables import Certificate, Device
from edgeagent.errors import BusError, EdgeAgentError
from edgeagent.fleet import wire
from edgeagent.fleet.enrolling import enrol
from edgeagent.fleet.identity import Identity
from edgeagent.fleet.identity_keys import IdentityError, request
from edgeagent.fleet.identity_probe import ask
from edgeagent.fleet.identity_store import Identities
from edgeagent.fleet.renewing import Renewing, try_candidate, with_current, with_identity
from edgeagent.inbox import Received

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
TWO_MONTHS_S = 61 * 86_400.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardenedBroker]:
    with hardened_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def made(tmp_path: Path) -> Database:
    return database(tmp_path)


async def enrolled(broker: HardenedBroker, made: Database, state: Path) -> Identity:
    async with answering_console(broker, made):
        return await enrol(broker.wish(token(made)), Identities(state))


def test_a_token_becomes_an_identity_that_the_broker_takes(
    broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    async def scene() -> None:
        began = time.monotonic()
        found = await enrolled(broker, made, tmp_path)
        print(f"enrolled in {time.monotonic() - began:.3f} s, its console's start included")  # noqa: T201  # a figure
        assert (found.fleet, found.device) == ("home", "kitchen")
        settings = with_current(broker.console(), found)
        async with connect(settings, client_id="kitchen") as bus:
            await asyncio.wait_for(bus.until(connected=True), 10)
            assert await bus.deliver(wire.reported(found.address, wire.Reported(version=0, standing="none")))
            assert bus.counters.refused == 0

    run(scene())


def test_a_lost_answer_locks_nobody_out(broker: HardenedBroker, made: Database, tmp_path: Path) -> None:
    async def scene() -> None:
        secret = token(made)
        identities = Identities(tmp_path)
        key = identities.next_key("file")
        asked = wire.EnrolRequest(serial="S-1", token=secret, csr=request(key, "x"))
        # The console has answered, and the power went before it was heard.
        lost = enrolment.enrol(made, broker.authority, "home", asked, time.time(), nonce="n")
        assert lost is not None
        assert lost.problem == ""
        async with answering_console(broker, made):
            found = await enrol(broker.wish(secret), Identities(tmp_path))
        assert found.certificate.read_text() == lost.certificate

    run(scene())


class _Naming:
    """An authority that signs the name that a request says, as servers that speak EST do."""

    signs_subjects = True

    def __init__(self, own: Authority) -> None:
        self._own, self.trusted = own, own.trusted

    def sign_device(self, csr_pem: str, fleet: str, device: str, now: float) -> Issued:  # noqa: ARG002
        return self._own.sign_device(csr_pem, fleet, common_name_of(csr_pem), now)


def test_a_device_is_told_its_name_where_the_authority_signs_what_a_request_says(
    broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with answering_console(broker, made, _Naming(broker.authority)):
            found = await enrol(broker.wish(token(made)), Identities(tmp_path))
        assert found.device == "kitchen"
        assert ask(with_current(broker.console(), found)) == "accepted"

    run(scene())


def test_a_console_that_is_away_at_first_is_waited_for(broker: HardenedBroker, made: Database, tmp_path: Path) -> None:
    async def scene() -> None:
        asking = asyncio.create_task(enrol(broker.wish(token(made)), Identities(tmp_path)))
        await eventually(lambda: "Received PUBLISH from claim-1" in broker.log)
        async with answering_console(broker, made):
            assert (await asking).device == "kitchen"

    run(scene())


def test_two_devices_of_a_batch_enrol_at_once(broker: HardenedBroker, made: Database, tmp_path: Path) -> None:
    async def scene() -> None:
        names = ("one", "two", "three")
        secrets = [token(made, name, f"S-{name}") for name in names]
        async with answering_console(broker, made):
            found = await asyncio.gather(
                *(
                    enrol(broker.wish(secret, f"S-{name}", deadline_s=40), Identities(tmp_path / name))
                    for secret, name in zip(secrets, names, strict=True)
                )
            )
        assert [one.device for one in found] == list(names)

    run(scene(), within_s=50)


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        ({"token": "AAAA-BBBB-CCCC-DDDD-EEEE"}, "refused", "--serial"),
        ({"serial": "S-9"}, "refused", "--serial"),
    ],
)
def test_a63_a_refusal_says_what_to_do_and_leaves_the_claim(  # its case and its places
    broker: HardenedBroker, made: Database, tmp_path: Path, change: dict[str, str], said: str, remedy: str
) -> None:
    async def scene() -> None:
        wish = replace(broker.wish(token(made)), **change)  # type: ignore[arg-type]  # texts alone
        async with answering_console(broker, made):
            with pytest.raises(IdentityError, match=said) as caught:
                await enrol(wish, Identities(tmp_path))
        assert remedy in caught.value.remedy

    run(scene())


def test_nobody_who_answers_wrong_hosts_and_wrong_authorities_are_told_apart(
    broker: HardenedBroker, tmp_path: Path
) -> None:
    wish = broker.wish("AAAA-BBBB-CCCC-DDDD-EEEE", deadline_s=1.5)
    other = Authority.init(tmp_path / "other", "other", time.time())
    claim = other.claim_certificate("1", time.time())
    (tmp_path / "claim.pem").write_bytes(claim.certificate)
    (tmp_path / "claim.key").write_bytes(claim.key)
    away = wish.broker.model_copy(update={"host": "127.0.0.1"})
    cases = {
        "connected, but no answer": wish,
        "cannot be reached": replace(wish, broker=away, enrolment_port=1),
        "does not prove to be": replace(
            wish, claim=wish.claim.model_copy(update={"ca": tmp_path / "other" / "ca.pem"})
        ),
        "no connection": replace(
            wish,
            claim=wish.claim.model_copy(update={"certificate": tmp_path / "claim.pem", "key": tmp_path / "claim.key"}),
        ),
    }

    async def scene() -> None:
        for number, (said, one) in enumerate(cases.items()):
            with pytest.raises(BusError, match=said) as caught:
                await enrol(one, Identities(tmp_path / str(number)))
            assert caught.value.remedy

    run(scene())


def test_a_clock_that_is_wrong_is_named_and_the_token_works_again(
    broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    async def scene() -> None:
        wish = broker.wish(token(made))
        async with answering_console(broker, made):
            with pytest.raises(IdentityError, match="clock") as caught:
                await enrol(wish, Identities(tmp_path), clock=lambda: time.time() - 30 * 86_400)
            assert "timedatectl" in caught.value.remedy
            assert (await enrol(wish, Identities(tmp_path))).device == "kitchen"

    run(scene())


def test_at_two_thirds_the_daemon_renews_over_its_own_connection_which_stays(
    broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    async def scene() -> None:
        old = await enrolled(broker, made, tmp_path)
        identities = Identities(tmp_path)
        async with (
            answering_console(broker, made),
            connect(with_current(broker.console(), old), client_id="kitchen") as bus,
        ):
            bus.subscribe(Renewing.topic(old.address))
            await asyncio.wait_for(bus.until(connected=True), 10)
            ahead = 0.0
            renewing = Renewing(bus, identities, broker.console(), clock=lambda: time.time() + ahead)
            taking = asyncio.create_task(_take_all(renewing, bus.received()))
            assert await renewing.renew_where_due() is None
            keeping = asyncio.create_task(renewing.keep_renewed())
            ahead = TWO_MONTHS_S
            renewing.look()
            # The new certificate is checked by the clock: one from today counts in two months too.
            await eventually(lambda: (now := identities.current()) is not None and now.serial != old.serial)
            new = identities.current()
            assert new is not None
            await eventually(lambda: not old.folder.exists())
            assert bus.counters.connections == 1, "the renewal has thrown the daemon out"
            for task in (keeping, taking):
                task.cancel()
            await asyncio.wait([keeping, taking])
        assert await asyncio.to_thread(ask, with_identity(broker.console(), new)) == "accepted"

    run(scene())
    with made.session() as session:
        # By a clock that stays two months ahead the new one is due at once: a second renewal may have begun.
        assert len(session.scalars(select(Certificate)).all()) in {2, 3}


async def _take_all(renewing: Renewing, received: AsyncIterator[Received]) -> None:
    async for one in received:
        assert await renewing.take(one)


def test_a64_a_candidate_that_the_broker_refuses_leaves_the_old_pair_in_use(
    broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    async def scene() -> None:
        old = await enrolled(broker, made, tmp_path)
        identities = Identities(tmp_path)
        stranger = Authority.init(tmp_path / "other", "other", time.time())
        key = identities.next_key("file")
        issued = stranger.sign_device(request(key, "x"), "home", "kitchen", time.time())
        identities.add(key, issued.pem, broker.authority.trusted, old.address)
        with pytest.raises(IdentityError, match="refuses the new certificate"):
            await asyncio.to_thread(try_candidate, broker.console(), identities)
        assert identities.current() == old
        assert identities.candidate() is None

    run(scene())


def test_a64_a_candidate_stays_while_the_broker_is_away_and_is_tried_again(
    broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    async def scene() -> None:
        old = await enrolled(broker, made, tmp_path)
        identities = Identities(tmp_path)
        key = identities.next_key("file")
        issued = broker.authority.sign_device(request(key, "x"), "home", "kitchen", time.time())
        waiting = identities.add(key, issued.pem, broker.authority.trusted, old.address)
        away = broker.console(port=1)
        with pytest.raises(BusError, match="cannot be reached"):
            await asyncio.to_thread(try_candidate, away, identities)
        assert (identities.current(), identities.candidate()) == (old, waiting)
        async with connect(broker.console(), client_id="console-1") as bus:
            renewed = await Renewing(bus, identities, broker.console()).renew_where_due()
        assert renewed is not None
        assert renewed.serial == waiting.serial

    run(scene())


def test_a42_a_device_that_was_revoked_is_not_renewed_and_keeps_trying_seldom(
    broker: HardenedBroker, made: Database, tmp_path: Path
) -> None:
    async def scene() -> None:
        old = await enrolled(broker, made, tmp_path)
        with made.session() as session:
            enrolment.revoke(session, session.scalars(select(Device)).one(), "stolen", time.time())
        identities = Identities(tmp_path)
        async with (
            answering_console(broker, made),
            connect(with_current(broker.console(), old), client_id="kitchen") as bus,
        ):
            bus.subscribe(Renewing.topic(old.address))
            await asyncio.wait_for(bus.until(connected=True), 10)
            renewing = Renewing(bus, identities, broker.console(), clock=lambda: time.time() + TWO_MONTHS_S)
            taking = asyncio.create_task(_take_all(renewing, bus.received()))
            with pytest.raises(EdgeAgentError, match="no further certificate"):
                await renewing.renew_where_due()
            taking.cancel()
            await asyncio.wait([taking])
        assert identities.current() == old

    run(scene())


def test_answers_that_nobody_asked_for_are_taken_and_forgotten(broker: HardenedBroker, tmp_path: Path) -> None:
    async def scene() -> None:
        async with connect(broker.console(), client_id="console-1") as bus:
            renewing = Renewing(bus, Identities(tmp_path), broker.console())
            acknowledged: list[int] = []
            for payload, retained in ((b"{", False), (b'{"nonce":"x"}', False), (b"", True), (b"x" * 300_000, False)):
                received = Received(
                    "ea/1/home/d/kitchen/dn/certificate",
                    payload,
                    retained=retained,
                    acknowledge=lambda: acknowledged.append(1),
                )
                assert await renewing.take(received)
            assert len(acknowledged) == 4
            assert not await renewing.take(Received("ea/1/home/d/kitchen/dn/job", b"{}"))

    run(scene())
