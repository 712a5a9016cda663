"""Plain values to YAML that is JSON where it matters: no string can be taken for a number, a date, or a tag."""

import json
import re
from collections.abc import Mapping, Sequence

Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ESCAPED = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff]")
"""What JSON writes as it stands, and YAML forbids, or nobody sees."""


def yaml_text(value: Mapping[str, Value]) -> str:
    """Return a YAML document, in blocks, with strings as JSON writes them."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Value) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, inner in value.items() for line in _under(f"{_key(key)}:", inner, "  ")]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [line for inner in value for line in _item(inner)]
    return [_leaf(value)]


def _under(head: str, value: Value, indent: str) -> list[str]:
    if not value or isinstance(value, str | int):
        return [f"{head} {_leaf(value)}"]
    return [head, *(indent + line for line in _lines(value))]


def _item(value: Value) -> list[str]:
    first, *others = _lines(value)
    return [f"- {first}", *(f"  {line}" for line in others)]


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS else _leaf(key)


def _leaf(value: Value) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
