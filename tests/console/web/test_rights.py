"""Who may what: every route, every role; fleets apart; forged requests (A81, A82, A84)."""

import re
from collections.abc import Iterator

import httpx
import pytest
from console.web.website import API, DEVICE, HOME, Make, Visitor, Website, hidden
from fastapi.routing import APIRoute
from sqlalchemy import func, select

from edgeagent.console import tables
from edgeagent.console.web import live
from edgeagent.console.web.api import routers as api_routers
from edgeagent.console.web.pages import routers as page_routers

OPEN = {"/login", "/login/passkey", "/login/passkey/options"}
"""What anybody may ask for: how else would one log in."""
ONES_OWN = {"/", "/fleets", "/theme", "/logout", "/api", "/api/v1/openapi.json", "/api/v1/fleets"}
"""For everybody who is logged in, beside their account."""
FOR_OPERATORS = {f"{HOME}/enrolment", f"{HOME}/rollouts/new", f"{API}/tokens"}
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


def test_a_token_makes_no_tokens(website: Website) -> None:
    made = website.program("ada").call("POST", "/api/v1/me/tokens", {"title": "more", "role": "admin"})
    assert made.status_code == 403


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


@pytest.mark.parametrize(
    "address",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fapp.py",
        "/static//etc/passwd",
        "/f/home/d/..%2f..%2fusers",
        "/f/..%2fother",
        "/f/home/commands/..%2f..%2fx/bundle.zip",
    ],
)
def test_a82_no_path_leads_out(website: Website, address: str) -> None:
    answer = website.visitor("ada").http.get(httpx.URL(website.base + address))
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert "make_app" not in answer.text


SQL = [
    "' OR 1=1 --",
    "'; DROP TABLE devices; --",
    '" OR ""="',
    "%",
    "_",
    "\\",
    "x' UNION SELECT password FROM users --",
]


@pytest.mark.parametrize("text", SQL)
def test_a82_what_is_searched_for_is_never_a_part_of_a_statement(website: Website, text: str) -> None:
    visitor = website.visitor("ada")
    for address in (HOME, f"{HOME}/audit", "/audit"):
        answer = visitor.http.get(address, params={"search": text, "user": text})
        assert answer.status_code == 200
    found = website.program("ada").http.get(f"{API}/devices", params={"search": text}).json()
    assert found["total"] == 0
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    for filter_ in (f'name:"{quoted}"', f'tag:"{quoted}"'):
        found = website.program("ada").http.get(f"{API}/devices", params={"filter": filter_}).json()
        assert found.get("total", 0) == 0, found


def test_every_answer_binds_the_browser(website: Website) -> None:
    visitor = website.visitor("ada")
    for address in ("/login", HOME, DEVICE, "/nowhere", "/static/console.js", "/api/v1/fleets", f"{HOME}/map.svg"):
        headers = visitor.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in {name.lower() for name in headers} or headers["server"] == "uvicorn"
    assert visitor.get(HOME).headers["cache-control"] == "no-store"


def test_what_is_too_large_or_of_another_kind_is_not_read(website: Website) -> None:
    visitor = website.visitor("ada")
    data = {"csrf": visitor.csrf(), "text": "x" * 700_000, "seen": "0"}
    assert visitor.http.post(f"{HOME}/commands/hotel", data=data).status_code == 413
    chunks = visitor.http.post(
        f"{HOME}/commands/hotel",
        content=(b"x" * 100_000 for _ in range(9)),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert chunks.status_code == 413
    assert visitor.http.post("/theme", content=b"<a/>", headers={"Content-Type": "text/xml"}).status_code == 415
    assert visitor.http.post("/theme", files={"a": b"b"}).status_code == 415


def test_a82_under_another_name_this_console_does_not_answer(make: Make) -> None:
    with make(settings='[web]\norigin = "http://fleet.example:8321"\n') as website:
        visitor = website.stranger()
        assert visitor.get("/login").status_code == 200
        assert visitor.get("/login", Host="evil.example").status_code == 421


def test_a82_what_is_written_into_an_answers_head_holds_no_line_end(website: Website) -> None:
    visitor = website.visitor("ada")
    answer = visitor.post("/theme", {"theme": "dark", "back": "/f/home\r\nX-Evil: 1"})
    assert "x-evil" not in answer.headers
    answer = visitor.post("/fleets", {"name": "bad\r\nSet-Cookie: a=b"})
    assert "a=b" not in str(answer.headers)


def test_the_page_of_a_form_holds_the_mark_of_its_reader(website: Website) -> None:
    visitor = website.visitor("ada")
    assert hidden(visitor.get(DEVICE).text, "csrf") == visitor.csrf()
