"""What a model can say: labels, which stand for an intent with fixed slots or for "no command", and tags."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeagent.messages import Value

OUT_OF_SCOPE = "oos"
_LEFT_TO_THE_PLAN = "kind"
"""A kind that no word says follows from what is ordered: the model need not learn it."""


@dataclass(frozen=True, slots=True)
class Label:
    """One label: its name, and the intent and slots that it stands for. Without an intent it means "no command"."""

    name: str
    intent: str | None
    slots: Mapping[str, Value]


def label_name(intent: str, fixed: Mapping[str, Value]) -> str:
    """Return the name of the label of an intent with fixed slots, such as "adjust_volume direction=up"."""
    told = (f"{name}={value}" for name, value in sorted(fixed.items()) if name != _LEFT_TO_THE_PLAN)
    return " ".join((intent, *told))


def parse_label(name: str) -> Label:
    """Return the label of that name, taken for a command."""
    intent, *told = name.split(" ")
    slots: dict[str, Value] = {}
    for one in told:
        slot, _, text = one.partition("=")
        slots[slot] = _value(text)
    return Label(name, intent, slots)


def _value(text: str) -> Value:
    try:
        return float(text)
    except ValueError:
        return text
