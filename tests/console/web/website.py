"""The real application on a real database, and people and programs who use it."""

import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import uvicorn
from console.web.filled import PASSWORD, add_users, fill
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from edgeagent.console.database import Database
from edgeagent.console.news import News
from edgeagent.console.serving import configured
from edgeagent.console.settings import ConsoleSettings, parse
from edgeagent.console.tables import Audited
from edgeagent.console.web import api_tokens
from edgeagent.console.web.app import make_app
from edgeagent.console.web.site import Publish

HOME, OTHER = "/f/home", "/f/other"
DEVICE = f"{HOME}/d/kit-00001"
API = "/api/v1/fleets/home"


class Website:
    """A console's web side, with fleets `home` (of a few devices) and `other` (of two)."""

    def __init__(self, file: Path, *, settings: str = "", publish: Publish | None = None) -> None:
        self.database = Database(f"sqlite:///{file}")
        self.settings: ConsoleSettings = parse(settings)
        self.news = News()
        self.app: FastAPI = make_app(self.database, self.settings, publisher_news=self.news, publish=publish)
        self.base = ""
        self.browsers: list[httpx.Client] = []

    @contextmanager
    def served(self) -> Iterator["Website"]:
        """Serve it on a port of this machine until the end of the block."""
        listener = socket.create_server(("127.0.0.1", 0))
        # Head and body of an answer are two writes; asyncio sets this only on sockets that name their protocol.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(configured(self.app, self.settings.web))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield self
        finally:
            for one in self.browsers:
                one.close()
            server.should_exit = True
            thread.join()
            self.database.close()

    def stranger(self) -> "Visitor":
        return Visitor(self)

    def visitor(self, name: str) -> "Visitor":
        visitor = self.stranger()
        answer = visitor.log_in(name, PASSWORD)
        assert answer.status_code == 303, answer.text
        return visitor

    def program(self, user: str, level: str = "admin", *, days: int | None = 1) -> "Visitor":
        with self.session() as session:
            _, secret = api_tokens.new(session, user, "a program", level, days=days, now=time.time())
        visitor = self.stranger()
        visitor.http.headers["Authorization"] = f"Bearer {secret}"
        return visitor

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.database.session() as session:
            yield session

    def audited(self, action: str = "") -> list[Audited]:
        with self.database.reading() as session:
            lines = session.scalars(select(Audited).order_by(Audited.id)).all()
        return [line for line in lines if not action or line.action == action]


class Visitor:
    """A browser without scripts, or a program: it keeps cookies, and follows nobody."""

    def __init__(self, website: Website) -> None:
        host = website.settings.web.origin.partition("://")[2] if website.settings.web.origin else ""
        self.http = httpx.Client(base_url=website.base, headers={"Host": host} if host else {}, timeout=60)
        website.browsers.append(self.http)

    def get(self, address: str, **headers: str) -> httpx.Response:
        return self.http.get(address, headers=headers)

    def log_in(self, name: str, password: str, where: str = "/") -> httpx.Response:
        form = self.get("/login").text
        return self.http.post(
            "/login", data={"name": name, "password": password, "next": where, "mark": hidden(form, "mark")}
        )

    def csrf(self) -> str:
        return hidden(self.get("/account").text, "csrf")

    def post(self, address: str, fields: Mapping[str, Any] | None = None) -> httpx.Response:
        """Send a form as a page of the console has it."""
        return self.http.post(address, data={"csrf": self.csrf(), **(fields or {})})

    def call(self, method: str, address: str, body: Any = None) -> httpx.Response:
        """Send JSON as a program does."""
        return self.http.request(method, address, json=body)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page[:2_000]
    return found[1]


def text_of(page: str) -> str:
    """Return what a person reads."""
    main = page[page.find("<main") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))


def make_template(folder: Path) -> Path:
    """Return the file of a database with fleets and users; tests take copies of it."""
    file = folder / "console.db"
    database = Database(f"sqlite:///{file}")
    database.migrate()
    fill(database, "home", 6, hours=30)
    fill(database, "other", 2, seed=2, hours=2)
    add_users(database, time.time())
    database.close()
    return file


class Make(Protocol):
    """Serves a website until the end of the block."""

    def __call__(self, *, settings: str = "", publish: Publish | None = None) -> AbstractContextManager[Website]: ...
