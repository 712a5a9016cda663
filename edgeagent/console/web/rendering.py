"""Templates to pages. Whatever comes from outside is escaped, and moves no cursor and turns no direction."""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from edgeagent import __version__
from edgeagent.logs import printable_lines

SAID = "edgeagent-said"
"""The cookie with what the next page says first: nothing secret, written by the console alone."""
THEME = "edgeagent-theme"
THEMES = ("system", "light", "dark")
YEAR_S = 365 * 86_400
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


class Pages:
    """The templates, ready."""

    def __init__(self) -> None:
        """Find the templates of this package."""
        self._jinja = Environment(
            loader=PackageLoader("edgeagent.console.web"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters |= {
            "age": age,
            "stamp": stamp,
            "number": number,
            "percent": percent,
            "size": size,
            "pretty": pretty,
        }
        self._jinja.globals |= {"version": __version__, "assets": _fingerprints(), "now": time.time}

    def render(self, request: Request, template: str, *, status: int, **context: Any) -> Response:
        """Return a page."""
        theme = request.cookies.get(THEME, "system")
        said = _said(request.cookies.get(SAID, ""))
        text = self._jinja.get_template(template).render(
            request=request,
            path=request.url.path,
            theme=theme if theme in THEMES else "system",
            said=said,
            **({"visit": None} | context),
        )
        response = HTMLResponse(text, status)
        if said is not None:
            response.delete_cookie(SAID, httponly=True, samesite="strict")
        return response


def go(where: str, said: str = "", *, is_problem: bool = False) -> RedirectResponse:
    """Return the way to another page of ours, which says something first."""
    response = RedirectResponse(where, 303)
    if said:
        packed = base64.urlsafe_b64encode(json.dumps([is_problem, said[:1_000]]).encode()).decode()
        response.set_cookie(SAID, packed, max_age=60, httponly=True, samesite="strict")
    return response


def _said(cookie: str) -> tuple[bool, str] | None:
    if not 0 < len(cookie) <= 4_000:  # noqa: PLR2004  # a cookie's most
        return None
    try:
        is_problem, text = json.loads(base64.urlsafe_b64decode(cookie.encode("ascii", "replace")))
    except (ValueError, binascii.Error, TypeError, RecursionError):
        return None
    return bool(is_problem), str(text)


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return printable_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def age(at: float | None, now: float | None = None) -> str:
    """Return how long ago something was, in one unit."""
    if at is None:
        return "never"
    past = (time.time() if now is None else now) - at
    ago = "{} ago" if past >= 0 else "in {}"
    away = abs(past)
    if away < 5:  # noqa: PLR2004  # seconds
        return "now"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if away >= unit:
            return ago.format(f"{away / unit:.0f} {name}")
    return ago.format(f"{away:.0f} s")


def stamp(at: float | None) -> Markup:
    """Return a time as an element that the browser shows in its own zone."""
    if at is None:
        return Markup("<span>never</span>")  # a constant
    when = datetime.fromtimestamp(min(max(at, 0), 1e11), UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        when.isoformat(timespec="seconds"), when.strftime("%Y-%m-%d %H:%M:%S UTC"), when.strftime("%Y-%m-%d %H:%M UTC")
    )


def number(value: float) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share in percent."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"  # noqa: RUF001  # a dash for nothing


def size(count: float) -> str:
    """Return a number of bytes."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1_000:  # noqa: PLR2004  # to the next unit
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} GB"


def pretty(value: Any) -> str:
    """Return what a device told, as JSON that a person can read."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _fingerprints() -> Mapping[str, str]:
    """Return the addresses of static files: new content, new address."""
    folder = files("edgeagent.console.web") / "static"
    return {
        entry.name: f"/static/{entry.name}?v={sha256(entry.read_bytes()).hexdigest()[:12]}"
        for entry in folder.iterdir()
        if entry.is_file()
    }
