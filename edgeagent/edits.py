"""How far two sequences are from one another."""

from collections.abc import Sequence


def edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the least number of items to be lost, added or changed to make one of the other (Levenshtein, 1966)."""
    row = list(range(len(other) + 1))
    for place, left in enumerate(one, start=1):
        corner, row[0] = row[0], place
        for at, right in enumerate(other, start=1):
            corner, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, corner + (left != right))
    return row[-1]
