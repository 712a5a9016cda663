"""What the console counts of itself and of its fleets, as Prometheus reads it."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select, text

from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Device, Job, Rollout

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Figures:
    """The counters of one console, and what is counted in its database when somebody asks."""

    def __init__(self, database: Database) -> None:
        """Begin with nothing."""
        self.registry = CollectorRegistry()
        self.heard = self._counter("messages_heard", "Messages from devices, by kind.", "kind")
        self.refused = self._counter("messages_refused", "Messages that could not be used, by reason.", "reason")
        self.published = self._counter("messages_published", "Messages to devices, by kind.", "kind")
        self.troubles = self._counter("troubles", "What went wrong and was contained, by kind.", "kind")
        self.ingest_s = Histogram(
            "edgeagent_console_ingest_seconds",
            "How long a batch of messages took until it was in the database.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "edgeagent_console_batch_messages",
            "How many messages were in a batch.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "edgeagent_console_waiting_messages", "Messages that wait, in and out.", ("queue",), registry=self.registry
        )
        self.is_connected = self._gauge("broker_connected", "1 while the broker is there.")
        self.is_conductor = self._gauge("conducting", "1 while this console advances the rollouts.")
        self.registry.register(_Fleets(database))

    def rendered(self) -> bytes:
        """Return everything as text, as Prometheus reads it."""
        return generate_latest(self.registry)

    def count(self, counter: Counter, counts: Mapping[str, int]) -> None:
        """Add counts by label."""
        for label, number in counts.items():
            counter.labels(label).inc(number)

    def _counter(self, name: str, meaning: str, label: str) -> Counter:
        return Counter(f"edgeagent_console_{name}", meaning, (label,), registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"edgeagent_console_{name}", meaning, registry=self.registry)


class _Fleets(Collector):
    """What the database says when it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[Metric]:
        """Tell nothing: to register it must not need the database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield devices, rollouts, jobs and the database's size; only that it is away where it is."""
        is_there = GaugeMetricFamily("edgeagent_console_database_up", "1 while the database answers.")
        try:
            found = list(self._counted())
        except ConsoleError:
            found = []
        is_there.add_metric([], float(bool(found)))
        yield is_there
        yield from found

    def _counted(self) -> Iterator[Metric]:
        devices = GaugeMetricFamily(
            "edgeagent_console_devices", "Devices that are not retired.", labels=("fleet", "state", "health")
        )
        rollouts = GaugeMetricFamily("edgeagent_console_rollouts", "Rollouts.", labels=("fleet", "state"))
        jobs = GaugeMetricFamily("edgeagent_console_jobs_open", "Jobs that have not ended.", labels=("state",))
        size = GaugeMetricFamily("edgeagent_console_database_bytes", "Size of the database.")
        with self._database.reading() as session:
            by_health = (
                select(Device.fleet, Device.online, Device.health, func.count())
                .where(Device.retired.is_(None))
                .group_by(Device.fleet, Device.online, Device.health)
            )
            for fleet, is_online, health, count in session.execute(by_health):
                devices.add_metric([fleet, "online" if is_online else "offline", health], count)
            by_state = select(Rollout.fleet, Rollout.state, func.count()).group_by(Rollout.fleet, Rollout.state)
            for fleet, state, count in session.execute(by_state):
                rollouts.add_metric([fleet, state], count)
            is_open = select(Job.state, func.count()).where(Job.ended.is_(None)).group_by(Job.state)
            for state, count in session.execute(is_open):
                jobs.add_metric([state], count)
            statement = (
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
                if self._database.is_sqlite
                else "SELECT pg_database_size(current_database())"
            )
            size.add_metric([], float(session.execute(text(statement)).scalar() or 0))
        return iter((devices, rollouts, jobs, size))
