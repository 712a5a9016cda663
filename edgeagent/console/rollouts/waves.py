"""Which device is in which wave. Pure.

Rules:
    - The order is that of a hash of the rollout and the device: the same at every look, another one in every rollout,
      so that it is not always the same devices that go first.
    - The first wave has at least one device; a share that adds none makes no wave of its own.
    - Who joins later has his place in the same order: in the wave of that place, or in the running one if that is over.
      So a thousand that join at once do not all go into a wave that was meant to be small.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from edgeagent.console.rollouts.nouns import MOST_WAVES, Constant, Exponential, Shares

MINUTE_S = 60.0


def place(rollout: str, device: str) -> float:
    """Return where a device stands in the order of a rollout, from 0 up to 1."""
    digest = hashlib.sha256(f"{rollout}\0{device}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53)


def sizes(pace: Shares | Constant | Exponential, total: int) -> tuple[int, ...]:
    """Return how many devices are in each wave; none for no devices. At most MOST_WAVES: the last one has the rest."""
    match pace:
        case Shares():
            up_to = [min(total, math.ceil(share * total - 1e-9)) for share in pace.shares]
            found = [up_to[0], *(later - earlier for earlier, later in pairwise(up_to))]
        case Constant():
            whole, rest = divmod(total, pace.per_minute)
            found = [pace.per_minute] * min(whole, MOST_WAVES) + ([rest] if whole < MOST_WAVES else [])
        case Exponential():
            found = _growing(pace, total)
    if (left := total - sum(found)) > 0:
        found[-1] += left
    return tuple(size for size in found if size > 0)


def in_waves(rollout: str, devices: Sequence[str], pace: Shares | Constant | Exponential) -> dict[str, int]:
    """Return the wave of each device."""
    ordered = sorted(devices, key=lambda device: (place(rollout, device), device))
    numbers = (wave for wave, size in enumerate(sizes(pace, len(ordered))) for _ in range(size))
    return dict(zip(ordered, numbers, strict=True))


def joining(rollout: str, device: str, totals: Sequence[int], running: int) -> int:
    """Return the wave of a device that comes later; `totals`: how many are in each wave by now."""
    up_to = list(accumulate(totals))
    if not up_to or not up_to[-1]:
        return running
    own = bisect_right(up_to, place(rollout, device) * up_to[-1])
    return max(running, min(own, len(up_to) - 1))


def _growing(pace: Exponential, total: int) -> list[int]:
    found: list[int] = []
    left, size = total, float(pace.base)
    while left > 0 and len(found) < MOST_WAVES:
        found.append(min(left, math.floor(size + 1e-9)))
        left -= found[-1]
        size = min(size * pace.factor, 1e9)
    return found
