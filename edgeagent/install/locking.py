"""What the daemon needs of all that is locked: the projects that an installed one rests on, here and now."""

from importlib import metadata

from edgeagent.install.nouns import InstallError


def needed(project: str) -> frozenset[str]:
    """Return the names of a project and of all that it needs on this machine. Raise InstallError if one is not there.

    It is asked in a checkout alone, whose environment has `packaging`; a bundle brings a lock of its own.
    """
    from packaging.requirements import Requirement  # noqa: PLC0415  # see above

    seen: set[tuple[str, frozenset[str]]] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(project, frozenset())]
    while waiting:
        name, extras = one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        try:
            wanted = metadata.requires(name) or []
        except metadata.PackageNotFoundError as error:
            raise InstallError(f"{name} is not installed here", remedy="make setup") from error
        for requirement in map(Requirement, wanted):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return frozenset(name for name, _ in seen)
