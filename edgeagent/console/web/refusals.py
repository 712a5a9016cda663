"""What a request can be refused for: a status, what is wrong, and what to do about it."""

from collections.abc import Mapping

from sqlalchemy.exc import SQLAlchemyError

from edgeagent.console.errors import AwayError, ConsoleError
from edgeagent.console.rollouts.service import Conflict, NotThere
from edgeagent.errors import EdgeAgentError


class RefusedError(ConsoleError):
    """A request that is not carried out."""

    def __init__(
        self, status: int, message: str, *, remedy: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Keep the HTTP status beside what a person reads."""
        super().__init__(message, remedy=remedy)
        self.status = status
        self.headers = dict(headers or {})


class StrangerError(RefusedError):
    """Nobody is logged in."""

    def __init__(self) -> None:
        """Ask to log in."""
        super().__init__(
            401,
            "you are not logged in, or your log-in has ended",
            remedy="Log in; programs send an API token as `Authorization: Bearer …`.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def not_found(what: str = "this page") -> RefusedError:
    """Say that there is nothing: what is not there, and what is somebody else's, look the same."""
    return RefusedError(404, f"{what} is not here", remedy="It may have been removed, or belong to another fleet.")


def forbidden(level: str) -> RefusedError:
    """Say that more rights are needed."""
    return RefusedError(403, f"this needs the role {level}", remedy="Ask somebody who is admin for it.")


def status_of(error: EdgeAgentError) -> int:
    """Return the HTTP status of any error of ours."""
    if isinstance(error, RefusedError):
        return error.status
    if isinstance(error, AwayError):
        return 503
    if isinstance(error, Conflict | NotThere):
        return 409 if isinstance(error, Conflict) else 404
    return 500 if isinstance(error.__cause__, SQLAlchemyError) else 422
