"""The slots of a FAT folder to entries with long names, and a name to the slots that hold it.

Rules:
    - A name is kept as it was written (VFAT, UTF-16) with a short alias in capitals beside it; letters are compared
      without their case.
    - Slots of a long name that do not belong to the short entry after them (checksum, order) are not believed.
    - An alias is derived from the name, with ~1, ~2 ... when it is taken or does not fit.
"""

import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat_layout import ENTRY_BYTES

READ_ONLY, HIDDEN, SYSTEM, VOLUME, FOLDER, ARCHIVE = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_LONG = READ_ONLY | HIDDEN | SYSTEM | VOLUME
_END, _FREE, _KANJI = 0x00, 0xE5, 0x05
_LAST_SLOT, _LOWER_STEM, _LOWER_EXTENSION = 0x40, 0x08, 0x10
_UNITS, _LONGEST = 13, 255
"""UTF-16 units in one slot, and in a name."""
_PLACES = ((1, 11), (14, 26), (28, 32))
"""Where a slot keeps its 13 units."""
_FORBIDDEN = re.compile(r'[\x00-\x1f"*/:<>?\\|\x7f\ud800-\udfff]')
_SHORT = re.compile(r"[A-Z0-9!#$%&'()@^_`{}~-]")
_PLAIN_ALIAS = re.compile(r"([A-Z0-9!#$%&'()@^_`{}~-]{1,8})(?:\.([A-Z0-9!#$%&'()@^_`{}~-]{1,3}))?")
_ALIASES = 999_999
_FIRST_YEAR, _LAST_YEAR = 1980, 2107


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder as its folder tells it. `first_slot` begins its long name, `slot` is its short entry."""

    name: str
    short: bytes
    attributes: int
    cluster: int
    size: int
    first_slot: int
    slot: int

    @property
    def is_folder(self) -> bool:
        """Say whether this is a folder."""
        return bool(self.attributes & FOLDER)


def entries(raw: bytes) -> Iterator[Entry]:
    """Yield the files and folders of a folder, without its label, `.` and `..`."""
    long: list[bytes] = []
    for slot in range(len(raw) // ENTRY_BYTES):
        one = raw[slot * ENTRY_BYTES :][:ENTRY_BYTES]
        if one[0] == _END:
            return
        if one[0] == _FREE:
            long = []
        elif one[11] & 0x3F == _LONG:
            long = [one] if one[0] & _LAST_SLOT else [*long, one]
        elif one[11] & VOLUME or one[0] == ord("."):
            long = []
        else:
            yield _entry(one, _long_name(long, one[:11]), slot, len(long))
            long = []


def free_slots(raw: bytes, count: int) -> int | None:
    """Return where `count` free slots in a row begin, or None."""
    run = 0
    for slot in range(len(raw) // ENTRY_BYTES):
        first = raw[slot * ENTRY_BYTES]
        if first == _END:
            begin = slot - run
            return begin if begin + count <= len(raw) // ENTRY_BYTES else None
        run = run + 1 if first == _FREE else 0
        if run == count:
            return slot - count + 1
    return None


def checked(name: str) -> str:
    """Return a name that FAT can hold. Raise ImageError for any other."""
    units = len(name.encode("utf-16-le", "surrogatepass")) // 2
    if name in {"", ".", ".."} or _FORBIDDEN.search(name) or name[-1] in ". " or units > _LONGEST:
        raise ImageError(
            f"{name!r} is no name for a file on a FAT partition",
            remedy='Leave out " * / : < > ? \\ | and a dot at the end.',
        )
    return name


def same(one: str, other: str) -> bool:
    """Say whether two names are one on a FAT volume."""
    return one.upper() == other.upper()


def slots_for(name: str, taken: Collection[bytes]) -> tuple[list[bytes], bytes]:
    """Return the slots of the long name (none if the short one says it all), and the 11 bytes of the short one."""
    short = _alias(name, taken)
    return ([] if _shown(short, 0) == name else _long_slots(name, _checksum(short))), short


def short_entry(short: bytes, attributes: int, cluster: int, size: int, moment: datetime) -> bytes:
    """Return the 32 bytes of a short entry."""
    year = min(max(moment.year, _FIRST_YEAR), _LAST_YEAR)
    date = (year - _FIRST_YEAR) << 9 | moment.month << 5 | moment.day
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    return struct.pack(
        "<11sBBBHHHHHHHI", short, attributes, 0, 0, time, date, date, cluster >> 16, time, date, cluster & 0xFFFF, size
    )


def changed_entry(raw: bytes, cluster: int, size: int, moment: datetime) -> bytes:
    """Return a short entry that names other content, and keeps name, attributes and time of making."""
    fresh = short_entry(raw[:11], raw[11], cluster, size, moment)
    return raw[:18] + fresh[18:]


def dots(own: int, parent: int, moment: datetime) -> bytes:
    """Return the first two entries of a folder: itself, and the one above."""
    return short_entry(b".".ljust(11), FOLDER, own, 0, moment) + short_entry(b"..".ljust(11), FOLDER, parent, 0, moment)


def _entry(one: bytes, long: str, slot: int, long_slots: int) -> Entry:
    high, low, size = struct.unpack_from("<H4xHI", one, 20)
    begins = slot - long_slots if long else slot
    return Entry(long or _shown(one[:11], one[12]), one[:11], one[11], high << 16 | low, size, begins, slot)


def _long_name(slots: list[bytes], short: bytes) -> str:
    """Return the name that these slots hold, or nothing if they are not of this entry."""
    count, checksum = len(slots), _checksum(short)
    orders = [one[0] & ~_LAST_SLOT for one in slots]
    if not slots or orders != list(range(count, 0, -1)) or any(one[13] != checksum for one in slots):
        return ""
    raw = b"".join(one[begin:end] for one in reversed(slots) for begin, end in _PLACES)
    units = struct.unpack(f"<{len(raw) // 2}H", raw)
    end = units.index(0) if 0 in units else len(units)
    return raw[: end * 2].decode("utf-16-le", "replace")


def _shown(short: bytes, case: int) -> str:
    """Return an 8.3 name as people write it; the case bits are Windows NT's."""
    raw = (b"\xe5" + short[1:]) if short[0] == _KANJI else short
    stem, extension = (part.decode("cp437").rstrip() for part in (raw[:8], raw[8:11]))
    stem = stem.lower() if case & _LOWER_STEM else stem
    extension = extension.lower() if case & _LOWER_EXTENSION else extension
    return f"{stem}.{extension}" if extension else stem


def _long_slots(name: str, checksum: int) -> list[bytes]:
    units = name.encode("utf-16-le")
    count = -(-len(units) // 2 // _UNITS)
    if len(units) // 2 < count * _UNITS:
        units = (units + b"\0\0").ljust(count * _UNITS * 2, b"\xff")
    slots = []
    for number in range(count, 0, -1):
        part = units[(number - 1) * _UNITS * 2 :][: _UNITS * 2]
        order = number | (_LAST_SLOT if number == count else 0)
        slots.append(
            bytes([order]) + part[:10] + bytes([_LONG, 0, checksum]) + part[10:22] + b"\0\0" + part[22:26],
        )
    return slots


def _checksum(short: bytes) -> int:
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total


def _alias(name: str, taken: Collection[bytes]) -> bytes:
    """Return the 11 bytes of the short name: the name in capitals if that is one, else with a number."""
    plain = _PLAIN_ALIAS.fullmatch(name.upper()) if name.isascii() else None
    if plain:
        short = plain[1].ljust(8).encode() + (plain[2] or "").ljust(3).encode()
        if short not in taken:
            return short
    stem, _, extension = name.lstrip(". ").rpartition(".") if "." in name.lstrip(". ") else (name.lstrip(". "), "", "")
    letters, tail = _plain_letters(stem)[:6] or "_", _plain_letters(extension)[:3].ljust(3).encode()
    for number in range(1, _ALIASES + 1):
        end = f"~{number}"
        short = (letters[: 8 - len(end)] + end).ljust(8).encode() + tail
        if short not in taken:
            return short
    raise ImageError(f"no short name is free for {name!r}", remedy="Put fewer files of that name into one folder.")


def _plain_letters(text: str) -> str:
    return "".join(one if _SHORT.fullmatch(one) else "_" for one in text.upper() if one not in ". ")
