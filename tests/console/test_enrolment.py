"""One-time tokens: what makes a device of a request, and what does not."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from edgeagent.console import certificates, enrolment
from edgeagent.console.authority import Authority, Issued
from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Audited, Certificate, Device, EnrolmentToken, Fleet, LogInTry, Tag
from edgeagent.fleet.identity_keys import make_key, request
from edgeagent.fleet.wire import Certified, EnrolRequest, RenewRequest

NOW = time.time()
HOUR = 3_600.0


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Database(f"sqlite:///{tmp_path}/console.db")
    made.migrate()
    with made.session() as opened:
        opened.add_all([Fleet(name="home", created=NOW), Fleet(name="plant", created=NOW)])
        opened.flush()
        yield opened


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.init(tmp_path_factory.mktemp("authority") / "a", "tests", NOW)


def csr(key: bytes | None = None) -> str:
    return request(key or make_key("file"), "whatever")


def token(session: Session, device: str = "kitchen", serial: str = "S-1", fleet: str = "home", **more: float) -> str:
    given = {"now": NOW, "lasts_s": HOUR} | more
    return enrolment.new_token(
        session, fleet=fleet, serial=serial, device=device, tags={"floor": "2"}, by="eva", **given
    )[1]


def enrol(
    session: Session,
    authority: Authority,
    secret: str,
    *,
    asked: str | None = None,
    serial: str = "S-1",
    **more: object,
) -> Certified:
    wish = EnrolRequest(serial=serial, token=secret, csr=asked or csr())
    at, fleet = more.get("at", NOW), more.get("fleet", "home")
    assert isinstance(at, float)
    assert isinstance(fleet, str)
    return enrolment.enrol(session, authority, fleet, wish, at, nonce="n1")


def common_name(pem: str) -> str:
    return str(
        x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    )


def test_a_token_makes_a_device_with_a_certificate_and_tags(session: Session, authority: Authority) -> None:
    answer = enrol(session, authority, token(session))
    assert (answer.problem, answer.fleet, answer.device, answer.nonce) == ("", "home", "kitchen", "n1")
    assert common_name(answer.certificate) == "kitchen"
    assert answer.ca == authority.trusted
    device = session.scalars(select(Device)).one()
    assert (device.name, device.fleet, device.serial) == ("kitchen", "home", "S-1")
    assert [(tag.key, tag.value) for tag in session.scalars(select(Tag))] == [("floor", "2")]
    kept = session.scalars(select(Certificate)).one()
    assert 89 * 86_400 < kept.not_after - NOW <= 90 * 86_400
    assert session.scalars(select(Audited)).one().action == "enrol"


def test_a_token_is_typed_by_people_and_kept_as_a_hash(session: Session, authority: Authority) -> None:
    secret = token(session)
    assert re.fullmatch(r"([A-HJ-NP-Z2-9]{4}-){4}[A-HJ-NP-Z2-9]{4}", secret)
    kept = session.scalars(select(EnrolmentToken)).one()
    assert secret.replace("-", "") not in str(vars(kept))
    assert secret not in str(vars(kept))
    assert enrol(session, authority, f"  {secret.lower().replace('-', ' ')} ").problem == ""


def test_a63_a_token_used_twice_is_refused_for_another_key_and_answered_for_the_same(
    session: Session, authority: Authority
) -> None:
    secret, key = token(session), make_key("file")
    first = enrol(session, authority, secret, asked=csr(key))
    again = enrol(session, authority, secret, asked=csr(key), at=NOW + 60)
    assert again.certificate == first.certificate
    assert enrol(session, authority, secret).problem == enrolment.USED
    late = enrol(session, authority, secret, asked=csr(key), at=NOW + 2 * 86_400)
    assert late.problem == enrolment.USED
    assert session.scalar(select(func.count()).select_from(Certificate)) == 1


def test_a63_who_has_no_token_learns_nothing(session: Session, authority: Authority) -> None:
    secret, withdrawn = token(session), token(session, "hall", "S-2")
    row = session.scalars(select(EnrolmentToken).where(EnrolmentToken.device == "hall")).one()
    enrolment.withdraw(session, row, NOW)
    answers = {
        enrol(session, authority, "AAAA-BBBB-CCCC-DDDD-EEEE").problem,
        enrol(session, authority, secret, serial="S-9").problem,
        enrol(session, authority, secret, fleet="plant").problem,
        enrol(session, authority, withdrawn, serial="S-2").problem,
    }
    assert answers == {enrolment.REFUSED}
    assert session.scalar(select(func.count()).select_from(Device)) == 0


def test_a63_an_expired_token_says_so_to_who_holds_it(session: Session, authority: Authority) -> None:
    secret = token(session)
    assert enrol(session, authority, secret, at=NOW + 2 * HOUR).problem == enrolment.EXPIRED
    assert enrol(session, authority, secret, serial="S-9", at=NOW + 2 * HOUR).problem == enrolment.REFUSED


def test_a63_guessing_is_slowed_down_by_serial_number_and_ends_with_time(
    session: Session, authority: Authority
) -> None:
    secret = token(session)
    for _ in range(enrolment.MOST_FAILURES):
        assert enrol(session, authority, "AAAA-BBBB-CCCC-DDDD-EEEE").problem == enrolment.REFUSED
    assert enrol(session, authority, secret).problem == enrolment.SLOWED
    other = token(session, "hall", "S-2")
    assert enrol(session, authority, other, serial="S-2").problem == ""
    assert enrol(session, authority, secret, at=NOW + enrolment.FAILURES_LAST_S + 1).problem == ""


def test_guesses_under_made_up_serial_numbers_do_not_fill_the_table(
    session: Session, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrolment, "MOST_FAILING", 20)
    for number in range(40):
        enrol(session, authority, "AAAA-BBBB-CCCC-DDDD-EEEE", serial=f"X-{number}")
    assert session.scalar(select(func.count()).select_from(LogInTry)) == 20
    enrol(session, authority, "AAAA-BBBB-CCCC-DDDD-EEEE", serial="Y", at=NOW + enrolment.FAILURES_LAST_S + 1)
    assert session.scalar(select(func.count()).select_from(LogInTry)) == 1
    assert session.scalar(select(func.count()).select_from(Audited)) == 0


@pytest.mark.parametrize("asked", ["", "no PEM", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "x" * 7_999])
def test_a_request_that_is_none_spends_no_token(session: Session, authority: Authority, asked: str) -> None:
    secret = token(session)
    assert enrol(session, authority, secret, asked=asked or "-").problem.startswith("bad request: ")
    assert enrol(session, authority, secret).problem == ""


def test_a60_names_that_would_mean_something_else_get_no_token(session: Session) -> None:
    for device in ("", "a/b", "+", "#", "a+", "Kitchen", "a\0b", "k\n", "x" * 65, "claim-1", "console-1"):
        with pytest.raises(ConsoleError):
            token(session, device)
    for serial in ("", "a/b", "x" * 65, "S 1", "S\n"):
        with pytest.raises(ConsoleError):
            token(session, serial=serial)
    with pytest.raises(ConsoleError, match="no such fleet"):
        token(session, fleet="moon")
    with pytest.raises(ConsoleError, match="cannot last"):
        token(session, lasts_s=1e9)


def test_a_device_name_is_one_over_all_fleets(session: Session, authority: Authority) -> None:
    secret = token(session)
    with pytest.raises(ConsoleError, match="another fleet"):
        token(session, "kitchen", "S-2", "plant")
    assert enrol(session, authority, secret).problem == ""
    with pytest.raises(ConsoleError, match="another fleet"):
        token(session, "kitchen", "S-2", "plant")


def test_a_newer_token_for_the_same_device_withdraws_the_older(session: Session, authority: Authority) -> None:
    older, newer = token(session), token(session)
    assert enrol(session, authority, older).problem == enrolment.REFUSED
    assert enrol(session, authority, newer).problem == ""


def test_a_device_renews_and_a_lost_answer_is_given_again(session: Session, authority: Authority) -> None:
    first = enrol(session, authority, token(session))
    key = make_key("file")
    later = NOW + 61 * 86_400
    wish = RenewRequest(nonce="r1", csr=csr(key))
    renewed = enrolment.renew(session, authority, "home", "kitchen", wish, later)
    assert renewed.problem == ""
    assert renewed.certificate != first.certificate
    again = enrolment.renew(session, authority, "home", "kitchen", RenewRequest(nonce="r2", csr=csr(key)), later + 5)
    assert (again.certificate, again.nonce) == (renewed.certificate, "r2")


def test_renewals_are_bounded(session: Session, authority: Authority) -> None:
    enrol(session, authority, token(session))
    answers = [
        enrolment.renew(session, authority, "home", "kitchen", RenewRequest(nonce="r", csr=csr()), NOW + number)
        for number in range(enrolment.MOST_RENEWALS + 1)
    ]
    assert answers[-1].problem == enrolment.TOO_OFTEN
    assert session.scalar(select(func.count()).select_from(Certificate)) == enrolment.MOST_RENEWALS


def test_a42_a_revoked_or_retired_device_gets_nothing_more(session: Session, authority: Authority) -> None:
    secret = token(session)
    key = make_key("file")
    enrol(session, authority, secret, asked=csr(key))
    device = session.scalars(select(Device)).one()
    spare = token(session)
    assert enrolment.revoke(session, device, "stolen", NOW) == 1
    assert enrolment.revoke(session, device, "stolen", NOW) == 0
    wish = RenewRequest(nonce="r", csr=csr())
    assert enrolment.renew(session, authority, "home", "kitchen", wish, NOW).problem == enrolment.UNRENEWED
    assert enrol(session, authority, secret, asked=csr(key)).problem == enrolment.USED
    assert enrol(session, authority, spare).problem == enrolment.REFUSED
    listed = certificates.revoked(session, NOW)
    assert [one.serial for one in listed] == [session.scalars(select(Certificate)).one().serial]
    assert certificates.revoked(session, NOW + 100 * 86_400) == []
    enrolment.retire(session, device, NOW)
    assert enrolment.renew(session, authority, "plant", "kitchen", wish, NOW).problem == enrolment.UNRENEWED
    back = token(session)
    assert enrol(session, authority, back).problem == ""
    assert session.scalars(select(Device)).one().retired is None


def test_an_expired_device_cannot_renew(session: Session, authority: Authority) -> None:
    enrol(session, authority, token(session))
    wish = RenewRequest(nonce="r", csr=csr())
    late = enrolment.renew(session, authority, "home", "kitchen", wish, NOW + 91 * 86_400)
    assert late.problem == enrolment.UNRENEWED


def test_a_token_that_was_used_cannot_be_withdrawn(session: Session, authority: Authority) -> None:
    enrol(session, authority, token(session))
    with pytest.raises(ConsoleError, match="has been used"):
        enrolment.withdraw(session, session.scalars(select(EnrolmentToken)).one(), NOW)


class _Refusing:
    trusted = ""

    def sign_device(self, csr_pem: str, fleet: str, device: str, now: float) -> Issued:  # noqa: ARG002
        raise ConsoleError("the smart card is out")


def test_an_authority_that_does_not_sign_spends_no_token_and_is_audited(session: Session, authority: Authority) -> None:
    secret = token(session)
    wish = EnrolRequest(serial="S-1", token=secret, csr=csr())
    assert enrolment.enrol(session, _Refusing(), "home", wish, NOW, nonce="n").problem == enrolment.UNSIGNED
    refused = session.scalars(select(Audited)).one()
    assert (refused.is_allowed, refused.detail) == (False, {"refused": "the smart card is out"})
    assert enrol(session, authority, secret).problem == ""
