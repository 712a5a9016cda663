"""Where in a YAML text things stand, and mappings in it that may be anything. Pure."""

from collections.abc import Sequence
from typing import Any

import yaml

DEEPEST_PATH = 12


def section(value: object) -> dict[str, Any]:
    """Return a mapping with names for keys; an empty one for anything else."""
    return {str(key): entry for key, entry in value.items()} if isinstance(value, dict) else {}


def lines_of(text: str) -> dict[tuple[object, ...], int]:
    """Return the lines of a YAML text by the keys and numbers that lead there."""
    found: dict[tuple[object, ...], int] = {}
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    waiting: list[tuple[tuple[object, ...], Any]] = [((), root)] if root is not None else []
    while waiting:
        path, node = waiting.pop()
        found.setdefault(path, node.start_mark.line + 1)
        if len(path) >= DEEPEST_PATH:
            continue
        inner: Sequence[tuple[object, Any]] = ()
        if isinstance(node, yaml.MappingNode):
            inner = [(str(key.value), value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            inner = list(enumerate(node.value))
        waiting += [((*path, key), value) for key, value in inner]
    return found
