"""Two rollouts in waves: a bad one that must be stopped, a good one through a broker's end and a console's."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.fleet_figures import Figures
from bench.fleet_registry import Registry, compared, simulated
from bench.fleet_world import BAD, FAMILY, GOOD, LateError, World, until

from edgeagent.console.database import Database
from edgeagent.console.rollouts import service
from edgeagent.console.rollouts.nouns import Plan, UpdateTo
from edgeagent.fleet.wire import ENDS

BY = "bench"
BROKER_AWAY_S = 3.0
CONSOLE_AWAY_S = 5.0
WITHIN_S = 400.0
SETTLE_S = 10.0
ENDED = {"stopped", "aborted", "done"}


def measure(made: World, registry: Registry, database: Database, figures: Figures) -> list[str]:
    """Run both; return their ids."""
    bad = _Course(made, registry, _begun(made, database, BAD), BAD)
    bad_s = bad.until(lambda: bad.state == "stopped", "the bad release is stopped")
    bad.until(lambda: registry.open_jobs() == 0, "what was under way is called back")
    states = registry.states(bad.rollout)
    asked = sum(count for state, count in states.items() if state not in {"pending", "skipped"})
    figures.note("bad_stopped_s", bad_s, f"a release that fails on 3 %: {states.get('failed', 0)} failures of {asked}")
    figures.note("bad_asked_share", asked / made.devices, "of all devices were asked for it")
    bad.compare(figures, "bad")

    good = _Course(made, registry, _begun(made, database, GOOD), GOOD)
    began = time.monotonic()
    good.until(lambda: good.succeeded > 0.4 * made.devices, "two fifths are updated")
    _kill_broker(made, good, figures)
    good.until(lambda: good.succeeded > 0.7 * made.devices or good.state in ENDED, "seven tenths are updated")
    _kill_console(made, good, figures)
    good.until(lambda: good.state in ENDED, "the good rollout ends")
    figures.note("good_done_s", time.monotonic() - began, "all waves, with a broker and a console killed under way")
    assert good.state == "done", good.why()
    good.until(lambda: registry.open_jobs() == 0, "nothing is under way")
    good.compare(figures, "good")
    figures.note("good_updated", registry.states(good.rollout).get("confirmed", 0), "devices that have the release")
    _peaks(made, figures)
    return [bad.rollout, good.rollout]


@dataclass
class _Course:
    """A rollout, watched: what the registry says at each moment, to be held against what the devices say."""

    made: World
    registry: Registry
    rollout: str
    version: str
    readings: list[tuple[float, float, dict[str, int]]] = field(default_factory=list)
    state: str = ""
    succeeded: int = 0

    def until(self, is_so: Callable[[], bool], what: str) -> float:
        def look() -> bool:
            self.look()
            assert self.state != "paused", self.why()
            return is_so()

        try:
            return until(look, WITHIN_S, what)
        except LateError as late:
            raise LateError(f"{late}; {self.why()}; {self._open()}") from late

    def look(self) -> None:
        self.made.look()
        before = time.time()
        states = dict(self.registry.states(self.rollout))
        self.readings.append((before, time.time(), states))
        self.state = self.registry.rollout(self.rollout)[0]
        self.succeeded = states.get("confirmed", 0)

    def why(self) -> str:
        reason = self.registry.rows("SELECT state, reason FROM rollouts WHERE id = ?", self.rollout)[0]
        return f"{self.rollout}: {reason} {self.registry.states(self.rollout)}"

    def _open(self) -> list[tuple[Any, ...]]:
        """Return some of the jobs that have not ended, with how the registry and the device see them."""
        question = (
            "SELECT devices.name, jobs.id, state, step, jobs.due, sent, told, online, job_seen, devices.seq"
            " FROM jobs JOIN devices ON devices.id = jobs.device WHERE rollout = ? AND ended IS NULL LIMIT 5"
        )
        rows = self.registry.rows(question, self.rollout)
        theirs = {one["name"]: one for one in self.made.fleet.devices()}
        return [(*row, theirs[row[0]]["jobs"].get(row[1]), theirs[row[0]]["online"]) for row in rows]

    def compare(self, figures: Figures, name: str) -> None:
        """See that what has ended never falls, is never ahead of the devices, and is exact at rest."""
        told = [(one["at"], simulated(one, self.version)) for one in self.made.fleet.history]
        ahead = falls = 0
        behind: list[float] = []
        highest: dict[str, int] = {}
        for before, after, states in self.readings:
            later = next((counts for at, counts in told if at >= after), None)
            earlier = next((counts for at, counts in reversed(told) if at <= before), None)
            for end in ("confirmed", "failed"):
                count = states.get(end, 0)
                falls += count < highest.get(end, 0)
                highest[end] = max(count, highest.get(end, 0))
                ahead += later is not None and count > later[end]
            if earlier is not None:
                behind.append(max(0, earlier["confirmed"] - states.get("confirmed", 0)))
        assert not falls, f"{name}: what has ended fell {falls} times"
        assert not ahead, f"{name}: the registry was ahead of the devices {ahead} times"
        figures.note(f"{name}_moments", len(self.readings), "compared with the devices: never ahead, never falling")
        figures.note(f"{name}_behind_most", max(behind, default=0.0), "devices whose end the registry did not know yet")
        wrong = self._wrong()
        deadline = time.monotonic() + SETTLE_S  # what the simulator tells of itself is up to a second old
        while wrong and time.monotonic() < deadline:
            time.sleep(0.5)
            wrong = self._wrong()
        figures.note(f"{name}_wrong_at_rest", len(wrong), "; ".join(wrong[:3]) or "every count as the devices say")

    def _wrong(self) -> list[str]:
        verdict = compared(self.registry, self.made.fleet.devices())
        wrong = [problem for problem in (*verdict.lost, *verdict.twice) if "job" in problem or ": r" in problem]
        now = simulated(self.made.fleet.progress, self.version)
        rows = self.registry.states(self.rollout)
        ends = [end for end in ENDS - {"cancelled"} if now[end] != rows.get(end, 0)]
        return wrong + [f"{end}: {now[end]} devices say so, {rows.get(end, 0)} rows" for end in ends]


def _begun(made: World, database: Database, version: str) -> str:
    plan = Plan(
        what=UpdateTo(family=FAMILY, version=version),
        bake_s=1.0,
        success_share=0.5,  # so that it is the failure share that stops it
        failure_share=0.02,
        failure_least=max(20, made.devices // 50),
        reached_share=0.9,
    )
    with database.session() as session:
        return service.create(session, made.name, plan, title=version, by=BY, now=time.time()).id


def _kill_broker(made: World, course: _Course, figures: Figures) -> None:
    made.broker.kill()
    course.until(lambda: made.fleet.progress["online"] == 0, "every device has noticed")
    killed = time.time()
    time.sleep(BROKER_AWAY_S)
    made.start_broker()
    began = time.monotonic()
    course.until(lambda: made.fleet.progress["online"] >= 0.999 * made.devices, "devices are back")
    figures.note(
        "broker_back_s", time.monotonic() - began, "the killed broker is back, and so are 99.9 % of all devices"
    )
    course.until(
        lambda: course.registry.online >= 0.999 * made.devices and course.registry.online <= made.devices,
        "in the registry",
    )
    figures.note("broker_known_s", time.monotonic() - began, "the registry says so (at most 120)")
    rates = [line["per_s"]["connected"] for line in made.fleet.history if line["at"] > killed]
    figures.note("broker_connects_per_s", max(rates), f"at most; {', '.join(map(str, rates[:40]))}")


def _kill_console(made: World, course: _Course, figures: Figures) -> None:
    made.console.kill()
    time.sleep(CONSOLE_AWAY_S)
    made.start_console()
    began = time.monotonic()

    def has_caught_up() -> bool:
        mine = sum(count for state, count in course.readings[-1][2].items() if state in ENDS)
        told = simulated(made.fleet.progress, course.version)
        return mine >= 0.98 * sum(told[end] for end in ENDS)

    course.until(has_caught_up, "the console has caught up")
    figures.note("console_back_s", time.monotonic() - began, "the killed console serves pages, and has caught up")


def _peaks(made: World, figures: Figures) -> None:
    for name, key in (("sent", "sent"), ("received", "received"), ("connected", "connected")):
        rates = [line["per_s"][key] for line in made.fleet.history]
        figures.note(f"peak_{name}_per_s", max(rates), "messages in a second" if key != "connected" else "devices")
