"""Guessing is slowed down, whoever guesses and from wherever, and keeps no owner out (A83)."""

import time

import pytest
from console.web.filled import PASSWORD
from console.web.website import Website
from sqlalchemy import select

from edgeagent.console import tables
from edgeagent.console.web import browsers, throttle


@pytest.mark.parametrize("name", ["ada", "zoe"])
def test_a83_guessing_a_password_is_slowed_down_also_of_a_user_who_is_not_there(website: Website, name: str) -> None:
    visitor = website.stranger()
    answers = [visitor.log_in(name, f"guess {number}") for number in range(10)]
    assert answers[0].status_code == 401
    slowed = next(answer for answer in answers if answer.status_code == 429)
    assert int(slowed.headers["retry-after"]) >= 1


def test_a83_who_has_failed_too_often_waits_also_with_the_right_password(website: Website) -> None:
    key = throttle.keys_of("ada", "127.0.0.1")[0]
    with website.session() as session:
        session.add(tables.LogInTry(key=key, failures=9, last=time.time() + 60))
    assert website.stranger().log_in("ada", PASSWORD).status_code == 429


def fail_often(website: Website, keys: tuple[str, ...], times: int) -> None:
    now = time.time() + 5  # whatever is tried meanwhile is early
    with website.session() as session:
        for key in keys:
            session.merge(tables.LogInTry(key=key, failures=times, last=now))


def test_strangers_who_guess_keep_nobody_out_of_the_browser_that_they_always_use(website: Website) -> None:
    usual, new = website.visitor("ada"), website.stranger()
    usual.post("/logout")
    fail_often(website, throttle.keys_of("ada", "127.0.0.1"), 1_000)
    assert new.log_in("ada", PASSWORD).status_code == 429
    assert usual.log_in("ada", PASSWORD).status_code == 303


def test_a83_a_browser_that_is_known_has_a_count_of_its_own(website: Website) -> None:
    usual = website.visitor("ada")
    codes = [usual.log_in("ada", f"guess {number}").status_code for number in range(12)]
    assert codes[0] == 401
    assert codes[-1] == 429


def test_a83_a_browser_is_known_for_the_user_who_logged_in_there_alone(website: Website) -> None:
    usual = website.visitor("vic")
    fail_often(website, throttle.keys_of("ada", "127.0.0.1"), 1_000)
    assert usual.log_in("ada", PASSWORD).status_code == 429
    forged = website.stranger()
    name, made, seal = usual.http.cookies["edgeagent-known"].split(".")
    for cookie in (f"{name}.{made}.{seal[::-1]}", f"{name}.{made}9.{seal}", "..", "a.b.c", "\N{SUPERSCRIPT TWO}.2.3"):
        assert not browsers.known(b"key", "vic", cookie, time.time())
    forged.http.cookies.set("edgeagent-known", f"{name}.{made}.{seal[::-1]}")
    assert forged.log_in("ada", PASSWORD).status_code == 429


def test_who_guesses_from_ever_new_addresses_holds_an_owner_up_for_a_second_at_most(website: Website) -> None:
    now = 1_800_000_000.0
    with website.session() as session:
        for number in range(500):
            now += 2
            throttle.count_try(session, throttle.keys_of("ada", f"2001:db8:{number:x}::1"), now)
        waits = [throttle.count_try(session, throttle.keys_of("ada", "203.0.113.5"), now)]
        assert 0 < waits[0] <= 1
        assert throttle.count_try(session, throttle.keys_of("ada", "203.0.113.5"), now + waits[0]) == 0


def test_a83_the_addresses_of_one_network_are_one(website: Website) -> None:
    now = 1_800_000_000.0
    with website.session() as session:
        tries = [throttle.keys_of("ada", f"2001:db8::{number:x}") for number in range(50)]
        let_through = sum(throttle.count_try(session, keys, now) == 0 for keys in tries)
    assert let_through == throttle.PATIENCE["pair"].free
    assert throttle.prefix_of("::ffff:203.0.113.5") == "203.0.113.5"
    assert throttle.prefix_of("a socket") == "a socket"


def test_neighbours_behind_one_address_wait_a_minute_at_most_for_each_other(website: Website) -> None:
    now = 1_800_000_000.0
    with website.session() as session:
        for number in range(3_000):
            throttle.count_try(session, throttle.keys_of(f"user{number}", "10.0.0.1"), now)
            now += 1
        wait_s = throttle.count_try(session, throttle.keys_of("ole", "10.0.0.1"), now)
    assert wait_s <= throttle.PATIENCE["address"].most_s <= 60


def test_a_password_that_was_typed_as_a_name_is_kept_nowhere(website: Website) -> None:
    website.stranger().log_in(PASSWORD, "")
    website.stranger().log_in("ada", "wrong")
    first, second = website.audited("log in")
    assert (first.user, second.user) == ("", "ada")
    assert PASSWORD not in f"{first.user} {first.subject} {first.detail}"
    with website.session() as session:
        assert not [row.key for row in session.scalars(select(tables.LogInTry)) if PASSWORD in row.key]


def test_a83_the_wait_grows_and_has_a_bound_and_a_try_that_is_right_forgets_it(website: Website) -> None:
    keys, now = throttle.keys_of("ada", "10.0.0.1"), time.time()
    waits = []
    with website.session() as session:
        for _ in range(40):
            wait_s = throttle.count_try(session, keys, now)
            waits.append(wait_s)
            now += wait_s
            if wait_s:
                throttle.count_try(session, keys, now)
        growing = [wait for wait in waits if wait]
        assert growing == sorted(growing)
        assert growing[0] <= 2
        assert max(growing) <= max(one.most_s for one in throttle.PATIENCE.values())
        throttle.let_in(session, keys)
        session.flush()
        assert throttle.count_try(session, throttle.keys_of("ada", "10.0.0.1")[:1], now) == 0


def test_a83_one_address_that_tries_many_users_is_slowed_down(website: Website) -> None:
    visitor = website.stranger()
    codes = [visitor.log_in(f"user{number}", "some guess").status_code for number in range(34)]
    assert codes[0] == 401
    assert codes[-1] == 429


def test_a83_a_hundred_tries_at_once_are_a_hundred(website: Website) -> None:
    keys, now = throttle.keys_of("ada", "10.0.0.1"), time.time()
    let_through = 0
    for _ in range(100):
        with website.session() as session:  # a transaction each, before any password is looked at
            let_through += throttle.count_try(session, keys, now) == 0
    assert let_through == throttle.PATIENCE["pair"].free


def test_what_is_remembered_of_tries_is_bounded(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_KEYS", 50)
    with website.session() as session:
        for number in range(200):
            throttle.count_try(session, throttle.keys_of(f"user{number}", f"10.0.{number}.1"), float(number))
        session.flush()
        assert len(session.scalars(select(tables.LogInTry)).all()) <= 56
