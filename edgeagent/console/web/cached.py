"""What is costly and asked for often, kept for a moment."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

LASTS_S = 1.0
MOST = 64


class Cached:
    """Keeps what was made for a second; while one thread makes it, others that want the same wait for it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept under a key, made anew if it is older than a second."""
        with self._lock:
            turn = self._making.setdefault(key, threading.Lock())
        with turn:
            found = self._kept.get(key)
            if found is not None and time.monotonic() - found[0] < LASTS_S:
                return found[1]
            try:
                made = make()
            except BaseException:
                with self._lock:
                    self._making.pop(key, None)  # what cannot be made is not kept either
                raise
            with self._lock:
                self._kept[key] = (time.monotonic(), made)
                self._drop()
            return made

    def __len__(self) -> int:
        return max(len(self._kept), len(self._making))

    def _drop(self) -> None:
        while len(self._kept) > MOST:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._making.pop(oldest, None)
