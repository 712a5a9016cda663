"""A console's database with devices that have a history, made quickly: for tests, pictures and figures."""

import random
import time
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from edgeagent.console.database import Database
from edgeagent.console.tables import Audited, Device, Event, Fleet, HealthHour, Installed, Job, Tag
from edgeagent.console.versions import version_key
from edgeagent.console.web import users
from edgeagent.console.web.passwords import Passwords
from edgeagent.fleet.wire import HEALTH_BUCKETS_MS

PASSWORD = "correct horse battery staple"  # noqa: S105  # of the users of tests
HOUR_S = 3600


def add_users(database: Database, now: float) -> None:
    with database.session() as session:
        passwords = Passwords()
        users.add(session, passwords, "ada", PASSWORD, {"*": "admin"}, now)
        users.add(session, passwords, "ole", PASSWORD, {"home": "operator"}, now)
        users.add(session, passwords, "vic", PASSWORD, {"home": "viewer"}, now)
        users.add(session, passwords, "xen", PASSWORD, {"other": "admin"}, now)


def fill(database: Database, fleet: str, count: int, *, seed: int = 1, hours: int = 168) -> None:
    """Add a fleet of so many devices; the first few have a history of hours, events and jobs."""
    draw, now = random.Random(seed), time.time()  # noqa: S311  # a sample
    devices = [_device(draw, fleet, number, now) for number in range(count)]
    with database.session() as session:
        if session.get(Fleet, fleet) is None:
            session.add(Fleet(name=fleet, title="", created=now))
            session.flush()
        session.execute(insert(Device), devices)
        ids = {name: id_ for id_, name in session.query(Device.id, Device.name).where(Device.fleet == fleet)}
        tags = [
            {"device": ids[one["name"]], "key": key, "value": value}
            for number, one in enumerate(devices)
            for key, value in (("floor", str(number % 12)), ("ring", draw.choice(["early", "late"])))
        ]
        session.execute(insert(Tag), tags)
        installed = [
            {"device": ids[one["name"]], "family": family, "version": version, "version_key": version_key(version)}
            for one in devices
            for family, version in one["releases"].items()
        ]
        session.execute(insert(Installed), installed)
        for one in devices[:20]:
            _history(draw, session, ids[one["name"]], hours, now)


def _device(draw: random.Random, fleet: str, number: int, now: float) -> dict[str, Any]:
    online = draw.random() > 0.03
    health = draw.choices(["ok", "warn", "bad"], [95, 4, 1])[0]
    reasons = {"ok": "", "warn": "18 % of sentences rejected (usual: 6 %)", "bad": "too hot: 83 °C, throttled"}
    version = draw.choices(["0.6.0", "0.5.2", "0.5.1"], [80, 15, 5])[0]
    return {
        "fleet": fleet,
        "name": f"kit-{number:05d}" if fleet == "home" else f"{fleet}-{number:05d}",
        "title": "",
        "serial": f"100000{number:08x}",
        "area": draw.choice(["kitchen", "hall", "bedroom", "office", "workshop"]),
        "created": now - 40 * 86_400,
        "seen": now - (0 if online else draw.uniform(60, 9 * 86_400)),
        "online": online,
        "online_since": now - draw.uniform(60, 86_400),
        "reason": "" if online else draw.choice(["lost", "power", ""]),
        "version": version,
        "version_key": version_key(version),
        "board": draw.choice(["raspberry-pi-4b", "raspberry-pi-5", "raspberry-pi-zero-2-w"]),
        "hardware": "Raspberry Pi 4 Model B Rev 1.5, 1848 MB",
        "system": "Debian GNU/Linux 13 (trixie), Linux 6.12.34",
        "capabilities": ["update", "settings"],
        "releases": {"command-en": draw.choice(["1.2.0", "1.3.0"])},
        "health": health,
        "health_reason": reasons[health],
        "gauges": {"temperature_c": 55.0, "noise_floor_db": -52.0},
        "counters": {},
        "desired": {},
        "reported": {"hearing.unsure_below": 0.4, "hearing.cap_s": 12.0, "answering.voice": "en-gb"},
        "reported_version": 0,
    }


def _history(draw: random.Random, session: Session, device: int, hours: int, now: float) -> None:
    last = int(now // HOUR_S)
    rows = []
    for hour in range(last - hours, last + 1):
        if draw.random() < 0.06:
            continue
        day = max(0.1, 1 - abs((hour % 24) - 17) / 12)
        decisions = int(draw.uniform(2, 24) * day)
        buckets = [0] * (len(HEALTH_BUCKETS_MS) + 1)
        for _ in range(decisions):
            ms = draw.lognormvariate(5.2, 0.45)
            buckets[next((i for i, top in enumerate(HEALTH_BUCKETS_MS) if ms <= top), len(HEALTH_BUCKETS_MS))] += 1
        rows.append(
            {
                "device": device,
                "hour": hour,
                "decisions": decisions,
                "rejected": sum(draw.random() < 0.09 for _ in range(decisions)),
                "repeated": sum(draw.random() < 0.04 for _ in range(decisions)),
                "ended_by_cap": sum(draw.random() < 0.01 for _ in range(decisions)),
                "decision_ms": buckets,
                "gauges": {
                    "temperature_c": 50 + 8 * day + draw.uniform(-1, 1),
                    "noise_floor_db": -55 + 6 * day + draw.uniform(-1, 1),
                    "memory_used_mb": 190 + draw.uniform(-4, 4),
                },
            }
        )
    if rows:
        session.execute(insert(HealthHour), rows)
    session.execute(
        insert(Event),
        [
            {"device": device, "at": now - 400 * i - 20, "kind": kind, "body": body}
            for i, (kind, body) in enumerate(EVENTS * 8)
        ],
    )
    session.execute(
        insert(Job),
        [
            {
                "id": f"j{device}-{i}",
                "device": device,
                "kind": kind,
                "body": {},
                "state": state,
                "reason": reason,
                "result": result,
                "created": now - 7200 * i - 300,
                "created_by": "ada",
                "ended": now - 7200 * i,
            }
            for i, (kind, state, reason, result) in enumerate(JOBS)
        ],
    )


EVENTS: list[tuple[str, dict[str, object]]] = [
    ("outcome", {"device": "kitchen light", "capability": "power", "value": True, "status": "done", "took_s": 0.12}),
    (
        "command",
        {"intent": "turn_on", "slots": {"name": "kitchen light"}, "exit": 0, "text": "turn on the kitchen light"},
    ),
    ("rejection", {"reason": "unsure", "text": "turn of the", "detail": "two readings"}),
    (
        "outcome",
        {
            "device": "hall blind",
            "capability": "position",
            "value": 40,
            "status": "failed",
            "reason": "no answer in 5 s",
        },
    ),
    ("question", {"kind": "guarded", "prompt": "Shall I open the garage? Say yes or no."}),
    ("fault", {"error": "SoundError", "message": "the microphone went away", "remedy": "Plug it in again."}),
    ("online", {}),
]
JOBS: list[tuple[str, str, str, dict[str, object]]] = [
    ("identify", "done", "", {}),
    ("logs", "done", "", {"lines": ["info listening device=hw:1", "warning overflow frames=2"]}),
    ("update", "failed", "self-test: 2 of 40 golden sentences were decided otherwise", {"code": "self-test"}),
]


def audit(database: Database, count: int) -> None:
    now = time.time()
    with database.session() as session:
        session.execute(
            insert(Audited),
            [
                {"at": now - i, "user": "ada", "address": "127.0.0.1", "fleet": "home", "action": "device.tag",
                 "subject": f"kit-{i:05d}", "is_allowed": True, "detail": {}}
                for i in range(count)
            ],
        )  # fmt: skip
