"""The values of Rhasspy's tags: what is said, what is written for it, and what converters make of that. Pure."""

from collections.abc import Mapping, Sequence

from edgeagent.grammar.imported import LONGEST_LINE, NotImportableError
from edgeagent.messages import Value

Said = tuple[str, str | None]
"""A template, and what is written for it; None where it is written as it is said."""

Entry = Mapping[str, Value]
"""An entry of a list of ours: what is said for it, `in`, and its value, `out`, where it has one of its own."""


def joined(way: Sequence[Said]) -> Said:
    """Return one thing after the other as one."""
    written = None if any(part is None for _, part in way) else " ".join(part for _, part in way if part)
    whole = " ".join(said for said, _ in way if said)
    if len(whole) > LONGEST_LINE:
        raise NotImportableError(f"a tag of more than {LONGEST_LINE} characters")
    return whole, written


def entry(said: str, written: str | None, converters: Sequence[str]) -> Entry:
    """Return the entry of a list: a template, and its value where it has one of its own."""
    if written is None:
        if converters:
            raise NotImportableError("a number with words cannot be converted")
        return {"in": said}
    return {"in": said, "out": converted(written, converters)}


def converted(written: str, converters: Sequence[str]) -> Value:
    """Return what the converters make of it, one after the other. Raise NotImportableError if they cannot."""
    value: Value = written
    for converter in converters:
        try:
            match converter:
                case "int":
                    value = int(float(value))
                case "float":
                    value = float(value)
                case "lower" | "upper":
                    value = str(value).lower() if converter == "lower" else str(value).upper()
                case _:
                    raise NotImportableError(f"there is nothing for the converter !{converter:.40}")
        except (ValueError, OverflowError) as error:
            raise NotImportableError(f"!{converter} cannot be done with {value!r:.40}") from error
    return value
