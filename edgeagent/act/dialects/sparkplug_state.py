"""What a host application says of itself: online from its birth on, offline by its last will. Pure.

Rules (Eclipse Sparkplug specification 3.0, 4.3 and 5.4): both are retained, and what the will says bears the time of
the birth of the same connection; who says that this host is offline while it is not is contradicted, here at most once
in a second.
"""

import json
from collections.abc import Callable

from edgeagent.act.dialects.sparkplug_births import NAMESPACE
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Message

LARGEST_BYTES = 1_024
EVERY_S = 1.0


class OwnState:
    """The STATE messages of one host. Times are in seconds of any monotonic clock; `clock_ms` gives that since 1970."""

    def __init__(self, host_id: str, clock_ms: Callable[[], int]) -> None:
        """Take the host's name, which is part of a topic."""
        self.topic = f"{NAMESPACE}/STATE/{host_id}"
        self._clock_ms = clock_ms
        self._since_ms = clock_ms()
        self._not_before_s = 0.0
        self._is_doubted = False

    def will(self) -> Message:
        """Begin a connection: return its last will."""
        self._since_ms = self._clock_ms()
        return self._message(self._since_ms, online=False)

    def birth(self) -> Message:
        """Return what is published first on the connection."""
        return self._message(self._since_ms, online=True)

    def farewell(self) -> Message:
        """Return what is published last on the connection."""
        return self._message(self._clock_ms(), online=False)

    def hear(self, payload: bytes, *, retained: bool) -> None:
        """Take what was published in this host's name; what is retained was there before this connection."""
        try:
            said = parse(payload, largest=LARGEST_BYTES)
        except PayloadError:
            return
        if not retained and isinstance(said, dict) and said.get("online") is False:
            self._is_doubted = True

    def due(self, now_s: float) -> tuple[Message, ...]:
        """Return the contradiction, if one is due."""
        if not self._is_doubted or now_s < self._not_before_s:
            return ()
        self._is_doubted = False
        self._not_before_s = now_s + EVERY_S
        return (self.birth(),)

    def _message(self, timestamp_ms: int, *, online: bool) -> Message:
        payload = json.dumps({"online": online, "timestamp": timestamp_ms}).encode()
        return Message(self.topic, payload, qos=1, retain=True)
