"""The kernel's command line, edited: one line of words; a byte order mark and CRLF are taken, and not written again."""

from collections.abc import Sequence

from edgeagent.provision.errors import ImageError

LARGEST_BYTES = 2048
"""The kernel for arm64 reads no more (COMMAND_LINE_SIZE), and drops the rest without a word."""


def edited(raw: bytes, *, words: Sequence[str], dropped: Sequence[str] = ()) -> bytes:
    """Return the file with these words at the end of its first line, in place of those that begin the same.

    Raise ImageError if it is no such file.
    """
    kept = [*words_of(raw)]
    for word in words:
        beginning = f"{word.partition('=')[0]}=" if "=" in word else word
        kept = [one for one in kept if not one.startswith(beginning)]
    kept = [one for one in kept if not any(one.startswith(beginning) for beginning in dropped)]
    line = (" ".join([*kept, *words]) + "\n").encode()
    _refuse_long(line)
    return line


def words_of(raw: bytes) -> Sequence[str]:
    """Return the words of the first line: the firmware reads no other. Raise ImageError if it is no such file."""
    _refuse_long(raw)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImageError(f"cmdline.txt: not UTF-8 at byte {error.start}", remedy="Take a fresh image.") from error
    lines = text.splitlines()
    return lines[0].split() if lines else ()


def _refuse_long(line: bytes) -> None:
    if len(line) > LARGEST_BYTES:
        raise ImageError(
            f"cmdline.txt has {len(line):,} bytes, expected at most {LARGEST_BYTES:,}", remedy="Take words out of it."
        )
