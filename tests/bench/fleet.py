"""Measures a fleet at scale on this machine: make bench-fleet, or python -m tests.bench.fleet [--devices N] [--tls].

A real mosquitto with the product's configuration (one listener without TLS, where who a client is stands in its client
id; with --tls as it is, a certificate for each device), the real console as its own process, the devices of `edgeagent
simulate fleet` as another. The last line holds every figure; the exit code is 1 where anything was lost or done twice.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench import fleet_away, fleet_costs, fleet_pages, fleet_rollouts, fleet_steady
from bench.fleet_figures import Figures
from bench.fleet_registry import Registry, Verdict, compared
from bench.fleet_world import World, until, world

from edgeagent.console.database import Database
from edgeagent.errors import BusError
from edgeagent.simulate.fleet import SPARE_DESCRIPTORS, allow_descriptors

END_S = 300.0


def main() -> int:
    """Measure everything; return the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--devices", type=int, default=10_000)
    options.add_argument("--tls", action="store_true", help="with a certificate for each device")
    options.add_argument("--update-s", type=float, default=25.0, help="how long an update takes on a device")
    options.add_argument("--logs", type=Path, help="a folder in which the logs of broker and console stay")
    chosen = options.parse_args()
    try:
        # The broker has as many sockets as there are devices; it inherits this limit.
        allow_descriptors(chosen.devices + SPARE_DESCRIPTORS)
    except BusError as error:
        sys.stderr.write(f"error: {error}\n  try: {error.remedy}\n")
        return 1
    figures = Figures(devices=chosen.devices)
    with tempfile.TemporaryDirectory() as name:
        try:
            verdict = measured(Path(name), figures, is_secured=chosen.tls, update_s=chosen.update_s)
        finally:
            if chosen.logs is not None:
                chosen.logs.mkdir(parents=True, exist_ok=True)
                for log in Path(name).glob("*.log"):
                    shutil.copy(log, chosen.logs)
    for problem in [*verdict.lost, *verdict.twice][:20]:
        sys.stdout.write(f"  {problem}\n")
    figures.note("lost", len(verdict.lost), "what a device told and the console has not, or the other way round")
    figures.note("done_twice", len(verdict.twice), f"of {verdict.jobs} jobs")
    sys.stdout.write(figures.last_line() + "\n")
    return 1 if verdict.lost or verdict.twice else 0


def measured(folder: Path, figures: Figures, *, is_secured: bool, update_s: float) -> Verdict:
    """Run everything, and return what is wrong in the end."""
    began = time.monotonic()
    with world(folder, figures.devices, is_secured=is_secured) as made:
        registry = Registry(made.database)
        _come_online(made, registry, figures, update_s)
        database = Database(f"sqlite:///{made.database}")
        fleet_pages.add_user(database)
        fleet_steady.measure(made, registry, figures)
        rollouts = fleet_rollouts.measure(made, registry, database, figures)
        fleet_away.measure(made, registry, database, figures)
        _look_at_pages(made, rollouts, figures)
        verdict = at_rest(made, registry)
        fleet_costs.measure(registry, figures)
        database.close()
        _memory(made, figures)
    figures.note("total_s", time.monotonic() - began, "all of it")
    return verdict


def at_rest(made: World, registry: Registry) -> Verdict:
    """Wait until nothing is under way, and compare everything."""

    def is_at_rest() -> bool:
        progress = made.fleet.progress
        return registry.open_jobs() == 0 and progress["untold"] == 0 and registry.online == progress["online"]

    until(is_at_rest, END_S, "rest")
    verdict = compared(registry, made.fleet.devices())
    for _ in range(20):  # what was told last may still be on its way
        if not verdict.lost:
            break
        time.sleep(0.5)
        verdict = compared(registry, made.fleet.devices())
    return verdict


def _come_online(made: World, registry: Registry, figures: Figures, update_s: float) -> None:
    made.start_broker()
    made.start_console()
    began = time.monotonic()
    made.simulate(update_s)
    until(lambda: made.fleet.progress.get("online") == made.devices, END_S, "devices online")
    figures.note("connected_s", time.monotonic() - began, "every device has its connection")
    until(_watching(made, lambda: registry.online == made.devices), END_S, "the registry says so")
    figures.note("online_s", time.monotonic() - began, "the registry says that all are online (at most 60)")


def _watching(made: World, is_so: Callable[[], bool]) -> Callable[[], bool]:
    def look() -> bool:
        made.look()
        return is_so()

    return look


def _look_at_pages(made: World, rollouts: list[str], figures: Figures) -> None:
    names = [f"sim-{number:05d}" for number in range(1, made.devices + 1)]
    found = fleet_pages.times(made.web, fleet_pages.pages(made.name, names, rollouts))
    figures.note("page_p50_ms", found.at(0.5), f"{len(found.by_page)} pages, one after the other, devices at work")
    figures.note("page_p95_ms", found.at(0.95), "the same (at most 300)")
    page, worst = found.worst
    figures.note("page_worst_p95_ms", worst, f"the slowest page: {page}")


def _memory(made: World, figures: Figures) -> None:
    figures.note("console_mb", made.console.highest_mb, "highest resident memory of the console (at most 500)")
    figures.note("broker_mb", made.broker.highest_mb, "of mosquitto")
    simulator = max((line["memory_mb"] for line in made.fleet.history), default=0.0)
    figures.note("simulator_mb", simulator, "of all devices together, simulated")


if __name__ == "__main__":
    sys.exit(main())
