"""Wyoming's events off a stream: one line of JSON, JSON data of a told length, bytes of a told length; all bounded.

The library's own reader takes any length that a client tells, and ends in silence where something is wrong.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeagent import bounded_json
from edgeagent.errors import PayloadError

LONGEST_HEADER_BYTES = 16 << 10
"""The line; it may have the data in it."""
LARGEST_DATA_BYTES = 64 << 10
LARGEST_PAYLOAD_BYTES = 1 << 20
"""Half a minute of sound; clients send a tenth of a second at a time."""
LONGEST_TYPE = 64


@dataclass(frozen=True, slots=True)
class Received:
    """An event as it came: its type, its data, and its payload."""

    type: str
    data: Mapping[str, Any]
    payload: bytes


async def receive(reader: asyncio.StreamReader) -> Received | None:
    """Return the next event; None where the client is gone, between events or in one.

    The reader's limit must be LONGEST_HEADER_BYTES. Raise PayloadError if it is no event, or too large.
    """
    try:
        line = await reader.readuntil(b"\n")
        header = _mapping(bounded_json.parse(line, largest=LONGEST_HEADER_BYTES), "an event's header")
        kind = header.get("type")
        if not isinstance(kind, str) or not 0 < len(kind) <= LONGEST_TYPE:
            raise PayloadError(f"an event's type: expected a short text, found {kind!r:.40}")
        data_length = _length(header, "data_length", LARGEST_DATA_BYTES)
        payload_length = _length(header, "payload_length", LARGEST_PAYLOAD_BYTES)
        data = dict(_mapping(header.get("data") or {}, "an event's data"))
        if data_length:
            block = await reader.readexactly(data_length)
            data |= _mapping(bounded_json.parse(block, largest=LARGEST_DATA_BYTES), "an event's data")
        return Received(kind, data, await reader.readexactly(payload_length))
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise PayloadError(f"an event's header: more than {LONGEST_HEADER_BYTES} bytes, or no line") from error


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PayloadError(f"{what}: expected an object, found {value!r:.40}")
    return value


def _length(header: Mapping[str, Any], key: str, most: int) -> int:
    value = header.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise PayloadError(f"{key}: expected 0 to {most}, found {value!r:.40}")
    return value
