"""A one-time token to an identity: asked over the claim's connection, checked, kept, and tried before it counts.

Rules:
    - What was begun is carried on: the same key is asked for again, and a certificate that came is not asked for twice.
    - The claim is given up only after the broker has taken the new identity.
    - A refusal says what to do: the console gives no more away than who holds a token may know.
    - Devices that share a claim take its connection from one another, and so can whoever has stolen it: that costs
      the others time, some seconds for each, and nothing else. Until the deadline it is connected and asked again.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeagent.bus import connect
from edgeagent.errors import BusError, PayloadError
from edgeagent.fleet.identity import Identity
from edgeagent.fleet.identity_checks import fitting
from edgeagent.fleet.identity_keys import IdentityError, Kind, public_part, request
from edgeagent.fleet.identity_probe import enter
from edgeagent.fleet.identity_store import Identities
from edgeagent.fleet.renewing import try_candidate
from edgeagent.fleet.wire import LARGEST_BYTES, SUBJECT, Certified, EnrolRequest, enrolment, read, written
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings, TlsSettings
from edgeagent.topics import Address

DEADLINE_S = 30.0
AGAIN_S = 3.0
"""Between repeats: the console may have been away, or another device has taken the claim's connection over."""
_MAKE = "Make a new token in the console for this serial number and fleet"
REMEDIES = {
    "refused": f"Check --token, --serial and --fleet. {_MAKE} if it is not the right one.",
    "expired": f"{_MAKE}.",
    "used": f"{_MAKE}: a token is good for one key, and that was another one.",
    "bad request": "This program and the console do not fit together: update both.",
    "unsigned": "Look at the console's log: its authority does not sign.",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done: where, as whom, by which token. `broker` is where devices connect; its `tls` is not read."""

    broker: BrokerSettings
    enrolment_port: int
    claim: TlsSettings
    fleet: str
    serial: str
    token: str
    kind: Kind = "file"
    deadline_s: float = DEADLINE_S


async def enrol(wish: Wish, identities: Identities, clock: Callable[[], float] = time.time) -> Identity:
    """Get this device's identity, and take it into use. Raise IdentityError or BusError: where, and what to do."""
    if await asyncio.to_thread(identities.candidate) is None:
        key = await asyncio.to_thread(identities.next_key, wish.kind)
        answer = await _asked(wish, await asyncio.to_thread(request, key, "edgeagent"))
        if answer.problem.startswith(f"{SUBJECT}:"):  # the authority signs what the request says
            answer = await _asked(wish, await asyncio.to_thread(request, key, _named(answer)))
        if answer.problem:
            raise IdentityError(f"the console refuses: {answer.problem}", remedy=_remedy(answer.problem))
        public = await asyncio.to_thread(public_part, key)
        address = fitting(answer, key=public, trusted=_trusted(wish.claim.ca), now=clock())
        await asyncio.to_thread(identities.add, key, answer.certificate, answer.ca, address)
    return await asyncio.to_thread(try_candidate, wish.broker, identities, enter)


def _named(answer: Certified) -> str:
    """Return the name that the console has told us. Raise IdentityError if it is none."""
    try:
        return Address("any", answer.device).device
    except BusError as error:
        raise IdentityError(f"the console names no device: {error}", remedy="Update the console.") from error


async def _asked(wish: Wish, csr: str) -> Certified:
    """Ask until there is an answer, or no time is left."""
    nonce = uuid.uuid4().hex
    ask_at, answer_at = enrolment(wish.fleet, nonce)
    asked = EnrolRequest(serial=wish.serial, token=wish.token, csr=csr)
    question = Message(ask_at, written(asked), qos=1, expiry_s=60)
    settings = wish.broker.model_copy(
        update={
            "port": wish.enrolment_port,
            "tls": wish.claim,
            "username": None,
            "session_expiry_s": 0,
            "reconnect_least_s": 0.5,
            "reconnect_most_s": AGAIN_S,
        }
    )
    async with connect(settings, client_id=nonce, greetings=lambda: (question,)) as bus:
        bus.subscribe(answer_at)
        repeating = asyncio.create_task(_repeat(bus, question))
        try:
            async with asyncio.timeout(wish.deadline_s):
                return await _answer(bus, nonce, answer_at)
        except TimeoutError as error:
            raise _unanswered(wish, bus) from error
        finally:
            repeating.cancel()
            await asyncio.wait([repeating])


async def _repeat(bus: Bus, question: Message) -> None:
    while True:
        await asyncio.sleep(AGAIN_S)
        if bus.is_connected:
            await bus.publish(question)


async def _answer(bus: Bus, nonce: str, topic: str) -> Certified:
    async for received in bus.received():
        received.acknowledge()
        if received.topic != topic or received.retained:
            continue
        try:
            answer = read(Certified, received.payload, largest=LARGEST_BYTES)
        except PayloadError:
            continue
        if answer.nonce == nonce:
            return answer
    raise BusError("the link has ended", remedy="Try again.")  # pragma: no cover  # it ends with its block


def _unanswered(wish: Wish, bus: Bus) -> BusError:
    where = f"{wish.broker.host}:{wish.enrolment_port}"
    if bus.trouble is None:
        return BusError(
            f"{where}: connected, but no answer within {wish.deadline_s:g} s",
            remedy=f"See that the console runs, and that it knows the fleet {wish.fleet!r}. The token is not spent.",
        )
    if "not yet valid" in bus.trouble or "has expired" in bus.trouble:
        return BusError(f"{where}: {bus.trouble}", remedy="Set this device's clock (timedatectl), then try again.")
    return BusError(
        f"{where}: no connection within {wish.deadline_s:g} s: {bus.trouble}",
        remedy="Check --broker and --enrolment-port, and that --ca, --claim and --claim-key are this fleet's.",
    )


def _remedy(problem: str) -> str:
    return REMEDIES.get(problem.partition(":")[0], "Look at the console's audit trail.")


def _trusted(ca: Path) -> bytes:
    try:
        return ca.read_bytes()
    except OSError as error:
        raise IdentityError(f"{ca}: cannot be read: {error.strerror or error}", remedy="Check --ca.") from error
