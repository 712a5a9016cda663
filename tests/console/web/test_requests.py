"""Requests as they should not be: paths, statements, hosts, sizes, kinds, heads (A82); and what every answer binds."""

import base64
import json

import httpx
import pytest
from console.web.website import API, DEVICE, HOME, Make, Website, hidden


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


HUGE = "9" * 20


def test_what_no_number_text_or_table_holds_is_refused_as_such(website: Website) -> None:
    visitor = website.visitor("ole")
    for answer in (
        visitor.get(f"{HOME}/commands/names?revision={HUGE}"),
        visitor.post(f"{HOME}/commands/names", {"text": "light: [a]", "seen": HUGE}),
        visitor.post(f"{HOME}/commands/names/try", {"text": "light: [a]", "seen": HUGE}),
        visitor.post(f"{DEVICE}/settings", {"version": HUGE}),
        visitor.post(f"{HOME}/rollouts/r0/pause", {"revision": HUGE}),
        visitor.get(f"{HOME}?page={HUGE}"),
        visitor.get(f"{DEVICE}/jobs?page={HUGE}"),
        visitor.get(f"{API}/commands/hotel?revision={HUGE}"),
        visitor.post(f"{HOME}/enrolment", {"lines": f'"{"a" * 150_000}",b'}),
        visitor.post(f"{HOME}/enrolment", {"lines": "a,b\rc"}),
        visitor.post(f"{HOME}/enrolment", {"lines": "a\0b,c"}),
    ):
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("client_data", ["e30", base64.urlsafe_b64encode(b"[" * 100_000).decode(), 5, None])
@pytest.mark.parametrize("id_", ["\\ud800", "\\u0000", "x" * 5_000])
def test_a_passkey_that_is_none_is_refused_as_such(website: Website, id_: str, client_data: object) -> None:
    body = f'{{"id":"{id_}","response":{{"clientDataJSON":{json.dumps(client_data)}}}}}'
    answer = website.stranger().http.post(
        "/login/passkey", content=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("name", ["edgeagent-said", "edgeagent-theme", "edgeagent", "edgeagent-login"])
def test_a_cookie_that_we_never_gave_breaks_no_page(website: Website, name: str) -> None:
    nested = base64.urlsafe_b64encode(b"[" * 2_900).decode()
    answer = website.stranger().get("/login", Cookie=f"{name}={nested}")
    assert answer.status_code == 200


def test_what_nobody_has_thought_of_is_told_plainly_on_a_page_that_binds_the_browser(website: Website) -> None:
    def breaks() -> None:
        raise RuntimeError("a secret of ours")

    website.app.get("/breaks")(breaks)
    website.app.get("/api/v1/breaks")(breaks)
    for address in ("/breaks", "/api/v1/breaks"):
        answer = website.stranger().get(address)
        assert answer.status_code == 500
        assert "a secret of ours" not in answer.text
        assert "Traceback" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_also_where_no_page_can_be_made_the_answer_is_plain(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(website.app.state.site.pages, "render", breaks)
    answer = website.stranger().get("/login")
    assert answer.status_code == 500
    assert "a secret of ours" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
