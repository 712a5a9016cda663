"""How long every page takes with a fleet of many devices: `python tests/console/web/measure_pages.py 10000`.

The database is filled by SQL, the application is served by the real server, and asked over the loopback.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[2]))

from console.web.filled import add_users, audit, fill
from console.web.website import API, DEVICE, HOME, Website

from edgeagent.console.database import Database
from edgeagent.console.rollouts.engine import step
from edgeagent.console.running import collect_seldom
from edgeagent.console.tables import Job, Rollout
from edgeagent.console.web.plan_form import usual

ROUNDS = 40


def addresses(rollout: str) -> list[str]:
    """Return the pages that are asked for."""
    of_fleet = [
        "",
        "?show=bad",
        "?filter=tag:floor%3D2+and+version%3C0.6",
        "?search=kit-09",
        "?sort=condition&page=100",
    ]
    return [
        *(HOME + rest for rest in of_fleet),
        *(f"{HOME}/map.svg?by={by}&n={{n}}" for by in ("condition", "area", "tag:floor")),
        *(f"{DEVICE}{rest}" for rest in ("", "?span=30+d", "/settings", "/jobs", "/log", "/about")),
        *(f"{HOME}/rollouts{rest}" for rest in ("", "/new", f"/{rollout}", f"/{rollout}?show=failed&page=2")),
        *(f"{HOME}/{name}" for name in ("releases", "enrolment", "commands", "audit", "audit?search=kit")),
        *("/fleets", "/users", "/audit", "/account", "/api"),
        *(f"{API}/{rest}" for rest in ("devices?size=100", "devices?size=500&filter=online", "rollouts", "audit")),
    ]


def main(count: int) -> None:
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    try:
        measure(folder, count)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, count: int) -> None:
    database = Database(f"sqlite:///{folder}/console.db")
    database.migrate()
    fill(database, "home", count)
    add_users(database, time.time())
    audit(database, count)
    database.close()
    with Website(folder / "console.db").served() as website:
        collect_seldom()  # as the console does
        visitor = website.visitor("ada")
        form = {key: value for key, value in usual().items() if value} | {"kind": "restart", "bake": "0"}
        for _ in range(3):
            visitor.post(f"{HOME}/rollouts", form)
        settle(website)
        with website.session() as session:
            rollout = session.scalars(select(Rollout.id).order_by(Rollout.created)).first() or ""
        everything: list[float] = []
        for address in addresses(rollout):
            took = [one(visitor, address.format(n=number)) for number in range(ROUNDS)]
            everything += took
            told(address, took)
        forecasts = []
        form |= {"csrf": visitor.csrf()}
        for _ in range(ROUNDS):
            began = time.perf_counter()
            assert visitor.http.post(f"{HOME}/rollouts/what-if", data=form).status_code == 200
            forecasts.append(1_000 * (time.perf_counter() - began))
        told(f"{HOME}/rollouts/what-if", forecasts)
        told("all", everything + forecasts)


def settle(website: Website) -> None:
    """Carry the rollouts on until their last wave, with every device obeying."""
    for turn in range(8):
        now = time.time() + turn
        with website.session() as session:
            step(session, now)
        with website.session() as session:
            for job in session.scalars(select(Job).where(Job.state == "sent", Job.ended.is_(None))):
                job.state, job.told, job.reached, job.ended = "done", now, now, now


def one(visitor: object, address: str) -> float:
    """Return how many ms a page took."""
    began = time.perf_counter()
    answer = visitor.get(address)  # type: ignore[attr-defined]  # a Visitor
    assert answer.status_code == 200, (address, answer.status_code)
    return 1_000 * (time.perf_counter() - began)


def told(what: str, took: list[float]) -> None:
    """Print the median and the 95th percentile."""
    p95 = statistics.quantiles(took, n=20)[-1]
    sys.stdout.write(f"{what:75} p50 {statistics.median(took):6.1f} ms   p95 {p95:6.1f} ms\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
