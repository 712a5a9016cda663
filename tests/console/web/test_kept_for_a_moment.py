"""What is costly is made once for many who ask at the same time, and nothing is kept of what cannot be made."""

import threading

import pytest

from edgeagent.console.web.cached import MOST, Cached


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
