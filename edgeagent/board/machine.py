"""The machine that a plan is for: what is on it, and the plan carried out."""

import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edgeagent.board.applying import DROP_IN, Change, Plan, There
from edgeagent.board.config_txt import LARGEST_BYTES
from edgeagent.board.errors import BoardError
from edgeagent.files import write_durably

_BOOT = (Path("boot/firmware"), Path("boot"))
_COMMAND_S = 20.0
"""amixer answers at once; a driver that hangs shall not hang us."""
_MOST_OVERLAYS = 5_000
_NOT_INSTALLED = "is not installed: sudo apt-get install alsa-utils"


def on_machine(root: Path = Path("/")) -> There:
    """Return what is on the machine below `root`. Raise BoardError if a file that is there cannot be read."""
    boot = next((folder for folder in _BOOT if (root / folder / "config.txt").is_file()), None)
    kernel = re.match(r"(\d{1,3})\.(\d{1,4})", platform.release()) if root == Path("/") else None
    config = None if boot is None else _read(root / boot / "config.txt")
    return There(
        drop_in=_read(root / DROP_IN),
        config=None if boot is None or config is None else (boot / "config.txt", config),
        overlays=None if boot is None else _overlays(root / boot / "overlays"),
        groups=frozenset(_groups(root)),
        kernel=(int(kernel[1]), int(kernel[2])) if kernel else None,
        is_running=root == Path("/"),
    )


def carry_out(plan: Plan, root: Path = Path("/")) -> Iterator[str]:
    """Write and do all that the plan says, and yield what went wrong: one that fails takes nothing else along.

    Commands are run on the machine itself alone, not for a folder.
    """
    is_reloaded = True
    for change in plan.changes:
        troubles = tuple(_write(change, root))
        yield from troubles
        is_reloaded = is_reloaded and (change.path != DROP_IN or bool(troubles))
    if root != Path("/"):
        return
    if not is_reloaded:
        yield from _run(("systemctl", "daemon-reload"))
    absent: set[str] = set()
    for command in plan.commands:
        if command[0] in absent:
            continue
        for trouble in _run(command):
            yield trouble
            if trouble.endswith(_NOT_INSTALLED):
                absent.add(command[0])


def _write(change: Change, root: Path) -> Iterator[str]:
    try:
        write_durably(root / change.path, change.after, mode=0o644)
    except OSError as error:
        yield f"/{change.path}: cannot be written: {error.strerror or error} (as root: sudo edgeagent board apply)"


def _run(command: tuple[str, ...]) -> Iterator[str]:
    try:
        done = subprocess.run(  # noqa: S603  # our own commands, with names that the profiles' form allows
            command, capture_output=True, text=True, errors="replace", timeout=_COMMAND_S, check=False
        )
    except FileNotFoundError:
        yield f"{command[0]} {_NOT_INSTALLED}" if command[0] != "systemctl" else "systemd is not here: nothing reloaded"
        return
    except (OSError, subprocess.TimeoutExpired) as error:
        yield f"{' '.join(command)}: {error}"
        return
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[:200]
        yield f"{' '.join(command)}: {said or f'ended with {done.returncode}'}"


def _groups(root: Path) -> Iterator[str]:
    for line in (_read(root / "etc/group") or b"").decode("utf-8", "replace").splitlines():
        yield line.partition(":")[0]


def _overlays(folder: Path) -> frozenset[str] | None:
    if not folder.is_dir():
        return None
    files = (file for file, _ in zip(folder.glob("*.dtbo"), range(_MOST_OVERLAYS), strict=False))
    return frozenset(file.stem for file in files)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BoardError(
            f"{path}: cannot be read: {error.strerror}", remedy="Run it as root: sudo edgeagent …"
        ) from error
