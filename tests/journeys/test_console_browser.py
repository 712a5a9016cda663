"""An operator's day at the console, in a real browser: at a desk and on a phone, in light and in dark."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console.web.filled import PASSWORD
from console.web.seat import SIZES, Seat
from console.web.website import HOME, Website, make_template
from playwright.sync_api import sync_playwright
from sqlalchemy import select

from edgeagent.console.rollouts.engine import step
from edgeagent.console.tables import Device, Event, Job, Rollout
from edgeagent.messages import Message

CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 90_000
"""For what devices must do first, beside other work."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(CHROMIUM).exists() and "EDGEAGENT_CI" not in os.environ, reason=f"there is no {CHROMIUM}"
    ),
]


class Deviceful:
    """Answers what is said to a device, as the device would: by an event, and the news of it."""

    def __init__(self) -> None:
        self.website: Website | None = None

    async def publish(self, message: Message) -> None:
        assert self.website is not None
        asked = json.loads(message.payload)
        name = message.topic.split("/")[4]
        with self.website.session() as session:
            device = session.scalars(select(Device).where(Device.name == name)).one()
            body = {"utterance": "t1", "device": "lamp", "capability": "power", "value": "on", "status": "done"}
            session.add(Event(device=device.id, at=time.time(), kind="outcome", body=body | {"said": asked["text"]}))
        self.website.news.changed(f"device:{device.id}")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def website(template: Path, tmp_path: Path) -> Iterator[Website]:
    devices = Deviceful()
    made = Website(Path(shutil.copy(template, tmp_path / "console.db")), publish=devices.publish)
    devices.website = made
    with made.served():
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(params=[(size, look) for size in SIZES for look in ("light", "dark")], ids="-".join)
def seat(request: pytest.FixtureRequest, browser: Any, website: Website) -> Iterator[Seat]:
    made = Seat(browser, website, *request.param)
    yield made
    made.context.close()
    assert made.complaints == []


def advance(website: Website, *, fails: int = 0) -> None:
    """Carry rollouts on, and have every device that was asked do as it was asked."""
    now = time.time()
    with website.session() as session:
        step(session, now)
    with website.session() as session:
        for number, job in enumerate(session.scalars(select(Job).where(Job.state == "sent", Job.rollout.is_not(None)))):
            job.state = "failed" if number < fails else "done"
            job.reason = "it did not start again" if number < fails else ""
            job.told = job.reached = job.ended = now
        names = session.scalars(select(Rollout.id)).all()
    website.news.changed(*(f"rollout:{name}" for name in names), "fleet:home")


def test_an_operators_day(seat: Seat) -> None:
    log_in_and_find(seat)
    look_after_a_device(seat)
    roll_out(seat)
    enrol(seat)
    write_sentences(seat)
    look_around(seat)


def log_in_and_find(seat: Seat) -> None:
    page = seat.page
    seat.go("/login")
    seat.shoot("login", "edgeagent")
    seat.log_in()

    seat.go("/fleets")
    seat.shoot("fleets", "Fleets")
    page.get_by_role("link", name="home", exact=True).click()
    page.get_by_role("heading", name="home").wait_for()
    seat.shoot("fleet", "At a glance")
    page.get_by_label("Filter").fill("tag:floor=1 andd online")
    page.get_by_text("column 13").wait_for()
    page.get_by_label("Filter").fill("tag:floor=1")
    page.get_by_text("1–1 of 1").wait_for()  # noqa: RUF001  # as it stands there


def look_after_a_device(seat: Seat) -> None:
    page = seat.page
    page.get_by_role("row").get_by_role("link", name="kit-00001").click()
    page.get_by_role("heading", name="Voice health").wait_for()
    seat.shoot("device", "Voice health")
    page.get_by_label("A sentence").fill("turn on the lamp")
    page.get_by_role("button", name="Say", exact=True).click()
    page.get_by_text("outcome: lamp power on: done").wait_for()
    page.get_by_role("button", name="Identify").click()
    page.get_by_role("heading", name="Identify").wait_for()
    seat.shoot("job", "Identify")
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_label("hearing.cap_s").fill("9")
    page.get_by_role("button", name="Want these").first.click()
    page.get_by_text("Version 1 is wanted").wait_for()
    seat.shoot("settings", "How it stands")
    page.get_by_role("link", name="Log", exact=True).click()
    seat.shoot("log", "What it told")
    page.get_by_role("link", name="Tags and identity").click()
    seat.shoot("about", "Name and tags")


def roll_out(seat: Seat) -> None:
    page, website = seat.page, seat.website
    page.get_by_role("link", name="Rollouts", exact=True).click()
    page.get_by_role("link", name="New rollout").click()
    page.get_by_label("Title").fill("Restart all of them")
    page.get_by_label("Restart").check()
    page.get_by_label("Waves in percent").fill("20, 100")
    page.get_by_label("Bake time, minutes").fill("0")
    page.get_by_text("devices would be asked, in 2 waves").wait_for()
    seat.shoot("rollout-new", "New rollout")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("heading", name="Restart all of them").wait_for()
    advance(website)
    page.get_by_role("img", name=re.compile("Wave 1: .*succeeded")).wait_for(timeout=PATIENCE_MS)
    seat.shoot("rollout", "Waves")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused by ada").first.wait_for()
    page.get_by_role("button", name="Resume").click()
    for _ in range(6):
        advance(website)
    page.get_by_text("done", exact=True).first.wait_for()
    page.get_by_role("link", name="Rollouts", exact=True).first.click()
    seat.shoot("rollouts", "Rollouts")


def enrol(seat: Seat) -> None:
    page = seat.page
    page.get_by_role("link", name="Enrolment", exact=True).click()
    seat.shoot("enrolment", "Enrolment")
    page.locator("[name=serial]").fill("10000000abcdef12")
    page.locator("[name=device]").fill("kit-0042")
    page.get_by_role("button", name="Make a token").click()
    page.get_by_role("img", name="QR code of the token of kit-0042").wait_for()
    seat.shoot("token", "1 token")


def write_sentences(seat: Seat) -> None:
    page = seat.page
    page.get_by_role("link", name="Commands", exact=True).click()
    page.get_by_label("New set").fill("hotel-en")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("textbox", name="Sentence", exact=True).fill("let there be light in the kitchen")
    page.get_by_text("the grammar has this sentence").wait_for()
    seat.shoot("commands", "Try a sentence")
    page.get_by_label("Sentences, as YAML").fill('intents:\n  turn_on:\n    data:\n      - sentences: ["let (there"]\n')
    page.get_by_text("Line 4").wait_for()
    page.get_by_role("button", name="Keep").click()
    page.get_by_text("Revision 1 is kept").wait_for()


def look_around(seat: Seat) -> None:
    page = seat.page
    page.get_by_role("link", name="Releases", exact=True).click()
    seat.shoot("releases", "Releases")
    page.get_by_role("link", name="Audit", exact=True).click()
    page.get_by_text("commands.save").first.wait_for()
    seat.shoot("audit", "Audit")
    page.get_by_label("Menu of ada").click()
    page.get_by_role("link", name="Users").click()
    seat.shoot("users", "Users")
    seat.go("/account")
    seat.shoot("account", "API tokens")
    seat.go("/api")
    seat.shoot("api", "API")


def test_everything_can_be_reached_by_the_keyboard_alone(browser: Any, website: Website) -> None:
    seat = Seat(browser, website, "desk", "light")
    seat.log_in()
    for address in (HOME, f"{HOME}/d/kit-00001", f"{HOME}/rollouts/new", "/account"):
        seat.go(address)
        wanted = seat.page.evaluate(
            """() => [...document.querySelectorAll(
              "a[href], button, input:not([type=hidden]), select, textarea, summary")]
            .filter((one) => one.checkVisibility({checkVisibilityCSS: true}) && !one.disabled
              && !(one.type === "radio" && !one.checked)).length"""
        )
        reached = seat.page.evaluate("() => { window.reached = new Set(); return 0; }")
        for _ in range(wanted + 30):
            seat.page.keyboard.press("Tab")
            reached = seat.page.evaluate(
                """() => { const one = document.activeElement;
                if (one.matches("a[href], button, input, select, textarea, summary")) {
                  const outline = getComputedStyle(one).outlineStyle;
                  if (outline === "none") throw new Error("focus is not seen: " + one.outerHTML.slice(0, 100));
                  window.reached.add(one);
                } return window.reached.size; }"""
            )
        assert reached >= wanted, address
    seat.context.close()
    assert seat.complaints == []


def test_without_scripts_the_essentials_work(browser: Any, website: Website) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{website.base}/login")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.goto(f"{website.base}{HOME}")
    page.get_by_label("Filter").fill("tag:floor=2")
    page.get_by_role("button", name="Show").last.click()
    page.get_by_role("row").get_by_role("link", name="kit-00002").click()
    page.get_by_role("button", name="Identify").click()
    assert "Identify" in page.get_by_role("heading", level=2).first.inner_text()
    page.goto(f"{website.base}{HOME}/rollouts/new")
    page.get_by_label("Restart").check()
    page.get_by_role("button", name="What would happen").click()
    assert "devices would be asked" in page.locator("#forecast").inner_text()
    context.close()


def test_a_passkey_is_made_and_logs_in(browser: Any, website: Website) -> None:
    seat = Seat(browser, website, "desk", "light")
    devtools = seat.context.new_cdp_session(seat.page)
    devtools.send("WebAuthn.enable")
    key = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": key | {"isUserVerified": True}})
    seat.log_in("ole")
    seat.go("/account")
    seat.page.get_by_label("Title of the new passkey").fill("my laptop")
    seat.page.get_by_role("button", name="Add a passkey").click()
    seat.page.get_by_text("my laptop").wait_for()
    seat.context.clear_cookies()
    seat.go(f"/login?next={HOME}/rollouts")
    seat.page.get_by_role("button", name="Log in with a passkey").click()
    seat.page.get_by_role("heading", name="Rollouts").wait_for()
    assert [line.detail.get("by") for line in website.audited("log in")][-1] == "passkey"
    seat.context.clear_cookies()
    with website.session() as session:
        for table in ("passkeys",):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608  # a name of ours
    seat.go("/login")
    seat.page.get_by_role("button", name="Log in with a passkey").click()
    seat.page.get_by_text("this passkey is not known here").wait_for()
    seat.context.close()


def test_what_happens_elsewhere_is_seen_without_loading_anew(browser: Any, website: Website) -> None:
    seat = Seat(browser, website, "desk", "light")
    seat.log_in()
    seat.go(f"{HOME}/d/kit-00001")
    seat.page.get_by_text("live", exact=True).wait_for()
    with website.session() as session:
        device = session.scalars(select(Device).where(Device.name == "kit-00001")).one()
        device.online, device.reason = False, "somebody pulled the plug"
    website.news.changed(f"device:{device.id}")
    seat.page.get_by_text("somebody pulled the plug").wait_for()
    seat.context.close()
    assert seat.complaints == []
