"""Where a device's updates happen, put together from its settings: the one place that knows all parts."""

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from edgeagent import BUILT, __version__, voice_health
from edgeagent.errors import ModelError, UpdateError
from edgeagent.settings import AgentSettings, UpdateSettings
from edgeagent.shipped import BUILT_IN, built_in_model
from edgeagent.update.bandwidth import Bandwidth
from edgeagent.update.delta_fetcher import DeltaFetcher
from edgeagent.update.download import Downloads, Watch
from edgeagent.update.journal import Journal
from edgeagent.update.manifest import Machine
from edgeagent.update.metadata import TrustedMetadata
from edgeagent.update.nouns import Kind, Target, Transport
from edgeagent.update.places import TUF, JournalShelf, trusted_root
from edgeagent.update.probation import Limits
from edgeagent.update.progress import Progress, Shown
from edgeagent.update.self_test import with_clips
from edgeagent.update.steps import Site
from edgeagent.update.store import Store
from edgeagent.update.transports import FolderTransport, HttpTransport
from edgeagent.update.trusted_time import BoardClock
from edgeagent.update.waiting import power_of, why_wait

_TIME_CONSTANTS, _UNSYNCHRONISED, _STATUS_AT = 64, 0x40, 5
_RTC = Path("/dev/rtc0")


@dataclass(frozen=True, slots=True)
class Around:
    """What a site gets from whoever runs it: a transport through the agent, and the clocks of the board."""

    blocks: Transport | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    built_in: Callable[[str], Path | None] | None = None


@contextmanager
def site_at(settings: AgentSettings, store: Store, journal: Journal, around: Around | None = None) -> Iterator[Site]:
    """Give the site of this device, while the block runs.

    Where no repository can be used, its methods say why: what is under way can still be ended, judged and put back.
    """
    around = around or Around()
    state = settings.device.state_dir
    with ExitStack() as opened:
        metadata: TrustedMetadata | _Barred
        transports: Sequence[Transport] = ()
        try:
            transports = transports_of(settings.update, around.blocks, opened)
            metadata = TrustedMetadata(
                state / TUF,
                transports,
                bootstrap=trusted_root(state),
                clock=BoardClock(lambda: (around.now(), is_clock_right()), BUILT),
                second_floor=JournalShelf(journal),
            )
        except UpdateError as error:
            metadata = _Barred(error)
        shown = Shown(store.root)

        def progress(have: int, total: int) -> None:
            course = journal.under_way()
            shown.show(Progress("" if course is None else course.job.id, have, total))

        watch = Watch(progress, _Asked(journal).is_cancelled)
        shipped = around.built_in or built_in
        downloads = Downloads(store.staging, transports, metadata.path_of, watch)
        yield Site(
            store=store,
            journal=journal,
            repository=metadata,
            fetcher=DeltaFetcher(downloads, metadata, store, shipped),
            machine=machine_of(settings),
            self_test=partial(_self_test, settings),
            health=partial(voice_health.figures_of, state / voice_health.HEALTH),
            built_in=shipped,
            why_wait=lambda: why_wait(settings.update, datetime.now().astimezone().time(), power_of()),
            now=lambda: around.now().timestamp(),
            limits=Limits(least_s=settings.update.confirm_after_s, quiet_s=settings.update.confirm_quiet_after_s),
        )


def transports_of(settings: UpdateSettings, blocks: Transport | None, opened: ExitStack) -> Sequence[Transport]:
    """Return the ways to the repository, the best one first. Raise UpdateError "no-repository" if there is none."""
    rate = None if settings.bytes_per_second is None else Bandwidth(settings.bytes_per_second)
    found: list[Transport] = []
    if settings.folder is not None:
        found.append(FolderTransport(settings.folder, bandwidth=rate))
    if settings.url is not None:
        found.append(opened.enter_context(closing(HttpTransport(settings.url, bandwidth=rate))))
    if settings.over_bus and blocks is not None:
        found.append(blocks)
    if not found and settings.over_bus:
        raise UpdateError(
            "the repository is reached over the broker, by the running agent alone",
            code="unreachable",
            remedy="Start the agent: edgeagent run.",
        )
    if not found:
        remedy = "Set [update] url to the address of the repository, folder to where it lies, or over_bus = true."
        raise UpdateError("no repository is named", code="no-repository", remedy=remedy)
    return found


def built_in(family: str) -> Path | None:
    """Return the folder of the release that ships with the package, None if this family has none."""
    try:
        return built_in_model() if family == BUILT_IN else None
    except ModelError:
        return None


def machine_of(settings: AgentSettings) -> Machine:
    """Return what a release must fit: half of the memory that the board has is a release's at most."""
    total_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return Machine(settings.device.board, __version__, total_mb // 2)


def is_clock_right() -> bool:
    """Tell whether the clock is kept by a time server (adjtimex(2)), or at least by a clock with a battery."""
    answer = (ctypes.c_long * _TIME_CONSTANTS)()
    try:
        found = ctypes.CDLL(None, use_errno=True).adjtimex(answer)
    except (OSError, AttributeError):
        return False
    status = ctypes.c_int.from_buffer(answer, _STATUS_AT * ctypes.sizeof(ctypes.c_long)).value
    return (found >= 0 and not status & _UNSYNCHRONISED) or _RTC.exists()


def _self_test(settings: AgentSettings, kind: Kind, candidate: Path, current: Path | None) -> Mapping[str, Any]:
    if kind == "model" and current is not None:  # what the owner's recordings are compared with
        named = settings.understanding.model_copy(update={"model": str(current)})
        settings = settings.model_copy(update={"understanding": named})
    return with_clips(kind, candidate, current, settings).model_dump()


class _Barred:
    """A repository that cannot be used, and why."""

    version = 0

    def __init__(self, error: UpdateError) -> None:
        self._error = error

    def refresh(self) -> None:
        raise self._error

    def target(self, _name: str) -> Target | None:
        raise self._error

    def names(self, _family: str) -> tuple[str, ...]:
        raise self._error

    def path_of(self, _target: Target) -> str:
        raise self._error


class _Asked:
    """Whether the job that is under way shall end; the journal is asked now and then."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self._count = journal, 0

    def is_cancelled(self) -> bool:
        self._count += 1
        if self._count % 16:
            return False
        course = self._journal.under_way()
        return course is not None and bool(course.wish)
