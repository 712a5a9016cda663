"""What the console keeps: one class per table. Times are in seconds since 1970, by the console's clock.

Rules:
    - The database is the truth: a rollout stands as its jobs stand, and is counted, never kept in memory.
    - What is secret is kept as a hash, or not at all.
    - A change of this file comes with a migration (`edgeagent/console/migrations/versions`).
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from edgeagent.console.versions import version_key


class Table(DeclarativeBase):
    """What all tables share; constraints have names, by which later revisions find them."""

    metadata = MetaData(
        naming_convention={
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012  # SQLAlchemy's own way


def _where(condition: str) -> dict[str, Any]:
    """Return what makes an index partial, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Fleet(Table):
    """A fleet: its name is in every topic."""

    __tablename__ = "fleets"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    title: Mapped[str] = mapped_column(String(200), default="")
    created: Mapped[float] = mapped_column(Float)


class Device(Table):
    """A device, as it was seen last. `health` is computed when something is heard of it: ok, warn, bad."""

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("fleet", "name"),
        Index("devices_by_health", "fleet", "online", "health"),
        Index("devices_by_seen", "fleet", "seen"),
        Index("devices_by_birth", "born"),
        Index("devices_by_desired_due", "desired_due", **_where("desired_due IS NOT NULL")),
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    fleet: Mapped[str] = mapped_column(ForeignKey("fleets.name"))
    name: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200), default="")
    serial: Mapped[str] = mapped_column(String(64), default="")
    area: Mapped[str] = mapped_column(String(200), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    created: Mapped[float] = mapped_column(Float)
    retired: Mapped[float | None] = mapped_column(Float)
    """When it was taken out of the fleet; what it says from then on is not heard."""
    seen: Mapped[float | None] = mapped_column(Float)
    online: Mapped[bool] = mapped_column(default=False)
    online_since: Mapped[float | None] = mapped_column(Float)
    reason: Mapped[str] = mapped_column(String(500), default="")
    muted: Mapped[bool] = mapped_column(default=False)
    boot: Mapped[str] = mapped_column(String(64), default="")
    boots_before: Mapped[str] = mapped_column(String(400), default="")
    """The last few before this one, the newest first: what comes late of them changes nothing."""
    seq: Mapped[int] = mapped_column(BigInteger, default=0)
    events_seen: Mapped[str] = mapped_column(String(400), default="")
    """The numbers of the last events of this start, the newest first: an event that comes again is known by them."""
    version: Mapped[str] = mapped_column(String(100), default="")
    version_key: Mapped[str] = mapped_column(String(64), default="")
    """By which versions are compared: `edgeagent.console.versions`."""
    board: Mapped[str] = mapped_column(String(100), default="")
    hardware: Mapped[str] = mapped_column(String(500), default="")
    system: Mapped[str] = mapped_column(String(500), default="")
    capabilities: Mapped[list[Any]] = mapped_column(default=list)
    releases: Mapped[dict[str, Any]] = mapped_column(default=dict)
    clock_ahead_s: Mapped[float | None] = mapped_column(Float)
    """How far its clock is ahead of ours."""
    health: Mapped[str] = mapped_column(String(8), default="ok")
    health_reason: Mapped[str] = mapped_column(String(500), default="")
    gauges: Mapped[dict[str, Any]] = mapped_column(default=dict)
    counters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The last sample's, from which the next one's difference is taken; with "boot" and "decision_ms"."""
    desired_version: Mapped[int] = mapped_column(BigInteger, default=0)
    desired: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reported_version: Mapped[int] = mapped_column(BigInteger, default=0)
    reported: Mapped[dict[str, Any]] = mapped_column(default=dict)
    standing: Mapped[str] = mapped_column(String(16), default="none")
    standing_problem: Mapped[str] = mapped_column(String(500), default="")
    job: Mapped[str] = mapped_column(String(64), default="")
    """The job that its pointer names now, as the broker has it."""
    born: Mapped[float | None] = mapped_column(Float)
    """When its birth was heard last; with what that said of the pointers it has seen: `Birth.job`, `Birth.desired`."""
    job_seen: Mapped[str] = mapped_column(String(64), default="")
    desired_seen: Mapped[int] = mapped_column(BigInteger, default=0)
    desired_sent: Mapped[float | None] = mapped_column(Float)
    """When the pointer to its settings was published last."""
    desired_due: Mapped[float | None] = mapped_column(Float)
    """When it shall be published next; None when the device has told that it has seen it."""
    desired_tries: Mapped[int] = mapped_column(Integer, default=0)
    certificate_until: Mapped[float | None] = mapped_column(Float)
    """When its certificate ends, as its birth says."""
    job_problem: Mapped[str] = mapped_column(String(500), default="")
    """Why its last job failed; empty when that did not."""

    @validates("version")
    def _keyed(self, _name: str, version: str) -> str:
        self.version_key = version_key(version)
        return version


class Tag(Table):
    """A word that operators have put on a device: a key, and perhaps a value."""

    __tablename__ = "tags"
    __table_args__ = (Index("tags_by_key", "key", "value"),)
    device: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(200), default="")


class Installed(Table):
    """A release that a device has: `releases` of its birth, one row each, so that it can be asked for."""

    __tablename__ = "installed"
    __table_args__ = (Index("installed_by_release", "family", "version"),)
    device: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True)
    family: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[str] = mapped_column(String(64))
    version_key: Mapped[str] = mapped_column(String(64), default="")

    @validates("version")
    def _keyed(self, _name: str, version: str) -> str:
        self.version_key = version_key(version)
        return version


class HealthHour(Table):
    """What a device counted in an hour. `hour`: hours since 1970 by our clock; `decision_ms` as on the wire."""

    __tablename__ = "health_hours"
    device: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[int] = mapped_column(Integer, primary_key=True)
    decisions: Mapped[int] = mapped_column(Integer, default=0)
    rejected: Mapped[int] = mapped_column(Integer, default=0)
    repeated: Mapped[int] = mapped_column(Integer, default=0)
    ended_by_cap: Mapped[int] = mapped_column(Integer, default=0)
    decision_ms: Mapped[list[Any]] = mapped_column(default=list)
    gauges: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The last of the hour."""


class Event(Table):
    """Something that a device has told: command, rejection, question, outcome, fault, online, offline, settings."""

    __tablename__ = "events"
    __table_args__ = (Index("events_by_device", "device", "at"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    device: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"))
    at: Mapped[float] = mapped_column(Float)
    kind: Mapped[str] = mapped_column(String(32))
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Rollout(Table):
    """Something brought to many devices in waves. `plan` is a `rollouts.nouns.Plan` as JSON; `state` is its own."""

    __tablename__ = "rollouts"
    __table_args__ = (Index("rollouts_by_state", "fleet", "state"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    fleet: Mapped[str] = mapped_column(ForeignKey("fleets.name"))
    title: Mapped[str] = mapped_column(String(200), default="")
    plan: Mapped[dict[str, Any]] = mapped_column()
    state: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(Text, default="")
    wave: Mapped[int] = mapped_column(Integer, default=0)
    wave_began: Mapped[float | None] = mapped_column(Float)
    wave_settled: Mapped[float | None] = mapped_column(Float)
    """Since when enough of the wave has succeeded: the bake time counts from here."""
    health: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The last comparison of voice health, with its statistic."""
    created: Mapped[float] = mapped_column(Float)
    created_by: Mapped[str] = mapped_column(String(64))
    approved_by: Mapped[str] = mapped_column(String(64), default="")
    began: Mapped[float | None] = mapped_column(Float)
    ended: Mapped[float | None] = mapped_column(Float)
    revision: Mapped[int] = mapped_column(Integer, default=0)
    """Counts changes by people: who changes an older revision is told so, and who did what before him."""
    changed_by: Mapped[str] = mapped_column(String(64), default="")
    change: Mapped[str] = mapped_column(String(100), default="")
    """What the last person did, in the past: approved, paused, …"""
    ends_as: Mapped[str] = mapped_column(String(16), default="")
    """What comes of `stopping`: stopped, aborted."""
    forgiven: Mapped[int] = mapped_column(Integer, default=0)
    """Failures of the running wave that somebody has seen and gone on with."""
    resumed: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Of the running wave: when somebody resumed it last ("at"), and how many undone jobs he saw ("undone")."""
    makers: Mapped[list[Any]] = mapped_column(default=list)
    """Who has made its plan, changed it, or begun it: none of them agrees to it."""
    looked: Mapped[float | None] = mapped_column(Float)
    """When devices that have joined or left were looked for last."""


class Job(Table):
    """One thing asked of one device; of a rollout, or of an operator (`rollout` None).

    `state`: pending (not asked yet), sent, then what the device tells (`edgeagent.fleet.wire.ENDS`); skipped for a
    device that the rollout has passed over, lost for one that was retired.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("rollout", "device"),
        Index("jobs_by_rollout", "rollout", "wave", "state", "reached", "told"),
        Index("jobs_by_device", "device", "created"),
        Index("jobs_by_state", "state", "told"),
        Index("jobs_out", "ended", "due", **_where("due IS NOT NULL")),
        Index("jobs_by_until", "until", **_where("ended IS NULL AND until IS NOT NULL")),
    )
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"))
    rollout: Mapped[str | None] = mapped_column(ForeignKey("rollouts.id"))
    wave: Mapped[int] = mapped_column(Integer, default=0)
    kind: Mapped[str] = mapped_column(String(16))
    body: Mapped[dict[str, Any]] = mapped_column()
    """The pointer as it is published."""
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Of settings that it wants: by key, what "was" wanted before (null: nothing) and what it "became". None: none, or
    they were given back."""
    state: Mapped[str] = mapped_column(String(16))
    step: Mapped[int] = mapped_column(Integer, default=-1)
    reason: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created: Mapped[float] = mapped_column(Float)
    created_by: Mapped[str] = mapped_column(String(64), default="")
    sent: Mapped[float | None] = mapped_column(Float)
    """When the pointer was published last."""
    told: Mapped[float | None] = mapped_column(Float)
    """When the device told of it last."""
    ended: Mapped[float | None] = mapped_column(Float)
    cancel: Mapped[bool] = mapped_column(default=False)
    """Whether it shall be called back: the pointer is then that of its cancellation."""
    reached: Mapped[float | None] = mapped_column(Float)
    """Since when the device has it, as far as is known: it was online, or told of it. None: it is waited for."""
    until: Mapped[float | None] = mapped_column(Float)
    """When the console gives it up, if nothing has ended it by then."""
    due: Mapped[float | None] = mapped_column(Float)
    """When its pointer shall be published next. None: no pointer of it is, or shall be, on the broker."""
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """How often that pointer was published."""


class EnrolmentToken(Table):
    """A one-time secret by which a device gets its identity. Only its hash is kept."""

    __tablename__ = "enrolment_tokens"
    # One that is open for each name, over all fleets: two that are made at once must not both be.
    __table_args__ = (
        Index("enrolment_tokens_open", "device", unique=True, **_where("used IS NULL AND revoked IS NULL")),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    fleet: Mapped[str] = mapped_column(ForeignKey("fleets.name"))
    serial: Mapped[str] = mapped_column(String(64))
    device: Mapped[str] = mapped_column(String(64))
    tags: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created: Mapped[float] = mapped_column(Float)
    created_by: Mapped[str] = mapped_column(String(64))
    expires: Mapped[float] = mapped_column(Float)
    used: Mapped[float | None] = mapped_column(Float)
    revoked: Mapped[float | None] = mapped_column(Float)
    reserved: Mapped[float | None] = mapped_column(Float)
    """When the authority was asked last: nothing is signed twice."""
    csr_hash: Mapped[str] = mapped_column(String(64), default="")
    """Of the request that it was used for: the same one, asked again, is answered again."""


class Certificate(Table):
    """A certificate that was issued to a device. `serial` is hexadecimal."""

    __tablename__ = "certificates"
    __table_args__ = (Index("certificates_by_device", "device"),)
    serial: Mapped[str] = mapped_column(String(48), primary_key=True)
    device: Mapped[int] = mapped_column(ForeignKey("devices.id"))
    pem: Mapped[str] = mapped_column(Text)
    not_before: Mapped[float] = mapped_column(Float)
    not_after: Mapped[float] = mapped_column(Float)
    issued: Mapped[float] = mapped_column(Float)
    revoked: Mapped[float | None] = mapped_column(Float)
    revoked_for: Mapped[str] = mapped_column(String(200), default="")


class User(Table):
    """Somebody who may log in. `password` is argon2's string; None for who uses passkeys alone."""

    __tablename__ = "users"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    password: Mapped[str | None] = mapped_column(String(300))
    created: Mapped[float] = mapped_column(Float)
    disabled: Mapped[bool] = mapped_column(default=False)


class Role(Table):
    """What a user may do in a fleet, `*` for all: viewer, operator, admin."""

    __tablename__ = "roles"
    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"), primary_key=True)
    fleet: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))


class Session(Table):
    """A log-in. Only hashes of its secrets are kept."""

    __tablename__ = "sessions"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"))
    csrf: Mapped[str] = mapped_column(String(64))
    created: Mapped[float] = mapped_column(Float)
    used: Mapped[float] = mapped_column(Float)
    expires: Mapped[float] = mapped_column(Float)


class ApiToken(Table):
    """A program's way in, as a user, with that user's roles at most; `role` may be less."""

    __tablename__ = "api_tokens"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    created: Mapped[float] = mapped_column(Float)
    expires: Mapped[float | None] = mapped_column(Float)
    used: Mapped[float | None] = mapped_column(Float)


class Passkey(Table):
    """A public key by which a user logs in without a password (WebAuthn)."""

    __tablename__ = "passkeys"
    id: Mapped[str] = mapped_column(String(400), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200), default="")
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(Integer, default=0)
    created: Mapped[float] = mapped_column(Float)


class LogInTry(Table):
    """Failed log-ins, by user and by address: `key` is one or the other."""

    __tablename__ = "log_in_tries"
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    last: Mapped[float] = mapped_column(Float)


class Audited(Table):
    """Who did what, when, from where; also what was refused. Never a secret."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_fleet", "fleet", "at"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[float] = mapped_column(Float)
    user: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(100), default="")
    fleet: Mapped[str] = mapped_column(String(64), default="")
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(300), default="")
    is_allowed: Mapped[bool] = mapped_column(default=True)
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


class CommandSet(Table):
    """A set of sentence templates that is being edited, as YAML; a release is made of it elsewhere, and signed."""

    __tablename__ = "command_sets"
    __table_args__ = (UniqueConstraint("fleet", "name", "revision"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    fleet: Mapped[str] = mapped_column(ForeignKey("fleets.name"))
    name: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)
    saved: Mapped[float] = mapped_column(Float)
    saved_by: Mapped[str] = mapped_column(String(64))


class Lease(Table):
    """Which console does what only one may do at a time."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    until: Mapped[float] = mapped_column(Float)


class Kept(Table):
    """A single value of the console's own, by name."""

    __tablename__ = "kept"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
