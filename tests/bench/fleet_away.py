"""A week's absence: results and samples wait on the devices, pointers change meanwhile, then all come back at once."""

import time
from contextlib import suppress

from bench.fleet_figures import Figures
from bench.fleet_registry import Registry
from bench.fleet_world import FAMILY, NEXT, LateError, World, until
from sqlalchemy import select
from sqlalchemy.orm import Session

from edgeagent.console import jobs
from edgeagent.console.database import Database
from edgeagent.console.tables import Device

SHARE = 0.05
DAYS = 7
BY = "bench"
WITHIN_S = 900.0
"""A week of five hundred devices is a hundred thousand messages, and what is live waits behind them."""
HEARD_WITHIN_S = 30.0


def measure(made: World, registry: Registry, database: Database, figures: Figures) -> None:
    """Send a share of the devices away, with work to do, and have them back."""
    count = made.devices - round(made.devices * (1 - SHARE))
    names = [f"sim-{number:05d}" for number in range(made.devices - count + 1, made.devices + 1)]
    _ask(database, names, "self-test")
    asked = "SELECT count(*) FROM jobs WHERE kind = 'self-test' AND told IS NOT NULL"
    until(lambda: registry.number(asked) >= 0.5 * count, WITHIN_S, "self-tests are begun")
    gone = made.fleet.tell(f"away {SHARE}")
    until(lambda: registry.online == made.devices - gone, WITHIN_S, "the registry says who is away")
    _ask(database, names, "update", family=FAMILY, version="1.3.9")
    _want(database, names, 0.3)
    _ask(database, names, "update", family=FAMILY, version=NEXT)
    _want(database, names, 0.4)
    sent = "SELECT count(*) FROM jobs WHERE ended IS NULL AND sent IS NULL"
    until(lambda: registry.number(sent) == 0, WITHIN_S, "pointers are changed")
    before = made.fleet.progress["network"]["sent"]
    began = time.monotonic()
    made.fleet.tell(f"back {DAYS}")
    until(lambda: registry.online == made.devices, WITHIN_S, "all are back")
    figures.note("week_online_s", time.monotonic() - began, f"{gone} devices are back after a week")

    def is_over() -> bool:
        made.look()
        return made.fleet.progress["untold"] == 0 and registry.open_jobs() == 0

    until(is_over, WITHIN_S, "everything of the week is told and done")
    passed_s = time.monotonic() - began
    told = made.fleet.progress["network"]["sent"] - before
    figures.note("week_done_s", passed_s, f"{told} messages told, every job done, settings as wanted")
    with suppress(LateError):  # the figure tells: births follow the results
        until(lambda: _updated(registry) == gone, HEARD_WITHIN_S, "the last births are heard")
    figures.note("week_updated", _updated(registry), f"of {gone} have the release of the last pointer")
    wanted = "SELECT count(*) FROM devices WHERE desired_version > 0 AND reported_version = desired_version"
    figures.note("week_settled", registry.number(wanted), "have the settings of the last pointer")


def _updated(registry: Registry) -> int:
    return registry.number("SELECT count(*) FROM installed WHERE version = ?", NEXT)


def _ask(database: Database, names: list[str], kind: str, **options: str) -> None:
    with database.session() as session:
        for device in _devices(session, names):
            jobs.ask(session, device, kind, options, by=BY, now=time.time())


def _want(database: Database, names: list[str], value: float) -> None:
    with database.session() as session:
        for device in _devices(session, names):
            jobs.want_settings(session, device, {"hearing.unsure_below": value}, BY, time.time())


def _devices(session: Session, names: list[str]) -> list[Device]:
    return list(session.scalars(select(Device).where(Device.name.in_(names))))
