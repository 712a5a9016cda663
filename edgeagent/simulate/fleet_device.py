"""One simulated device: what it remembers, what it answers, what it tells by itself. Pure: time comes in, messages out.

It does at its edges what the daemon does, with the daemon's own forms (`edgeagent.fleet.wire`, `edgeagent.topics`).
What it remembers over a new start: jobs, settings, releases. What it counts begins anew with each start.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace

from edgeagent import __version__, jobs, topics
from edgeagent.errors import PayloadError
from edgeagent.fleet import wire
from edgeagent.messages import Command, Message, Outcome, Rejection
from edgeagent.simulate.fleet_events import command, outcome, rejection
from edgeagent.simulate.fleet_habits import Habits, Use, gauges
from edgeagent.simulate.fleet_jobs import Course, Jobs
from edgeagent.topics import Address

NEVER = math.inf
FAMILY = "command-en"
FIRST_VERSION = "1.0.0"
BOARDS = ("rpi4", "rpi5", "rpi-zero-2", "jetson-nano", "generic")
_LEAST_S = 0.05
_PATIENCE_S = 5.0
"""Between looks at whether the settings have come that a job waits for."""
_NEW_STARTS = {("switching", "probation"), ("switching", "rolled back"), ("probation", "rolled back")}
"""Where the program is started anew, with another release."""


class Device:
    """See the module. `due` is when `work` is to be called next."""

    __slots__ = (
        "_habits", "address", "boot", "born", "desired", "due", "heard", "index", "is_worse", "jobs", "muted",
        "orders", "pointer", "releases", "seq", "settings", "standing", "starts", "use", "wants_restart",
    )  # fmt: skip

    def __init__(self, address: Address, index: int, habits: Habits, now: float) -> None:
        """Make a device that was never on before."""
        self.address, self.index, self._habits = address, index, habits
        self.starts = 0
        self.jobs = Jobs()
        self.releases: dict[str, str] = {FAMILY: FIRST_VERSION}
        self.desired = 0
        self.settings: Mapping[str, wire.Setting] = {}
        self.standing: wire.Standing = "none"
        self.pointer = ""
        self.muted = self.wants_restart = self.is_worse = False
        self.orders = self.heard = 0
        self.due = NEVER
        self.start(now)

    def start(self, now: float) -> None:
        """Begin a new run of the program."""
        self.starts += 1
        self.boot = f"s{self.index:x}-{self.starts}-{int(now * 1000):x}"
        self.seq, self.born, self.use = 0, now, Use.none()
        self.wants_restart = False
        self.is_worse = self._habits.is_worse(self.index, self.releases[FAMILY])

    @property
    def filters(self) -> tuple[str, ...]:
        """Return what it listens to."""
        desired = f"{self.address.up.removesuffix('up')}dn/desired"
        return self.address.orders, self.address.job, desired, wire.announcement(self.address.fleet)

    @property
    def will(self) -> Message:
        """Return what the broker says when it is gone."""
        return topics.state(self.address, online=False, boot=self.boot, seq=0, reason="lost")

    def greetings(self, now: float) -> list[Message]:
        """Return what is said first on a connection."""
        born = wire.Birth(
            boot=self.boot,
            version=__version__,
            capabilities=tuple(sorted(topics.ORDERS)),
            releases=self.releases,
            board=BOARDS[self.index % len(BOARDS)],
            hardware="simulated",
            system="simulated",
            serial=f"SIM{self.index:08d}",
            desired=self.desired,
            job=self.pointer,
        )
        birth = Message(f"{self.address.up}/birth", wire.written(born), qos=1, retain=True)
        return [birth, self.state(now), self.reported()]

    def state(self, now: float, *, online: bool = True, reason: str = "") -> Message:
        """Return whether it is there."""
        how = wire.State(online=online, boot=self.boot, seq=self._next(), reason=reason, muted=self.muted, at=now)
        return Message(f"{self.address.up}/state", wire.written(how), qos=1, retain=True)

    def reported(self) -> Message:
        """Return how it stands to its settings."""
        how = wire.Reported(version=self.desired, standing=self.standing, settings=self.settings)
        return wire.reported(self.address, how)

    def sample(self, now: float, *, at: float | None = None) -> Message:
        """Return what it has counted, as if told `at` another time."""
        when = now if at is None else at
        counted = wire.Sample(
            boot=self.boot,
            at=when,
            uptime_s=max(0.0, when - self.born),
            counters=self.use.counters,
            gauges=gauges(self._habits.draw(self.index, f"gauges:{when:.0f}")),
            decision_ms=tuple(self.use.decision_ms),
        )
        return wire.sample(self.address, counted)

    def take(self, topic: str, payload: bytes, now: float, *, retained: bool) -> list[Message]:
        """Return the answers to what came in; what is none of ours is left alone."""
        down, _, name = topic.partition("/dn/")
        if down != self.address.up.removesuffix("/up"):
            return []
        try:
            if name == "job":
                return self._job(payload, now)
            if name == "desired":
                return self._desired(payload, now)
            return self._order(topic, payload, now, retained=retained)
        except PayloadError:
            return []

    def work(self, now: float) -> list[Message]:
        """Carry on with what is due, each job by one step."""
        answers: list[Message] = []
        for course in self.jobs.under_way:
            if now < course.due:
                continue
            if course.state == "working" and self.desired < course.wanted:
                course.due = now + _PATIENCE_S
            else:
                answers += self._step(course, now)
        self._plan(now)
        return answers

    def speak(self, now: float) -> list[Message]:
        """Hear somebody, and return what is told of it."""
        self.heard += 1
        heard = self.use.hear(self._habits.draw(self.index, f"heard:{self.heard}"), is_worse=self.is_worse)
        name = f"{self.boot}-{self.heard}"
        if heard == "rejected":
            return [self._event(rejection(name), now)]
        return [self._event(command(name), now), self._event(outcome(name, is_done=heard == "done"), now)]

    def live_through(self, past_s: float, now: float, samples: int) -> list[Message]:
        """Have been on for so long without the fleet; return the samples that were kept, the oldest first."""
        self.born -= past_s
        kept = []
        every_s = past_s / max(1, samples)
        for count in range(samples):
            self.heard += (uttered := round(self._habits.utterances_per_hour * every_s / 3600))
            drawn = self._habits.draw(self.index, f"week:{self.heard}:{count}")
            for _ in range(uttered):
                self.use.hear(drawn, is_worse=self.is_worse)
            kept.append(replace(self.sample(now, at=now - past_s + every_s * (count + 1)), qos=1))
        return kept

    def _step(self, course: Course, now: float) -> list[Message]:
        before = course.state
        course.advance(now)
        course.due = now + self._habits.step_s(self.index, course.id, course.step)
        if (before, course.state) in _NEW_STARTS or (course.kind, before) == ("restart", "accepted"):
            self.wants_restart = True
        if course.state == "confirmed":
            self.releases = self.releases | {course.family: course.version}
            self.is_worse = self._habits.is_worse(self.index, course.version)
            return [self._progress(course, now), *self.greetings(now)[:1]]
        return [self._progress(course, now)]

    def _job(self, payload: bytes, now: float) -> list[Message]:
        if not payload:
            return []
        asked = _asked(payload, now)
        if asked is None:
            return []
        if isinstance(asked, jobs.CancelJob):
            self.pointer = asked.id
            known = self.jobs.courses.get(asked.id)
            if known is None:
                return [self._progress(Course(asked.id, "cancel", now, state="cancelled"), now)]
            known.end("cancel")
        else:
            self.pointer = asked.id
            known = self.jobs.accept(asked)
            if known is asked and not known.is_ended:
                if known.kind == "update":
                    known.fails_at = self._habits.fails_at(self.index, known.version)
                    known.is_current = self.releases.get(known.family) == known.version
                known.due = now + self._habits.step_s(self.index, known.id, 0)
        self._plan(now)
        return [self._progress(known, now)]

    def _desired(self, payload: bytes, now: float) -> list[Message]:
        if not payload:
            return []
        wanted = wire.read(wire.Desired, payload, largest=wire.LARGEST_BYTES)
        if wanted.version > self.desired:  # A62: a lower one is old news
            self.desired, self.settings, self.standing = wanted.version, wanted.settings, "applied"
            for course in self.jobs.under_way:
                course.due = now if course.wanted else course.due
        self._plan(now)
        return [self.reported()]

    def _order(self, topic: str, payload: bytes, now: float, *, retained: bool) -> list[Message]:
        order = topics.order(self.address, topic, payload, retained=retained, now_s=now)
        if isinstance(order, topics.Refusal):
            return []
        self.orders += 1
        if isinstance(order, topics.Mute):
            self.muted = order.on
            return [self.state(now)]
        if isinstance(order, topics.Say):
            return [self._event(command(order.id), now), self._event(outcome(order.id, is_done=True), now)]
        return []

    def _progress(self, course: Course, now: float) -> Message:
        failed = course.state == "failed"
        how = wire.Progress(
            id=f"{course.id}:{course.step}",
            job=course.id,
            state=course.state,
            at=now,
            code="simulated" if failed else "",
            problem=f"it was drawn to fail while {course.fails_at}" if failed else "",
            result=_result(course),
        )
        return wire.progress(self.address, how)

    def _plan(self, now: float) -> None:
        due = [one.due for one in self.jobs.under_way]
        self.due = max(min(due), now + _LEAST_S) if due else NEVER

    def _event(self, what: Command | Outcome | Rejection, now: float) -> Message:
        return topics.event(self.address, what, boot=self.boot, seq=self._next(), at_s=now)

    def _next(self) -> int:
        self.seq += 1
        return self.seq


def _asked(payload: bytes, now: float) -> Course | jobs.CancelJob | None:
    """Read a pointer, as the daemon does. Raise PayloadError."""
    try:
        kind = json.loads(payload).get("kind")
    except (ValueError, AttributeError) as error:
        raise PayloadError("no job") from error
    if kind in {"update", "cancel"}:
        job = jobs.job_of(payload, now)
        if job is None or isinstance(job, jobs.CancelJob):
            return job
        return Course(job.id, "update", job.created, job.family, job.version, not_after=job.not_after)
    found = wire.read(wire.FleetJob, payload)
    wanted = found.options.get("version", 0)
    return Course(
        found.id,
        found.kind,
        min(found.created, now),
        wanted=wanted if isinstance(wanted, int) else 0,
        not_after=found.not_after,
    )


def _result(course: Course) -> dict[str, object]:
    if course.state != "done":
        return {}
    results: Mapping[str, dict[str, object]] = {
        "logs": {"lines": ["a simulated device has little to tell"]},
        "self-test": {"passed": 20, "failed": 0},
        "clips": {"right": 19, "wrong": 1},
        "diagnostics": {"kept": "nothing: this device is simulated"},
        "settings": {"version": course.wanted},
    }
    return results.get(course.kind, {})
