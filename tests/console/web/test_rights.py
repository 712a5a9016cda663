"""Who may what: every route, every role; fleets apart; forged requests (A81, A82, A84)."""

import re
from collections.abc import Iterator

import httpx
import pytest
from console.web.website import API, DEVICE, HOME, Visitor, Website
from fastapi.routing import APIRoute
from sqlalchemy import func, select

from edgeagent.console import tables
from edgeagent.console.web import live, users
from edgeagent.console.web.api import routers as api_routers
from edgeagent.console.web.pages import routers as page_routers

OPEN = {"/login", "/login/passkey", "/login/passkey/options"}
"""What anybody may ask for: how else would one log in."""
ONES_OWN = {"/", "/fleets", "/theme", "/logout", "/api", "/api/v1/openapi.json", "/api/v1/fleets"}
"""For everybody who is logged in, beside their account."""
FOR_OPERATORS = {f"{HOME}/enrolment", f"{HOME}/rollouts/new", f"{API}/tokens", f"{HOME}/commands/hotel/bundle.zip"}
FOR_ADMINS = {f"{HOME}/audit", f"{API}/audit", "/audit", "/users", "/api/v1/audit", "/api/v1/users", "/metrics"}
PARTS = {
    "fleet": "home",
    "device": "kit-00001",
    "job": "j2-0",
    "token": "0000",
    "rollout": "r0",
    "name": "hotel",
    "user": "vic",
    "passkey": "none",
    "act": "pause",
}


def routes() -> Iterator[tuple[str, str]]:
    """Return every method and address of the console, filled in."""
    for router in (*page_routers(), live.router, *api_routers()):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            address = re.sub(r"\{(\w+)\}", lambda found: PARTS[found[1]], route.path)
            for method in sorted(route.methods or ()):
                yield method, address


def test_there_are_routes() -> None:
    assert len(set(routes())) > 70


def ask(visitor: Visitor, method: str, address: str, csrf: str = "") -> httpx.Response:
    if address.endswith("/live"):
        address += "?topic=fleet"
    if method == "GET":
        return visitor.get(address)
    if address.startswith("/api/") or "passkey" in address:
        return visitor.http.request(method, address, json={}, headers={"X-CSRF-Token": csrf})
    return visitor.http.request(method, address, data={"csrf": csrf})


def is_refused(answer: httpx.Response) -> bool:
    to_log_in = answer.status_code == 303 and answer.headers["location"].startswith("/login")
    return answer.status_code in {401, 403, 404} or to_log_in


def test_a81_a_stranger_gets_nowhere_and_a_few_lines_of_it_are_kept(website: Website) -> None:
    stranger = website.stranger()
    for method, address in routes():
        if address in OPEN:
            continue
        answer = ask(stranger, method, address)
        assert is_refused(answer), (method, address, answer.status_code)
        assert "kit-00001" not in answer.text
    lines = website.audited("refused")
    assert 1 <= len(lines) <= 30
    assert all(not line.is_allowed for line in lines)


def test_a84_an_admin_of_another_fleet_gets_nowhere_in_this_one(website: Website) -> None:
    visitor = website.visitor("xen")
    csrf = visitor.csrf()
    for method, address in routes():
        if "home" not in address:
            continue
        before = len(website.audited())
        answer = ask(visitor, method, address, csrf)
        assert answer.status_code == 404, (method, address, answer.status_code, answer.text)
        assert "kit-0000" not in answer.text.replace(address, "")
        assert len(website.audited()) == before + 1, (method, address)
        assert not website.audited()[-1].is_allowed


def test_a81_a_viewer_changes_nothing(website: Website) -> None:
    visitor = website.visitor("vic")
    csrf = visitor.csrf()
    for method, address in routes():
        if method == "GET" or address in OPEN | ONES_OWN or "/account" in address or "/me/" in address:
            continue
        answer = ask(visitor, method, address, csrf)
        assert answer.status_code == 403, (method, address, answer.status_code, answer.text)
        last = website.audited()[-1]
        assert not last.is_allowed
        assert (last.user, last.subject) == ("vic", address)


@pytest.mark.parametrize(("name", "closed"), [("vic", FOR_OPERATORS | FOR_ADMINS), ("ole", FOR_ADMINS)])
def test_pages_for_operators_and_admins_are_closed_to_others(website: Website, name: str, closed: set[str]) -> None:
    visitor = website.visitor(name)
    for method, address in routes():
        if method != "GET" or address in OPEN or address.endswith("/live"):
            continue
        code = visitor.get(address).status_code
        assert (code == 403) == (address in closed), (address, code)


def test_an_operator_takes_no_device_out(website: Website) -> None:
    visitor = website.visitor("ole")
    for address in (f"{DEVICE}/revoke", f"{DEVICE}/retire"):
        assert visitor.post(address, {"name": "kit-00001"}).status_code == 403
    with website.session() as session:
        assert session.scalar(select(tables.Device.retired).where(tables.Device.name == "kit-00001")) is None


def test_an_admin_of_one_fleet_makes_neither_fleets_nor_users(website: Website) -> None:
    visitor = website.visitor("xen")
    assert visitor.post("/fleets", {"name": "third"}).status_code == 403
    assert visitor.post("/users", {"name": "eve", "password": "a" * 20}).status_code == 403
    with website.session() as session:
        assert session.get(tables.Fleet, "third") is None


def test_the_list_of_fleets_shows_ones_own(website: Website) -> None:
    assert "/f/home" not in website.visitor("xen").get("/fleets").text
    assert [one["name"] for one in website.program("xen").get("/api/v1/fleets").json()] == ["other"]


@pytest.mark.parametrize("what", ["device", "job", "rollout", "token"])
def test_a84_what_belongs_to_another_fleet_is_not_here(website: Website, what: str) -> None:
    """Asked for under a fleet that one may change: the address is right but for the fleet."""
    both = website.program("ada")
    theirs = "/api/v1/fleets/other"
    restart = {"plan": {"what": {"kind": "restart"}}}
    match what:
        case "device":
            made = "devices/other-00001"
        case "job":
            theirs_too = both.get(f"{theirs}/devices/other-00001/jobs").json()["items"]
            made = f"devices/kit-00001/jobs/{theirs_too[0]['id']}"
        case "rollout":
            made = f"rollouts/{both.call('POST', f'{theirs}/rollouts', restart).json()['id']}"
        case _:
            wanted = {"devices": [{"serial": "s", "device": "new-1"}]}
            made = f"tokens/{both.call('POST', f'{theirs}/tokens', wanted).json()[0]['id']}"
    operator = website.program("ole", "operator")
    method = "DELETE" if what == "token" else "GET"
    answer = operator.http.request(method, f"{API}/{made}")
    assert answer.status_code == 404
    last = website.audited()[-1]
    assert (last.user, last.is_allowed) == ("ole", False)


def test_a_token_allows_no_more_than_its_user_and_no_more_than_itself(website: Website) -> None:
    job = {"kind": "identify"}
    address = f"{API}/devices/kit-00001/jobs"
    assert website.program("vic", "admin").call("POST", address, job).status_code == 403
    assert website.program("ada", "viewer").call("POST", address, job).status_code == 403
    assert website.program("ole", "operator").call("POST", address, job).status_code == 201


def test_a_token_ends_and_is_kept_as_a_hash(website: Website) -> None:
    program = website.program("ada")
    secret = program.http.headers["Authorization"].partition(" ")[2]
    assert program.get("/api/v1/me").json()["user"] == "ada"
    with website.session() as session:
        token = session.scalars(select(tables.ApiToken)).one()
        assert secret not in {token.hash, token.id}
        token.expires = 1.0
    assert program.get("/api/v1/me").status_code == 401


def test_a_token_makes_sees_and_removes_no_tokens(website: Website) -> None:
    program = website.program("ada")
    assert program.call("POST", "/api/v1/me/tokens", {"title": "more", "role": "admin"}).status_code == 403
    assert program.get("/api/v1/me/tokens").status_code == 403
    with website.session() as session:
        token = session.scalars(select(tables.ApiToken.id)).one()
    assert program.call("DELETE", f"/api/v1/me/tokens/{token}").status_code == 403
    assert program.get("/api/v1/me").status_code == 200


def test_pages_take_no_tokens_whatever_they_allow(website: Website) -> None:
    program = website.program("ada", "admin")
    for method, address in routes():
        if address.startswith("/api/v1/") or address in OPEN | {"/metrics"}:
            continue
        answer = ask(program, method, address)
        assert is_refused(answer), (method, address, answer.status_code)
    made = program.http.post("/account/tokens", data={"title": "evil", "role": "admin", "days": "0"})
    assert made.status_code == 401
    with website.session() as session:
        assert len(session.scalars(select(tables.ApiToken)).all()) == 1


@pytest.mark.parametrize("csrf", ["", "wrong"])
def test_a82_a_form_without_its_mark_changes_nothing_and_is_noted(website: Website, csrf: str) -> None:
    visitor = website.visitor("ada")
    answer = visitor.http.post(f"{DEVICE}/jobs", data={"kind": "restart", "csrf": csrf})
    assert answer.status_code == 403
    assert [line.subject for line in website.audited("forged")] == [f"{DEVICE}/jobs"]
    with website.session() as session:
        assert session.scalar(select(func.count()).where(tables.Job.kind == "restart")) == 0


def test_a82_the_mark_of_somebody_else_does_not_do(website: Website) -> None:
    theirs = website.visitor("ole").csrf()
    answer = website.visitor("ada").http.post(f"{DEVICE}/jobs", data={"kind": "restart", "csrf": theirs})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a82_what_another_site_sends_is_refused_even_with_the_mark(website: Website, headers: dict[str, str]) -> None:
    visitor = website.visitor("ada")
    data = {"kind": "restart", "csrf": visitor.csrf()}
    assert visitor.http.post(f"{DEVICE}/jobs", data=data, headers=headers).status_code == 403
    assert visitor.http.post(f"{DEVICE}/jobs", data=data, headers={"Origin": website.base}).status_code == 303


def test_a82_the_api_takes_a_session_only_with_its_mark(website: Website) -> None:
    visitor = website.visitor("ada")
    address = f"{API}/devices/kit-00001/jobs"
    assert visitor.call("POST", address, {"kind": "identify"}).status_code == 403
    mark = {"X-CSRF-Token": visitor.csrf()}
    assert visitor.http.post(address, json={"kind": "identify"}, headers=mark).status_code == 201


def test_who_has_begun_a_rollout_does_not_agree_to_it(website: Website) -> None:
    with website.session() as session:
        users.add(session, website.app.state.site.passwords, "pia", "a password of hers", {"home": "operator"}, 0.0)
    made = {"title": "t", "plan": {"what": {"kind": "restart"}, "needs_approval": True}, "draft": True}
    rollout = website.program("ole").call("POST", f"{API}/rollouts", made).json()

    def ask_as(user: str, act: str) -> httpx.Response:
        revision = website.program(user).get(f"{API}/rollouts/{rollout['id']}").json()["revision"]
        return website.program(user).call("POST", f"{API}/rollouts/{rollout['id']}/{act}", {"revision": revision})

    assert ask_as("pia", "start").json()["state"] == "waiting-for-approval"
    for user in ("pia", "ole"):
        assert ask_as(user, "approve").status_code == 422
    assert ask_as("ada", "approve").json()["state"] == "running"
