"""From what is wanted and what was found to the steps: pure.

Rules:
- the environment that is current stays until the new one has shown that it works, and then until the daemon uses the
  new one; a power cut leaves the link on one of the two;
- settings and state are the owner's: an installation and an upgrade leave them, and so does taking it away;
- a plan that was cut off is mended by the same plan, made anew;
- where what is new does not start, what was before is put back, with its units, and started.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from edgeagent.install.nouns import (
    DAEMON,
    ENABLED,
    FILES,
    FIRST_BOOT,
    GROWROOT,
    IMAGE_FILES,
    IN_IMAGES,
    LATER,
    PROGRAMS,
    UNIT_FILES,
    USER,
    WHEELS,
    Bundle,
    CheckGroups,
    Facts,
    FileStep,
    InstallError,
    InstallWheels,
    MakeEnvironment,
    MakeFolder,
    PlaceFile,
    Places,
    Point,
    Prove,
    PutBack,
    Relocate,
    Remove,
    RemoveIfEmpty,
    Run,
    Step,
    Wish,
    WriteIfAbsent,
)

PREFIX = "venv-"
_COMMAND = "/opt/edgeagent/venv/bin/edgeagent"
_LOOK = f"See why: journalctl -u {DAEMON} -n 50"


def installation(wish: Wish, bundle: Bundle, facts: Facts) -> tuple[Step, ...]:
    """Return the steps that install a bundle, or upgrade to it. Raise InstallError if it lacks a file."""
    places = facts.places
    folder = places.home / name_of(bundle.version, facts.environments)
    return (
        *_environment(folder, bundle, facts),
        Point(places.link, folder.name),
        Point(places.command, _COMMAND),
        *_files(wish, bundle, places),
        *_users_and_settings(facts),
        *_services(wish, facts),
    )


def tidying(facts: Facts) -> tuple[Step, ...]:
    """Return the steps that take away what was in use before, once nobody goes back to it."""
    return () if facts.before is None else (Remove(facts.places.home / facts.before),)


def going_back(wish: Wish, bundle: Bundle, facts: Facts) -> tuple[Step, ...]:
    """Return the steps from a new environment that is in use, and does not do, to the one before; none without one."""
    if facts.before is None:
        return ()
    places = facts.places
    return (
        Point(places.link, facts.before),
        *(PutBack(path, content) for path, content in facts.files),
        *(_reload() if places.is_running else ()),
        *(_restart() if places.is_running and wish.starts else ()),
        Remove(places.home / name_of(bundle.version, facts.environments)),
    )


def removal(facts: Facts, *, is_purge: bool) -> tuple[Step, ...]:
    """Return the steps that take edgeagent away; `is_purge`: with settings and state."""
    places = facts.places
    units = tuple(UNIT_FILES)
    stop = ("systemctl", "disable", "--now", *units)
    away = stop if places.is_running else ("systemctl", f"--root={places.root}", "disable", *units)
    program = (
        Run(away, may_fail=True),
        *(Remove(places.root / target) for target in (*FILES.values(), *IMAGE_FILES.values())),
        Remove(places.command),
        Remove(places.link),  # before what it leads to
        *(Remove(places.home / name) for name in (*facts.environments, PROGRAMS, WHEELS)),
        RemoveIfEmpty(places.home),
    )
    return (*program, *(_purge(places) if is_purge else ()), *(_reload() if places.is_running else ()))


def name_of(version: str, environments: tuple[str, ...]) -> str:
    """Return a name for a new environment that none has: venv-VERSION-NUMBER."""
    numbers = [int(found[1]) for name in environments if (found := re.fullmatch(r"venv-.+-(\d+)", name))]
    return f"{PREFIX}{version}-{max(numbers, default=0) + 1}"


def device_id(hostname: str) -> str:
    """Return a name on the bus that this machine's name allows; two devices of one name cut each other off."""
    plain = re.sub(r"[^a-z0-9-]+", "-", hostname.partition(".")[0].lower()).strip("-")[:64].strip("-")
    return plain or "edgeagent"


def first_settings(hostname: str) -> str:
    """Return what stands in the settings at first."""
    return (
        "# What all settings mean: edgeagent settings show --docs. After a change: sudo systemctl restart edgeagent\n"
        f'[device]\nid = "{device_id(hostname)}"\nstate_dir = "/var/lib/edgeagent"\n'
    )


def told(step: Step) -> str:
    """Return a step in words."""
    match step:
        case MakeEnvironment(python, folder):
            return f"make the environment {folder} with {python}"
        case InstallWheels(_, bundle):
            where = bundle.folder / WHEELS if bundle.is_whole else "the index"
            return f"install edgeagent {bundle.version} from {where}, by hash"
        case Relocate(folder, root):
            return f"write paths in {folder} without {root}"
        case Prove(_, version):
            return f"see that it imports, and is {version}"
        case CheckGroups():
            return "see that the groups of the daemon are there"
        case Run(command):
            return f"run {' '.join(command)}"
        case _:
            return _told_of_file(step)


def _told_of_file(step: FileStep) -> str:
    match step:
        case MakeFolder(path):
            return f"make {path}"
        case Remove(path):
            return f"remove {path}"
        case RemoveIfEmpty(path):
            return f"remove {path} if it is empty"
        case Point(link, target):
            return f"link {link} to {target}"
        case PlaceFile(source, target, _):
            return f"place {target} from {source}"
        case PutBack(target):
            return f"put {target} back"
        case WriteIfAbsent(target):
            return f"write {target}, if there is none"


def _environment(folder: Path, bundle: Bundle, facts: Facts) -> Iterator[Step]:
    places = facts.places
    yield MakeFolder(places.home)
    for name in facts.environments:
        if name != facts.current:
            yield Remove(places.home / name)  # of an installation that was cut off
    yield MakeEnvironment(facts.python.path, folder)
    yield InstallWheels(folder, bundle)
    if places.is_elsewhere:
        yield Relocate(folder, places.root)
    yield Prove(folder, bundle.version)


def _files(wish: Wish, bundle: Bundle, places: Places) -> Iterator[Step]:
    wanted = FILES | (IMAGE_FILES if wish.is_image else {})
    missing = sorted(wanted.keys() - bundle.files)
    if missing:
        raise InstallError(f"{bundle.folder}: lacks {', '.join(missing)}", remedy="Make or fetch the bundle again.")
    for source, target in wanted.items():
        yield PlaceFile(bundle.folder / source, places.root / target)
    if GROWROOT in bundle.files:
        yield PlaceFile(bundle.folder / GROWROOT, places.home / GROWROOT, 0o755)


def _users_and_settings(facts: Facts) -> Iterator[Step]:
    places = facts.places
    below = () if places.is_running else (f"--root={places.root}",)
    yield Run(("systemd-sysusers", *below, "edgeagent.conf"), remedy="Mend /etc/passwd and /etc/group, then try again.")
    unit = places.root / FILES[f"systemd/{DAEMON}"]
    yield CheckGroups(places.root, (unit, places.board.parent))
    if not facts.has_seed:  # of which the first boot makes them
        yield WriteIfAbsent(places.settings, first_settings(facts.hostname))
    tmpfiles = ("systemd-tmpfiles", *below, "--create", "edgeagent.conf")
    yield Run(tmpfiles, remedy="See what it says above.", may_fail=not places.is_booted)  # every start does it anyway


def _services(wish: Wish, facts: Facts) -> Iterator[Step]:
    places = facts.places
    units = (*ENABLED, *(IN_IMAGES if wish.is_image else ()))
    if not places.is_running:
        yield Run(("systemctl", f"--root={places.root}", "enable", *units), remedy="See what it says above.")
        return
    yield from _reload()
    yield Run(
        ("udevadm", "trigger", "--subsystem-match=gpio", "--subsystem-match=spidev", "--subsystem-match=i2c-dev"),
        may_fail=True,
    )
    yield Run(("systemctl", "enable", *units), remedy="See what it says above.")
    if wish.starts and facts.has_seed:
        yield Run(("systemctl", "start", FIRST_BOOT), remedy=f"See why: journalctl -u {FIRST_BOOT} -n 50")
    if wish.starts:
        yield Run(("systemctl", "start", LATER), remedy="See what it says above.")
        yield from _restart()


def _restart() -> Iterator[Step]:
    """Start the daemon anew, which ends when it is ready (Type=notify), or has failed once."""
    yield Run(("systemctl", "reset-failed", DAEMON), may_fail=True)  # one that gave up is not refused
    yield Run(("systemctl", "restart", DAEMON), remedy=_LOOK)


def _reload() -> Iterator[Step]:
    yield Run(("udevadm", "control", "--reload"), may_fail=True)  # there is none in a container
    yield Run(("systemctl", "daemon-reload"), remedy="See what it says above.")


def _purge(places: Places) -> Iterator[Step]:
    yield Remove(places.settings)
    yield RemoveIfEmpty(places.settings.parent)  # a console's settings may be there
    yield Remove(places.state)
    yield Remove(places.board)
    yield RemoveIfEmpty(places.board.parent)
    if places.is_running:
        yield Run(("userdel", USER), may_fail=True)
