"""Log records as one line each: the event's name, then its fields."""

import json
import logging
import sys
import unicodedata

OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; the rest are the event's fields."""
_NO_LETTERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
"""Between letters of Persian, and within emoji."""


def printable(text: str) -> str:
    """Return text from outside on one line that moves no cursor and turns no direction, escaped as in JSON."""
    return text if text.isprintable() else "".join(letter if _is_plain(letter) else _escaped(letter) for letter in text)


def printable_lines(text: str) -> str:
    """Return text from outside that may have several lines."""
    return "\n".join(map(printable, text.split("\n")))


def _is_plain(letter: str) -> bool:
    return letter in _JOINERS or unicodedata.category(letter) not in _NO_LETTERS


def _escaped(letter: str) -> str:
    return json.dumps(letter)[1:-1]


class EventFormatter(logging.Formatter):
    """Makes a line of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return level, origin, event and fields; where there is an exception, its lines below."""
        fields = "".join(
            f" {name}={json.dumps(value, default=str, ensure_ascii=False)}"
            for name, value in vars(record).items()
            if name not in OWN_FIELDS
        )
        line = f"{record.levelname.lower():7} {record.name.removeprefix('edgeagent.')}: {record.getMessage()}{fields}"
        if record.exc_info:
            return f"{printable(line)}\n{printable_lines(self.formatException(record.exc_info))}"
        return printable(line)


def set_up(level: int = logging.INFO) -> None:
    """Send log lines from this level on to standard error; journald adds the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("amqtt", "transitions", "asyncio"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
