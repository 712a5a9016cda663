"""An installation from its wish to its end: look, check, plan, then do it or show it."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeagent.install.bundles import made_of_checkout, opened
from edgeagent.install.doing import carry_out
from edgeagent.install.machine import look
from edgeagent.install.nouns import Bundle, Facts, InstallError, Places, Step, Wish
from edgeagent.install.plan import going_back, installation, name_of, removal, tidying, told
from edgeagent.install.rules import check, check_rights

Say = Callable[[str], None]
_LOCK = Path("/run/edgeagent-install.lock")
"""Root's alone: whoever can open a file, or a folder as /, can hold its lock for ever."""
_SOUND = "sound needs PortAudio, and a voice espeak-ng: sudo apt-get install libportaudio2 espeak-ng"


def install(places: Places, source: Path | None, python: Path, wish: Wish, say: Say, *, is_dry: bool = False) -> None:
    """Install the bundle in a folder, or this checkout where none is named; a dry run says what would be done.

    Raise InstallError if it cannot be, with what was before still in use, or in use again.
    """
    with _bundle(source) as bundle, _alone(places):
        facts = look(places, python)
        check(facts, bundle)
        try:
            _go(installation(wish, bundle, facts), say, is_dry=is_dry)
        except InstallError as error:
            if _leads_to(places, name_of(bundle.version, facts.environments)) and facts.before is not None:
                raise _gone_back(wish, bundle, facts, error, say) from error
            raise
        _go(tidying(facts), say, is_dry=is_dry)
        if not facts.has_portaudio:
            say(_SOUND)


def uninstall(places: Places, python: Path, say: Say, *, is_purge: bool = False, is_dry: bool = False) -> None:
    """Take edgeagent away, and with `is_purge` its settings and state. Raise InstallError if that fails."""
    with _alone(places):
        facts = look(places, python)
        check_rights(facts)
        _go(removal(facts, is_purge=is_purge), say, is_dry=is_dry)
        if not is_purge:
            say(f"kept: {places.settings}, {places.state}")


def _leads_to(places: Places, name: str) -> bool:
    return places.link.is_symlink() and places.link.readlink().name == name


def _gone_back(wish: Wish, bundle: Bundle, facts: Facts, error: InstallError, say: Say) -> InstallError:
    """Go back to what was before; return what is to be said of both."""
    say(f"edgeagent {bundle.version} does not do: going back to {facts.before}")
    try:
        _go(going_back(wish, bundle, facts), say, is_dry=False)
    except InstallError as again:
        said = f"{error}; {facts.before}, which was before, does not do either: {again}"
        return InstallError(said, remedy=again.remedy)
    return InstallError(f"{error}; {facts.before} is in use again", remedy=error.remedy)


def _go(steps: tuple[Step, ...], say: Say, *, is_dry: bool) -> None:
    if is_dry:
        for step in steps:
            say(told(step))
        return
    carry_out(steps, lambda step: say(told(step)))


@contextmanager
def _bundle(source: Path | None) -> Iterator[Bundle]:
    if source is not None:
        yield opened(source)
        return
    with tempfile.TemporaryDirectory(prefix="edgeagent-install-") as folder:
        yield made_of_checkout(Path(folder))


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Be the only one who installs into this root while the block runs. Raise InstallError if another does."""
    try:
        lock = _opened_lock(places)
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}", remedy="Name a folder: --root FOLDER") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InstallError("another installation is under way", remedy="Wait for its end.") from error
    finally:
        os.close(lock)


def _opened_lock(places: Places) -> int:
    """Return the open lock; for another root, and for who may not install anyway, that is the folder itself."""
    if not places.is_elsewhere and os.geteuid() == 0 and _LOCK.parent.is_dir():
        return os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    return os.open(places.root, os.O_RDONLY | os.O_DIRECTORY)
