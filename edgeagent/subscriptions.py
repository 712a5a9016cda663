"""What we want to hear, what the broker has been asked for, and what it has granted. Pure.

Rules:
    - A filter is asked for once in a session: a broker that still knows our session needs no reminder.
    - A program that has just started asks for all of them: retained messages come only to those who ask.
    - What is refused is asked for again with the next connection, or when somebody has waited: a broker may say no only
      because a part of it is away.
"""

from collections.abc import Iterable, Sequence

AS_PUBLISHED = 1 << 3
"""Beside the quality of service, as MQTT 5 has it (3.8.3.1): messages keep their mark of being retained."""
AT_ONCE = 50
"""Filters in one SUBSCRIBE, so that it fits a small packet limit."""


class Subscriptions:
    """The filters, with the quality of service that is asked for, and AS_PUBLISHED."""

    def __init__(self) -> None:
        """Want nothing yet."""
        self._wanted: dict[str, int] = {}
        self._granted: set[str] = set()
        self._asked: dict[int, list[str]] = {}
        self._refused: set[str] = set()

    @property
    def is_complete(self) -> bool:
        """Tell whether everything that is wanted has been granted."""
        return self._wanted.keys() <= self._granted

    @property
    def is_answered(self) -> bool:
        """Tell whether everything that is wanted has been granted or refused."""
        return self._wanted.keys() <= self._granted | self._refused

    def fresh(self, filters: Iterable[str], qos: int) -> list[str]:
        """Return those filters that are not wanted yet with this quality of service."""
        return [pattern for pattern in filters if self._wanted.get(pattern) != qos]

    def want(self, filters: Iterable[str], qos: int) -> None:
        """Add filters."""
        self._wanted |= dict.fromkeys(filters, qos)

    def begin(self, *, is_session_known: bool) -> None:
        """Begin a connection: what was asked for on the one before and not answered is asked for again."""
        self._asked.clear()
        self._refused.clear()
        if not is_session_known:
            self._granted.clear()

    def forgive(self) -> None:
        """Let what was refused be asked for again."""
        self._refused.clear()

    def open(self) -> list[list[tuple[str, int]]]:
        """Return what there is to ask for, in portions."""
        asked = {pattern for patterns in self._asked.values() for pattern in patterns}
        done = self._granted | self._refused | asked
        open_ones = [(pattern, qos) for pattern, qos in self._wanted.items() if pattern not in done]
        return [open_ones[start : start + AT_ONCE] for start in range(0, len(open_ones), AT_ONCE)]

    def asked(self, packet: int, portion: Sequence[tuple[str, int]]) -> None:
        """Remember in which packet a portion was asked for."""
        self._asked[packet] = [pattern for pattern, _ in portion]

    def answered(self, packet: int, refusals: Sequence[str | None]) -> list[tuple[str, str]]:
        """Note the broker's answers, one for each filter of the packet; return the refused filters, with reasons."""
        answers = list(zip(self._asked.pop(packet, []), refusals, strict=False))
        refused = [(pattern, refusal) for pattern, refusal in answers if refusal is not None]
        self._granted |= {pattern for pattern, refusal in answers if refusal is None}
        self._refused |= {pattern for pattern, _ in refused}
        return refused
