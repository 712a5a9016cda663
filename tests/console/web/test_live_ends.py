"""Live news ends with the right to hear it, and nobody takes everybody's places."""

import threading
from collections.abc import Callable

import pytest
from console.web.website import HOME, Website

from edgeagent.console.tables import Role
from edgeagent.console.web import live, users


def heard(website: Website, meanwhile: Callable[[], None]) -> list[str]:
    """Return the events that a page hears until they end, while there is always news."""
    visitor, lines, has_ended = website.visitor("vic"), [], threading.Event()

    def tell() -> None:
        while not has_ended.wait(0.05):
            website.news.changed("fleet:home")

    telling = threading.Thread(target=tell)
    telling.start()
    try:
        with visitor.http.stream("GET", f"{HOME}/live?topic=fleet") as news:
            for line in news.iter_lines():
                if line.startswith("event:"):
                    lines.append(line)
                if len(lines) == 1:
                    meanwhile()
    finally:
        has_ended.set()
        telling.join()
    return lines


def test_a81_who_is_disabled_hears_no_more_however_much_news_there_is(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.2)

    def disable() -> None:
        with website.session() as session:
            users.disable(session, "vic", is_disabled=True)

    assert heard(website, disable)[-1] == "event: ended"


def test_a81_whose_role_is_taken_hears_no_more_of_that_fleet(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.2)

    def take() -> None:
        with website.session() as session:
            session.query(Role).where(Role.user == "vic").delete()

    assert heard(website, take)[-1] == "event: ended"


def test_one_user_does_not_take_the_places_of_others(website: Website) -> None:
    website.app.state.site.seats.most_of_a_user = 2
    first, other = website.visitor("vic"), website.visitor("ole")
    address = f"{HOME}/live?topic=fleet"
    with first.http.stream("GET", address) as one, first.http.stream("GET", address) as two:
        held = [one.iter_lines(), two.iter_lines()]  # an iterator that is let go closes its connection
        for lines in held:
            next(lines)
        with first.http.stream("GET", address) as one_more:
            assert one_more.status_code == 503
        with other.http.stream("GET", address) as three:
            assert three.status_code == 200
