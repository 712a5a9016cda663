"""The console's own figures."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from edgeagent.console.database import Database
from edgeagent.console.prometheus import Figures
from edgeagent.console.tables import Device, Fleet, Job, Rollout


def test_they_tell_devices_rollouts_jobs_messages_and_size(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name='h"o\\me', created=1.0))
        session.flush()
        session.add(Device(id=1, fleet='h"o\\me', name="a", created=1.0, online=True, health="ok"))
        session.add(Device(fleet='h"o\\me', name="b", created=1.0, health="warn"))
        session.add(Device(fleet='h"o\\me', name="c", created=1.0, retired=2.0))
        session.add(Rollout(id="r", fleet='h"o\\me', plan={}, state="running", created=1.0, created_by="anna"))
        session.add(Job(id="j", device=1, kind="logs", body={}, state="working", created=1.0))
    figures = Figures(database)
    figures.count(figures.heard, {"birth": 3})
    figures.count(figures.refused, {"topic": 2})
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(figures.rendered().decode())
        for sample in family.samples
    }
    start = "edgeagent_console"
    assert found[f"{start}_devices", 'h"o\\me', "ok", "online"] == 1
    assert found[f"{start}_devices", 'h"o\\me', "offline", "warn"] == 1
    assert sum(value for key, value in found.items() if key[0] == f"{start}_devices") == 2
    assert found[f"{start}_rollouts", 'h"o\\me', "running"] == 1
    assert found[f"{start}_jobs_open", "working"] == 1
    assert found[f"{start}_messages_heard_total", "birth"] == 3
    assert found[f"{start}_messages_refused_total", "topic"] == 2
    assert found[(f"{start}_database_bytes",)] > 10_000
    assert found[(f"{start}_database_up",)] == 1
    database.close()


def test_that_the_database_is_away_is_a_figure_too_a86(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/nowhere/console.db")
    text = Figures(database).rendered().decode()
    assert "edgeagent_console_database_up 0.0" in text
    assert "edgeagent_console_troubles" in text
    database.close()


def test_two_consoles_in_one_process_count_apart(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    one, other = Figures(database), Figures(database)
    one.count(one.heard, {"birth": 1})
    assert b'kind="birth"' not in other.rendered()
    database.close()
