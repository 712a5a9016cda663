"""What the broker was seen to refuse stays refused, whatever the database says."""

from pathlib import Path

from sqlalchemy import select

from edgeagent.console.certificates import recall, revoked
from edgeagent.console.database import Database
from edgeagent.console.tables import Certificate, Device, Fleet

NOW = 1_700_000_000.0


def test_what_a_database_that_was_put_back_holds_for_valid_is_revoked_again(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
        session.flush()
        session.add(Device(id=1, fleet="home", name="kitchen", created=1.0))
        session.flush()
        more = {"device": 1, "pem": "", "not_before": 1.0, "not_after": NOW + 1, "issued": 1.0}
        session.add_all(Certificate(serial=serial, **more) for serial in ("ab", "cd"))
    with database.session() as session:
        assert recall(session, tmp_path / "crl.pem", NOW) == 0
        (tmp_path / "crl.pem.enforced").write_text("ab\nef\n")
        assert recall(session, tmp_path / "crl.pem", NOW) == 1
        assert recall(session, tmp_path / "crl.pem", NOW) == 0
    with database.reading() as session:
        assert [one.serial for one in revoked(session, NOW)] == ["ab"]
        assert session.scalar(select(Certificate.revoked_for).where(Certificate.serial == "cd")) == ""
    database.close()
