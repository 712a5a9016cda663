"""What is costly is made once for many who ask at the same time, and nothing is kept of what cannot be made."""

import threading

import pytest

from edgeagent.console.web.cached import MOST, Cached
from edgeagent.console.web.site import ONE_STRANGERS_A_MINUTE, STRANGERS_A_MINUTE, Strangers


def test_many_who_ask_at_once_get_what_one_has_made() -> None:
    cached, made, begin = Cached(), [], threading.Barrier(8)

    def make() -> str:
        made.append(1)
        return "a picture"

    def ask() -> None:
        begin.wait()
        assert cached.get("key", make) == "a picture"

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_what_is_kept_is_bounded_and_what_fails_is_not_kept() -> None:
    cached = Cached()

    def fail() -> None:
        raise ValueError("no filter")

    for number in range(5 * MOST):
        assert cached.get(("good", number), lambda: 1) == 1
        with pytest.raises(ValueError, match="no filter"):
            cached.get(("bad", number), fail)
    assert len(cached) <= MOST


def test_one_stranger_does_not_use_up_the_lines_of_all_others() -> None:
    strangers = Strangers()
    assert sum(strangers.may("10.0.0.1", 60.0) for _ in range(1_000)) == ONE_STRANGERS_A_MINUTE
    assert strangers.may("10.0.0.2", 61.0)
    written = sum(strangers.may(f"10.0.1.{number}", 62.0) for number in range(1_000))
    assert written == STRANGERS_A_MINUTE - ONE_STRANGERS_A_MINUTE - 1
    assert strangers.may("10.0.0.1", 120.0)
