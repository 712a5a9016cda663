"""Which releases are open: in the settings' place of what ships. Nothing here needs what an update needs.

Rules:
- what the owner has named in the settings stays: releases stand in for what ships, and come on top of files;
- a release that is damaged, or for another agent, is passed over: the one before, or what ships, is opened;
- on a disk that cannot be written to, all this goes on; then no start is counted.
"""

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from edgeagent import __version__, voice_health
from edgeagent.errors import UpdateError
from edgeagent.hear.own_pronunciations import PRONUNCIATIONS
from edgeagent.settings import AgentSettings
from edgeagent.update.journal import Journal
from edgeagent.update.manifest import ABIS, by_version
from edgeagent.update.places import JOURNAL, UPDATES
from edgeagent.update.store import Opened, Store
from edgeagent.update.updater import give_up, starting

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InUse:
    """What the agent has opened: settings that name it, versions by family, names for voice health, current links."""

    settings: AgentSettings
    given: AgentSettings
    """As the owner wrote them: an update is tried with these, not on top of what it replaces."""
    versions: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    links: Mapping[str, str | None] = field(default_factory=dict)

    def is_out_of_date(self) -> bool:
        """Tell whether another release has become current since."""
        return self.links != _links(self.settings)


def in_use(settings: AgentSettings) -> InUse:
    """Return what is current, every file of it checked."""
    store = Store(settings.device.state_dir / UPDATES)
    given = settings
    links = _links(settings)  # first: what changes from here on is seen as another release
    opened = {family: _opened(store, family) for family in settings.update.families}
    releases = {family: one.release for family, one in opened.items() if one is not None and one.release is not None}
    for family, one in opened.items():
        if one is not None:
            settings = _with(settings, family, one)
    return InUse(
        settings,
        given,
        {family: release.version for family, release in releases.items()},
        tuple(
            voice_health.named(family, releases[family].id if family in releases else None, store.since(family))
            for family in settings.update.families
        ),
        links,
    )


def without(settings: AgentSettings, in_use: InUse) -> InUse:
    """Return what is in use where the releases cannot be opened: what ships. One in probation is given up."""
    store = Store(settings.device.state_dir / UPDATES)
    try:
        with store.lock(), closing(Journal(store.root / JOURNAL)) as journal:
            for family in in_use.versions:
                detail = "the agent cannot be started with it"
                give_up(store, journal, family, code="does-not-open", detail=detail)
    except UpdateError as error:
        log.warning("a release is not given up", extra={"problem": str(error), "remedy": error.remedy})
    names = tuple(voice_health.named(family, None) for family in settings.update.families)
    return InUse(settings, settings, names=names, links=_links(settings))


def count_start(settings: AgentSettings) -> None:
    """Count a start of the agent against what is in probation: the fourth one puts the release before back."""
    store = Store(settings.device.state_dir / UPDATES)
    path = store.root / JOURNAL
    if not path.exists():
        return
    try:
        with store.lock(), closing(Journal(path)) as journal:
            for family in settings.update.families:
                starting(store, journal, family)
    except UpdateError as error:  # it is counted when the agent has been in service for a while
        log.warning("this start is not counted", extra={"problem": str(error), "remedy": error.remedy})


def _links(settings: AgentSettings) -> dict[str, str | None]:
    store = Store(settings.device.state_dir / UPDATES)
    return {family: store.id_in(family, "current") for family in settings.update.families}


def _opened(store: Store, family: str) -> Opened | None:
    found = store.opening(family, None)
    if found is None or found.release is None:
        return None
    if found.release.abi not in ABIS or by_version(found.release.agent_least) > by_version(__version__):
        log.warning("a release is for a newer agent", extra={"family": family, "version": found.release.version})
        return None
    log.info("release", extra={"family": family, "version": found.release.version, "slot": found.source})
    return found


def _with(settings: AgentSettings, family: str, opened: Opened) -> AgentSettings:
    """Return settings in which a release is used."""
    release, folder = opened.release, opened.folder
    match None if release is None else release.kind:
        case "model" if settings.understanding.model == "built-in":
            return _changed(settings, "understanding", model=str(folder))
        case "commands":
            files = (*settings.acting.command_files, *sorted(folder.rglob("*.yaml")))
            return _changed(settings, "acting", command_files=files)
        case "wake" if settings.waking.words:
            words = (*settings.waking.words, *(str(path) for path in sorted(folder.glob("*.json"))))
            return _changed(settings, "waking", words=words)
        case "pronunciations":
            files = (folder / PRONUNCIATIONS, *settings.hearing.pronunciation_files)
            return _changed(settings, "hearing", pronunciation_files=files)
    log.info("a release is not used: the settings name something else", extra={"family": family})
    return settings


def _changed(settings: AgentSettings, section: str, **changes: object) -> AgentSettings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=changes)})
