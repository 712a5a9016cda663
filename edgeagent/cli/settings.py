"""`edgeagent settings show`: all settings as TOML, secrets hidden."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from edgeagent.settings import AgentSettings, Settings

HIDDEN = "**********"


def as_toml(settings: AgentSettings, *, with_docs: bool) -> str:
    """Return the settings as TOML that can be read back; what is not set is a comment."""
    return "\n".join([*_table(settings, "", with_docs=with_docs), ""])


def _table(section: Settings, path: str, *, with_docs: bool) -> Iterator[str]:
    nested: list[tuple[str, Settings]] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        where = f"{path}.{name}" if path else name
        if isinstance(value, Settings):
            nested.append((where, value))
            continue
        if with_docs and field.description:
            yield f"# {' '.join(field.description.split())}"
        if value is None:
            yield f"# {name} ="
        else:
            yield f"{name} = {_value(value)}"
    for where, inner in nested:
        yield ""
        yield f"[{where}]"
        yield from _table(inner, where, with_docs=with_docs)


def _value(value: Any) -> str:
    match value:
        case SecretStr():
            return json.dumps(HIDDEN)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str() | Path():
            return _text(str(value))
        case tuple() | list():
            return f"[{', '.join(_value(item) for item in value)}]"
        case dict():
            return f"{{ {', '.join(f'{_text(key)} = {_value(item)}' for key, item in value.items())} }}"
    raise TypeError(type(value).__name__)


def _text(value: str) -> str:
    """Return a TOML string: JSON's, but for the letter DEL, which TOML does not allow to stand for itself."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
