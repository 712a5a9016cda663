"""A Raspberry Pi's config.txt to the same with our lines in a block of its own, and nothing else changed.

Rules:
- what stands between our markers is ours and is replaced; all else stays as it is, octet by octet, with its ends of
  lines (a file that was edited on Windows has CRLF);
- the block is at the end, begins with its own filter and ends with [all]: a file may end under [pi5], and whoever adds
  lines below ours means them for all;
- a line that already counts for this board outside the block is not repeated: an overlay that is loaded twice may
  fail;
- without lines there is no block.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from edgeagent.board.errors import BoardError

BEGIN = "# edgeagent begins: `edgeagent board apply` writes these lines anew"
END = "# edgeagent ends"
LARGEST_BYTES = 1 << 16
"""A config.txt is a page or two."""
ALL = "all"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line and the filter under which it is to stand, as pi5 or all."""

    line: str
    section: str = ALL


def with_lines(
    before: bytes, wanted: Sequence[Wanted], sections: Collection[str] = (), name: str = "config.txt"
) -> bytes:
    """Return the file with these lines in our block; `sections` are the filters that hold for this board.

    Raise BoardError if the file is too large, or the markers in it are damaged.
    """
    text, ending, following = _around_block(before, name)
    counting = _counting(text + following, sections)
    missing = [one for one in wanted if one.line not in counting]
    if not missing:
        return (text + following).encode("latin-1")
    if text and not text.endswith("\n"):
        text += ending
    block = [BEGIN, *_grouped(missing), f"[{ALL}]", END]
    return (text + "".join(line + ending for line in block) + following).encode("latin-1")


def counts(content: bytes, line: str, sections: Collection[str] = ()) -> bool:
    """Tell whether a line counts for a board for which these filters hold, wherever it stands."""
    return line in _counting(content.decode("latin-1"), sections)


def _around_block(before: bytes, name: str) -> tuple[str, str, str]:
    """Return what is before our block, how its lines end, and what is behind it."""
    if len(before) > LARGEST_BYTES:
        raise BoardError(f"{name}: larger than {LARGEST_BYTES >> 10} KiB", remedy="This is no config.txt: look at it.")
    lines = before.decode("latin-1").split("\n")  # every octet is a letter and comes back as it was
    ending = "\r\n" if sum(line.endswith("\r") for line in lines) * 2 > len(lines) - 1 else "\n"
    begins = [number for number, line in enumerate(lines) if line.rstrip("\r") == BEGIN]
    ends = [number for number, line in enumerate(lines) if line.rstrip("\r") == END]
    if not begins and not ends:
        return "\n".join(lines), ending, ""
    if len(begins) != 1 or len(ends) != 1 or begins > ends:
        at = ", ".join(str(number + 1) for number in sorted((*begins, *ends)))
        raise BoardError(
            f"{name}: expected one block of edgeagent, found markers in lines {at}",
            remedy=f"Remove the lines from {BEGIN!r} to {END!r}, and what is left of them, then try again.",
        )
    kept = "".join(line + "\n" for line in lines[: begins[0]])
    return kept, ending, "\n".join(lines[ends[0] + 1 :])


def _grouped(wanted: Sequence[Wanted]) -> Iterator[str]:
    for section in dict.fromkeys((ALL, *(one.section for one in wanted))):
        yield f"[{section}]"
        yield from (one.line for one in wanted if one.section == section)


def _counting(text: str, sections: Collection[str]) -> set[str]:
    """Return the lines that count: a filter takes the place of one of its kind, and those of other kinds add up."""
    filters: dict[str, str] = {}
    found = set()
    for raw in text.split("\n"):
        line = raw.strip()
        if not (line.startswith("[") and line.endswith("]")):
            if all(one in sections for one in filters.values()):
                found.add(line)
        elif line == f"[{ALL}]":
            filters = {}
        else:
            filters[_kind(line[1:-1])] = line[1:-1]
    return found


def _kind(section: str) -> str:
    return "model" if section.startswith(("pi", "cm")) else section.partition("=")[0].partition(":")[0]
