"""A certificate at two thirds of its life to the next one, over the device's own connection.

Rules:
    - Each certificate has a key of its own, which is on the disk before it is asked for: a lost answer is asked again.
    - A new pair counts when the broker was asked and takes it; until then the old one is used.
    - Whatever goes wrong, the next try follows after a while; listening has no part in it.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from edgeagent.dial import wait_s
from edgeagent.errors import BusError, EdgeAgentError, PayloadError
from edgeagent.fleet.identity import IDENTITY, Identity
from edgeagent.fleet.identity_checks import fitting
from edgeagent.fleet.identity_keys import IdentityError, know_tpm, public_part, request
from edgeagent.fleet.identity_probe import Answer, ask
from edgeagent.fleet.identity_store import Identities
from edgeagent.fleet.wire import LARGEST_BYTES, Certified, RenewRequest, read, renewal
from edgeagent.inbox import Received
from edgeagent.link import Bus
from edgeagent.settings import BrokerSettings, TlsSettings
from edgeagent.topics import VERSION, Address

log = logging.getLogger(__name__)

ANSWER_S = 60.0
LOOK_S = 3_600.0
LEAST_S, MOST_S = 300.0, 24 * 3_600.0
"""Between tries after a failure; a month is left."""


def with_identity(broker: BrokerSettings, identity: Identity) -> BrokerSettings:
    """Return how the broker is reached as this identity; OpenSSL gets to know the TPM where its key is there."""
    _know(identity)
    return broker.model_copy(update={"tls": identity.tls, "username": None, "password": None})


def with_current(broker: BrokerSettings, identity: Identity) -> BrokerSettings:
    """Return the same by the link `current`: a renewed identity is used from the next connection on."""
    _know(identity)
    folder = identity.folder.parent / "current"
    assert folder.parent.name == IDENTITY  # noqa: S101  # identities live nowhere else
    tls = TlsSettings(
        ca=folder / identity.ca.name, certificate=folder / identity.certificate.name, key=folder / identity.key.name
    )
    return broker.model_copy(update={"tls": tls, "username": None, "password": None})


def _know(identity: Identity) -> None:
    if identity.in_tpm:
        know_tpm()


class Renewing:
    """The daemon's part: what is asked, what was answered. `take` gets what comes, `keep_renewed` is the duty."""

    def __init__(
        self, bus: Bus, identities: Identities, broker: BrokerSettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Take the link to the fleet's broker, and how that one is reached (host, port); its `tls` is not read."""
        self._bus, self._identities, self._broker, self._clock = bus, identities, broker, clock
        self._asked: tuple[str, asyncio.Future[Certified]] | None = None
        self._wake = asyncio.Event()

    @staticmethod
    def topic(address: Address) -> str:
        """Return where answers come: to be subscribed to."""
        return f"ea/{VERSION}/{address.fleet}/d/{address.device}/dn/certificate"

    async def take(self, received: Received) -> bool:
        """Take an answer, and return True; False for anything else, which is not acknowledged here."""
        if not received.topic.endswith("/dn/certificate"):
            return False
        received.acknowledge()
        if received.retained:
            return True
        try:
            answer = read(Certified, received.payload, largest=LARGEST_BYTES)
        except PayloadError as error:
            log.warning("certificate refused", extra={"problem": str(error)})
            return True
        if self._asked is not None and answer.nonce == self._asked[0] and not self._asked[1].done():
            self._asked[1].set_result(answer)
        return True

    def look(self) -> None:
        """Look at once whether it is time."""
        self._wake.set()

    async def keep_renewed(self) -> None:
        """Keep this device's certificate from running out, for ever: the duty of the daemon.

        An hourly look; at two thirds of the certificate's life, a new pair is asked for, tried, and taken into use.
        """
        failures = 0
        while True:
            pause_s = LOOK_S
            try:
                if await self.renew_where_due() is not None:
                    failures = 0
            except EdgeAgentError as error:
                pause_s = max(60.0, wait_s(failures, LEAST_S, MOST_S, random.random()))  # noqa: S311  # spread
                failures += 1
                log.warning("not renewed", extra={"problem": str(error), "remedy": error.remedy})
            # Not wait_for: Python 3.11's may swallow a cancellation.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            self._wake.clear()

    async def renew_where_due(self) -> Identity | None:
        """Renew what is due, and return the identity that was taken into use; None where there is nothing to do.

        Raise EdgeAgentError if it did not work; the old pair is in use then.
        """
        identity = await asyncio.to_thread(self._identities.current)
        if identity is None:
            return None
        if not await asyncio.to_thread(self._has_candidate, identity):
            if not identity.is_due_for_renewal(self._clock()):
                return None
            await self.renew(identity)
        return await asyncio.to_thread(try_candidate, self._broker, self._identities)

    async def renew(self, identity: Identity) -> Identity:
        """Ask for the next pair, and keep it as the candidate. Raise EdgeAgentError if there is none."""
        kind = "tpm2" if identity.in_tpm else "file"
        key = await asyncio.to_thread(self._identities.next_key, "tpm2" if kind == "tpm2" else "file")
        csr = await asyncio.to_thread(request, key, identity.device)
        answer = await self._answer(identity, csr)
        if answer.problem:
            raise IdentityError(
                f"the console gives no certificate: {answer.problem}", remedy="Look at this device in the console."
            )
        public = await asyncio.to_thread(public_part, key)
        trusted = await asyncio.to_thread(lambda: identity.trusted)
        address = fitting(answer, key=public, trusted=trusted, now=self._clock())
        if address != identity.address:
            raise IdentityError("the certificate is for another device", remedy="Look at this device in the console.")
        return await asyncio.to_thread(self._identities.add, key, answer.certificate, answer.ca, address)

    async def _answer(self, identity: Identity, csr: str) -> Certified:
        nonce = uuid.uuid4().hex
        answer: asyncio.Future[Certified] = asyncio.get_running_loop().create_future()
        self._asked = nonce, answer
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._bus.deliver(renewal(identity.address, RenewRequest(nonce=nonce, csr=csr)))
                return await answer
        except TimeoutError as error:
            raise BusError(
                f"the console has not answered within {ANSWER_S:g} s",
                remedy="See that it runs and reaches the broker; it is asked again later.",
            ) from error
        finally:
            self._asked = None

    def _has_candidate(self, current: Identity) -> bool:
        """Tell whether a pair waits to be tried; what a power cut has damaged, or left behind, is thrown away."""
        try:
            waiting = self._identities.candidate()
        except IdentityError as error:
            log.warning("candidate dropped", extra={"problem": str(error)})
            waiting = current
        if waiting is not None and waiting.folder == current.folder:
            self._identities.drop_candidate()
            return False
        return waiting is not None


def try_candidate(
    broker: BrokerSettings, identities: Identities, asked: Callable[[BrokerSettings, str], Answer] = ask
) -> Identity:
    """Show the candidate to the broker, and take it into use if that takes it. Blocks.

    Raise BusError if the broker cannot be asked: both pairs stay. Raise IdentityError if it refuses: the candidate is
    dropped, unless there is nothing else.
    """
    candidate = identities.candidate()
    if candidate is None:
        raise IdentityError("there is no new pair to try", remedy="Ask for one first.")
    if asked(with_identity(broker, candidate), candidate.device) == "refused":
        if identities.current() is not None:  # else its key is all that a spent token has given
            identities.drop_candidate()
        raise IdentityError(
            "the broker refuses the new certificate; what was in use stays so",
            remedy="Look at the broker's log, and whether it knows the authority that signed.",
        )
    adopted = identities.adopt()
    log.info("identity", extra={"device": adopted.device, "serial": adopted.serial, "until": adopted.not_after})
    return adopted
