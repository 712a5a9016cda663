"""What the pages show: of a fleet, of a device, of releases, of sentences; and what they tell without being asked."""

import asyncio
import json
import re
import time
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from console.web.filled import fill
from console.web.website import API, DEVICE, HOME, Make, Website, text_of
from sqlalchemy import delete, select

from edgeagent.console.news import MOST_WATCHES, News
from edgeagent.console.tables import Device, Event, Tag
from edgeagent.console.web import say
from edgeagent.console.web.plan_form import usual
from edgeagent.console.web.settings_view import fields
from edgeagent.messages import Message
from edgeagent.release.shop import Offer, Shop


def test_a_fleet_is_counted_and_narrowed_down(website: Website) -> None:
    with website.session() as session:
        first, second = session.scalars(select(Device).where(Device.fleet == "home").order_by(Device.name)).all()[:2]
        first.online, second.health = False, "bad"
    visitor = website.visitor("vic")
    page = text_of(visitor.get(HOME).text)
    assert re.search(r"6 All", page)
    assert re.search(r"1 Bad", page)
    assert re.search(r"1 Offline", page)
    assert "kit-00001" in text_of(visitor.get(f"{HOME}?show=bad").text)
    assert "kit-00000" not in text_of(visitor.get(f"{HOME}?show=bad").text)
    assert "1–1 of 1" in text_of(visitor.get(f"{HOME}?search=00003").text)  # noqa: RUF001  # as it stands there
    assert "No device fits" in text_of(visitor.get(f"{HOME}?search=nobody").text)


def test_a_filter_that_is_wrong_is_told_with_its_column_and_stays_where_it_was_typed(website: Website) -> None:
    answer = website.visitor("vic").http.get(HOME, params={"filter": "online and versio<1"})
    assert answer.status_code == 200
    assert "filter, column 12" in text_of(answer.text)
    assert 'value="online and versio&lt;1"' in answer.text


def test_a_thousand_devices_are_a_picture_in_which_one_can_point(website: Website) -> None:
    with website.session() as session:
        for table in (Tag, Event):
            session.execute(delete(table))
    fill(website.database, "large", 1_000, hours=1)
    visitor = website.visitor("ada")
    page = visitor.get("/f/large").text
    assert "ismap" in page
    assert len(page) < 60_000
    picture = visitor.get("/f/large/map.svg?by=area&width=narrow&theme=dark")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    where = visitor.get("/f/large/map?by=area&width=wide&25,25").headers["location"]
    assert re.fullmatch(r"/f/large/d/large-\d+", where)
    told = visitor.get("/f/large/map?by=area&width=wide&25,25", Accept="application/json").json()
    assert told["name"] in where
    assert visitor.get("/f/large/map?width=wide").status_code == 404
    assert visitor.get("/f/large/map.svg?theme=pink").status_code == 404


def test_pages_of_a_long_table_follow_one_another(website: Website) -> None:
    fill(website.database, "large", 120, hours=1)
    visitor = website.visitor("ada")
    seen = []
    for page in (1, 2, 3, 99):
        found = re.findall(
            r'<th scope="row"><a href="/f/large/d/(large-\d+)"', visitor.get(f"/f/large?page={page}").text
        )
        seen.append(found)
    assert [len(one) for one in seen] == [50, 50, 20, 20]
    assert sum(seen[:3], []) == sorted({*sum(seen[:3], [])})  # noqa: RUF017  # a few


def test_the_only_device_of_the_only_fleet_is_the_first_page(website: Website) -> None:
    assert website.visitor("ada").get("/").headers["location"] == "/fleets"
    with website.session() as session:
        for device in session.scalars(select(Device).where(Device.fleet == "home", Device.name != "kit-00001")):
            device.retired = 1.0
    assert website.visitor("vic").get("/").headers["location"] == DEVICE


def test_a_device_shows_how_it_is_and_what_it_heard_as_far_as_it_shares_that(website: Website) -> None:
    page = text_of(website.visitor("vic").get(DEVICE).text)
    assert "turn on the kitchen light" in page
    assert "hall blind position 40: failed: no answer in 5 s" in page
    assert "Sentences per 2 hours" in page
    assert "Time to decide" in page
    assert "Identify" not in page  # a viewer asks for nothing


def test_the_log_is_of_one_kind_where_that_is_wanted(website: Website) -> None:
    page = text_of(website.visitor("vic").get(f"{DEVICE}/log?kind=fault").text)
    assert "the microphone went away" in page
    assert "hall blind" not in page


def test_the_settings_that_can_be_wanted_are_those_of_the_agent() -> None:
    known = {field.key: field for field in fields()}
    assert known["hearing.unsure_below"].kind == "number"
    assert known["answering.only_trouble"].kind == "switch"
    assert known["hearing.effort"].choices == ("accurate", "light")
    assert known["waking.words"].kind == "words"
    assert known["fleet.broker.host"].kind == "text"
    assert not known.keys() & {"device.id", "broker.password", "fleet.broker.password", "fleet.may_set"}
    assert all(field.meaning for field in known.values())


def test_releases_show_what_is_signed_by_whom_and_what_ends_soon(make: Make, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", lambda _: "")
    now = datetime.now(UTC)
    shop.init(["command-en"], now - timedelta(days=80))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "a.txt").write_text("one")
    shop.add(Offer(bundle, "command-en", "1.2.0", "model", "0.1.0"), now - timedelta(days=80))
    for holder in shop.holders():
        if holder.name not in {"snapshot", "timestamp"}:
            shop.sign(holder)
    shop.publish(tmp_path / "served", now)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken" / "metadata").mkdir(parents=True)
    (tmp_path / "broken" / "metadata" / "1.root.json").write_text("{")
    folders = [str(tmp_path / name) for name in ("shop", "served", "empty", "broken", "missing")]
    with make(settings=f"[console]\nrepositories = {json.dumps(folders)}\n") as website:
        page = text_of(website.visitor("vic").get(f"{HOME}/releases").text)
        assert "root-1 root-2 root-3 3 of 2 needed" in page
        assert "1.2.0" in page
        assert "targets expires soon" in page
        assert page.count("there is no repository in this folder") == 2
        assert "cannot be read" in page
        assert str(tmp_path) not in page
        found = website.program("vic").get(f"{API}/releases").json()
        assert [one["version"] for one in found[1]["releases"]["command-en"]] == ["1.2.0"]
        form = {"kind": "update", "family": "command-en", "version": "9.9.9"}
        answer = website.visitor("ole").post(f"{HOME}/rollouts", _plan() | form)
        assert "there is no command-en 9.9.9" in text_of(answer.text)
        assert website.visitor("ole").post(f"{HOME}/rollouts", _plan() | form | {"version": "1.2.0"}).status_code == 303


def _plan() -> dict[str, str]:
    return {key: value for key, value in usual().items() if value}


def test_sentences_are_tried_as_the_device_would_understand_them_and_taken_along(website: Website) -> None:
    visitor = website.visitor("ole")
    where = f"{HOME}/commands/hotel"
    sentences = '      - sentences: ["let there be light [in the {area}]"]\n'
    good = f"intents:\n  turn_on:\n    data:\n{sentences}        slots: {{kind: light}}\n"
    tried = visitor.post(f"{where}/try", {"text": good, "sentence": "let there be light in the kitchen"})
    page = text_of(tried.text)
    assert "turn_on kind=light area=kitchen" in page
    assert "exit 0, the grammar" in page
    assert visitor.get(f"{where}/bundle.zip").status_code == 404
    visitor.post(where, {"text": good, "seen": "0"})
    packed = zipfile.ZipFile(BytesIO(visitor.get(f"{where}/bundle.zip").content))
    assert packed.read("hotel/hotel.yaml").decode() == good


def test_a_mistake_in_sentences_is_told_by_its_line_and_is_not_taken_along(website: Website) -> None:
    visitor = website.visitor("ole")
    where = f"{HOME}/commands/hotel"
    unclosed = "intents:\n  a: [\n"
    wrong = 'intents:\n  a:\n    data:\n      - sentences: ["(a"]\n'
    for text, line in ((unclosed, "Line 3"), (wrong, "Line 4")):
        page = text_of(visitor.post(f"{where}/try", {"text": text, "sentence": "a"}).text)
        assert line in page
    visitor.post(where, {"text": wrong, "seen": "0"})
    assert visitor.get(f"{where}/bundle.zip").status_code == 422


def test_sentences_that_explode_stop_nobody(website: Website) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for letter, before in zip("bcdefghij", "abcdefghi", strict=True):
        bomb += f"{letter}: &{letter} [{', '.join([f'*{before}'] * 9)}]\n"
    visitor = website.program("ole")
    answer = visitor.call("POST", f"{API}/commands/hotel/try", {"text": bomb + "intents: {}\n", "sentence": "a"})
    assert answer.status_code in {200, 422}
    assert "entries" in answer.text or "too long" in answer.text
    assert visitor.get("/api/v1/me").status_code == 200


class Answering:
    """Answers an order as a device does: by events that the console has written, and the news of them."""

    website: Website
    kinds: tuple[str, ...] = ("command", "outcome")
    intent = "turn_on"

    async def publish(self, message: Message) -> None:
        order = json.loads(message.payload)
        assert message.topic == "ea/1/home/d/kit-00001/dn/do/say"
        assert message.expiry_s is not None
        assert not message.retain
        assert order["expires"] < time.time() + 60
        with self.website.session() as session:
            device = session.scalars(select(Device).where(Device.name == "kit-00001")).one()
            for kind in self.kinds:
                body = {
                    "intent": self.intent,
                    "utterance": "t7",
                    "status": "done",
                    "device": "lamp",
                    "capability": "power",
                    "value": "on",
                }
                session.add(Event(device=device.id, at=time.time(), kind=kind, body=body))
        self.website.news.changed(f"device:{device.id}")


def test_what_is_said_to_a_device_is_answered_by_what_came_of_it(make: Make) -> None:
    answering = Answering()
    with make(publish=answering.publish) as website:
        answering.website = website
        found = website.program("ole").call("POST", f"{API}/devices/kit-00001/say", {"text": "lamp on"}).json()
        assert found["answered"]
        assert [one["kind"] for one in found["events"]] == ["command", "outcome"]
        page = text_of(website.visitor("ole").post(f"{DEVICE}/say", {"text": "lamp on"}).text)
        assert "outcome: lamp power on: done" in page
        assert len(website.audited("device.say")) == 2
        assert "lamp on" not in repr([line.detail for line in website.audited()])  # what is said is not kept


@pytest.mark.parametrize("intent", ["get_time", "an_intent_of_ones_own"])
def test_of_a_question_nothing_else_is_waited_for(make: Make, monkeypatch: pytest.MonkeyPatch, intent: str) -> None:
    monkeypatch.setattr(say, "ANSWER_WITHIN_S", 3_600.0)  # who waits for an outcome would wait for ever
    answering = Answering()
    answering.kinds, answering.intent = ("command",), intent
    with make(publish=answering.publish) as website:
        answering.website = website
        found = website.program("ole").call("POST", f"{API}/devices/kit-00001/say", {"text": "what time is it"}).json()
    assert [one["kind"] for one in found["events"]] == ["command"]


def test_nothing_is_said_to_a_device_that_is_away(make: Make) -> None:
    answering = Answering()
    with make(publish=answering.publish) as website:
        answering.website = website
        with website.session() as session:
            session.scalars(select(Device).where(Device.name == "kit-00001")).one().online = False
        answer = website.program("ole").call("POST", f"{API}/devices/kit-00001/say", {"text": "lamp on"})
        assert answer.status_code == 409


@pytest.mark.parametrize("topic", ["device:1", "device:99999", "device:x", "rollout:none", "nonsense", ""])
def test_news_is_told_of_what_is_ones_own_alone(website: Website, topic: str) -> None:
    answer = website.visitor("xen").get(f"/f/other/live?topic={topic}")
    assert answer.status_code == 404


def test_news_comes_as_it_happens_and_ends_with_the_log_in(website: Website) -> None:
    visitor = website.visitor("vic")
    with visitor.http.stream("GET", f"{HOME}/live?topic=fleet") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines).startswith("retry")
        website.news.changed("fleet:other")
        website.news.changed("fleet:home")
        assert next(line for line in lines if line) == "event: changed"


def test_news_that_comes_many_times_is_told_together() -> None:
    async def look() -> list[frozenset[str]]:
        news = News()
        with news.watching("fleet:a", "device:1") as watch:
            for _ in range(100):
                news.changed("fleet:a", "fleet:b")
            news.changed("device:1")
            await asyncio.sleep(0)
            first = await watch.changed()
            news.changed("fleet:a")
            return [first, await watch.changed()]

    assert asyncio.run(look()) == [frozenset({"fleet:a", "device:1"}), frozenset({"fleet:a"})]


def test_so_many_look_at_the_same_time_and_no_more() -> None:
    async def look() -> bool:
        news = News()
        watches = [news.watching("fleet:a") for _ in range(MOST_WATCHES)]
        for one in watches:
            one.__enter__()
        is_full = news.is_full
        for one in watches:
            one.__exit__(None, None, None)
        return is_full and not news.is_full

    assert asyncio.run(look())


def test_figures_are_for_programs_that_may_see_all_fleets(website: Website) -> None:
    class Figures:
        def rendered(self) -> bytes:
            return b"edgeagent_console_devices 6\n"

    website.app.state.figures = Figures()
    assert website.program("ada", "viewer").get("/metrics").text.startswith("edgeagent_console")
    assert website.program("vic").get("/metrics").status_code == 403


def test_an_address_that_there_is_not_is_told_to_people_and_to_programs(website: Website) -> None:
    visitor = website.visitor("ada")
    assert "nothing at this address" in text_of(visitor.get("/nowhere").text).lower()
    answer = website.program("ada").get("/api/v1/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "status", "title", "remedy"}
    assert isinstance(answer, httpx.Response)
