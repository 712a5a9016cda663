"""Enrolment tokens, releases, command sets, and the console's own figures."""

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from edgeagent.console import enrolment
from edgeagent.console.tables import CommandSet
from edgeagent.console.web import editing
from edgeagent.console.web.api.described import described
from edgeagent.console.web.api.devices import PageNumber, Size
from edgeagent.console.web.api.models import Page
from edgeagent.console.web.api.models_work import (
    CommandSetIn,
    CommandSetOut,
    NewTokenOut,
    ReleaseOut,
    RepositoryOut,
    RoleOut,
    TokenOut,
    TokensIn,
    TryIn,
    TryOut,
)
from edgeagent.console.web.pages.commands import tried
from edgeagent.console.web.pages.enrolment import Line, made_token, token_of, tokens_of
from edgeagent.console.web.pages.releases import installed_counts, repositories
from edgeagent.console.web.refusals import not_found
from edgeagent.console.web.releases_view import RepositorySeen
from edgeagent.console.web.visits import ApiOperator, ApiViewer

router: APIRouter = described("work")
figures = APIRouter()
SetName = Annotated[str, Path(pattern=editing.NAME)]


@router.get("/fleets/{fleet}/tokens")
def list_tokens(
    visit: ApiOperator,
    fleet: str,
    state: Annotated[str, Query(pattern="^(open|used|expired|revoked|all)$")] = "open",
    page: PageNumber = 1,
    size: Size = 100,
) -> Page[TokenOut]:
    """Return enrolment tokens, the newest first, without their secrets."""
    with visit.reading() as session:
        shown = tokens_of(session, fleet, state, visit.now, page, size)
        items = [TokenOut.model_validate(one) for one in shown.items]
    return Page(items=items, total=shown.total, page=shown.page, pages=shown.pages)


@router.post("/fleets/{fleet}/tokens", status_code=201)
def new_tokens(visit: ApiOperator, fleet: str, wanted: TokensIn) -> list[NewTokenOut]:  # noqa: ARG001  # in the path
    """Make enrolment tokens. Their secrets are returned this once."""
    lines = [Line(one.serial, one.device, dict(one.tags)) for one in wanted.devices]
    with visit.changing("enrolment.new", lines[0].device, count=len(lines), days=wanted.days) as session:
        made = [made_token(session, visit, line, wanted.days) for line in lines]
        return [NewTokenOut(**TokenOut.model_validate(token).model_dump(), secret=secret) for token, secret in made]


@router.delete("/fleets/{fleet}/tokens/{token}", status_code=204)
def revoke_token(visit: ApiOperator, fleet: str, token: str) -> None:
    """Take an enrolment token back."""
    with visit.changing("enrolment.revoke", token) as session:
        found = token_of(session, fleet, token)
        visit.detail["device"] = found.device
        enrolment.withdraw(session, found, visit.now)


@router.get("/fleets/{fleet}/releases")
def list_releases(visit: ApiViewer, fleet: str) -> list[RepositoryOut]:
    """Return the repositories that this console knows, and how many devices have what of them."""
    with visit.reading() as session:
        have = installed_counts(session, fleet)
    return [_repository(one, have) for one in repositories(visit)]


@router.get("/fleets/{fleet}/commands")
def list_sets(visit: ApiViewer, fleet: str) -> list[CommandSetOut]:
    """Return the newest revision of every command set."""
    with visit.reading() as session:
        return [CommandSetOut.model_validate(one) for one in editing.sets_of(session, fleet)]


@router.get("/fleets/{fleet}/commands/{name}")
def show_set(
    visit: ApiViewer, fleet: str, name: SetName, revision: Annotated[int | None, Query(ge=1, le=10**9)] = None
) -> CommandSetOut:
    """Return a command set: its newest revision, or the one that is named."""
    with visit.reading() as session:
        found: CommandSet | None = (
            editing.newest(session, fleet, name)
            if revision is None
            else editing.revision_of(session, fleet, name, revision)
        )
        if found is None:
            raise not_found("this set")
        return CommandSetOut.model_validate(found)


@router.put("/fleets/{fleet}/commands/{name}")
def save_set(visit: ApiOperator, fleet: str, name: SetName, wanted: CommandSetIn) -> CommandSetOut:
    """Keep another revision of a command set."""
    with visit.changing("commands.save", name) as session:
        kept = editing.save(session, fleet, name, wanted.text, seen=wanted.seen, by=visit.who.user, now=visit.now)
        visit.detail["revision"] = kept.revision
        return CommandSetOut.model_validate(kept)


@router.post("/fleets/{fleet}/commands/{name}/try")
def try_sentence(visit: ApiOperator, fleet: str, name: SetName, wanted: TryIn) -> TryOut:  # noqa: ARG001  # in the path
    """Return what is wrong with a text, and how a sentence is understood with it."""
    found = tried(visit, name, wanted.text, wanted.sentence, with_built_in=wanted.built_in)
    return TryOut(
        problems=[dict(one) for one in found.problems],
        steps=[dict(one) for one in found.steps],
        templates=found.templates,
    )


@figures.get("/metrics", include_in_schema=False)
def metrics(visit: ApiViewer) -> Response:
    """Return the console's figures as Prometheus reads them; its token is a viewer's of all fleets."""
    kept = getattr(visit.request.app.state, "figures", None)
    if kept is None:
        raise not_found()
    return Response(kept.rendered(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _repository(seen: RepositorySeen, have: dict[str, dict[str, int]]) -> RepositoryOut:
    roles = [
        RoleOut(
            role=one.role,
            version=one.version,
            expires=one.expires.timestamp(),
            signed_by=list(one.signed_by),
            threshold=one.threshold,
            condition=one.condition,
        )
        for one in seen.roles
    ]
    releases = {
        family: [
            ReleaseOut(version=one.version, released=one.released, devices=have.get(family, {}).get(one.version, 0))
            for one in some
        ]
        for family, some in (seen.releases or {}).items()
    }
    problem = re.sub(r"\s+", " ", f"{seen.problem}. {seen.remedy}") if seen.problem else ""
    return RepositoryOut(name=seen.name, problem=problem, roles=roles, releases=releases)
