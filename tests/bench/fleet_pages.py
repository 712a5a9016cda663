"""How long the console's pages take, for somebody who has logged in and looks at them one after the other."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from edgeagent.console.database import Database
from edgeagent.console.web import users
from edgeagent.console.web.passwords import Passwords

NAME, PASSWORD = "bench", "four words that nobody guesses"
ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, by page."""

    by_page: Mapping[str, Sequence[float]]

    def at(self, share: float) -> float:
        """Return a percentile over all pages, in ms."""
        together = sorted(one for times in self.by_page.values() for one in times)
        return 1_000 * together[min(len(together) - 1, int(len(together) * share))]

    @property
    def worst(self) -> tuple[str, float]:
        """Return the page with the highest 95th percentile, and that in ms."""
        found = {page: sorted(times)[int(len(times) * 0.95)] for page, times in self.by_page.items()}
        page = max(found, key=lambda one: found[one])
        return page, 1_000 * found[page]


def add_user(database: Database) -> None:
    """Make the user who looks."""
    with database.session() as session:
        users.add(session, Passwords(), NAME, PASSWORD, {"*": "admin"}, time.time())


def pages(fleet: str, devices: Sequence[str], rollouts: Sequence[str]) -> list[str]:
    """Return what somebody looks at who has many devices."""
    start = f"/f/{fleet}"
    return [
        start,
        f"{start}?q={devices[0]}",
        f"{start}?filter=online",
        f"{start}/map",
        f"{start}/d/{devices[len(devices) // 2]}",
        f"{start}/rollouts",
        *(f"{start}/rollouts/{one}" for one in rollouts),
        f"{start}/enrolment",
        f"{start}/audit",
    ]


def times(port: int, wanted: Sequence[str], rounds: int = ROUNDS) -> Times:
    """Log in, and load each page so often. Pages that are not there are left out, and said."""
    found: dict[str, list[float]] = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as browser:
        log_in(browser)
        there = [page for page in wanted if browser.get(page).status_code == httpx.codes.OK]
        for _ in range(rounds):
            for page in there:
                began = time.perf_counter()
                answer = browser.get(page)
                found.setdefault(page, []).append(time.perf_counter() - began)
                assert answer.status_code == httpx.codes.OK, (page, answer.status_code)
    return Times(found)


def log_in(browser: httpx.Client) -> None:
    """Log in as a person does, by the form."""
    form = browser.get("/login").text
    mark = re.search(r'name="mark"[^>]*value="([^"]+)"', form)
    assert mark is not None, form[:500]
    answer = browser.post(
        "/login",
        data={"name": NAME, "password": PASSWORD, "mark": mark[1]},
        headers={"Origin": str(browser.base_url).rstrip("/")},
    )
    assert answer.status_code in {302, 303}, (answer.status_code, answer.text[:300])
