"""Names that come from outside, refused where they could lead out of a folder."""

import re

from edgeagent.errors import UpdateError

LONGEST_NAME = 512
_ESCAPE = re.compile(r"%(?:2f|2e|5c|00|25)", re.IGNORECASE)


def check_name(name: str) -> str:
    """Return a target's name. Raise UpdateError "bad-name" if it is absolute, climbs, hides a slash, or is too long."""
    parts = name.split("/")
    is_bad = (
        not name
        or len(name.encode("utf-8", "replace")) > LONGEST_NAME
        or any(part in {"", ".", ".."} for part in parts)
        or "\\" in name
        or not name.isprintable()
        or _ESCAPE.search(name) is not None
    )
    if is_bad:
        raise UpdateError(
            f"{name[:100]!r}: expected a relative name without '..', '%2f' or backslashes", code="bad-name"
        )
    return name


def is_safe(name: str) -> bool:
    """Say whether `check_name` lets a name through."""
    try:
        check_name(name)
    except UpdateError:
        return False
    return True
