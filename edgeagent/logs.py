"""Log records as one line each: the event's name, then its fields."""

import json
import logging
import sys

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _EventFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(
            f" {name}={json.dumps(value, default=str, ensure_ascii=False)}"
            for name, value in vars(record).items()
            if name not in _OWN
        )
        line = f"{record.levelname.lower():7} {record.name.removeprefix('edgeagent.')}: {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(*, is_verbose: bool = False) -> None:
    """Send log lines to standard error; journald adds the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_EventFormatter())
    logging.basicConfig(level=logging.DEBUG if is_verbose else logging.INFO, handlers=[handler], force=True)
    for noisy in ("amqtt", "transitions", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
