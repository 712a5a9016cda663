"""Settings of a device as a form, and what was typed into it as settings. Pure.

Which settings there are, what they mean and how they are typed comes from the settings' own model; those that only the
owner may change are left out.
"""

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from edgeagent.console.errors import ConsoleError
from edgeagent.fleet.settings_wanted import NEVER
from edgeagent.settings import AgentSettings, FleetSettings

Kind = Literal["switch", "number", "choice", "words", "text"]
LONGEST_VALUE = 500


@dataclass(frozen=True, slots=True)
class Field:
    """A setting as a form has it."""

    key: str
    meaning: str
    kind: Kind
    choices: tuple[str, ...] = ()
    is_usual: bool = True
    """Whether devices let their fleet change it, unless their owner says otherwise."""

    @property
    def section(self) -> str:
        """The section that it belongs to."""
        return self.key.partition(".")[0]


def fields() -> tuple[Field, ...]:
    """Return every setting that a fleet may want."""
    return tuple(_fields(AgentSettings, ""))


def sections(wanted: Mapping[str, Any]) -> dict[str, list[Field]]:
    """Return the fields of the form by section: the usual ones, and those that are wanted already."""
    found: dict[str, list[Field]] = {}
    for field in fields():
        if field.is_usual or field.key in wanted:
            found.setdefault(field.section, []).append(field)
    return found


def typed(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that a form holds (`s.<key>`, and one of any name), without those left empty.

    Raise ConsoleError naming the setting whose value is none.
    """
    known = {field.key: field for field in fields()}
    values: dict[str, Any] = {}
    for name, text in form.items():
        key = name.removeprefix("s.")
        if name.startswith("s.") and text.strip():
            values[key] = _value(known.get(key), key, text.strip())
    if key := form.get("other-key", "").strip():
        values[key] = _value(known.get(key), key, form.get("other-value", "").strip())
    return values


def shown(value: Any) -> str:
    """Return a setting's value as it is typed."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(map(str, value))
    return str(value)


def _value(field: Field | None, key: str, text: str) -> Any:
    if len(text) > LONGEST_VALUE:
        raise ConsoleError(f"{key}: more than {LONGEST_VALUE} characters", remedy="Write less.")
    match field.kind if field else None:
        case "switch":
            if text not in {"true", "false"}:
                raise ConsoleError(f"{key}: expected true or false, found {text!r:.60}", remedy="Choose one of them.")
            return text == "true"
        case "number":
            return _number(key, text)
        case "words":
            return [one.strip() for one in text.split(",") if one.strip()]
        case "choice" | "text":
            return text
    return _any(text)


def _number(key: str, text: str) -> float | int:
    try:
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError as error:
        raise ConsoleError(f"{key}: expected a number, found {text!r:.60}", remedy="Write it as 0.4 or 12.") from error


def _any(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _fields(model: type[BaseModel], start: str) -> Iterator[Field]:
    usual = FleetSettings().may_set
    for name, info in model.model_fields.items():
        key = f"{start}{name}"
        options = _options(info.annotation)
        inner = next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if inner is not None and start.count(".") < 2:  # noqa: PLR2004  # as deep as a key may be
            yield from _fields(inner, f"{key}.")
        elif inner is None and start and key not in NEVER and "password" not in name and (kind := _kind(options)):
            choices = tuple(map(str, _choices(options)))
            may = any(fnmatchcase(key, pattern) for pattern in usual)
            yield Field(key, info.description or "", kind, choices, may)


def _options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in {Union, types.UnionType}:
        return tuple(one for part in get_args(annotation) for one in _options(part) if one is not type(None))
    return _options(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else (annotation,)


def _choices(options: tuple[Any, ...]) -> tuple[Any, ...]:
    return next((get_args(one) for one in options if get_origin(one) is Literal), ())


def _kind(options: tuple[Any, ...]) -> Kind | None:
    if _choices(options):
        return "choice"
    if bool in options:
        return "switch"
    if {int, float} & set(options):
        return "number"
    if any(get_origin(one) is tuple for one in options):
        return "words"
    return "text" if str in options else None
