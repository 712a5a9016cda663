"""A request to somebody who may: who asks, for which fleet, with which rights; then reading, or changing with a trace.

Rules:
    - Every route names what it needs: open, known, viewer, operator or admin. There is no default.
    - A fleet in which somebody may nothing does not exist for them: 404, and noted (A84).
    - Pages take a browser's session; programs, by API tokens, have the API and the figures alone.
    - What changes something carries the session's mark against forgery (CSRF), or an API token.
    - A change and its line in the audit trail are one transaction; a refusal has a transaction of its own.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Form, Request
from sqlalchemy import update
from sqlalchemy.orm import Session
from starlette.responses import Response

from edgeagent.console import tables
from edgeagent.console.database import Database
from edgeagent.console.errors import AwayError
from edgeagent.console.web import api_tokens, audit, sessions
from edgeagent.console.web.handed_out import hash_of, is_same
from edgeagent.console.web.refusals import RefusedError, StrangerError, forbidden, not_found
from edgeagent.console.web.roles import EVERY_FLEET, Level, Who
from edgeagent.console.web.site import Site
from edgeagent.errors import EdgeAgentError

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_SECRET = 200
LIVE = "x-live"
"""The header of what a page asks for because there is news."""
FRESH_S = 600.0
"""How long after logging in one may make other ways in: tokens, passkeys."""


@dataclass(slots=True)
class Visit:
    """Somebody at a page or an address of the API, let in."""

    request: Request
    site: Site
    who: Who
    now: float
    fleet: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    """What the audit trail shall say besides; a handler adds to it inside `changing`."""
    is_noted: bool = False
    """Whether the audit trail says already that this was refused."""

    @property
    def database(self) -> Database:
        """The console's database."""
        return self.site.database

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return address_of(self.request)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Read in one transaction."""
        with self.database.reading() as session:
            yield session

    @contextmanager
    def changing(self, action: str, subject: str = "", **detail: Any) -> Iterator[Session]:
        """Change something in one transaction with its line in the audit trail; a refusal gets a line, too."""
        self.detail = detail
        try:
            with self.database.session() as session:
                yield session
                self._note(session, action, subject, is_allowed=True)
        except AwayError:
            raise
        except EdgeAgentError as error:
            self.detail["why"] = str(error)
            self.refuse(action, subject)
            raise

    def refuse(self, action: str, subject: str = "", **detail: Any) -> None:
        """Write that something was refused."""
        self.is_noted = True
        self.detail |= detail
        if not self.site.lines.may(self.who.user, self.address, self.now):
            return
        with self.database.session() as session:
            self._note(session, action, subject, is_allowed=False)

    def refuse_stale(self) -> None:
        """Raise RefusedError where it is too long ago that somebody has logged in to make other ways in."""
        if not self.is_fresh:
            raise RefusedError(
                403, "this needs a log-in of the last ten minutes", remedy="Log in again, on /login?next=/account."
            )

    @property
    def is_fresh(self) -> bool:
        """Whether somebody has logged in a short while ago."""
        return self.who.since + FRESH_S >= self.now

    def may(self, level: Level) -> bool:
        """Tell whether this is allowed here, so that a page shows only what can be done."""
        return self.who.may(level, self.fleet or EVERY_FLEET)

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Return a page."""
        return self.site.render(self.request, template, status=status, visit=self, **context)

    def _note(self, session: Session, action: str, subject: str, *, is_allowed: bool) -> None:
        audit.note(
            session,
            at=self.now,
            user=self.who.user,
            address=self.address,
            action=action,
            fleet=self.fleet,
            subject=subject,
            is_allowed=is_allowed,
            detail=self.detail,
        )


def address_of(request: Request) -> str:
    """Return where a request comes from."""
    return request.client.host if request.client else ""


def site_of(request: Request) -> Site:
    """Return what all requests share."""
    site: Site = request.app.state.site
    return site


def _page(level: Level | None) -> Callable[[Request], Visit]:
    def enter(request: Request) -> Visit:
        return _entered(request, level, None)

    return enter


def _script(level: Level | None) -> Callable[[Request], Visit]:
    def enter(request: Request) -> Visit:
        return _entered(request, level, request.headers.get("x-csrf-token", ""))

    return enter


def _form(level: Level | None) -> Callable[..., Visit]:
    def enter(request: Request, csrf: Annotated[str, Form(max_length=200)] = "") -> Visit:
        return _entered(request, level, csrf)

    return enter


def _call(level: Level | None) -> Callable[[Request], Visit]:
    def enter(request: Request) -> Visit:
        return _entered(request, level, request.headers.get("x-csrf-token", ""), takes_programs=True)

    return enter


Known = Annotated[Visit, Depends(_page(None))]
Viewing = Annotated[Visit, Depends(_page("viewer"))]
Looking = Annotated[Visit, Depends(_page("operator"))]
"""A page that viewers do not see."""
Inspecting = Annotated[Visit, Depends(_page("admin"))]
"""A page that only admins see."""
KnownForm = Annotated[Visit, Depends(_form(None))]
KnownScript = Annotated[Visit, Depends(_script(None))]
"""What a page's script asks for."""
Operating = Annotated[Visit, Depends(_form("operator"))]
Administering = Annotated[Visit, Depends(_form("admin"))]
ApiKnown = Annotated[Visit, Depends(_call(None))]
ApiViewer = Annotated[Visit, Depends(_call("viewer"))]
ApiOperator = Annotated[Visit, Depends(_call("operator"))]
ApiAdmin = Annotated[Visit, Depends(_call("admin"))]


def _entered(request: Request, level: Level | None, csrf: str | None, *, takes_programs: bool = False) -> Visit:
    site, now = site_of(request), time.time()
    fleet = request.path_params.get("fleet", "")
    _note_left_out(site, now)
    who = _identified(site, request, now, takes_programs=takes_programs)
    if who is None:
        note_stranger(site, request, now)
        raise StrangerError
    visit = request.state.visit = Visit(request, site, who, now, fleet)
    if request.method not in SAFE and not who.is_program and not (csrf and is_same(csrf, who.csrf)):
        visit.refuse("forged", request.url.path)
        raise RefusedError(
            403, "the form does not come from a page of yours", remedy="Load the page again, and send it once more."
        )
    if level is not None:
        _check(visit, level)
    if fleet:
        _check_there(visit)
    return visit


def _check_there(visit: Visit) -> None:
    with visit.reading() as session:
        if session.get(tables.Fleet, visit.fleet) is None:
            raise not_found("this fleet")


def _check(visit: Visit, level: Level) -> None:
    fleet = visit.fleet or EVERY_FLEET
    if visit.who.may(level, fleet):
        return
    visit.refuse("refused", visit.request.url.path, needs=level, method=visit.request.method)
    if visit.fleet and not visit.who.may("viewer", fleet):
        raise not_found()
    raise forbidden(level)


def _identified(site: Site, request: Request, now: float, *, takes_programs: bool) -> Who | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if takes_programs and scheme.lower() == "bearer":
        return _program(site, secret.strip()[:LONGEST_SECRET], now)
    secret = request.cookies.get(site.cookie, "")
    return _person(site, request, secret, now) if 0 < len(secret) <= LONGEST_SECRET else None


def _is_by_itself(request: Request) -> bool:
    """Tell whether an open page asks without anybody having done anything: that keeps no log-in alive."""
    is_of_page = request.headers.get("sec-fetch-dest") == "image" or LIVE in request.headers
    return is_of_page or request.url.path.endswith("/live")


def _person(site: Site, request: Request, secret: str, now: float) -> Who | None:
    with site.database.reading() as session:
        found = sessions.find(session, secret, now)
    if found is None:
        return None
    row, who = found
    if row.used + sessions.USED_EVERY_S < now and not _is_by_itself(request):
        with suppress(AwayError), site.database.session() as session:  # to look, nothing need be written
            sessions.used(session, row.hash, now)
    return who


def _program(site: Site, secret: str, now: float) -> Who | None:
    if not secret:
        return None
    with site.database.reading() as session:
        found = api_tokens.find(session, secret, now)
    if found is None:
        return None
    token, who = found
    if api_tokens.is_used_again(token, now):
        with suppress(AwayError), site.database.session() as session:  # as above
            session.execute(update(tables.ApiToken).where(tables.ApiToken.hash == hash_of(secret)).values(used=now))
    return who


def _note_left_out(site: Site, now: float) -> None:
    """Write how many refusals were not written one by one."""
    left_out = site.lines.left_out(now)
    if not left_out:
        return
    with suppress(AwayError), site.database.session() as session:
        for cause, count in left_out:
            audit.note(
                session,
                at=now,
                user=cause.user,
                address=cause.address,
                action="refused",
                is_allowed=False,
                detail={"more": f"{count} refused within a minute, and not written one by one"},
            )


def note_stranger(site: Site, request: Request, now: float, action: str = "refused") -> None:
    """Write that somebody unknown was refused: a few lines a minute of each, and a count of the others."""
    address = address_of(request)
    if not site.lines.may("", address, now):
        return
    detail: Mapping[str, Any] = {"method": request.method}
    with site.database.session() as session:
        audit.note(
            session,
            at=now,
            user="",
            address=address,
            action=action,
            fleet=str(request.path_params.get("fleet", "")),
            subject=request.url.path,
            is_allowed=False,
            detail=detail,
        )
