"""`edgeagent settings show`: all settings as TOML, secrets hidden."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from edgeagent.settings import Settings

HIDDEN = "**********"


def as_toml(settings: Settings, *, with_docs: bool) -> str:
    """Return the settings as TOML that can be read back; what is not set is a comment."""
    return "\n".join([*_table(settings, "", with_docs=with_docs), ""])


def _table(section: Settings, path: str, *, with_docs: bool) -> Iterator[str]:
    fields = type(section).model_fields
    sections = {name: kind for name, field in fields.items() if (kind := _section(field.annotation))}
    for name, field in fields.items():
        if name not in sections:
            value = getattr(section, name)
            yield from _meaning(field, with_docs=with_docs)
            yield f"# {name} =" if value is None else f"{name} = {_value(value)}"
    for name, kind in sections.items():
        inner = getattr(section, name)
        where = f"{path}.{name}" if path else name
        yield ""
        yield from _meaning(fields[name], with_docs=with_docs)
        if inner is None:
            yield from _absent(kind, where, with_docs=with_docs)
        else:
            yield f"[{where}]"
            yield from _table(inner, where, with_docs=with_docs)


def _absent(kind: type[Settings], where: str, *, with_docs: bool) -> Iterator[str]:
    """Yield what a section would hold, as comments."""
    yield f"# [{where}]"
    for name, field in kind.model_fields.items():
        yield from _meaning(field, with_docs=with_docs)
        yield f"# {name} ="


def _section(annotation: Any) -> type[Settings] | None:
    options = (annotation, *get_args(annotation))
    return next((one for one in options if isinstance(one, type) and issubclass(one, Settings)), None)


def _meaning(field: FieldInfo, *, with_docs: bool) -> Iterator[str]:
    if with_docs and field.description:
        yield f"# {' '.join(field.description.split())}"


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
