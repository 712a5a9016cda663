"""Who did what: written in the transaction of the change itself; what was refused is written by itself."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from edgeagent.console import tables

LONGEST_SUBJECT = 300
LONGEST_DETAIL = 500
SECRET_WORDS = ("password", "secret", "token", "csrf", "key")
"""What a detail's name must not hold: its value would be one."""


def note(  # noqa: PLR0913  # a line has so many parts
    session: Session,
    *,
    at: float,
    user: str,
    address: str,
    action: str,
    fleet: str = "",
    subject: str = "",
    is_allowed: bool = True,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write a line of the audit trail."""
    session.add(
        tables.Audited(
            at=at,
            user=user[:64],
            address=address[:100],
            fleet=fleet[:64],
            action=action[:64],
            subject=subject[:LONGEST_SUBJECT],
            is_allowed=is_allowed,
            detail={name: _shown(name, value) for name, value in (detail or {}).items()},
        )
    )


def _shown(name: str, value: object) -> Any:
    if any(word in name.lower() for word in SECRET_WORDS):
        return "(not shown)"
    if isinstance(value, str):
        return value[:LONGEST_DETAIL]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return str(value)[:LONGEST_DETAIL]
