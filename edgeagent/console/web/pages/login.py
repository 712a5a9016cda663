"""Log in and out, and the look of the pages."""

import re
import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from edgeagent.console import tables
from edgeagent.console.web import audit, browsers, challenges, sessions, throttle, users
from edgeagent.console.web.handed_out import derived, hash_of, is_same, new_secret
from edgeagent.console.web.passwords import LONGEST
from edgeagent.console.web.rendering import THEME, THEMES, YEAR_S, go
from edgeagent.console.web.site import Site
from edgeagent.console.web.visits import KnownForm, address_of, site_of

router = APIRouter()
MARK = "edgeagent-login"
"""The cookie that a log-in form's mark must agree with, before there is a session."""
WRONG = "user name or password are wrong"
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,500}")


def local(where: str) -> str:
    """Return an address on this console; the first page for any other (A82)."""
    return where if _LOCAL.fullmatch(where) else "/"


@router.get("/login", include_in_schema=False)
def ask(request: Request, next: str = "/") -> Response:  # noqa: A002  # as it is called everywhere
    """Show the form."""
    return form(request, local(next))


@router.post("/login", include_in_schema=False)
def log_in(
    request: Request,
    name: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=1_000)] = "",
    mark: Annotated[str, Form(max_length=100)] = "",
    next: Annotated[str, Form(max_length=600)] = "/",  # noqa: A002  # as it is called everywhere
) -> Response:
    """Let somebody in who knows the password."""
    site, now, name = site_of(request), time.time(), name.strip().lower()
    if not is_marked(request, mark):
        return form(request, local(next), "the form was open for too long: try again", status=403)
    keys = throttle.keys_of(name, address_of(request), _browser(request, name, now))
    with site.database.session() as session:
        wait_s = throttle.count_try(session, keys, now)
        user = _user(session, name)
        kept, is_disabled = (user.password, user.disabled) if user else (None, False)
    if wait_s > 0:
        return _too_early(request, local(next), wait_s)
    if not site.passwords.is_right(kept, password[: LONGEST + 1]) or is_disabled:
        note_try(site, request, name, "log in")
        return form(request, local(next), WRONG, status=401, name=name)
    return let_in(request, name, local(next), "password", keys)


@router.post("/logout", include_in_schema=False)
def log_out(visit: KnownForm) -> Response:
    """End the session."""
    with visit.changing("log out") as session:
        sessions.end(session, visit.who.session)
    response = go("/login", "You are logged out.")
    response.delete_cookie(visit.site.cookie, secure=visit.site.is_secure, httponly=True, samesite="lax")
    return response


@router.post("/theme", include_in_schema=False)
def choose_theme(visit: KnownForm, theme: Annotated[str, Form()], back: Annotated[str, Form()] = "/") -> Response:
    """Keep whether pages are light, dark, or as the system has it."""
    response = go(local(back))
    if theme in THEMES:
        response.set_cookie(THEME, theme, max_age=YEAR_S, samesite="lax", secure=visit.site.is_secure, httponly=True)
    return response


def form(request: Request, where: str, problem: str = "", *, status: int = 200, name: str = "") -> Response:
    """Return the log-in page."""
    site = site_of(request)
    mark = request.cookies.get(MARK, "") or new_secret()
    response = site.render(
        request, "login.html", status=status, next=where, problem=problem, mark=hash_of(mark), name=name
    )
    response.set_cookie(MARK, mark, max_age=3_600, httponly=True, samesite="strict", secure=site.is_secure)
    return response


def is_marked(request: Request, mark: str) -> bool:
    """Tell whether a form was made for this browser."""
    return bool(mark) and is_same(mark, hash_of(request.cookies.get(MARK, "")))


def let_in(request: Request, name: str, where: str, way: str, keys: Sequence[str]) -> Response:
    """Start a new session, end the one that this browser had, and go on. `keys` is what the try was counted under."""
    site, now = site_of(request), time.time()
    with site.database.session() as session:
        throttle.let_in(session, keys)
        sessions.end(session, hash_of(request.cookies.get(site.cookie, "")))
        secret = sessions.start(session, name, now)
        audit.note(session, at=now, user=name, address=address_of(request), action="log in", detail={"by": way})
    response = go(where)
    response.set_cookie(
        site.cookie, secret, max_age=int(sessions.LASTS_S), httponly=True, samesite="lax", secure=site.is_secure
    )
    if not _browser(request, name, now):
        known = browsers.new(challenges.key_of(site.database), name, now)
        response.set_cookie(
            site.browser_cookie,
            known,
            max_age=browsers.LASTS_S,
            httponly=True,
            samesite="strict",
            secure=site.is_secure,
        )
    return response


def _browser(request: Request, name: str, now: float) -> str:
    site = site_of(request)
    cookie = request.cookies.get(site.browser_cookie, "")
    return browsers.known(challenges.key_of(site.database), name, cookie, now) if cookie else ""


def _user(session: Session, name: str) -> tables.User | None:
    return session.get(tables.User, name) if re.fullmatch(users.NAME, name) else None


def _too_early(request: Request, where: str, wait_s: float) -> Response:
    seconds = int(wait_s) + 1
    response = form(request, where, f"too many tries: wait {seconds} s", status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def note_try(site: Site, request: Request, name: str, action: str) -> None:
    """Write that somebody was not let in: by name if it is a user's; any other may be a password, typed too early."""
    now, address, detail = time.time(), address_of(request), {}
    key = challenges.key_of(site.database)
    with site.database.session() as session:
        if name and _user(session, name) is None:
            if not site.lines.may("", address, now):
                return
            detail["unknown"] = derived(key.hex(), f"unknown {name}")[:8]  # the same for the same, and no way back
            name = ""
        audit.note(session, at=now, user=name, address=address, action=action, is_allowed=False, detail=detail)
