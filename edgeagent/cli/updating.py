"""Following an update on a terminal: by the running agent, or, where none runs, by an updater of our own."""

import asyncio
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from edgeagent.bell import ask
from edgeagent.errors import SettingsError
from edgeagent.logs import printable
from edgeagent.settings import AgentSettings
from edgeagent.update.course import Course
from edgeagent.update.journal import Journal
from edgeagent.update.places import JOURNAL, UPDATES
from edgeagent.update.progress import progress_in
from edgeagent.update.states import State

LOOK_S = 0.1
IN_PLACE: frozenset[State] = frozenset({"probation", "confirmed"})
CONFIRMED: frozenset[State] = frozenset({"confirmed"})
CANCELLED: frozenset[State] = frozenset({"cancelled"})
_DONE, _FAILED = 0, 1


def ring(settings: AgentSettings) -> bool:
    """Have the running agent look at its updates; return False where none runs."""
    try:
        ask(settings.device.state_dir, "update")
    except SettingsError:
        return False
    return True


async def follow(settings: AgentSettings, job: str, *, until: frozenset[State]) -> int:
    """Show how far a job is until it is where it is wanted, or has ended elsewhere; return the exit code."""
    is_running = ring(settings)
    updater = None if is_running else await _updater(settings)
    folder = settings.device.state_dir / UPDATES
    told = Console(highlight=False, markup=False, emoji=False, stderr=True)
    bar = Progress(
        TextColumn("  fetching"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=told, transient=True
    )
    try:
        with closing(Journal(folder / JOURNAL)) as journal, bar:
            shown = _Shown(bar, told)
            while (course := journal.course(job)) is not None:
                shown.show(course, folder)
                if course.is_ended or course.state in until:
                    return _end(course, told, until, is_running=is_running)
                if updater is not None and updater.returncode is not None and course.state != "probation":
                    told.print("later: what it waits for is told by edgeagent update status", soft_wrap=True)
                    return _FAILED
                await asyncio.sleep(LOOK_S)
            return _FAILED
    finally:
        if updater is not None and updater.returncode is None:
            updater.kill()
            await updater.wait()


async def _updater(settings: AgentSettings) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "edgeagent.update",
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101  # it was asked for
    process.stdin.write(settings.model_dump_json().encode())
    process.stdin.close()
    return process


class _Shown:
    """Lines for states, a bar for bytes."""

    def __init__(self, bar: Progress, told: Console) -> None:
        self._bar, self._told = bar, told
        self._states: list[str] = []
        self._task: TaskID | None = None

    def show(self, course: Course, folder: Path) -> None:
        spent = course.notes.get("spent_s", {})
        for state, seconds in spent.items():
            if state not in self._states:
                self._states.append(state)
                self._told.print(f"{state}: {seconds:.1f} s")
        if course.state != "downloading":
            if self._task is not None:
                self._bar.remove_task(self._task)
                self._task = None
            return
        found = progress_in(folder)
        if found is None or found.job != course.job.id:
            return
        if self._task is None:
            self._task = self._bar.add_task("fetching", total=found.total)
        self._bar.update(self._task, completed=found.have, total=found.total)


def _end(course: Course, told: Console, until: frozenset[State], *, is_running: bool) -> int:
    named = f"{course.job.family} {course.job.version}"
    if course.state == "probation":
        when = "it is used as soon as nobody is being served" if is_running else "the agent opens it when it starts"
        told.print(f"{named} is in place: {when}; it is confirmed when it has done well for a while", soft_wrap=True)
        return _DONE
    if course.state in until:
        told.print(f"{named} is {course.state}")
        return _DONE
    notes = course.notes
    told.print(
        printable(f"{named}: {course.state}: {notes.get('code', '')}: {notes.get('detail', '')}"), soft_wrap=True
    )
    if notes.get("remedy"):
        told.print(printable(f"  try: {notes['remedy']}"), soft_wrap=True)
    return _FAILED
