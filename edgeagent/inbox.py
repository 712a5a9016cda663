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

    def __init__(self, most: int, largest_bytes: int) -> None:
        """Hold at most `most` messages with payloads of at most `largest_bytes` each."""
        self._waiting: asyncio.Queue[Received] = asyncio.Queue(most)
        self._largest_bytes = largest_bytes
        self._bytes = 0
        self.received = 0
        self.dropped = 0
        self.oversize = 0

    def put(self, received: Received) -> None:
        """Queue a message; one that does not fit is acknowledged and dropped, or the broker would wait for ever."""
        self.received += 1
        size = len(received.payload)
        if size > self._largest_bytes:
            self.oversize += 1
            received.acknowledge()
        elif self._waiting.full() or self._bytes + size > MOST_BYTES:
            self.dropped += 1
            received.acknowledge()
        else:
            self._bytes += size
            self._waiting.put_nowait(received)

    async def get(self) -> Received:
        """Wait for the next message."""
        received = await self._waiting.get()
        self._bytes -= len(received.payload)
        return received
