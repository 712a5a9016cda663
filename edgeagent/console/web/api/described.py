"""What all addresses of the API share in their description: how one logs in, and what can be answered."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from edgeagent import __version__
from edgeagent.console.web.api.models import Problem

START = "/api/v1"
_TITLES = {
    400: "The request could not be read.",
    401: "Nobody is logged in.",
    403: "This needs a higher role, or the request was forged.",
    404: "It is not there, or belongs to another fleet.",
    409: "Somebody else was quicker, or things stand otherwise.",
    413: "The request is too large.",
    415: "The request is neither JSON nor a form.",
    421: "This console is not called so.",
    422: "Something in the request is wrong: what, and what was expected.",
    429: "Too many of these: wait.",
    500: "The console could not do this.",
    503: "The database, or the way to the devices, is away.",
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": title,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, title in _TITLES.items()
    if status != 500  # noqa: PLR2004  # nobody is promised that
}
_SECURITY: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, made under Account."},
}


def described(title: str) -> APIRouter:
    """Return a router whose addresses say what they can answer."""
    return APIRouter(prefix=START, tags=[title], responses=ANSWERS)


def description(app: FastAPI) -> dict[str, Any]:
    """Return the API's own description (OpenAPI); it is made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _made(app)
    return app.openapi_schema


def _made(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title="edgeagent console",
        version=__version__,
        description="Everything that the console's pages do. Times are in seconds since 1970.",
        routes=app.routes,  # pages are not in it: their routers say so
    )
    components = made.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = _SECURITY
    made["security"] = [{"token": []}]
    return made
