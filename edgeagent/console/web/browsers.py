"""Browsers that have logged in as somebody before: known by a cookie that the console has signed.

It lets nobody in. It gives the browser a count of its own for log-ins that fail (`throttle`), so that strangers who
guess do not keep people out who log in where they always do: "device cookies", as OWASP calls them.
"""

import hmac
import secrets

from edgeagent.console.web.handed_out import derived

LASTS_S = 365 * 86_400
_PARTS, _LONGEST = 3, 200


def new(key: bytes, user: str, now: float) -> str:
    """Return the cookie of a browser in which a user has logged in."""
    name, made = secrets.token_hex(16), str(int(now))
    return f"{name}.{made}.{_seal(key, user, name, made)}"


def known(key: bytes, user: str, cookie: str, now: float) -> str:
    """Return the name of a browser in which this user has logged in; nothing of any other, or a forged one."""
    parts = cookie.split(".") if cookie.isascii() and len(cookie) <= _LONGEST else []
    if len(parts) != _PARTS:
        return ""
    name, made, seal = parts
    is_ours = hmac.compare_digest(seal, _seal(key, user, name, made))
    return name if is_ours and int(made) + LASTS_S > now else ""


def _seal(key: bytes, user: str, name: str, made: str) -> str:
    return derived(key.hex(), f"browser {name} {made} {user}")
