"""A fleet in this process: a real database, a broker that keeps pointers, devices that do what their pointers say."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from edgeagent import topics
from edgeagent.console import jobs
from edgeagent.console.database import Database
from edgeagent.console.ingest import Incoming, ingest
from edgeagent.console.rollouts import engine, service
from edgeagent.console.rollouts.nouns import Counts, Plan, plan_of
from edgeagent.console.rollouts.service import Change
from edgeagent.console.tables import Device, Fleet, Job, Rollout
from edgeagent.fleet.wire import ENDS, Progress, progress
from edgeagent.messages import Message
from edgeagent.topics import Address

FLEET = "home"
UPDATE = {"kind": "update", "family": "command-en", "version": "2.0"}


def plan(**changes: Any) -> Plan:
    """A plan that does not wait: no bake time, small counts."""
    return plan_of({"what": UPDATE, "bake_s": 0.0, "health": {"on": False}} | changes)


@dataclass
class SimulatedDevice:
    """Remembers its jobs, as a real one does: what comes again is told again, and never done again."""

    address: Address
    is_online: bool = True
    fails: bool = False
    takes: int = 1
    """Looks at the clock until a job is done; a large number: never."""
    is_mute: bool = False
    installed: str = "1.0"
    seq: int = 0
    states: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    began: dict[str, int] = field(default_factory=dict)
    age: int = 0
    created: float = 0.0

    def says(self) -> Message:
        self.seq += 1
        return topics.state(self.address, online=self.is_online, boot="boot-1", seq=self.seq)

    def is_born(self) -> Message:
        releases = {"command-en": self.installed}
        return topics.birth(self.address, topics.Birth("boot-1", "0.8.0", (), releases))

    def reads(self, payload: bytes, now: float) -> list[Message]:
        """Take what is on the pointer, and tell how it stands."""
        if not payload:
            return []
        asked = json.loads(payload)
        job = asked["id"]
        if asked["kind"] == "cancel":
            if job not in self.states:
                return []
            return self._to(job, "cancelled", now) if self.states[job] not in ENDS else [self._tells(job, now)]
        if job not in self.states:
            self.began[job] = self.age
            found = []
            for other, state in list(self.states.items()):
                if state not in ENDS:
                    found += self._to(other, "superseded", now)
            return found + self._to(job, "accepted", now)
        return [self._tells(job, now)]

    def works(self, now: float) -> list[Message]:
        """Go on with what is under way."""
        self.age += 1
        found: list[Message] = []
        for job, state in list(self.states.items()):
            if state in ENDS or self.age - self.began[job] < self.takes:
                continue
            self.done[job] += 1
            found += self._to(job, "failed" if self.fails else "confirmed", now)
            if not self.fails:
                self.installed = "2.0"
        return found

    def _to(self, job: str, state: str, now: float) -> list[Message]:
        self.states[job] = state
        self.steps[job] = self.steps.get(job, 0) + 1
        return [self._tells(job, now)]

    def _tells(self, job: str, now: float) -> Message:
        how = Progress(id=f"{job}:{self.steps[job]}", job=job, state=self.states[job], at=max(0.0, now - 3_600))
        return progress(self.address, how)


class World:
    """A fleet with its console, and a clock that is moved by hand."""

    def __init__(
        self, folder: Path, count: int = 0, *, build: Callable[[int], dict[str, Any]] | None = None, url: str = ""
    ) -> None:
        self.database = Database(url or f"sqlite:///{folder}/console.db")
        self.database.migrate()
        self.now = 1_000_000.0
        self.retained: dict[str, bytes] = {}
        self.devices: dict[int, SimulatedDevice] = {}
        self.published: list[tuple[float, str, bytes]] = []
        with self.database.session() as session:
            session.add(Fleet(name=FLEET, created=0.0))
            session.add(Fleet(name="other", created=0.0))
        for number in range(count):
            self.join(f"d{number:04}", **(build(number) if build else {}))
        self.tell_all()

    def join(self, name: str, **how: Any) -> SimulatedDevice:
        device = SimulatedDevice(Address(FLEET, name), **how)
        with self.database.session() as session:
            row = Device(fleet=FLEET, name=name, created=self.now)
            session.add(row)
            session.flush()
            self.devices[row.id] = device
        return device

    def tell_all(self) -> None:
        """All devices say that they are there, or their wills say that they are not."""
        said = [message for device in self.devices.values() for message in (device.is_born(), device.says())]
        self.hear(said)

    def comes(self, device: SimulatedDevice) -> None:
        device.is_online = True
        self.hear(
            [device.is_born(), device.says(), *device.reads(self.retained.get(device.address.job, b""), self.now)]
        )

    def goes(self, device: SimulatedDevice) -> None:
        device.is_online = False
        self.hear([device.says()])

    def hear(self, messages: Sequence[Message]) -> None:
        for first in range(0, len(messages), 500):
            batch = [Incoming(one.topic, one.payload, retained=False) for one in messages[first : first + 500]]
            with self.database.session() as session:
                ingest(session, batch, self.now)

    def begin(self, wanted: Plan, *, by: str = "ann", title: str = "") -> str:
        with self.database.session() as session:
            return service.create(session, FLEET, wanted, title=title, by=by, now=self.now).id

    def change(self, what: Callable[[Session, str, str, Change], Rollout], rollout: str, *, by: str = "ann") -> None:
        with self.database.session() as session:
            revision = service.get(session, FLEET, rollout).revision
            what(session, FLEET, rollout, Change(by, self.now, revision))

    def conduct(self) -> None:
        with self.database.session() as session:
            engine.step(session, self.now)

    def publish(self, most: int = 500, *, is_noted: bool = True) -> list[Message]:
        """Publish what is due; return what the devices say to that."""
        with self.database.reading() as session:
            dues = jobs.due_messages(session, self.now, most)
        said: list[Message] = []
        for due in dues:
            self.published.append((self.now, due.message.topic, due.message.payload))
            self.retained[due.message.topic] = due.message.payload
            device = self.devices[due.device]
            if device.is_online and due.message.topic == device.address.job:
                said += device.reads(due.message.payload, self.now)
        if is_noted:
            with self.database.session() as session:
                jobs.published(session, dues, self.now)
        return said

    def work(self) -> list[Message]:
        return [message for device in self.devices.values() if device.is_online for message in device.works(self.now)]

    def tick(self, seconds: float = 1.0) -> None:
        """Let time go by: the console steps and publishes, the devices answer and work."""
        self.now += seconds
        self.conduct()
        self.hear(self.publish())
        self.hear(self.work())

    def until(self, state: str, rollout: str, *, most: int = 200, seconds: float = 1.0) -> None:
        for _ in range(most):
            if self.rollout(rollout).state == state:
                return
            self.tick(seconds)
        found = self.rollout(rollout)
        raise AssertionError(f"{state} expected, found {found.state}: {found.reason} {self.counts(rollout)}")

    def rollout(self, rollout: str) -> Rollout:
        with self.database.reading() as session:
            return service.get(session, FLEET, rollout)

    def counts(self, rollout: str) -> Counts:
        with self.database.reading() as session:
            return service.summary(session, FLEET, rollout).total

    def waves(self, rollout: str) -> tuple[Counts, ...]:
        with self.database.reading() as session:
            return service.summary(session, FLEET, rollout).waves

    def job_of(self, rollout: str, device: SimulatedDevice) -> Job:
        with self.reading() as session:
            number = next(number for number, one in self.devices.items() if one is device)
            job = session.scalar(select(Job).where(Job.rollout == rollout, Job.device == number))
            assert job is not None
            return job

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self.database.reading() as session:
            yield session

    def began_jobs(self) -> int:
        """How many jobs the devices have begun."""
        return sum(len(device.states) for device in self.devices.values())

    def check(self, rollout: str) -> None:
        """What must be true after every transaction."""
        with self.reading() as session:
            row = service.get(session, FLEET, rollout)
            found = list(session.scalars(select(Job).where(Job.rollout == rollout)))
            assert len({job.device for job in found}) == len(found), "a device has two jobs of one rollout"
            assert service.summary(session, FLEET, rollout).total.total == len(found), "counts do not add up"
            for job in found:
                asked = job.state not in {"pending", "skipped"} and job.told is not None
                assert not asked or job.wave <= row.wave, f"{job.id} was asked before its wave"
                assert (job.ended is None) == (job.state not in {*ENDS, "skipped", "lost"}), f"{job.id} {job.state}"
            is_over = row.state in {"stopped", "aborted", "done"}
            assert not is_over or all(job.ended is not None for job in found), "over, and jobs are open"
            twice = session.scalar(
                select(func.count()).select_from(Job).where(Job.ended.is_(None), Job.state == "sent", Job.due.is_(None))
            )
            assert not twice, "a job is sent, and its pointer is never due"
        assert all(count == 1 for device in self.devices.values() for count in device.done.values()), "done twice"
