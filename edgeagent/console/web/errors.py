"""Errors to answers: pages for people, problem details (RFC 9457) for programs; never a traceback, never a secret."""

import logging
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from edgeagent.console.web.refusals import RefusedError, StrangerError, status_of
from edgeagent.console.web.visits import Visit, site_of
from edgeagent.errors import EdgeAgentError

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
_NOTHING = "Look at the address; it may have been removed."


def answer_errors(app: FastAPI) -> None:
    """Have an application answer every error that is expected; the guard before it has the others."""
    app.add_exception_handler(EdgeAgentError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def is_api(request: Request) -> bool:
    """Tell whether a program asks."""
    return request.url.path.startswith("/api/")


def answer(request: Request, error: EdgeAgentError) -> Response:
    """Return what is said of an error."""
    status = status_of(error)
    headers = error.headers if isinstance(error, RefusedError) else {}
    if is_api(request):
        return problem(status, str(error), error.remedy, headers)
    if isinstance(error, StrangerError) and request.method == "GET":
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(back, safe='')}", 303)
    visit = getattr(request.state, "visit", None)
    if visit is not None and not visit.may("viewer"):
        visit.fleet = ""  # no way to a fleet that is not theirs
    response = site_of(request).render(
        request, "error.html", status=status, visit=visit, problem=str(error), remedy=error.remedy
    )
    response.headers.update(headers)
    return response


def problem(status: int, title: str, remedy: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return problem details; `remedy` says what to do."""
    body = {"type": "about:blank", "status": status, "title": title, "remedy": remedy}
    return JSONResponse(body, status, media_type=PROBLEM, headers=headers)


def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, EdgeAgentError)  # noqa: S101  # what it was registered for
    _note_missing(request, error)
    if status_of(error) >= 500:  # noqa: PLR2004  # ours to mend
        log.warning("not served", extra={"path": request.url.path, "problem": str(error)})
    return answer(request, error)


def _note_missing(request: Request, error: EdgeAgentError) -> None:
    """Write that somebody asked for what is not theirs, or not there (A84): so many lines a minute, and a count."""
    visit: Visit | None = getattr(request.state, "visit", None)
    if visit is None or visit.is_noted or status_of(error) != 404:  # noqa: PLR2004  # not there
        return
    visit.refuse("refused", request.url.path, method=request.method)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # as above
    complaints = [f"{'.'.join(map(str, one['loc'][1:])) or 'request'}: {one['msg']}" for one in error.errors()[:10]]
    return answer(request, RefusedError(422, "; ".join(complaints)[:1_000], remedy="Mend what is named."))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # as above
    titles = {404: "there is nothing at this address", 405: "this address takes no such request"}
    told = titles.get(error.status_code, str(error.detail))
    return answer(request, RefusedError(error.status_code, told, remedy=_NOTHING, headers=error.headers or {}))


def broken(request: Request) -> Response:
    """Return what is said of an error of ours; what it was is in the log."""
    return answer(request, RefusedError(500, "the console could not do this", remedy="Report this, with the log."))
