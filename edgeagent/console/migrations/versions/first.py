"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, those first to which others refer."""
    _audit()
    _fleets()
    _kept()
    _leases()
    _log_in_tries()
    _users()
    _api_tokens()
    _command_sets()
    _devices()
    _enrolment_tokens()
    _passkeys()
    _roles()
    _rollouts()
    _sessions()
    _certificates()
    _events()
    _health_hours()
    _installed()
    _jobs()
    _tags()


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=100), nullable=False),
        sa.Column("fleet", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("is_allowed", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("audit_by_fleet", "audit", ["fleet", "at"], unique=False)


def _fleets() -> None:
    op.create_table(
        "fleets",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fleets")),
    )


def _kept() -> None:
    op.create_table(
        "kept",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_kept")),
    )


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def _log_in_tries() -> None:
    op.create_table(
        "log_in_tries",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_log_in_tries")),
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password", sa.String(length=300), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
    )


def _api_tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=True),
        sa.Column("used", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_api_tokens_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_tokens_hash")),
    )


def _command_sets() -> None:
    op.create_table(
        "command_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fleet", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("saved", sa.Float(), nullable=False),
        sa.Column("saved_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["fleet"], ["fleets.name"], name=op.f("fk_command_sets_fleet")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command_sets")),
        sa.UniqueConstraint("fleet", "name", "revision", name=op.f("uq_command_sets_fleet_name_revision")),
    )


def _devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fleet", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("retired", sa.Float(), nullable=True),
        sa.Column("seen", sa.Float(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("online_since", sa.Float(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("muted", sa.Boolean(), nullable=False),
        sa.Column("boot", sa.String(length=64), nullable=False),
        sa.Column("boots_before", sa.String(length=400), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("events_seen", sa.String(length=400), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("version_key", sa.String(length=64), nullable=False),
        sa.Column("board", sa.String(length=100), nullable=False),
        sa.Column("hardware", sa.String(length=500), nullable=False),
        sa.Column("system", sa.String(length=500), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("releases", sa.JSON(), nullable=False),
        sa.Column("clock_ahead_s", sa.Float(), nullable=True),
        sa.Column("health", sa.String(length=8), nullable=False),
        sa.Column("health_reason", sa.String(length=500), nullable=False),
        sa.Column("gauges", sa.JSON(), nullable=False),
        sa.Column("counters", sa.JSON(), nullable=False),
        sa.Column("desired_version", sa.BigInteger(), nullable=False),
        sa.Column("desired", sa.JSON(), nullable=False),
        sa.Column("reported_version", sa.BigInteger(), nullable=False),
        sa.Column("reported", sa.JSON(), nullable=False),
        sa.Column("standing", sa.String(length=16), nullable=False),
        sa.Column("standing_problem", sa.String(length=500), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("born", sa.Float(), nullable=True),
        sa.Column("job_seen", sa.String(length=64), nullable=False),
        sa.Column("desired_seen", sa.BigInteger(), nullable=False),
        sa.Column("desired_sent", sa.Float(), nullable=True),
        sa.Column("desired_due", sa.Float(), nullable=True),
        sa.Column("desired_tries", sa.Integer(), nullable=False),
        sa.Column("certificate_until", sa.Float(), nullable=True),
        sa.Column("job_problem", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["fleet"], ["fleets.name"], name=op.f("fk_devices_fleet")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("fleet", "name", name=op.f("uq_devices_fleet_name")),
    )
    op.create_index("devices_by_health", "devices", ["fleet", "online", "health"], unique=False)
    op.create_index("devices_by_seen", "devices", ["fleet", "seen"], unique=False)
    op.create_index("devices_by_birth", "devices", ["born"], unique=False)
    _partial("devices_by_desired_due", "devices", ["desired_due"], "desired_due IS NOT NULL")


def _enrolment_tokens() -> None:
    op.create_table(
        "enrolment_tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("fleet", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.Column("used", sa.Float(), nullable=True),
        sa.Column("revoked", sa.Float(), nullable=True),
        sa.Column("reserved", sa.Float(), nullable=True),
        sa.Column("csr_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["fleet"], ["fleets.name"], name=op.f("fk_enrolment_tokens_fleet")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_enrolment_tokens_hash")),
    )
    op.create_index(
        "enrolment_tokens_open",
        "enrolment_tokens",
        ["device"],
        unique=True,
        sqlite_where=sa.text("used IS NULL AND revoked IS NULL"),
        postgresql_where=sa.text("used IS NULL AND revoked IS NULL"),
    )


def _passkeys() -> None:
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(length=400), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_passkeys_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
    )


def _roles() -> None:
    op.create_table(
        "roles",
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("fleet", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_roles_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user", "fleet", name=op.f("pk_roles")),
    )


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("fleet", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("wave_began", sa.Float(), nullable=True),
        sa.Column("wave_settled", sa.Float(), nullable=True),
        sa.Column("health", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=False),
        sa.Column("began", sa.Float(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.String(length=64), nullable=False),
        sa.Column("change", sa.String(length=100), nullable=False),
        sa.Column("ends_as", sa.String(length=16), nullable=False),
        sa.Column("forgiven", sa.Integer(), nullable=False),
        sa.Column("resumed", sa.JSON(), nullable=False),
        sa.Column("makers", sa.JSON(), nullable=False),
        sa.Column("looked", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["fleet"], ["fleets.name"], name=op.f("fk_rollouts_fleet")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollouts")),
    )
    op.create_index("rollouts_by_state", "rollouts", ["fleet", "state"], unique=False)


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("used", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_sessions_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sessions")),
    )


def _certificates() -> None:
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String(length=48), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("not_before", sa.Float(), nullable=False),
        sa.Column("not_after", sa.Float(), nullable=False),
        sa.Column("issued", sa.Float(), nullable=False),
        sa.Column("revoked", sa.Float(), nullable=True),
        sa.Column("revoked_for", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name=op.f("fk_certificates_device")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificates")),
    )
    op.create_index("certificates_by_device", "certificates", ["device"], unique=False)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name=op.f("fk_events_device"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("events_by_device", "events", ["device", "at"], unique=False)


def _health_hours() -> None:
    op.create_table(
        "health_hours",
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("decisions", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("repeated", sa.Integer(), nullable=False),
        sa.Column("ended_by_cap", sa.Integer(), nullable=False),
        sa.Column("decision_ms", sa.JSON(), nullable=False),
        sa.Column("gauges", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name=op.f("fk_health_hours_device"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device", "hour", name=op.f("pk_health_hours")),
    )


def _installed() -> None:
    op.create_table(
        "installed",
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("family", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("version_key", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name=op.f("fk_installed_device"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device", "family", name=op.f("pk_installed")),
    )
    op.create_index("installed_by_release", "installed", ["family", "version"], unique=False)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("rollout", sa.String(length=64), nullable=True),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("sent", sa.Float(), nullable=True),
        sa.Column("told", sa.Float(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.Column("cancel", sa.Boolean(), nullable=False),
        sa.Column("reached", sa.Float(), nullable=True),
        sa.Column("until", sa.Float(), nullable=True),
        sa.Column("due", sa.Float(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name=op.f("fk_jobs_device"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"], name=op.f("fk_jobs_rollout")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("rollout", "device", name=op.f("uq_jobs_rollout_device")),
    )
    op.create_index("jobs_by_device", "jobs", ["device", "created"], unique=False)
    op.create_index("jobs_by_rollout", "jobs", ["rollout", "wave", "state", "reached", "told"], unique=False)
    op.create_index("jobs_by_state", "jobs", ["state", "told"], unique=False)
    _partial("jobs_out", "jobs", ["ended", "due"], "due IS NOT NULL")
    _partial("jobs_by_until", "jobs", ["until"], "ended IS NULL AND until IS NOT NULL")


def _tags() -> None:
    op.create_table(
        "tags",
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name=op.f("fk_tags_device"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device", "key", name=op.f("pk_tags")),
    )
    op.create_index("tags_by_key", "tags", ["key", "value"], unique=False)


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)
