"""Command sets: edited with revisions, tried with a sentence, taken along as a bundle."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from edgeagent.console.errors import ConsoleError
from edgeagent.console.web import editing
from edgeagent.console.web.editing import FIRST, FIRST_NAMES, LARGEST_TEXT, NAME, NAMES, Tried
from edgeagent.console.web.refusals import not_found, status_of
from edgeagent.console.web.rendering import go
from edgeagent.console.web.visits import Looking, Operating, Viewing, Visit

router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form(max_length=LARGEST_TEXT)]
LONGEST_SENTENCE = 500
MOST_REVISION = 10**9


@router.get("/f/{fleet}/commands")
def show_all(visit: Viewing) -> Response:
    """Show the sets of a fleet."""
    with visit.reading() as session:
        return visit.page("commands.html", sets=editing.sets_of(session, visit.fleet), names=NAMES)


@router.post("/f/{fleet}/commands")
def new(visit: Operating, name: Annotated[str, Form(max_length=64)] = "") -> Response:
    """Begin a new set."""
    if not re.fullmatch(NAME, name) or name == NAMES:
        return go(f"/f/{visit.fleet}/commands", f"{name!r} is no name of a set: small letters, digits, hyphens.",
                  is_problem=True)  # fmt: skip
    return go(f"/f/{visit.fleet}/commands/{name}")


@router.get("/f/{fleet}/commands/{name}")
def edit(visit: Viewing, name: str, revision: Annotated[int | None, Query(ge=1, le=MOST_REVISION)] = None) -> Response:
    """Show a set, to be edited; a revision of it, where one is named."""
    with visit.reading() as session:
        kept = editing.newest(session, visit.fleet, name)
        chosen = kept if revision is None else editing.revision_of(session, visit.fleet, name, revision)
    if not re.fullmatch(NAME, name) or (revision is not None and chosen is None):
        raise not_found("this set")
    first = FIRST_NAMES if name == NAMES else FIRST
    return _page(visit, name, chosen.text if chosen else first, seen=kept.revision if kept else 0)


@router.post("/f/{fleet}/commands/{name}")
def save(visit: Operating, name: str, text: Text, seen: Annotated[int, Form(ge=0, le=MOST_REVISION)]) -> Response:
    """Keep another revision."""
    if not re.fullmatch(NAME, name):
        raise not_found("this set")
    text = text.replace("\r\n", "\n")
    try:
        with visit.changing("commands.save", name) as session:
            kept = editing.save(session, visit.fleet, name, text, seen=seen, by=visit.who.user, now=visit.now)
            visit.detail["revision"] = kept.revision
    except ConsoleError as error:
        if status_of(error) not in {409, 422}:
            raise
        with visit.reading() as session:
            last = editing.newest(session, visit.fleet, name)
        return _page(visit, name, text, seen=last.revision if last else 0, problem=error)
    return go(f"/f/{visit.fleet}/commands/{name}", f"Revision {kept.revision} is kept.")


@router.post("/f/{fleet}/commands/{name}/try")
def try_sentence(
    visit: Operating,
    name: str,
    text: Text,
    seen: Annotated[int, Form(ge=0, le=MOST_REVISION)] = 0,
    sentence: Annotated[str, Form(max_length=LONGEST_SENTENCE)] = "",
    built_in: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Show how a sentence is understood with a text as it is, kept or not."""
    text = text.replace("\r\n", "\n")
    try:
        found = tried(visit, name, text, sentence, with_built_in=built_in == "yes")
    except ConsoleError as error:
        return _page(visit, name, text, seen=seen, problem=error, sentence=sentence, built_in=built_in)
    return _page(visit, name, text, seen=seen, tried_=found, sentence=sentence, built_in=built_in)


@router.get("/f/{fleet}/commands/{name}/bundle.zip")
def bundle(visit: Looking, name: str) -> Response:
    """Return the newest revision as a folder for `edgeagent release add`. Refuse one with mistakes."""
    with visit.reading() as session:
        kept = editing.newest(session, visit.fleet, name)
    if kept is None or name == NAMES:
        raise not_found("this set")
    with visit.site.turns.taken(visit.who.user):
        wrong = editing.tried({name: kept.text}, "", "", with_built_in=False).problems
    if wrong:
        where = f", line {wrong[0]['line']}" if wrong[0]["line"] else ""
        raise ConsoleError(f"revision {kept.revision}{where}: {wrong[0]['problem']}", remedy="Mend it, and keep it.")
    headers = {"Content-Disposition": f'attachment; filename="{name}-{kept.revision}.zip"'}
    return Response(editing.bundle(name, kept.text), media_type="application/zip", headers=headers)


def tried(visit: Visit, name: str, text: str, sentence: str, *, with_built_in: bool) -> Tried:
    """Try a sentence on a text, with the names of the fleet."""
    with visit.reading() as session:
        kept = editing.newest(session, visit.fleet, NAMES)
    with visit.site.turns.taken(visit.who.user):
        if name == NAMES:
            return editing.tried({}, text, sentence, with_built_in=True)
        names = kept.text if kept else FIRST_NAMES
        return editing.tried({name: text}, names, sentence, with_built_in=with_built_in)


def _page(  # noqa: PLR0913  # what a page shows
    visit: Visit,
    name: str,
    text: str,
    *,
    seen: int,
    problem: ConsoleError | None = None,
    tried_: Tried | None = None,
    sentence: str = "",
    built_in: str = "yes",
) -> Response:
    with visit.reading() as session:
        known = editing.revisions(session, visit.fleet, name)
    return visit.page(
        "command_set.html",
        status=200 if problem is None else status_of(problem),
        name=name,
        text=text,
        seen=seen,
        revisions=known,
        problem=problem,
        tried=tried_,
        sentence=sentence,
        built_in=built_in,
        is_names=name == NAMES,
    )
