"""Requests to a console's API: with a token, over TLS or this machine's loopback, bounded, errors as its own words."""

import ipaddress
import json
import os
import ssl
import stat
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeagent.errors import EdgeAgentError, SettingsError
from edgeagent.files import read_text

CONSOLE, TOKEN, FLEET = "EDGEAGENT_CONSOLE", "EDGEAGENT_TOKEN", "EDGEAGENT_FLEET"
TOKEN_FILE = Path("~/.config/edgeagent/token")
START = "/api/v1"
LARGEST_BYTES = 32 << 20
WITHIN_S = 30.0


class FleetError(EdgeAgentError):
    """The console did not do what was asked: it cannot be reached, or says why not."""

    def __init__(self, message: str, *, status: int = 0, remedy: str = "") -> None:
        """Keep the HTTP status, 0 where there was no answer."""
        super().__init__(message, remedy=remedy)
        self.status = status


class _Staying(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: the token would go along."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Calls:
    """A console that is asked. `address` is as https://fleet.example."""

    address: str
    token: str
    ca: Path | None = None

    def get(self, path: str, **query: object) -> Any:
        """Ask for something."""
        known = {name: str(value) for name, value in query.items() if value not in {None, ""}}
        return self._ask("GET", f"{path}?{urllib.parse.urlencode(known)}" if known else path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Have something done or made."""
        return self._ask("POST", path, {} if body is None else body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Have something be so."""
        return self._ask("PUT", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Have a part of something be so."""
        return self._ask("PATCH", path, body)

    def delete(self, path: str) -> Any:
        """Have something removed."""
        return self._ask("DELETE", path, None)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(  # noqa: S310  # its scheme was looked at
            f"{self.address}{START}{path}", data, headers, method=method
        )
        try:
            with self._opener().open(request, timeout=WITHIN_S) as answer:
                raw = answer.read(LARGEST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise _told(error) from error
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error
            raise FleetError(
                f"{self.address}: {why}", remedy="See that the console runs, and that --console names it."
            ) from error
        if len(raw) > LARGEST_BYTES:
            raise FleetError(f"{self.address}: the answer has more than {LARGEST_BYTES >> 20} MiB")
        try:
            return json.loads(raw) if raw else None
        except ValueError as error:
            raise FleetError(f"{self.address}: this is no console's answer", remedy="Look at --console.") from error

    def _opener(self) -> urllib.request.OpenerDirector:
        try:
            context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except OSError as error:
            raise SettingsError(f"{self.ca}: {error.strerror or error}", remedy="Name a PEM file with --ca.") from error
        https = urllib.request.HTTPSHandler(context=context)
        return urllib.request.build_opener(urllib.request.ProxyHandler({}), _Staying(), https)


def quoted(name: str) -> str:
    """Return a name as a part of an address."""
    return urllib.parse.quote(name, safe="")


def calls(address: str | None, token_file: Path | None, ca: Path | None) -> Calls:
    """Return the console that is meant. Raise SettingsError where it, or the token, is not said."""
    found = (address or os.environ.get(CONSOLE, "")).rstrip("/")
    if not found:
        raise SettingsError("which console?", remedy=f"Name it: --console https://…, or {CONSOLE} in the environment.")
    parts = urllib.parse.urlsplit(found)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
        raise SettingsError(f"{found!r:.100} is no address of a console", remedy="As: https://fleet.example")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise SettingsError(
            f"{found}: the token would be readable on the way", remedy="Use https://, or a tunnel to this machine."
        )
    return Calls(found, _token(token_file), ca)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token(file: Path | None) -> str:
    if file is None and (token := os.environ.get(TOKEN, "").strip()):
        return token
    path = (file or TOKEN_FILE).expanduser()
    remedy = f"Make one under Account, and put it into {TOKEN}, or into {path} with chmod 600."
    if file is None and not path.exists():
        raise SettingsError("there is no API token", remedy=remedy)
    text = read_text(path, remedy)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"{path}: others can read this token", remedy=f"chmod 600 {path}")
    return text.strip()


def _told(error: urllib.error.HTTPError) -> FleetError:
    """Return what the console says is wrong."""
    try:
        problem = json.loads(error.read(1 << 20))
        title, remedy = str(problem["title"]), str(problem.get("remedy", ""))
    except (ValueError, KeyError, TypeError, OSError):
        title, remedy = f"the console answers {error.code}", "Look at --console: is it a console of edgeagent?"
    return FleetError(title, status=error.code, remedy=remedy)
