"""What the link needs of one connection to a broker, and why such a connection ends."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from edgeagent.errors import BusError
from edgeagent.messages import Message

Version = Literal["5", "3.1.1"]
Will = Message | Callable[[], Message] | None
"""A last will, or what makes one anew for each connection, or none."""

LARGEST_PACKET_BYTES = 268_435_455
"""Where the broker names no limit: that of the format (MQTT 5, 2.1.4)."""

REMEDIES = {
    133: "Give this device an id that the broker takes, in [device].",
    134: "Check username and password in [broker].",
    135: "Allow this device at the broker, or check username, password and certificate in [broker].",
    138: "The broker has banned this device: lift that there.",
    142: "It may be that another program uses this device's id: give each its own, in [device].",
    152: "An administrator of the broker has ended the connection; ask why.",
}
UNEXPLAINED = "If this goes on: see the broker's log, and whether another program uses this device's id."
"""Where the broker hangs up without a word, as mosquitto 2.0.11 does when an id is taken over."""


class LostError(BusError):
    """A connection that could not be made or is over; `code` is MQTT 5's reason code where the broker gave one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        """Keep the code, and say what to do about it."""
        super().__init__(message, remedy=REMEDIES.get(code or 0, UNEXPLAINED))
        self.code = code


class Connection(Protocol):
    """One connection, from a dialled socket to its end. `lost` resolves with the reason when it is over."""

    version: Version
    receive_maximum: int
    largest_bytes: int
    lost: asyncio.Future[LostError]

    @property
    def is_clogged(self) -> bool:
        """Tell whether the network takes nothing at the moment."""

    async def welcome(self) -> bool:
        """Wait for the broker's answer, and tell whether it knows our session. Raise LostError if it says no."""

    def publish(self, message: Message) -> int:
        """Send a message, and return its packet's number."""

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> int | None:
        """Ask for these filters, and return the packet's number."""

    async def farewell(self) -> None:
        """Say goodbye, so that the last will stays unsaid."""

    def end(self, reason: str) -> None:
        """End the connection, now."""
