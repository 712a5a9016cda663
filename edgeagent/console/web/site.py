"""What all requests share: the database, the news, passwords, templates, and how this console is called."""

import threading
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
from edgeagent.console.web.passwords import Passwords
from edgeagent.console.web.rendering import Pages
from edgeagent.messages import Message

Publish = Callable[[Message], Awaitable[None]]
STRANGERS_A_MINUTE = 30
"""Lines of the audit trail that people who are not logged in can cause in a minute, ..."""
ONE_STRANGERS_A_MINUTE = 5
"""... and those of one address."""


class Strangers:
    """How often those who are not logged in were written down in this minute."""

    def __init__(self) -> None:
        """Begin with none."""
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def may(self, address: str, now: float) -> bool:
        """Count one, and tell whether it is to be written down."""
        with self._lock:
            if int(now // 60) != self._minute:
                self._minute, self._counts = int(now // 60), {}
            count = self._counts.get(address, 0)
            if count >= ONE_STRANGERS_A_MINUTE or sum(self._counts.values()) >= STRANGERS_A_MINUTE:
                return False
            self._counts[address] = count + 1
            return True


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests share."""

    database: Database
    settings: ConsoleSettings
    news: News
    pages: Pages
    publish: Publish | None = None
    passwords: Passwords = field(default_factory=Passwords)
    strangers: Strangers = field(default_factory=Strangers)
    cached: Cached = field(default_factory=Cached)
    turns: Turns = field(default_factory=Turns)

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.settings.origin.startswith("https:")

    @property
    def cookie(self) -> str:
        """Name of the session's cookie. By TLS one that no other host and no plain page can set."""
        return "__Host-edgeagent" if self.is_secure else "edgeagent"

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
