"""Trying sentences takes processors, not the pages of everybody else."""

import threading
import time

import pytest
from console.web.website import HOME, Website

from edgeagent.console.tables import CommandSet
from edgeagent.console.web.editing import Turns
from edgeagent.console.web.refusals import RefusedError


def test_nobody_waits_for_a_turn_and_nobody_has_two() -> None:
    turns = Turns(2)
    with turns.taken("ole"), turns.taken("ada"):
        for user in ("ole", "vic"):
            with pytest.raises(RefusedError) as refused, turns.taken(user):
                pass
            assert refused.value.status == 503
    with turns.taken("vic"):
        pass


def test_while_all_turns_are_taken_pages_are_served_and_who_tries_is_told_at_once(website: Website) -> None:
    with website.session() as session:
        session.add(
            CommandSet(fleet="home", name="cheap", revision=1, text="language: en\n", saved=time.time(), saved_by="ole")
        )
    visitor = website.visitor("ole")
    csrf = visitor.csrf()
    codes: list[int] = []

    def ask() -> None:
        codes.append(visitor.get(f"{HOME}/commands/cheap/bundle.zip").status_code)
        answer = visitor.http.post(f"{HOME}/commands/cheap/try", data={"csrf": csrf, "text": "language: en"})
        codes.append(answer.status_code)

    turns = website.app.state.site.turns
    with turns.taken("one"), turns.taken("two"):
        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        assert website.stranger().get("/login").status_code == 200
        for thread in threads:
            thread.join()
    assert codes == [503] * 100


def test_a_bundle_is_for_those_who_can_use_it(website: Website) -> None:
    assert website.visitor("vic").get(f"{HOME}/commands/hotel/bundle.zip").status_code == 403
