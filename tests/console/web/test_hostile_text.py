"""Names, titles, transcripts and log lines as somebody hostile would write them, in every page (A82); secrets (A87)."""

import logging
import re
import time
from html.parser import HTMLParser

import pytest
from console.web.filled import PASSWORD
from console.web.test_rights import FOR_ADMINS, OPEN, routes
from console.web.website import API, DEVICE, HOME, Website
from sqlalchemy import select, update

from edgeagent.console import tables
from edgeagent.console.web.audit import note
from edgeagent.console.web.rendering import age, stamp

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</title></textarea><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u2066 \x1b[31m",
    "&lt;b&gt; &#x3c;script&#x3e;",
]
MARK = "hostile"


class Reader(HTMLParser):
    """Reads a page as a browser does, and notes what it would run, and where it would go."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.runs: list[str] = []
        self.tags: set[str] = set()
        self.goes: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if tag == "script" and not (found.get("src") or "").startswith("/static/"):
            self.runs.append(f"script {found}")
        for name, value in attrs:
            if name.startswith("on") or name in {"style", "srcdoc"}:
                self.runs.append(f"{tag} {name}={value}")
            if name in {"href", "src", "action", "formaction", "srcset", "data-live", "data-preview"}:
                self.goes.append(value or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def plant(website: Website, payload: str) -> None:
    """Write a payload wherever a device, an operator or a repository could have written one."""
    text = f"{MARK} {payload}"
    with website.session() as session:
        device = session.scalars(select(tables.Device).where(tables.Device.name == "kit-00001")).one()
        for field in ("title", "area", "note", "serial", "reason", "version", "board", "hardware", "system",
                      "health_reason", "standing_problem", "boot"):  # fmt: skip
            setattr(device, field, text)
        device.health, device.online, device.standing = "warn", True, "refused"
        device.desired, device.desired_version = {"answering.voice": text, "acting.odd": text}, 3
        device.reported = {"answering.voice": text}
        session.execute(update(tables.Installed).where(tables.Installed.device == device.id).values(version=text[:60]))
        session.add(tables.Tag(device=device.id, key="k", value=text))
        for kind in ("command", "rejection", "question", "outcome", "fault", "settings", "offline"):
            keys = ("text", "reason", "detail", "prompt", "intent", "device", "message", "remedy", "problem", "status")
            body = dict.fromkeys(keys, text) | {"slots": {text: text}}
            session.add(tables.Event(device=device.id, at=time.time(), kind=kind, body=body))
        session.add(job("j-lines", device.id, text, {"lines": [text]}))
        session.add(job("j-other", device.id, text, {text: text}))
        plan = {"what": {"kind": "restart"}, "filter": 'name:"x"'}
        session.add(
            tables.Rollout(
                id="r0", fleet="home", title=text, plan=plan, state="paused", reason=text, created=1, created_by="ada",
                health={"compared": [compared(text)]},
            )
        )  # fmt: skip
        session.flush()
        session.add(job("j-rollout", device.id, text, {}, rollout="r0"))
        session.add(tables.CommandSet(fleet="home", name="hotel", revision=1, text=text, saved=1, saved_by=text[:64]))
        session.add(
            tables.EnrolmentToken(
                id="t0", hash="h", fleet="home", serial=text[:64], device=text[:64], tags={text: text},
                created=1, created_by=text[:64], expires=time.time() + 99,
            )
        )  # fmt: skip
        session.add(
            tables.Certificate(
                serial="1", device=device.id, pem="", not_before=1, not_after=2, issued=1, revoked=1, revoked_for=text
            )
        )
        session.add(tables.ApiToken(id="a0", hash="a", user="ada", title=text, role="viewer", created=1))
        session.add(tables.Passkey(id="p0", user="ada", title=text, public_key=b"", created=1))
        session.execute(update(tables.Fleet).where(tables.Fleet.name == "home").values(title=text))
        note(session, at=time.time(), user="ada", address=text, action=text, fleet="home", subject=text,
             detail={text: text})  # fmt: skip


def job(id_: str, device: int, text: str, result: dict[str, object], rollout: str | None = None) -> tables.Job:
    return tables.Job(
        id=id_, device=device, kind=text[:16], body={"family": text, "version": text}, state="failed", reason=text,
        result=result, created=time.time(), created_by=text[:64], ended=time.time(), rollout=rollout,
    )  # fmt: skip


def compared(text: str) -> dict[str, object]:
    numbers = dict.fromkeys(("devices_with", "devices_without", "cases_with", "cases_without"), 3)
    rates = dict.fromkeys(("rate_with", "rate_without", "statistic", "p", "level"), 0.5)
    return {"measure": text, "verdict": "worse", "words": text, **numbers, **rates}


def pages() -> list[str]:
    found = {address for method, address in routes() if method == "GET" and not address.startswith("/api/v1")}
    left_out = {f"{HOME}/live", f"{HOME}/map.svg", f"{HOME}/map", f"{HOME}/commands/hotel/bundle.zip", "/metrics"}
    more = {f"{DEVICE}/jobs/{name}" for name in ("j-lines", "j-other", "j-rollout")}
    more |= {f"{HOME}?by=area", f"{HOME}?by=tag:k", f"{HOME}/rollouts/r0?show=failed"}
    return sorted((found | more) - left_out - OPEN)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a82_no_page_runs_or_follows_what_somebody_has_written(website: Website, payload: str) -> None:
    plant(website, payload)
    visitor = website.visitor("ada")
    shown = 0
    for address in pages():
        answer = visitor.get(address)
        assert answer.status_code in {200, 303, 404}, (address, answer.status_code)
        reader = read(answer.text)
        assert not reader.runs, (address, reader.runs)
        assert not reader.tags & {"iframe", "object", "embed", "base"}, address
        assert "alert(1)" not in "".join(reader.goes), address
        assert all(not re.match(r"\s*(javascript|data|vbscript):", one) for one in reader.goes), address
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", answer.text), address
        assert "49" not in "".join(text for text in reader.texts if MARK in text and "{{" in payload), address
        shown += MARK in "".join(reader.texts)
    assert shown >= 12


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a82_what_was_typed_comes_back_harmless_with_the_mistake(website: Website, payload: str) -> None:
    visitor = website.visitor("ada")
    answers = [
        visitor.post(f"{DEVICE}/settings", {"version": "0", "s.hearing.cap_s": payload, "other-key": payload}),
        visitor.post(f"{DEVICE}/about", {"title": payload, "tags": f"=={payload}", "note": payload}),
        visitor.post(f"{HOME}/enrolment", {"serial": payload, "device": payload, "tags": "a"}),
        visitor.post(f"{HOME}/enrolment", {"lines": payload}),
        visitor.post(f"{HOME}/rollouts", {"kind": payload, "filter": payload, "title": payload, "bake": payload}),
        visitor.post("/users", {"name": payload, "password": payload, "roles": payload}),
        visitor.http.get(HOME, params={"filter": payload, "search": payload, "by": f"tag:{payload}"}),
        visitor.http.get(f"{HOME}/audit", params={"user": payload, "search": payload}),
        visitor.http.get("/login", params={"next": payload}),
    ]
    for answer in answers:
        assert answer.status_code in {200, 303, 422}, (answer.request.url, answer.text)
        assert not read(answer.text).runs, answer.request.url
        for cookie in answer.headers.get_list("set-cookie"):
            assert "<script" not in cookie


def test_the_picture_of_all_devices_holds_labels_that_are_text(website: Website) -> None:
    plant(website, "<script>alert(1)</script>")
    picture = website.visitor("ada").http.get(f"{HOME}/map.svg", params={"by": "area"})
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "<script" not in picture.text
    assert "&lt;script" in picture.text


def test_a87_no_page_no_log_and_no_audit_holds_a_secret(website: Website, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    visitor = website.visitor("ada")
    session_secret = visitor.http.cookies["edgeagent"]
    made = visitor.post("/account/tokens", {"title": "t", "role": "viewer", "days": "3"})
    api_secret = re.findall(r"eat_[\w-]{40,}", made.text)[0]
    made = visitor.post(f"{HOME}/enrolment", {"serial": "s1", "device": "new-1", "days": "1"})
    token_secret = re.findall(r"(?:[A-Z2-9]{4}-){4}[A-Z2-9]{4}", made.text)[0]
    new = "another horse another battery"
    visitor.post("/users", {"name": "eve", "password": new, "roles": "home=viewer"})
    visitor.post("/users/eve/password", {"password": new + " again"})
    website.stranger().log_in("ada", "a wrong but telling guess")
    with website.database.reading() as session:
        hashes = [user.password for user in session.scalars(select(tables.User))]
    secrets = [PASSWORD, session_secret, api_secret, token_secret, new, "a wrong but telling guess", *hashes]
    with website.database.reading() as session:
        lines = [repr((one.subject, one.detail, one.action)) for one in session.scalars(select(tables.Audited))]
    lines += [visitor.get(address).text for address in pages()]
    ours = (record for record in caplog.records if not record.name.startswith("http"))  # those are the browser's
    lines += [record.getMessage() + repr(vars(record)) for record in ours]
    for secret in secrets:
        assert secret
        assert not [line for line in lines if secret in line], secret


def test_a87_an_error_tells_no_insides(website: Website) -> None:
    program, visitor = website.program("ada"), website.visitor("ada")
    with website.session() as session:
        session.execute(update(tables.Device).values(gauges=["not", "what", "it", "was"]))
        session.connection().exec_driver_sql("UPDATE devices SET gauges = '{broken'")
    for answer in (program.get(f"{API}/devices"), visitor.get(DEVICE)):
        assert answer.status_code == 500
        assert "Traceback" not in answer.text
        assert "sqlalchemy" not in answer.text.lower()
        assert "{broken" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_pages_for_admins_are_among_those_that_were_read() -> None:
    assert {address for address in FOR_ADMINS if "api" not in address and address != "/metrics"} <= set(pages())


def test_times_are_told_in_one_unit() -> None:
    assert [age(0, now) for now in (0, 30, 90, 7_200, 200_000)] == [
        "now",
        "30 s ago",
        "2 min ago",
        "2 h ago",
        "2 d ago",
    ]
    assert age(100, 40) == "in 1 min"
    assert age(None) == "never"
    assert 'datetime="1970-01-01T00:00:00+00:00"' in stamp(0)
