"""What all requests share: the database, the news, passwords, templates, and how this console is called."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from edgeagent.console.database import Database
from edgeagent.console.news import News
from edgeagent.console.settings import ConsoleSettings
from edgeagent.console.web.cached import Cached
from edgeagent.console.web.editing import Turns
from edgeagent.console.web.lines import Lines
from edgeagent.console.web.passwords import Passwords
from edgeagent.console.web.rendering import Pages
from edgeagent.console.web.seats import Seats
from edgeagent.messages import Message

Publish = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests share."""

    database: Database
    settings: ConsoleSettings
    news: News
    pages: Pages
    publish: Publish | None = None
    passwords: Passwords = field(default_factory=Passwords)
    lines: Lines = field(default_factory=Lines)
    cached: Cached = field(default_factory=Cached)
    turns: Turns = field(default_factory=Turns)
    seats: Seats = field(default_factory=Seats)

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.settings.origin.startswith("https:")

    @property
    def cookie(self) -> str:
        """Name of the session's cookie. By TLS one that no other host and no plain page can set."""
        return "__Host-edgeagent" if self.is_secure else "edgeagent"

    @property
    def browser_cookie(self) -> str:
        """Name of the cookie by which a browser is known that has logged in before."""
        return f"{self.cookie}-known"

    @property
    def hosts(self) -> frozenset[str]:
        """Names under which this console answers; empty for any, where the settings do not say."""
        if self.settings.web.origin is None:
            return frozenset()
        return frozenset({urlsplit(self.settings.web.origin).netloc.lower()})

    @property
    def repositories(self) -> Mapping[str, Path]:
        """Folders of signed releases, by names that are shown."""
        return {folder.name or str(folder): folder for folder in self.settings.console.repositories}

    def render(self, request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
        """Return a page."""
        return self.pages.render(request, template, status=status, site=self, **context)
