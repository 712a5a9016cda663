"""Reports on their way to the broker: a bounded queue, what is in flight, and what is given up. Pure.

Rules:
    - A report counts as delivered when the broker has acknowledged it; until then it is sent again on every connection.
    - When the queue is full, the oldest report goes: the newest say how things are.
    - A report that takes the connection down with it is found (it travels alone once it is suspect) and given up, or
      it would take down every connection to come: MQTT 3.1.1 has no other way to say "too large" than to hang up.
    - A report that the broker will not take because of its size is never sent.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgeagent.messages import Message

SUSPECT_AFTER = 2
"""Connections lost with a report in flight before it must travel alone."""
GIVEN_UP_AFTER = 4
"""Connections lost with a report in flight before it is given up."""
OVERHEAD_BYTES = 17
"""Of a PUBLISH packet beside topic and payload, at most: header 5, topic's length 2, identifier 2, properties 8."""


@dataclass(slots=True)
class Report:
    """A message on its way. A greeting belongs to one connection and is not sent again on the next.

    `ended` is told, once, whether the broker has taken it: False where it was dropped, refused or given up.
    """

    message: Message
    until_s: float | None = None
    is_greeting: bool = False
    tries: int = 0
    ended: Callable[[bool], None] = lambda _: None


def packet_bytes(message: Message) -> int:
    """Return how large a message is on the wire, at most."""
    return OVERHEAD_BYTES + len(message.topic.encode()) + len(message.payload)


class Outbox:
    """The reports that the broker has not acknowledged yet. Times are in seconds of any one monotonic clock."""

    def __init__(self, most: int) -> None:
        """Hold at most `most` waiting reports."""
        self._most = most
        self._waiting: deque[Report] = deque()
        self._in_flight: dict[int, Report] = {}
        self.dropped = 0
        self.expired = 0
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)

    def add(self, message: Message, now_s: float, ended: Callable[[bool], None] = lambda _: None) -> None:
        """Queue a report; the oldest one is dropped and counted when there is no room."""
        until_s = None if message.expiry_s is None else now_s + message.expiry_s
        self._waiting.append(Report(message, until_s, ended=ended))
        self._trim()

    def greet(self, messages: Iterable[Message]) -> None:
        """Put what a new connection begins with in front. Older retained reports to the same topics are out of date."""
        greetings = [Report(message, is_greeting=True) for message in messages]
        topics = {report.message.topic for report in greetings}
        rest = (r for r in self._waiting if not (r.message.retain and r.message.topic in topics))
        self._waiting = deque([*greetings, *rest])

    def take(self, window: int, largest_bytes: int, now_s: float) -> Report | None:
        """Take the next report that may be sent while at most `window` are in flight, or None."""
        while self._waiting and len(self._in_flight) < self._narrowed(window):
            report = self._waiting.popleft()
            if report.until_s is not None and report.until_s <= now_s:
                self.expired += 1
                report.ended(False)  # noqa: FBT003  # the one word that is told
            elif packet_bytes(report.message) > largest_bytes:
                self.given_up += 1
                report.ended(False)  # noqa: FBT003
            else:
                return report
        return None

    def sent(self, packet: int, report: Report) -> None:
        """Remember a report until the broker acknowledges the packet of this number."""
        self._in_flight[packet] = report

    def acknowledged(self, packet: int) -> Report | None:
        """Forget the report of this packet, and return it if it was in flight."""
        return self._in_flight.pop(packet, None)

    def connection_lost(self) -> list[Report]:
        """Put what was in flight back in front, and return the reports that are given up."""
        reports = [report for report in self._in_flight.values() if not report.is_greeting]
        self._in_flight.clear()
        for report in reports:
            report.tries += 1
        hopeless = [report for report in reports if report.tries >= GIVEN_UP_AFTER]
        self.given_up += len(hopeless)
        for report in hopeless:
            report.ended(False)  # noqa: FBT003
        self._waiting.extendleft(report for report in reversed(reports) if report.tries < GIVEN_UP_AFTER)
        self._waiting = deque(report for report in self._waiting if not report.is_greeting)
        self._trim()
        return hopeless

    def _narrowed(self, window: int) -> int:
        suspects = [*self._in_flight.values(), self._waiting[0]]
        return 1 if any(report.tries >= SUSPECT_AFTER for report in suspects) else window

    def _trim(self) -> None:
        while len(self._waiting) > self._most:
            self._waiting.popleft().ended(False)  # noqa: FBT003
            self.dropped += 1
