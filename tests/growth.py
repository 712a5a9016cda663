"""How the work of a call grows with its input, as a ratio within one run: the machine may be slow, or busy."""

import time
from collections.abc import Callable
from typing import TypeVar

Input = TypeVar("Input")

ROUNDS = 3
"""Each size is measured so often, in turn; the least time counts, which is the one that was disturbed least."""
LINEAR = 3.0
"""How much faster than its input the work may grow, for caches, allocation and noise. At ten times the input, work
that is quadratic grows ten times faster."""


def assert_linear(work: Callable[[Input], object], small: Input, large: Input, times: int) -> None:
    """Assert that `large`, `times` as long as `small`, takes at most `times * LINEAR` as much processor time."""
    taken = {"small": float("inf"), "large": float("inf")}
    for _ in range(ROUNDS):
        for name, given in (("small", small), ("large", large)):
            began = time.process_time()
            work(given)
            taken[name] = min(taken[name], time.process_time() - began)
    least_s = 1e-4  # what any call takes, whatever its input
    assert taken["large"] < times * LINEAR * max(taken["small"], least_s), taken
