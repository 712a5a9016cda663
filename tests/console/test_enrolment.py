"""One-time tokens: what makes a device of a request, and what does not."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from edgeagent.console import certificates, enrolment
from edgeagent.console.authority import Authority, Issued, Signer
from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Audited, Certificate, Device, EnrolmentToken, Fleet, Kept, Table, Tag
from edgeagent.fleet.identity_keys import make_key, request
from edgeagent.fleet.wire import SUBJECT, Certified, EnrolRequest, RenewRequest

AnyTable = TypeVar("AnyTable", bound=Table)
NOW = time.time()
HOUR = 3_600.0


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/console.db?timeout=1")
    made.migrate()
    with made.session() as session:
        session.add_all([Fleet(name="home", created=NOW), Fleet(name="plant", created=NOW)])
    yield made
    made.close()


def rows(made: Database, table: type[AnyTable]) -> list[AnyTable]:
    with made.reading() as session:
        return list(session.scalars(select(table)))


def renew(made: Database, authority: Signer, asked: str, at: float = NOW, fleet: str = "home") -> Certified:
    answer = enrolment.renew(made, authority, fleet, "kitchen", RenewRequest(nonce="r", csr=asked), at)
    assert answer is not None
    return answer


def revoke(made: Database, at: float = NOW) -> int:
    with made.session() as session:
        return enrolment.revoke(session, session.scalars(select(Device)).one(), "stolen", at)


def retire(made: Database, at: float = NOW) -> None:
    with made.session() as session:
        enrolment.retire(session, session.scalars(select(Device)).one(), at)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.init(tmp_path_factory.mktemp("authority") / "a", "tests", NOW)


def csr(key: bytes | None = None) -> str:
    return request(key or make_key("file"), "whatever")


def token(made: Database, device: str = "kitchen", serial: str = "S-1", fleet: str = "home", **more: Any) -> str:
    given = {"now": NOW, "lasts_s": HOUR} | more
    with made.session() as session:
        return enrolment.new_token(
            session, fleet=fleet, serial=serial, device=device, tags={"floor": "2"}, by="eva", **given
        )[1]


def enrol(
    made: Database,
    authority: Signer,
    secret: str,
    *,
    asked: str | None = None,
    serial: str = "S-1",
    at: float = NOW,
    fleet: str = "home",
) -> Certified:
    wish = EnrolRequest(serial=serial, token=secret, csr=asked or csr())
    answer = enrolment.enrol(made, authority, fleet, wish, at, nonce="n1")
    assert answer is not None
    return answer


def common_name(pem: str) -> str:
    return str(
        x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    )


def test_a_token_makes_a_device_with_a_certificate_and_tags(made: Database, authority: Authority) -> None:
    answer = enrol(made, authority, token(made))
    assert (answer.problem, answer.fleet, answer.device, answer.nonce) == ("", "home", "kitchen", "n1")
    assert common_name(answer.certificate) == "kitchen"
    assert answer.ca == authority.trusted
    (device,) = rows(made, Device)
    assert (device.name, device.fleet, device.serial) == ("kitchen", "home", "S-1")
    assert [(tag.key, tag.value) for tag in rows(made, Tag)] == [("floor", "2")]
    (kept,) = rows(made, Certificate)
    assert 89 * 86_400 < kept.not_after - NOW <= 90 * 86_400
    assert rows(made, Audited)[0].action == "enrol"


def test_a_token_is_typed_by_people_and_kept_as_a_hash(made: Database, authority: Authority) -> None:
    secret = token(made)
    assert re.fullmatch(r"([A-HJ-NP-Z2-9]{4}-){4}[A-HJ-NP-Z2-9]{4}", secret)
    (kept,) = rows(made, EnrolmentToken)
    assert secret.replace("-", "") not in str(vars(kept))
    assert secret not in str(vars(kept))
    assert enrol(made, authority, f"  {secret.lower().replace('-', ' ')} ").problem == ""


def test_a63_a_token_used_twice_is_refused_for_another_key_and_answered_for_the_same(
    made: Database, authority: Authority
) -> None:
    secret, key = token(made), make_key("file")
    first = enrol(made, authority, secret, asked=csr(key))
    again = enrol(made, authority, secret, asked=csr(key), at=NOW + 60)
    assert again.certificate == first.certificate
    assert enrol(made, authority, secret).problem == enrolment.USED
    late = enrol(made, authority, secret, asked=csr(key), at=NOW + 2 * 86_400)
    assert late.problem == enrolment.USED
    assert len(rows(made, Certificate)) == 1


def test_a63_who_has_no_token_learns_nothing(made: Database, authority: Authority) -> None:
    secret, withdrawn = token(made), token(made, "hall", "S-2")
    with made.session() as session:
        row = session.scalars(select(EnrolmentToken).where(EnrolmentToken.device == "hall")).one()
        enrolment.withdraw(session, row, NOW)
    answers = {
        enrol(made, authority, "AAAA-BBBB-CCCC-DDDD-EEEE").problem,
        enrol(made, authority, secret, serial="S-9").problem,
        enrol(made, authority, secret, fleet="plant").problem,
        enrol(made, authority, withdrawn, serial="S-2").problem,
    }
    assert answers == {enrolment.REFUSED}
    assert len(rows(made, Device)) == 0


def test_a63_an_expired_token_says_so_to_who_holds_it(made: Database, authority: Authority) -> None:
    secret = token(made)
    assert enrol(made, authority, secret, at=NOW + 2 * HOUR).problem == enrolment.EXPIRED
    assert enrol(made, authority, secret, serial="S-9", at=NOW + 2 * HOUR).problem == enrolment.REFUSED


def test_a63_guesses_lock_nobody_out_and_write_nothing(made: Database, authority: Authority) -> None:
    secret = token(made)
    before = made.file.stat().st_mtime_ns, made.file.with_name("console.db-wal").stat().st_size  # type: ignore[union-attr]  # SQLite
    for number in range(40):
        assert enrol(made, authority, f"AAAA-BBBB-CCCC-DDDD-EE{number:02}").problem == enrolment.REFUSED
    after = made.file.stat().st_mtime_ns, made.file.with_name("console.db-wal").stat().st_size  # type: ignore[union-attr]  # SQLite
    assert after == before
    assert enrol(made, authority, secret).problem == ""


@pytest.mark.parametrize("asked", ["", "no PEM", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "x" * 7_999])
def test_a_request_that_is_none_spends_no_token(made: Database, authority: Authority, asked: str) -> None:
    secret = token(made)
    assert enrol(made, authority, secret, asked=asked or "-").problem.startswith("bad request: ")
    assert enrol(made, authority, secret).problem == ""


def test_a60_names_that_would_mean_something_else_get_no_token(made: Database) -> None:
    for device in (
        "",
        "a/b",
        "+",
        "#",
        "a+",
        "Kitchen",
        "a\0b",
        "k\n",
        "x" * 65,
        "claim-1",
        "console-1",
        "--help",
        "-k",
    ):
        with pytest.raises(ConsoleError):
            token(made, device)
    for serial in ("", "a/b", "x" * 65, "S 1", "S\n", "-S"):
        with pytest.raises(ConsoleError):
            token(made, serial=serial)
    with pytest.raises(ConsoleError, match="no such fleet"):
        token(made, fleet="moon")
    with pytest.raises(ConsoleError, match="cannot last"):
        token(made, lasts_s=1e9)


def test_a_device_name_is_one_over_all_fleets(made: Database, authority: Authority) -> None:
    secret = token(made)
    with pytest.raises(ConsoleError, match="another fleet"):
        token(made, "kitchen", "S-2", "plant")
    assert enrol(made, authority, secret).problem == ""
    with pytest.raises(ConsoleError, match="another fleet"):
        token(made, "kitchen", "S-2", "plant")


def test_a_newer_token_for_the_same_device_withdraws_the_older(made: Database, authority: Authority) -> None:
    older, newer = token(made), token(made)
    assert enrol(made, authority, older).problem == enrolment.REFUSED
    assert enrol(made, authority, newer).problem == ""


def test_a_device_renews_and_a_lost_answer_is_given_again(made: Database, authority: Authority) -> None:
    first = enrol(made, authority, token(made))
    key = make_key("file")
    later = NOW + 61 * 86_400
    renewed = renew(made, authority, csr(key), later)
    assert renewed.problem == ""
    assert renewed.certificate != first.certificate
    assert renew(made, authority, csr(key), later + 5).certificate == renewed.certificate
    assert [one.revoked for one in rows(made, Certificate)] == [None, None], "the one in use counts until its end"
    assert len(rows(made, Audited)) == 2


def test_renewals_are_bounded(made: Database, authority: Authority) -> None:
    enrol(made, authority, token(made))
    answers = [renew(made, authority, csr(), NOW + number) for number in range(enrolment.MOST_RENEWALS + 1)]
    assert [one.problem for one in answers] == [""] * enrolment.MOST_RENEWALS + [enrolment.TOO_OFTEN]
    assert len(rows(made, Certificate)) == 1 + enrolment.MOST_RENEWALS
    assert renew(made, authority, csr(), NOW + enrolment.RENEWALS_IN_S + 9).problem == ""


def test_renewals_that_the_authority_does_not_sign_are_bounded_too(made: Database, authority: Authority) -> None:
    enrol(made, authority, token(made))
    answers = [renew(made, _Refusing(), csr(), NOW + number).problem for number in range(enrolment.MOST_RENEWALS + 3)]
    assert answers == [enrolment.UNSIGNED] * enrolment.MOST_RENEWALS + [enrolment.TOO_OFTEN] * 3


def test_a42_a_revoked_or_retired_device_gets_nothing_more(made: Database, authority: Authority) -> None:
    secret = token(made)
    key = make_key("file")
    enrol(made, authority, secret, asked=csr(key))
    spare = token(made)
    assert (revoke(made), revoke(made)) == (1, 0)
    assert renew(made, authority, csr()).problem == enrolment.UNRENEWED
    assert enrol(made, authority, secret, asked=csr(key)).problem == enrolment.USED
    assert enrol(made, authority, spare).problem == enrolment.REFUSED
    with made.reading() as session:
        listed = certificates.revoked(session, NOW)
        assert certificates.revoked(session, NOW + 100 * 86_400) == []
    assert [one.serial for one in listed] == [one.serial for one in rows(made, Certificate)]
    retire(made)
    assert renew(made, authority, csr(), fleet="plant").problem == enrolment.UNRENEWED


def test_a42_who_was_retired_comes_back_only_by_somebody_who_may_say_so(made: Database, authority: Authority) -> None:
    enrol(made, authority, token(made))
    retire(made)
    with pytest.raises(ConsoleError, match="was retired") as caught:
        token(made, now=NOW + 1)
    assert "administrator" in caught.value.remedy
    back = token(made, now=NOW + 1, may_return=True)
    retire(made, NOW + 2)
    assert enrol(made, authority, back, at=NOW + 3).problem == enrolment.REFUSED
    assert enrol(made, authority, token(made, now=NOW + 4, may_return=True), at=NOW + 5).problem == ""
    assert rows(made, Device)[0].retired is None


@pytest.mark.parametrize("serial", ["S-1", "S-2"])
def test_a42_who_is_replaced_loses_its_certificates(made: Database, authority: Authority, serial: str) -> None:
    enrol(made, authority, token(made))
    renew(made, authority, csr())
    replaced = enrol(made, authority, token(made, serial=serial), serial=serial)
    assert replaced.problem == ""
    kept = rows(made, Certificate)
    assert [one.revoked_for for one in kept if one.revoked is not None] == ["replaced"] * 2
    assert [one.pem for one in kept if one.revoked is None] == [replaced.certificate]
    assert renew(made, authority, csr()).problem == ""


def test_an_expired_device_cannot_renew(made: Database, authority: Authority) -> None:
    enrol(made, authority, token(made))
    assert renew(made, authority, csr(), NOW + 91 * 86_400).problem == enrolment.UNRENEWED


def test_a_token_that_was_used_cannot_be_withdrawn(made: Database, authority: Authority) -> None:
    enrol(made, authority, token(made))
    with pytest.raises(ConsoleError, match="has been used"), made.session() as session:
        enrolment.withdraw(session, session.scalars(select(EnrolmentToken)).one(), NOW)


class _Refusing:
    trusted, signs_subjects = "", False

    def sign_device(self, csr_pem: str, fleet: str, device: str, now: float) -> Issued:  # noqa: ARG002
        raise ConsoleError("the smart card is out")


def test_an_authority_that_does_not_sign_spends_no_token_and_is_audited(made: Database, authority: Authority) -> None:
    secret = token(made)
    assert enrol(made, _Refusing(), secret).problem == enrolment.UNSIGNED
    refused = rows(made, Audited)[0]
    assert (refused.is_allowed, refused.detail) == (False, {"refused": "the smart card is out"})
    assert enrol(made, authority, secret, at=NOW + enrolment.RESERVED_S).problem == ""


class _Doing:
    """An authority that does something while it signs."""

    trusted, signs_subjects = "", False

    def __init__(self, own: Authority, do: Callable[[], object]) -> None:
        self._own, self._do = own, do

    def sign_device(self, csr_pem: str, fleet: str, device: str, now: float) -> Issued:
        self._do()
        return self._own.sign_device(csr_pem, fleet, device, now)


def test_an_authority_that_is_slow_holds_up_nobody_who_writes(made: Database, authority: Authority) -> None:
    def write() -> None:
        with made.session() as session:
            session.add(Kept(name=f"meanwhile {len(rows(made, Kept))}", value="y"))

    slow = _Doing(authority, write)
    assert enrol(made, slow, token(made)).problem == ""
    assert renew(made, slow, csr()).problem == ""
    assert sum(one.name.startswith("meanwhile") for one in rows(made, Kept)) == 2


def test_the_authority_is_asked_once_at_a_time_for_the_same(made: Database, authority: Authority) -> None:
    secret, asked, meanwhile = token(made), csr(), []

    def again() -> None:
        wish = EnrolRequest(serial="S-1", token=secret, csr=asked)
        meanwhile.append(enrolment.enrol(made, authority, "home", wish, NOW, nonce="n2"))

    def renew_again() -> None:
        wish = RenewRequest(nonce="r2", csr=asked)
        meanwhile.append(enrolment.renew(made, authority, "home", "kitchen", wish, NOW))

    assert enrol(made, _Doing(authority, again), secret, asked=asked).problem == ""
    asked = csr()
    assert renew(made, _Doing(authority, renew_again), asked).problem == ""
    assert meanwhile == [None, None]
    assert len(rows(made, Certificate)) == 2


def test_who_is_shut_out_while_the_authority_signs_gets_nothing(made: Database, authority: Authority) -> None:
    def withdraw() -> None:
        with made.session() as session:
            enrolment.withdraw(session, session.scalars(select(EnrolmentToken)).one(), NOW)

    assert enrol(made, _Doing(authority, withdraw), token(made)).problem == enrolment.REFUSED
    assert rows(made, Device) == []
    enrol(made, authority, token(made))
    assert renew(made, _Doing(authority, lambda: revoke(made)), csr()).problem == enrolment.UNRENEWED
    assert [one.revoked for one in rows(made, Certificate)] == [NOW]


def test_where_the_authority_signs_what_a_request_says_the_device_is_told_its_name(
    made: Database, authority: Authority
) -> None:
    naming = _Doing(authority, lambda: None)
    naming.signs_subjects = True
    secret, key = token(made), make_key("file")
    told = enrol(made, naming, secret, asked=csr(key))
    assert (told.problem.partition(":")[0], told.device, told.certificate) == (SUBJECT, "kitchen", "")
    assert enrol(made, naming, "AAAA-BBBB-CCCC-DDDD-EEEE").device == ""
    assert enrol(made, naming, secret, asked=request(key, "kitchen")).problem == ""


def test_a_name_is_free_again_when_another_fleet_s_token_has_run_out(made: Database) -> None:
    token(made)
    with pytest.raises(ConsoleError, match="another fleet"):
        token(made, fleet="plant")
    token(made, fleet="plant", now=NOW + 2 * HOUR)
    assert [one.fleet for one in rows(made, EnrolmentToken) if one.revoked is None] == ["plant"]


def test_one_token_at_most_is_open_for_a_name(made: Database) -> None:
    token(made)
    with pytest.raises(IntegrityError), made.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO enrolment_tokens (id, hash, fleet, serial, device, tags, created, created_by, expires,"
                " csr_hash) VALUES ('x', 'x', 'plant', 'S', 'kitchen', '{}', 0, 'eva', 1, '')"
            )
        )
