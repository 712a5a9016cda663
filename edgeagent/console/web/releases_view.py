"""A folder of signed releases to what people ask of it: what there is, who has signed it, how long that holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from edgeagent.console.versions import version_key
from edgeagent.errors import UpdateError
from edgeagent.release.roles import ONLINE, Roles

SOON_DAYS: Mapping[str, int] = {"root": 30, "targets": 14, "snapshot": 2, "timestamp": 0}
FAMILY_SOON_DAYS = 14
LARGEST_KEYS_BYTES = 1 << 20
MOST_VERSIONS = 200
"""Of a family, the newest."""
Condition = Literal["ok", "soon", "expired", "unsigned"]


@dataclass(frozen=True, slots=True)
class RoleSeen:
    """A role's published metadata: who has signed it, of how many that must, and until when it holds."""

    role: str
    version: int
    expires: datetime
    signed_by: tuple[str, ...]
    threshold: int
    condition: Condition

    @property
    def is_verified(self) -> bool:
        """Whether enough of those who may have signed it."""
        return len(self.signed_by) >= self.threshold


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """A release that devices can install."""

    family: str
    version: str
    released: float | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RepositorySeen:
    """A repository; `problem` where it cannot be read."""

    name: str
    roles: tuple[RoleSeen, ...] = ()
    releases: Mapping[str, tuple[ReleaseSeen, ...]] | None = None
    problem: str = ""
    remedy: str = ""


def seen(name: str, folder: Path, now: datetime) -> RepositorySeen:
    """Return what a folder holds; what is wrong with it is a part of that."""
    try:
        roles = _roles(folder)
        if roles.latest("root") is None:
            return RepositorySeen(name, problem="there is no repository in this folder", remedy=_MAKE_ONE)
        names = _names(folder)
        found = tuple(
            one
            for role in ("root", "targets", *roles.families(), *ONLINE)
            if (one := _role(roles, role, names, now)) is not None
        )
        releases = {family: _releases(roles, family) for family in roles.families()}
    except UpdateError as error:
        return RepositorySeen(name, problem=str(error).replace(str(folder), name), remedy=error.remedy)
    except (ValueError, KeyError, AttributeError) as error:
        return RepositorySeen(name, problem=f"its metadata cannot be understood: {type(error).__name__}")
    return RepositorySeen(name, found, releases)


def versions(folders: Sequence[Path]) -> dict[str, list[str]]:
    """Return the versions that devices can have, the newest first, by family."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        try:
            roles = _roles(folder)
            for family in roles.families():
                found.setdefault(family, set()).update(one.version for one in _releases(roles, family))
        except (UpdateError, ValueError, KeyError, AttributeError):
            continue  # the page of releases says what is wrong with it
    return {family: sorted(some, key=version_key, reverse=True) for family, some in sorted(found.items())}


_MAKE_ONE = "`edgeagent release init` makes one, `edgeagent release publish` fills it."


def _roles(folder: Path) -> Roles:
    """Return the metadata of a publisher's folder, or of a repository as it is served."""
    roles = Roles(folder / "metadata")
    if not roles.published.is_dir():
        roles.published = folder / "metadata"
    return roles


def _role(roles: Roles, role: str, names: Mapping[str, str], now: datetime) -> RoleSeen | None:
    latest = roles.latest(role)
    if latest is None:
        return None
    delegator: Any = roles.latest("root" if role in {"root", "targets", *ONLINE} else "targets")
    result = delegator.signed.get_verification_result(role, latest.signed_bytes, latest.signatures)
    signed_by = tuple(sorted(names.get(keyid, keyid[:12]) for keyid in result.signed))
    soon = timedelta(days=SOON_DAYS.get(role, FAMILY_SOON_DAYS))
    left = latest.signed.expires - now
    condition: Condition = "expired" if left < timedelta(0) else "soon" if left < soon else "ok"
    if not result.verified:
        condition = "unsigned"
    return RoleSeen(role, latest.signed.version, latest.signed.expires, signed_by, result.threshold, condition)


def _releases(roles: Roles, family: str) -> tuple[ReleaseSeen, ...]:
    latest = roles.latest(family)
    if latest is None:
        return ()
    targets = latest.signed.targets
    found = []
    for name, target in targets.items():
        own, _, plain = name.rpartition("/")
        if own == family and plain.endswith(".json"):
            released = (target.custom or {}).get("released")
            found.append(ReleaseSeen(family, plain.removesuffix(".json"), released, target.length))
    found.sort(key=lambda one: version_key(one.version), reverse=True)
    return tuple(found[:MOST_VERSIONS])


def _names(folder: Path) -> dict[str, str]:
    """Return who holds which key, where the folder is a publisher's own."""
    path = folder / "keys.json"
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_KEYS_BYTES:
            return {}
        return {str(one["keyid"]): str(one["name"]) for one in json.loads(path.read_bytes())}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
