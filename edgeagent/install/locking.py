"""What the daemon needs of all that is locked: the projects that an installed one rests on."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from edgeagent.install.nouns import InstallError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROJECT = "edgeagent"
EXTRAS = ("wake", "board", "litert")
"""Which extras a device gets: wake words, lamps and buttons, and the runtime for 512 MB."""


def closure(top: str, extras: Sequence[str], environment: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the names of all that a project which is installed here needs, without itself, as indexes write them.

    `environment` is what markers see, without one this machine. Raise InstallError for a project that is not installed
    here, or as it was before it had one of the extras: what it needs is not known then. It is asked in a checkout
    alone, whose environment has `packaging`.
    """
    from packaging.utils import canonicalize_name  # noqa: PLC0415  # see above

    _required(top)
    if unknown := sorted(set(extras) - set(metadata.metadata(top).get_all("Provides-Extra") or ())):
        raise InstallError(
            f"{top} is installed here as it was before it had {', '.join(unknown)}", remedy="Type: make setup"
        )
    known: dict[str, set[str]] = {}
    waiting = [(top, frozenset(extras))]
    while waiting:
        name, wanted = waiting.pop()
        if name in known and wanted <= known[name]:
            continue
        known[name] = known.get(name, set()) | wanted
        needed = (one for one in _required(name) if _applies(one, known[name], environment or {}))
        waiting.extend((canonicalize_name(one.name), frozenset(one.extras)) for one in needed)
    return frozenset(known) - {top}


def _required(name: str) -> "list[Requirement]":
    from packaging.requirements import Requirement  # noqa: PLC0415  # as above

    try:
        return [Requirement(one) for one in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError as error:
        raise InstallError(
            f"{name}: not installed here, so what it needs is not known", remedy="Type: make setup"
        ) from error


def _applies(one: "Requirement", extras: Iterable[str], environment: Mapping[str, str]) -> bool:
    marker = one.marker
    return marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))
