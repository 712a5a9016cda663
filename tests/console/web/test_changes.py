"""What is changed by the pages: done, audited in its transaction, refused where somebody was quicker (A85, A86)."""

import threading

import pytest
from console.web.website import API, DEVICE, HOME, Website, text_of
from sqlalchemy import select, text

from edgeagent.console import tables
from edgeagent.console.web.plan_form import filled, plan_typed, usual

PLAN = {key: value for key, value in usual().items() if value} | {"kind": "restart"}


def device(website: Website, name: str = "kit-00001") -> tables.Device:
    with website.database.reading() as session:
        return session.scalars(select(tables.Device).where(tables.Device.name == name)).one()


def test_a_job_is_asked_for_and_called_back_and_both_are_audited(website: Website) -> None:
    visitor = website.visitor("ole")
    where = visitor.post(f"{DEVICE}/jobs", {"kind": "identify"}).headers["location"]
    assert "Identify" in text_of(visitor.get(where).text)
    assert visitor.post(f"{where}/cancel").status_code == 303
    said = text_of(visitor.get(where).text)
    assert "Called back" in said
    assert [line.detail["kind"] for line in website.audited("device.job")] == ["identify"]
    assert len(website.audited("device.job.cancel")) == 1


def test_a_job_that_there_is_not_is_refused_and_audited(website: Website) -> None:
    visitor = website.visitor("ole")
    answer = visitor.post(f"{DEVICE}/jobs", {"kind": "explode"})
    assert "there is no job" in text_of(visitor.get(answer.headers["location"]).text)
    assert not website.audited("device.job")[-1].is_allowed


def test_settings_are_wanted_by_their_kinds_and_what_is_emptied_is_the_devices_own_again(website: Website) -> None:
    visitor = website.visitor("ole")
    form = {
        "version": "0",
        "s.hearing.cap_s": "9",
        "s.answering.only_trouble": "true",
        "s.waking.words": "alexa, jarvis",
    }
    assert visitor.post(f"{DEVICE}/settings", form | {"version": "0"}).status_code == 303
    found = device(website)
    assert found.desired == {"hearing.cap_s": 9, "answering.only_trouble": True, "waking.words": ["alexa", "jarvis"]}
    assert found.desired_version == 1
    assert found.desired_due is not None
    assert visitor.post(f"{DEVICE}/settings", {"version": "1", "s.hearing.cap_s": "9"}).status_code == 303
    assert device(website).desired == {"hearing.cap_s": 9}
    assert device(website).desired_version == 2


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"s.hearing.cap_s": "long"}, "hearing.cap_s: expected a number"),
        ({"s.hearing.cap_s": "9000"}, "less than or equal to 60"),
        ({"s.answering.only_trouble": "perhaps"}, "expected true or false"),
        ({"other-key": "hearing.nothing", "other-value": "1"}, "there is no such setting"),
        ({"other-key": "broker.password", "other-value": "x"}, "not for the fleet to change"),
        ({"s.device.id": "me"}, "not for the fleet to change"),
    ],
)
def test_a_setting_that_is_none_is_told_with_what_was_typed(website: Website, form: dict[str, str], told: str) -> None:
    answer = website.visitor("ole").post(f"{DEVICE}/settings", {"version": "0"} | form)
    assert answer.status_code == 422
    assert told in text_of(answer.text).replace("&#39;", "'")
    assert device(website).desired_version == 0


def test_a85_who_wants_settings_second_is_told_and_may_insist(website: Website) -> None:
    one, other = website.visitor("ole"), website.visitor("ada")
    one.post(f"{DEVICE}/settings", {"version": "0", "s.hearing.cap_s": "9"})
    answer = other.post(f"{DEVICE}/settings", {"version": "0", "s.hearing.cap_s": "7"})
    assert answer.status_code == 409
    assert "somebody else" in text_of(answer.text)
    assert device(website).desired == {"hearing.cap_s": 9}
    assert 'name="version" value="1"' in answer.text
    assert other.post(f"{DEVICE}/settings", {"version": "1", "s.hearing.cap_s": "7"}).status_code == 303
    assert device(website).desired == {"hearing.cap_s": 7}


def test_a85_of_two_who_change_the_same_rollout_at_once_one_wins_and_the_other_is_told(website: Website) -> None:
    where = website.visitor("ada").post(f"{HOME}/rollouts", PLAN).headers["location"]
    visitors = [website.visitor("ada"), website.visitor("ole")]
    marks = [visitor.csrf() for visitor in visitors]
    codes = []

    def act(number: int, what: str) -> None:
        form = {"csrf": marks[number], "revision": "1"}
        codes.append(visitors[number].http.post(f"{where}/{what}", data=form).status_code)

    threads = [threading.Thread(target=act, args=pair) for pair in ((0, "pause"), (1, "abort"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [303, 409]
    lines = [line.is_allowed for line in website.audited() if line.action in {"rollout.pause", "rollout.abort"}]
    assert sorted(lines) == [False, True]


def test_a85_of_two_who_edit_the_same_sentences_the_second_is_told_and_keeps_what_was_typed(website: Website) -> None:
    where = f"{HOME}/commands/hotel"
    assert website.visitor("ada").post(where, {"text": "intents: {}", "seen": "0"}).status_code == 303
    answer = website.visitor("ole").post(where, {"text": "intents: {mine: 1}", "seen": "0"})
    assert answer.status_code == 409
    assert "ada has kept revision 1" in text_of(answer.text)
    assert "intents: {mine: 1}" in answer.text


def test_a_rollout_is_made_watched_held_up_and_ended(website: Website) -> None:
    visitor = website.visitor("ole")
    where = visitor.post(f"{HOME}/rollouts", PLAN | {"title": "Restart all"}).headers["location"]
    page = visitor.get(where).text
    assert "Restart all" in text_of(page)
    for act, state, revision in (("pause", "paused", 1), ("resume", "running", 2), ("abort", "aborted", 3)):
        assert visitor.post(f"{where}/{act}", {"revision": str(revision)}).status_code == 303
        assert state in text_of(visitor.get(where).text)
    assert "Restart all" in text_of(visitor.get(f"{HOME}/rollouts").text)


def test_who_made_a_rollout_does_not_agree_to_it(website: Website) -> None:
    where = website.visitor("ole").post(f"{HOME}/rollouts", PLAN | {"approval": "yes"}).headers["location"]
    assert website.visitor("ole").post(f"{where}/approve", {"revision": "1"}).status_code == 422
    assert website.visitor("ada").post(f"{where}/approve", {"revision": "1"}).status_code == 303


def test_what_would_happen_is_told_before_and_nothing_is_changed(website: Website) -> None:
    visitor = website.visitor("ole")
    told = text_of(visitor.post(f"{HOME}/rollouts/what-if", PLAN | {"filter": "tag:floor=1"}).text)
    assert "1 device would be asked" in told
    assert "does not match the filter" in told
    forecast = visitor.post(f"{HOME}/rollouts/what-if", PLAN | {"kind": "update", "version": ""}).text
    assert "which version shall it be?<br>" in forecast
    assert "filter, column 1" in text_of(visitor.post(f"{HOME}/rollouts/what-if", PLAN | {"filter": "versio<1"}).text)
    with website.database.reading() as session:
        assert session.scalars(select(tables.Rollout)).all() == []


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"kind": "update", "version": ""}, "which version"),
        ({"kind": "update", "version": "new"}, "version"),
        ({"kind": "settings", "settings": "hearing.cap_s"}, "settings, line 1: expected key = value"),
        ({"kind": "settings", "settings": "hearing.cup_s = 1"}, "settings: there is no"),
        ({"shares": "50, 20, 100"}, "shares add up"),
        ({"shares": "a few"}, "waves: expected percents"),
        ({"bake": "long"}, "bake: expected minutes"),
        ({"window": "2-5"}, "window"),
        ({"time_zone": "Mars/Base"}, "there is no time zone"),
        ({"pace": "constant", "per_minute": "1.5"}, "whole number"),
        ({"filter": "(online"}, "filter, column"),
    ],
)
def test_a_plan_that_is_none_is_told_with_what_was_typed(website: Website, form: dict[str, str], told: str) -> None:
    answer = website.visitor("ole").post(f"{HOME}/rollouts", PLAN | {"title": "kept words"} | form)
    assert answer.status_code == 422
    assert told in text_of(answer.text).replace("&#39;", "'")
    assert "kept words" in answer.text


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"kind": "update", "family": "command-en", "version": "1.3.0"},
        {
            "kind": "settings",
            "settings": "hearing.cap_s = 9\nwaking.words = alexa, jarvis",
        },
        {"pace": "constant", "per_minute": "7"},
        {"pace": "exponential", "base": "3", "factor": "1.5", "step": "10"},
        {"window": "02:00-05:00", "time_zone": "Europe/Berlin", "approval": "yes", "guard": ""},
    ],
)
def test_a_plan_that_goes_into_the_form_and_back_is_the_same(form: dict[str, str]) -> None:
    plan = plan_typed(usual() | {"kind": "restart"} | form)
    assert plan_typed(usual() | filled(plan)) == plan


def test_a_device_is_described_and_its_tags_are_found(website: Website) -> None:
    visitor = website.visitor("ole")
    form = {"title": "Reception", "tags": "floor=9 lab", "note": "left of the door"}
    assert visitor.post(f"{DEVICE}/about", form).status_code == 303
    assert "Reception" in text_of(visitor.get(f"{HOME}?filter=tag:lab").text)
    assert "no tag" in text_of(visitor.post(f"{DEVICE}/about", {"tags": "=x"}).text)


def test_a_device_is_taken_out_by_its_name_alone(website: Website) -> None:
    visitor = website.visitor("ada")
    assert visitor.post(f"{DEVICE}/retire", {"name": "kit-0000"}).headers["location"].endswith("/about")
    assert device(website).retired is None
    assert visitor.post(f"{DEVICE}/retire", {"name": "kit-00001"}).status_code == 303
    assert device(website).retired is not None
    assert "kit-00001" not in text_of(visitor.get(HOME).text).replace("kit-00001 was taken", "")
    assert "kit-00001" in text_of(visitor.get(f"{HOME}?show=retired").text)


@pytest.mark.parametrize(("name", "status"), [("ole", 422), ("ada", 200)])
def test_only_an_admin_brings_back_what_an_admin_has_retired(website: Website, name: str, status: int) -> None:
    assert website.visitor("ada").post(f"{DEVICE}/retire", {"name": "kit-00001"}).status_code == 303
    made = website.visitor(name).post(f"{HOME}/enrolment", {"serial": "s-9", "device": "kit-00001", "days": "3"})
    assert made.status_code == status
    assert device(website).retired is not None  # a token alone brings nobody back


def test_tokens_are_made_from_a_table_shown_once_and_taken_back(website: Website) -> None:
    visitor = website.visitor("ole")
    lines = "serial,device,tags\ns-1,new-1,floor=2 lab\ns-2,new-2\n"
    page = visitor.post(f"{HOME}/enrolment", {"lines": lines, "days": "3"})
    assert page.status_code == 200
    assert page.text.count('class="qr"') == 2
    assert page.headers["cache-control"] == "no-store"
    listed = visitor.get(f"{HOME}/enrolment")
    assert "new-2" in listed.text
    with website.database.reading() as session:
        token = session.scalars(select(tables.EnrolmentToken).where(tables.EnrolmentToken.device == "new-1")).one()
    assert token.tags == {"floor": "2", "lab": ""}
    assert visitor.post(f"{HOME}/enrolment/{token.id}/revoke").status_code == 303
    assert "new-1" in text_of(visitor.get(f"{HOME}/enrolment?state=revoked").text)


def test_a_table_with_a_mistake_makes_no_token_and_names_the_line(website: Website) -> None:
    answer = website.visitor("ole").post(f"{HOME}/enrolment", {"lines": "s-1,new-1\ns-2\n"})
    assert answer.status_code == 422
    assert "line 2" in text_of(answer.text)
    answer = website.visitor("ole").post(f"{HOME}/enrolment", {"lines": "s-1,new-1\ns-2,BAD NAME\n"})
    assert answer.status_code == 422
    with website.database.reading() as session:
        assert session.scalars(select(tables.EnrolmentToken)).all() == []


def test_users_are_added_changed_and_somebody_always_stays_who_can(website: Website) -> None:
    visitor = website.visitor("ada")
    assert visitor.post("/users", {"name": "eve", "password": "x" * 12, "roles": "home=viewer"}).status_code == 303
    assert visitor.post("/users/eve/roles", {"roles": "home=operator other=viewer"}).status_code == 303
    assert "home: operator" in text_of(visitor.get("/users").text)
    answer = visitor.post("/users/ada/roles", {"roles": "home=viewer"})
    assert "nobody would be left" in text_of(answer.text)
    assert "10 characters" not in text_of(answer.text)
    short = visitor.post("/users", {"name": "max", "password": "short", "roles": ""})
    assert "12 to 200 were expected" in text_of(short.text)


def test_a_change_that_fails_leaves_nothing_but_its_line_in_the_trail(website: Website) -> None:
    body = {"devices": [{"serial": "a", "device": "new-1"}, {"serial": "b", "device": "other-00001"}]}
    assert website.program("ole").call("POST", f"{API}/tokens", body).status_code == 422
    with website.database.reading() as session:
        assert session.scalars(select(tables.EnrolmentToken)).all() == []
    assert [line.is_allowed for line in website.audited("enrolment.new")] == [False]


@pytest.mark.slow  # it waits three times for as long as a page may
def test_a86_while_the_database_is_locked_pages_are_read_and_changes_are_told_to_wait(website: Website) -> None:
    visitor = website.program("ada")
    with website.database.engine.connect() as connection:
        connection.execute(text("UPDATE kept SET value = value"))  # BEGIN IMMEDIATE holds the file
        assert visitor.get(f"{API}/devices").status_code == 200
        answer = visitor.call("POST", f"{API}/devices/kit-00001/jobs", {"kind": "identify"})
        assert answer.status_code == 503
        assert answer.json()["remedy"]
    assert visitor.call("POST", f"{API}/devices/kit-00001/jobs", {"kind": "identify"}).status_code == 201
