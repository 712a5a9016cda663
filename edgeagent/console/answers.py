"""Questions for certificates to answers, one by one: none of them spoils another's, or what others tell."""

import time
from collections.abc import Callable, Iterator

from edgeagent.console.authority import Signer
from edgeagent.console.database import Database
from edgeagent.console.enrolment import enrol, renew
from edgeagent.console.ingest import Effects
from edgeagent.fleet import wire
from edgeagent.messages import Message
from edgeagent.topics import Address

EXPIRY_S = 60
"""Who asks, asks again after less."""
NO_AUTHORITY = "this console signs no certificates"
FAILED = "the console could not answer: ask again"


def answers(
    database: Database, signer: Signer | None, effects: Effects, complain: Callable[[Exception], None]
) -> list[Message]:
    """Return what is told to those who have asked; what goes wrong is complained of, and told as such."""
    return list(_answers(database, signer, effects, complain))


def _answers(
    database: Database, signer: Signer | None, effects: Effects, complain: Callable[[Exception], None]
) -> Iterator[Message]:
    for fleet, nonce, enrolment in effects.enrolments:
        certified = _certified(database, signer, (fleet, "", nonce), enrolment, complain)
        yield Message(wire.enrolment(fleet, nonce)[1], wire.written(certified), 1, expiry_s=EXPIRY_S)
    for fleet, device, renewal in effects.renewals:
        certified = _certified(database, signer, (fleet, device, renewal.nonce), renewal, complain)
        yield wire.certified(Address(fleet, device), certified)


def _certified(
    database: Database,
    signer: Signer | None,
    who: tuple[str, str, str],
    asked: wire.EnrolRequest | wire.RenewRequest,
    complain: Callable[[Exception], None],
) -> wire.Certified:
    fleet, device, nonce = who
    if signer is None:
        return wire.Certified(nonce=nonce, problem=NO_AUTHORITY)
    try:
        with database.session() as session:
            if isinstance(asked, wire.EnrolRequest):
                return enrol(session, signer, fleet, asked, time.time(), nonce=nonce)
            return renew(session, signer, fleet, device, asked, time.time())
    except Exception as error:  # noqa: BLE001  # a request that nobody has thought of must not stop all others
        complain(error)
        return wire.Certified(nonce=nonce, problem=FAILED)
