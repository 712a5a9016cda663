"""Passkeys (WebAuthn): keys of users' own devices, by which they log in without a password."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Passkey, User
from edgeagent.console.web import challenges

MOST_OF_A_USER = 20
LOG_IN = "log in"
LONGEST_ID = 400


class UnknownPasskeyError(ConsoleError):
    """A passkey that is not known here, or an answer that is not its."""

    def __init__(self) -> None:
        """Say the same of all of them."""
        super().__init__(
            "this passkey is not known here, or was not confirmed", remedy="Try again, or log in with a password."
        )


def to_register(session: Session, key: bytes, user: str, host: str, now: float) -> dict[str, Any]:
    """Return what a browser needs to make a passkey."""
    mine = session.scalars(select(Passkey.id).where(Passkey.user == user)).all()
    if len(mine) >= MOST_OF_A_USER:
        raise ConsoleError(f"{user} has {MOST_OF_A_USER} passkeys", remedy="Remove those that are not used.")
    options = generate_registration_options(
        rp_id=host,
        rp_name="edgeagent console",
        user_name=user,
        user_id=hashlib.sha256(user.encode()).digest(),
        challenge=challenges.new(key, f"register {user}", now),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in mine],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return _plain(options)


def register(  # what a browser has sent, and where it stands
    session: Session, key: bytes, user: str, credential: Mapping[str, Any], *, title: str, origin: str, now: float
) -> Passkey:
    """Keep a passkey that a browser has made. Raise ConsoleError if it was not made for us."""
    challenge = _challenge(credential)
    challenges.use(session, key, f"register {user}", challenge, now)
    try:
        made = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=host_of(origin),
            expected_origin=origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise UnknownPasskeyError from error
    name = bytes_to_base64url(made.credential_id)
    if len(name) > LONGEST_ID or session.get(Passkey, name) is not None:
        raise UnknownPasskeyError
    passkey = Passkey(
        id=name,
        user=user,
        title=title.strip()[:200] or "Passkey",
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        created=now,
    )
    session.add(passkey)
    return passkey


def to_log_in(key: bytes, host: str, now: float) -> dict[str, Any]:
    """Return what a browser needs to log in by a passkey that it knows."""
    options = generate_authentication_options(
        rp_id=host,
        challenge=challenges.new(key, LOG_IN, now),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _plain(options)


def log_in(session: Session, key: bytes, credential: Mapping[str, Any], *, origin: str, now: float) -> str:
    """Return the user whose passkey has answered. Raise ConsoleError if none has."""
    passkey = session.get(Passkey, _id_of(credential))
    user = session.get(User, passkey.user) if passkey else None
    if passkey is None or user is None or user.disabled:
        raise UnknownPasskeyError
    challenge = _challenge(credential)
    challenges.use(session, key, LOG_IN, challenge, now)
    try:
        seen = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=host_of(origin),
            expected_origin=origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise UnknownPasskeyError from error
    passkey.sign_count = seen.new_sign_count
    return user.name


def host_of(origin: str) -> str:
    """Return the host of an origin, to which passkeys are bound."""
    host = origin.partition("://")[2]
    return host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host


def _id_of(credential: Mapping[str, Any]) -> str:
    id_ = str(credential.get("id", ""))
    if not id_.isascii():  # it is base64; half a surrogate, say, is nothing that a database could look for
        raise UnknownPasskeyError
    return id_[:LONGEST_ID]


def _challenge(credential: Mapping[str, Any]) -> bytes:
    """Return the challenge that a browser says it has answered; whether it has is verified later."""
    try:
        told = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        return base64url_to_bytes(told["challenge"])
    except (ValueError, KeyError, TypeError, RecursionError, WebAuthnException) as error:
        raise UnknownPasskeyError from error


def _plain(options: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(options_to_json(options))
    return plain
