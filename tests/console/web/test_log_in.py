"""Who is let in, and when that ends (A81, A82)."""

import time
from typing import Literal

import pytest
from argon2 import PasswordHasher
from console.web.filled import PASSWORD
from console.web.website import HOME, Make, Website, hidden
from sqlalchemy import select, update

from edgeagent.console import tables
from edgeagent.console.web import sessions, users
from edgeagent.console.web.handed_out import hash_of
from edgeagent.console.web.pages.login import local
from edgeagent.console.web.passwords import Passwords


def test_who_knows_the_password_is_let_in_by_a_cookie_that_no_script_sees(website: Website) -> None:
    visitor = website.stranger()
    answer = visitor.log_in("ada", PASSWORD, HOME)
    assert answer.status_code == 303
    assert answer.headers["location"] == HOME
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("edgeagent="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert visitor.get(HOME).status_code == 200
    assert [line.user for line in website.audited("log in")] == ["ada"]


def test_by_tls_the_cookie_is_bound_to_this_host_and_browsers_come_back_by_tls_alone(make: Make) -> None:
    with make(settings='[web]\norigin = "https://fleet.example"\n') as website:
        visitor = website.stranger()
        form = visitor.get("/login")
        mark = next(one for one in form.headers.get_list("set-cookie") if one.startswith("edgeagent-login="))
        answer = visitor.http.post(
            "/login",
            data={"name": "ada", "password": PASSWORD, "mark": hidden(form.text, "mark")},
            headers={"Cookie": mark.partition(";")[0]},
        )
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("__Host-edgeagent="))
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_only_hashes_of_sessions_are_kept(website: Website) -> None:
    visitor = website.visitor("ada")
    secret = visitor.http.cookies["edgeagent"]
    with website.session() as session:
        row = session.scalars(select(tables.Session)).one()
    assert row.hash == hash_of(secret)
    assert secret not in (row.hash, row.csrf)
    assert hidden(visitor.get("/account").text, "csrf") not in (secret, row.hash, row.csrf)


def test_a_user_who_is_unknown_is_refused_in_the_same_words(website: Website) -> None:
    def told(name: str) -> str:
        answer = website.stranger().log_in(name, "not the password")
        assert answer.status_code == 401
        mark = hidden(answer.text, "mark")
        return answer.text.replace(mark, "").replace(f'value="{name}"', "")

    assert told("ada") == told("zoe")


class CountingHasher(PasswordHasher):
    """Notes what it has verified."""

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # as it is called
        verified.append(str(hash))
        return super().verify(hash, password)


verified: list[str] = []


def test_an_unknown_user_costs_as_much_computing_as_a_known_one() -> None:
    passwords = Passwords(CountingHasher(time_cost=1, memory_cost=8 << 10, parallelism=1))
    assert not passwords.is_right(None, "anything at all")
    assert not passwords.is_right(passwords.hashed(PASSWORD), "anything at all")
    assert passwords.is_right(passwords.hashed(PASSWORD), PASSWORD)
    parameters = {kept.rsplit("$", 2)[0] for kept in verified}
    assert len(verified) == 3
    assert len(parameters) == 1
    assert parameters.pop().startswith("$argon2id$")


@pytest.mark.parametrize(("field", "before_s"), [("used", sessions.IDLE_S + 5), ("expires", 0)])
def test_a81_a_session_ends_when_it_was_idle_and_at_all_events(website: Website, field: str, before_s: float) -> None:
    visitor = website.visitor("ada")
    assert visitor.get(HOME).status_code == 200
    with website.session() as session:
        session.execute(update(tables.Session).values({field: time.time() - before_s - 1}))
    answer = visitor.get(f"{HOME}?show=bad")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Ff%2Fhome%3Fshow%3Dbad"
    assert any(not line.is_allowed and line.subject == HOME for line in website.audited("refused"))


def test_a_session_that_somebody_else_has_planted_is_not_taken_over(website: Website) -> None:
    visitor = website.stranger()
    visitor.http.cookies.set("edgeagent", "planted-by-somebody-else")
    visitor.log_in("ada", PASSWORD)
    assert website.stranger().get(HOME).status_code == 303
    planted = website.stranger()
    planted.http.cookies.set("edgeagent", "planted-by-somebody-else")
    assert planted.get(HOME).status_code == 303


def test_logging_in_again_ends_the_session_that_this_browser_had(website: Website) -> None:
    visitor = website.visitor("ada")
    first = visitor.http.cookies["edgeagent"]
    visitor.log_in("ada", PASSWORD)
    old = website.stranger()
    old.http.cookies.set("edgeagent", first)
    assert old.get(HOME).status_code == 303
    assert visitor.get(HOME).status_code == 200


def test_logging_out_ends_the_session_itself(website: Website) -> None:
    visitor = website.visitor("ada")
    secret = visitor.http.cookies["edgeagent"]
    assert visitor.post("/logout").headers["location"] == "/login"
    again = website.stranger()
    again.http.cookies.set("edgeagent", secret)
    assert again.get(HOME).status_code == 303


def test_a_new_password_ends_every_other_session(website: Website) -> None:
    here, elsewhere = website.visitor("ada"), website.visitor("ada")
    new = "another horse another battery"
    answer = here.post("/account/password", {"old": PASSWORD, "new": new, "again": new})
    assert answer.status_code == 303, answer.text
    assert here.get(HOME).status_code == 200
    assert elsewhere.get(HOME).status_code == 303
    assert website.stranger().log_in("ada", PASSWORD).status_code == 401
    assert website.stranger().log_in("ada", new).status_code == 303


def test_the_old_password_must_be_known_and_guesses_of_it_count(website: Website) -> None:
    visitor = website.visitor("ada")
    new = "another horse another battery"
    codes = [
        visitor.post("/account/password", {"old": f"guess {n}", "new": new, "again": new}).status_code for n in range(6)
    ]
    assert codes[0] == 422
    assert codes[-1] == 429


def test_who_is_disabled_is_put_out_at_once(website: Website) -> None:
    visitor, program = website.visitor("ole"), website.program("ole")
    with website.session() as session:
        users.disable(session, "ole", is_disabled=True)
    assert visitor.get(HOME).status_code == 303
    assert program.get("/api/v1/fleets").status_code == 401
    assert website.stranger().log_in("ole", PASSWORD).status_code == 401


def ways_in(website: Website, user: str) -> dict[str, int]:
    """Return how many of each a user has."""
    with website.session() as session:
        kinds = (tables.Session, tables.ApiToken, tables.Passkey)
        return {kind.__name__: len(session.scalars(select(kind).where(kind.user == user)).all()) for kind in kinds}


@pytest.mark.parametrize("by", ["page", "api"])
def test_who_is_given_another_password_has_no_way_in_from_before(website: Website, by: str) -> None:
    website.visitor("vic")
    program, admin = website.program("vic"), website.visitor("ada")
    with website.session() as session:
        session.add(tables.Passkey(id="k", user="vic", public_key=b"", sign_count=0, created=0))
    new = "another long password"
    if by == "page":
        assert admin.post("/users/vic/password", {"password": new}).status_code == 303
    else:
        changed = website.program("ada").call("PATCH", "/api/v1/users/vic", {"password": new})
        assert changed.status_code == 200
    assert set(ways_in(website, "vic").values()) == {0}
    assert program.get("/api/v1/me").status_code == 401
    assert website.stranger().log_in("vic", new).status_code == 303


def test_who_is_let_in_again_has_no_tokens_from_before(website: Website) -> None:
    program, admin = website.program("vic"), website.visitor("ada")
    for disabled in ("yes", "no"):
        assert admin.post("/users/vic/disabled", {"disabled": disabled}).status_code == 303
    assert program.get("/api/v1/me").status_code == 401


def test_other_ways_in_are_made_by_who_has_just_logged_in(website: Website) -> None:
    visitor = website.visitor("vic")
    mark = {"X-CSRF-Token": visitor.csrf()}
    fields = {"title": "t", "role": "viewer", "days": "3"}

    def codes() -> list[int]:
        return [
            visitor.post("/account/tokens", fields).status_code,
            visitor.http.post("/api/v1/me/tokens", json={"title": "t", "role": "viewer"}, headers=mark).status_code,
            visitor.http.post("/account/passkeys/options", json={}, headers=mark).status_code,
        ]

    assert codes() == [200, 201, 200]
    with website.session() as session:
        session.execute(update(tables.Session).values(created=time.time() - 601))
    assert codes() == [403, 403, 403]
    stolen = visitor.http.post("/account/passkeys", json={"id": "x"}, headers=mark)
    assert stolen.status_code == 403
    assert stolen.json()["remedy"]
    assert "Log in again" in visitor.get("/account").text
    assert ways_in(website, "vic")["ApiToken"] == 2


def test_a_page_that_is_left_open_keeps_no_log_in_alive(website: Website) -> None:
    visitor, before = website.visitor("vic"), time.time() - 3_600

    def is_used(address: str, **headers: str) -> bool:
        with website.session() as session:
            session.execute(update(tables.Session).values(used=before))
        assert visitor.get(address, **headers).status_code in {200, 404}
        with website.session() as session:
            return session.scalars(select(tables.Session.used)).one() != before

    assert is_used(HOME)
    assert not is_used(HOME, **{"X-Live": "1"})
    assert not is_used(f"{HOME}/map.svg", **{"Sec-Fetch-Dest": "image"})
    assert not is_used(f"{HOME}/live?topic=nothing")


def test_the_log_in_form_of_another_browser_is_refused(website: Website) -> None:
    mark = hidden(website.stranger().get("/login").text, "mark")
    answer = website.stranger().http.post("/login", data={"name": "ada", "password": PASSWORD, "mark": mark})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "where",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/ok\r\nSet-Cookie: a=b",
        "/\t/evil.example",
        "",
        "evil",
    ],
)
def test_a82_nobody_is_sent_elsewhere_after_logging_in(website: Website, where: str) -> None:
    assert local(where) == "/"
    answer = website.stranger().log_in("ada", PASSWORD, where)
    assert answer.headers["location"] == "/"
    assert "a=b" not in str(answer.headers)


def test_there_is_nobody_before_somebody_was_added(website: Website) -> None:
    with website.session() as session:
        for table in (tables.Role, tables.User):
            session.query(table).delete()
    for name, password in (("admin", "admin"), ("edgeagent", "edgeagent"), ("", "")):
        assert website.stranger().log_in(name, password).status_code in {401, 429}


def test_a_user_has_at_most_so_many_sessions(website: Website) -> None:
    with website.session() as session:
        for number in range(sessions.MOST_OF_A_USER + 5):
            sessions.start(session, "ada", time.time() + number)
            session.flush()
        mine = session.scalars(select(tables.Session).where(tables.Session.user == "ada")).all()
    assert len(mine) == sessions.MOST_OF_A_USER
