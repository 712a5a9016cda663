"""What a device costs, as measured, and what follows for fleets of other sizes. Pure, but for what it prints."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.fleet_figures import Figures
from bench.fleet_registry import Registry

UTTERANCES_H, SAMPLES_H = 6.0, 12.0
EVENTS_KEPT = 200
"""Of a device, at most (`edgeagent.console.ingest.MOST_EVENTS`)."""
HEALTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one device at ordinary work: bytes are MQTT packets without TCP and TLS; `row_bytes` by table."""

    messages_h: float
    bytes_up_h: float
    bytes_down_h: float
    rows_h: float
    row_bytes: Mapping[str, float]
    broker_kb: float
    console_core_ms: float
    """Processor time of the console for a message."""


@dataclass(frozen=True, slots=True)
class Load:
    """Of a whole fleet."""

    devices: int
    messages_s: float
    mbit_s: float
    stored_gb: float
    rows_s: float
    broker_gb: float
    console_cores: float


def of(costs: Costs, devices: int) -> Load:
    """Return what so many devices cost."""
    kept = {
        "devices": 1.0,
        "events": float(EVENTS_KEPT),
        "health_hours": 24.0 * HEALTH_DAYS,
        "jobs": 20.0,
    }
    stored = sum(costs.row_bytes.get(table, 0.0) * rows for table, rows in kept.items())
    messages_s = devices * costs.messages_h / 3_600
    return Load(
        devices,
        messages_s=messages_s,
        mbit_s=devices * (costs.bytes_up_h + costs.bytes_down_h) * 8 / 3_600 / 1e6,
        stored_gb=devices * stored / 1e9,
        rows_s=devices * costs.rows_h / 3_600,
        broker_gb=devices * costs.broker_kb / 1e6,
        console_cores=messages_s * costs.console_core_ms / 1_000,
    )


def measure(registry: Registry, figures: Figures) -> None:
    """Note what rows cost, and what that makes of a device in an hour, and of larger fleets."""
    row_bytes = registry.bytes_per_row()
    for table, size in row_bytes.items():
        figures.note(f"row_bytes_{table}", size, "on disk, with its indexes")
    figures.note("database_mb", registry.size() / 1e6, "all of it, after this run")
    value = figures.values
    growth = row_bytes.get("health_hours", 0.0) + float(value["steady_rows_h"]) * row_bytes.get("events", 0.0)
    figures.note("database_bytes_h", growth, f"a device and hour, until {EVENTS_KEPT} events and {HEALTH_DAYS} days")
