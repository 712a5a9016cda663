"""What came from the bus to a queue of what is to be handled; too many or too much is dropped, and counted."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_BYTES = 64 << 20
"""Payloads that wait, together: a small board's memory is not filled by a neighbour's camera."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message from the bus. `acknowledge` it once its effect is durable: until then the broker may send it again.

    `expiry_s` is what is left of its life by the broker's count (MQTT 5), `duplicate` that it was sent before.
    """

    topic: str
    payload: bytes
    retained: bool = False
    qos: int = 0
    duplicate: bool = False
    expiry_s: int | None = None
    acknowledge: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)


class Inbox:
    """The messages that wait, oldest first."""

    def __init__(self, most: int, largest_bytes: int, reserved: int = 0) -> None:
        """Hold at most `most` messages with payloads of at most `largest_bytes` each.

        Beside them `reserved` ones that ask for an acknowledgement are held: no fewer than the broker sends before it
        waits, and none of them is ever dropped for want of room.
        """
        self._waiting: asyncio.Queue[Received] = asyncio.Queue(most + reserved)
        self._largest_bytes = largest_bytes
        self._reserved = reserved
        self._asking = 0
        self._most = most
        self._bytes = 0
        self.received = 0
        self.dropped = 0
        self.oversize = 0

    def __len__(self) -> int:
        return self._waiting.qsize()

    def put(self, received: Received) -> None:
        """Queue a message; one that does not fit is acknowledged and dropped, or the broker would wait for ever."""
        self.received += 1
        size = len(received.payload)
        if size > self._largest_bytes:
            self.oversize += 1
            received.acknowledge()
        elif self._has_no_room(received):
            self.dropped += 1
            received.acknowledge()
        else:
            self._bytes += size
            self._asking += received.qos > 0
            self._waiting.put_nowait(received)

    async def get(self) -> Received:
        """Wait for the next message."""
        return self._taken(await self._waiting.get())

    def waiting(self, most: int) -> list[Received]:
        """Return what waits now, oldest first, at most so many, without waiting for more."""
        return [self._taken(self._waiting.get_nowait()) for _ in range(min(most, self._waiting.qsize()))]

    def _taken(self, received: Received) -> Received:
        self._bytes -= len(received.payload)
        self._asking -= received.qos > 0
        return received

    def _has_no_room(self, received: Received) -> bool:
        if received.qos and self._asking < self._reserved:
            return False
        return self._waiting.qsize() >= self._most or self._bytes + len(received.payload) > MOST_BYTES
