"""Blocks of files over the bus: the question as JSON, the answer as a header of 16 bytes and the bytes. Pure.

`up/get`: {"v": 1, "id", "path", "at", "most", "block"}: bytes of a file from `at` on, at most `most`, in blocks of so
many bytes. `dn/block`: the letters EB, the version, flags, the id (4 bytes), the offset (8 bytes, both big-endian), the
bytes. All questions for one reading of a file have the same id. Nothing here is trusted: what comes of it is verified.
"""

import json
import struct
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError

VERSION = 1
LARGEST_BLOCK_BYTES = 64 << 10
MOST_BLOCKS = 64
"""In one answer; a broker holds what a device has not taken."""
LONGEST_PATH = 400
LARGEST_QUESTION_BYTES = 1_024
LAST, ABSENT = 1, 2
_HEADER = struct.Struct(">2sBBIQ")
_MAGIC = b"EB"
HEADER_BYTES = _HEADER.size


class Question(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    v: Annotated[int, Field(ge=1, le=VERSION)] = VERSION
    id: Annotated[int, Field(ge=0, lt=1 << 32)]
    path: Annotated[str, Field(min_length=1, max_length=LONGEST_PATH)]
    at: Annotated[int, Field(ge=0, lt=1 << 40)]
    most: Annotated[int, Field(ge=1, le=LARGEST_BLOCK_BYTES * MOST_BLOCKS)]
    block: Annotated[int, Field(ge=512, le=LARGEST_BLOCK_BYTES)]

    def raw(self) -> bytes:
        """Return the payload."""
        return json.dumps(self.model_dump(), separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a file. `is_last`: the file ends with it. `is_absent`: there is no such file."""

    id: int
    at: int
    content: bytes = b""
    is_last: bool = False
    is_absent: bool = False

    def raw(self) -> bytes:
        """Return the payload."""
        flags = LAST * self.is_last | ABSENT * self.is_absent
        return _HEADER.pack(_MAGIC, VERSION, flags, self.id, self.at) + self.content


def question_of(payload: bytes) -> Question:
    """Return what is asked for. Raise PayloadError for anything else."""
    found = parse(payload, largest=LARGEST_QUESTION_BYTES)
    try:
        return Question.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PayloadError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def block_of(payload: bytes) -> Block:
    """Return the block. Raise PayloadError for anything else."""
    if not HEADER_BYTES <= len(payload) <= HEADER_BYTES + LARGEST_BLOCK_BYTES:
        raise PayloadError(f"{len(payload)} bytes are no block")
    magic, version, flags, number, at = _HEADER.unpack_from(payload)
    if magic != _MAGIC or version != VERSION:
        raise PayloadError("no block of this version")
    return Block(number, at, payload[HEADER_BYTES:], bool(flags & LAST), bool(flags & ABSENT))
