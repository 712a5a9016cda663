"""What is wrong with this device, for who looks after it from afar: one bundle, redacted, of bounded size. Pure.

The bundle is JSON, packed with gzip and written in base64, so that it fits into one message; where it is too large, the
oldest lines of the log are left out first, and then whole parts.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgeagent.fleet.redacting import Redactor
from edgeagent.fleet.wire import LARGEST_BYTES

ROOM_BYTES = 4 << 10
"""Of a message, for all that is not the bundle."""
FORM = "gzip+base64"


def packed(
    parts: Mapping[str, Any], lines: Sequence[str], redactor: Redactor, largest: int = LARGEST_BYTES - ROOM_BYTES
) -> dict[str, Any]:
    """Return a bundle of these parts and lines as the result of a job, of at most `largest` bytes."""
    clean = redactor.value(dict(parts))
    last = [redactor.text(line) for line in lines]
    left_out: list[str] = []
    while True:
        content = _packed(clean | {"log": last, "left_out": left_out})
        if len(content) <= largest:
            return {"form": FORM, "name": "diagnostics.json", "content": content, "lines": len(last)}
        if last:
            last = last[len(last) // 4 + 1 :]
        elif clean:
            largest_part = max(clean, key=lambda name: len(json.dumps(clean[name])))
            left_out.append(largest_part)
            clean = {name: one for name, one in clean.items() if name != largest_part}
        else:
            raise ValueError(f"an empty bundle has more than {largest} bytes")


def unpacked(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a bundle holds. Raise ValueError if it is none."""
    if result.get("form") != FORM:
        raise ValueError(f"expected a bundle as {FORM}")
    found = json.loads(gzip.decompress(base64.b64decode(str(result["content"]), validate=True)))
    if not isinstance(found, dict):
        raise ValueError("expected an object")  # noqa: TRY004  # of a message, not of an argument
    return found


def fitting(lines: Sequence[str], redactor: Redactor, largest: int = LARGEST_BYTES // 2) -> list[str]:
    """Return the last of these lines that fit, redacted."""
    found: list[str] = []
    size = 0
    for line in reversed(lines):
        clean = redactor.text(line)
        size += len(json.dumps(clean)) + 1
        if size > largest:
            break
        found.append(clean)
    return found[::-1]


def _packed(bundle: Mapping[str, Any]) -> str:
    raw = json.dumps(bundle, default=str, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(raw, mtime=0)).decode("ascii")
