"""One's own account: password, passkeys, what is logged in, API tokens."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Form, Request
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from edgeagent.console import tables
from edgeagent.console.errors import ConsoleError
from edgeagent.console.web import api_tokens, challenges, passkeys, sessions, throttle, users
from edgeagent.console.web.errors import problem as told
from edgeagent.console.web.pages.login import let_in, local, note_try
from edgeagent.console.web.refusals import RefusedError, not_found, status_of
from edgeagent.console.web.rendering import go
from edgeagent.console.web.roles import LEVELS
from edgeagent.console.web.visits import Known, KnownForm, KnownScript, Visit, address_of, site_of

router = APIRouter(include_in_schema=False)
Credential = Annotated[dict[str, Any], Body()]


@router.get("/account")
def show(visit: Known) -> Response:
    """Show one's account."""
    return _page(visit)


@router.post("/account/password")
def set_password(
    visit: KnownForm,
    old: Annotated[str, Form(max_length=1_000)] = "",
    new: Annotated[str, Form(max_length=1_000)] = "",
    again: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Change one's password; everything else that is logged in ends."""
    site, me = visit.site, visit.who.user
    keys = throttle.keys_of_session(visit.who.session)
    with visit.database.session() as session:
        wait_s = throttle.count_try(session, keys, visit.now)
        kept = users.existing(session, me).password
    is_right = wait_s <= 0 and (kept is None or site.passwords.is_right(kept, old))
    try:
        made = site.passwords.hashed(new) if is_right and new == again else ""
        with visit.changing("account.password", me) as session:
            _refuse_change(wait_s, is_right=is_right, is_same=new == again)
            if kept is None:
                visit.refuse_stale()
            users.change_password(session, me, made)
    except ConsoleError as error:
        return _page(visit, problem=error)
    return let_in(visit.request, me, "/account", "a new password", keys)


@router.post("/account/sessions/end")
def end_others(visit: KnownForm) -> Response:
    """End everything else that is logged in as oneself."""
    with visit.changing("account.sessions.end", visit.who.user) as session:
        sessions.end_all(session, visit.who.user, but=visit.who.session)
    return go("/account", "You are logged in here alone.")


@router.post("/account/tokens")
def new_token(
    visit: KnownForm,
    title: Annotated[str, Form(max_length=200)] = "",
    role: Annotated[str, Form(max_length=16)] = "viewer",
    days: Annotated[int, Form(ge=0, le=api_tokens.MOST_DAYS)] = 90,
) -> Response:
    """Make an API token, and show it, once."""
    try:
        with visit.changing("api.new", title, role=role, days=days) as session:
            visit.refuse_stale()
            _, secret = api_tokens.new(session, visit.who.user, title, role, days=days or None, now=visit.now)
    except ConsoleError as error:
        return _page(visit, problem=error)
    return _page(visit, secret=secret)


@router.post("/account/tokens/{token}/remove")
def remove_token(visit: KnownForm, token: str) -> Response:
    """Remove an API token."""
    with visit.changing("api.remove", token) as session:
        if not api_tokens.remove(session, visit.who.user, token):
            raise not_found("this token")
    return go("/account", "The token is void.")


@router.post("/account/passkeys/options")
def passkey_options(visit: KnownScript) -> Response:
    """Return what a browser needs to make a passkey."""
    if not visit.is_fresh:
        return _stale(visit)
    key = challenges.key_of(visit.database)
    with visit.reading() as session:
        return JSONResponse(passkeys.to_register(session, key, visit.who.user, _host(visit.request), visit.now))


@router.post("/account/passkeys")
def new_passkey(visit: KnownScript, credential: Credential, title: str = "") -> Response:
    """Keep a passkey that a browser has made."""
    if not visit.is_fresh:
        return _stale(visit)
    key, origin = challenges.key_of(visit.database), origin_of(visit.request)
    with visit.changing("passkey.new", title) as session:
        passkeys.register(session, key, visit.who.user, credential, title=title, origin=origin, now=visit.now)
    return JSONResponse({"go": "/account"})


@router.post("/account/passkeys/{passkey}/remove")
def remove_passkey(visit: KnownForm, passkey: str) -> Response:
    """Remove a passkey."""
    with visit.changing("passkey.remove", passkey[:40]) as session:
        mine = session.scalar(
            select(tables.Passkey).where(tables.Passkey.id == passkey, tables.Passkey.user == visit.who.user)
        )
        if mine is None:
            raise not_found("this passkey")
        _refuse_last(session, visit.who.user)
        session.execute(delete(tables.Passkey).where(tables.Passkey.id == passkey))
    return go("/account", "The passkey is void.")


@router.post("/login/passkey/options")
def log_in_options(request: Request) -> Response:
    """Return what a browser needs to log in by a passkey."""
    return JSONResponse(passkeys.to_log_in(challenges.key_of(site_of(request).database), _host(request), time.time()))


@router.post("/login/passkey")
def log_in(request: Request, credential: Credential, next: str = "/") -> Response:  # noqa: A002  # as everywhere
    """Let in whose passkey has answered."""
    site, now = site_of(request), time.time()
    keys = throttle.keys_of_passkeys(address_of(request))
    key = challenges.key_of(site.database)
    with site.database.session() as session:
        wait_s = throttle.count_try(session, keys, now)
    if wait_s > 0:
        return told(429, f"too many tries: wait {int(wait_s) + 1} s", "")
    try:
        with site.database.session() as session:
            name = passkeys.log_in(session, key, credential, origin=origin_of(request), now=now)
    except ConsoleError as error:
        note_try(site, request, "", "log in by passkey")
        return told(401, str(error), error.remedy)
    entered = let_in(request, name, local(next), "passkey", keys)
    answer = JSONResponse({"go": local(next)})
    answer.raw_headers.extend(header for header in entered.raw_headers if header[0] == b"set-cookie")
    return answer


def _stale(visit: Visit) -> Response:
    visit.refuse("passkey.new")
    try:
        visit.refuse_stale()
    except RefusedError as error:
        return told(error.status, str(error), error.remedy)
    raise AssertionError


def _refuse_change(wait_s: float, *, is_right: bool, is_same: bool) -> None:
    if wait_s > 0:
        raise RefusedError(429, f"too many tries: wait {int(wait_s) + 1} s")
    if not is_right:
        raise ConsoleError("the old password is wrong", remedy="Type the one that you log in with.")
    if not is_same:
        raise ConsoleError("the two new passwords differ", remedy="Type the same one twice.")


def origin_of(request: Request) -> str:
    """Return how the browser calls this console: as the settings say, else as it says itself, if that is this host."""
    site = site_of(request)
    if site.settings.web.origin is not None:
        return site.settings.web.origin
    return f"{'https' if site.is_secure else 'http'}://{request.headers.get('host', '')}"


def _host(request: Request) -> str:
    return passkeys.host_of(origin_of(request))


def _refuse_last(session: Session, user: str) -> None:
    count = len(session.scalars(select(tables.Passkey.id).where(tables.Passkey.user == user)).all())
    if users.existing(session, user).password is None and count <= 1:
        raise ConsoleError("it is the only way in that you have", remedy="Set a password first.")


def _page(visit: Visit, *, problem: ConsoleError | None = None, secret: str = "") -> Response:
    with visit.reading() as session:
        me = users.existing(session, visit.who.user)
        mine = select(tables.Session).where(tables.Session.user == me.name).order_by(tables.Session.used.desc())
        keys = select(tables.Passkey).where(tables.Passkey.user == me.name).order_by(tables.Passkey.created)
        return visit.page(
            "account.html",
            status=200 if problem is None else status_of(problem),
            me=me,
            sessions=session.scalars(mine).all(),
            tokens=api_tokens.mine(session, me.name),
            passkeys=session.scalars(keys).all(),
            levels=LEVELS,
            problem=problem,
            secret=secret,
        )
