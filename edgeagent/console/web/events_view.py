"""What a device has told to one line each. Pure. What was said is there only where the device shares it."""

from collections.abc import Mapping
from typing import Any

from edgeagent.console.tables import Event

KINDS: Mapping[str, str] = {
    "command": "ok",
    "outcome": "ok",
    "question": "work",
    "rejection": "warn",
    "fault": "bad",
    "online": "off",
    "offline": "off",
    "settings": "off",
}
"""Kinds of events, with how they look."""
_LONGEST = 300


def told(event: Event) -> str:
    """Return an event in words."""
    body = event.body
    match event.kind:
        case "command":
            slots = body.get("slots")
            parts = [_text(body, "intent"), *(_pairs(slots) if isinstance(slots, Mapping) else ())]
            return " ".join(filter(None, parts))
        case "rejection":
            return ": ".join(filter(None, [_text(body, "reason"), _text(body, "detail")]))
        case "question":
            return _text(body, "prompt") or _text(body, "kind")
        case "outcome":
            what = " ".join(filter(None, [_text(body, "device"), _text(body, "capability"), _text(body, "value")]))
            return ": ".join(filter(None, [what, _text(body, "status"), _text(body, "reason")]))
        case "fault":
            return ". ".join(filter(None, [_text(body, "message").rstrip("."), _text(body, "remedy")]))
        case "settings":
            return " ".join(filter(None, [_text(body, "standing"), _text(body, "version"), _text(body, "problem")]))
    return _text(body, "reason") or " ".join(_pairs(body))[:_LONGEST]


def said(event: Event) -> str:
    """Return the words that were spoken; nothing where the device keeps them to itself."""
    return _text(event.body, "text")


def kind_of(event: Event) -> str:
    """Return how an event looks: an outcome that failed is no good news."""
    if event.kind == "outcome" and _text(event.body, "status") == "failed":
        return "bad"
    return KINDS.get(event.kind, "off")


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)[:_LONGEST]


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}"[:_LONGEST] for name, value in list(values.items())[:12]]
