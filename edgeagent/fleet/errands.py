"""What each kind of job is, done: a new start, the log, a bundle, a self-test, the owner's clips, "here I am"."""

import asyncio
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol

from edgeagent import __version__, voice_health
from edgeagent.answer.patterns import Pattern
from edgeagent.errors import UpdateError
from edgeagent.fleet import diagnostics
from edgeagent.fleet.beside import done_beside
from edgeagent.fleet.clerk import Clerk
from edgeagent.fleet.log_lines import MOST_LINES, LogLines
from edgeagent.fleet.member import Member
from edgeagent.fleet.redacting import Redactor, Said, secrets_of
from edgeagent.fleet.sampling import Sampling
from edgeagent.fleet.settling import Settling
from edgeagent.fleet.wire import FleetJob
from edgeagent.fleet.working import Chore
from edgeagent.updating import Updating

USUAL_LINES = 200
USUAL_BLINKS_S, LONGEST_BLINKS_S = 10.0, 60.0
BLINK_S = 0.5


class Shown(Protocol):
    """How the device shows itself to who stands before it."""

    async def say(self, text: str) -> None:
        """Tell the person something."""

    def sign(self, pattern: Pattern) -> None:
        """Show a pattern."""


class Errands:
    """Carries out jobs, and returns what came of them."""

    def __init__(
        self, member: Member, clerk: Clerk, settling: Settling, sampling: Sampling, updating: Updating
    ) -> None:
        """Take what the jobs are about."""
        self._member, self._clerk, self._settling, self._sampling = member, clerk, settling, sampling
        self._updating = updating
        self.lines, self.said = LogLines(with_words=member.settings.fleet.share_words), Said()

    def chores(self, shown: Shown) -> Mapping[str, Chore]:
        """Return what does each kind of job."""
        beside = self._member.settings
        return {
            "settings": self._settle,
            "restart": self._begin_anew,
            "logs": self._tell_log,
            "diagnostics": self._look,
            "self-test": lambda _: done_beside("self-test", beside),
            "clips": lambda _: done_beside("clips", beside),
            "identify": partial(self._identify, shown),
        }

    async def _settle(self, job: FleetJob) -> Mapping[str, Any]:
        """Wait until the settings of a version are kept. Raise UpdateError "refused", "undone" or "superseded"."""
        version = job.options.get("version")
        if not isinstance(version, int) or isinstance(version, bool):
            raise UpdateError("options: a version was expected, as a whole number", code="bad-job")
        while True:
            kept = self._settling.kept
            if kept.version > version:
                raise UpdateError(f"version {kept.version} has taken its place", code="superseded")
            if kept.version == version and kept.standing == "applied":
                if self._settling.aside:
                    raise UpdateError(f"not in this start: {self._settling.aside}", code="undone")
                return {"version": version}
            if kept.version == version and kept.standing in {"refused", "undone"}:
                raise UpdateError(kept.problem, code=kept.standing)
            await self._settling.changed()

    async def _begin_anew(self, _job: FleetJob) -> Mapping[str, Any]:
        """Have a new start; the start after this one says so. Raise UpdateError if it could go on for ever."""
        if not self._clerk.is_durable:
            raise UpdateError("what cannot be remembered could be done for ever", code="not-durable")
        self._settling.wants_new_start = True
        try:
            forever: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
            return await forever
        finally:
            self._settling.wants_new_start = False

    async def _tell_log(self, job: FleetJob) -> Mapping[str, Any]:
        wanted, since_s = job.options.get("lines", USUAL_LINES), job.options.get("since_s", 0)
        most = wanted if isinstance(wanted, int) and 0 < wanted < MOST_LINES else MOST_LINES
        since = time.time() - since_s if isinstance(since_s, int | float) and since_s > 0 else 0.0
        lines = self.lines.since(since, most)
        return {"lines": await asyncio.to_thread(diagnostics.fitting, lines, self._redactor())}

    async def _look(self, _job: FleetJob) -> Mapping[str, Any]:
        """Return the bundle. What one part of it takes wrong, stands in its place."""
        try:
            found: Mapping[str, Any] = await done_beside("look", self._member.settings)
        except UpdateError as error:
            found = {"problem": str(error)}
        member = self._member
        state = member.settings.device.state_dir
        figures = voice_health.read(state / voice_health.HEALTH)
        parts = {
            "version": __version__,
            "python": platform.python_version(),
            "about": dict(member.about()),
            "releases": dict(member.in_use.versions),
            "settings": member.kept.report().model_dump(mode="json"),
            "sample": self._sampling.sample().model_dump(mode="json"),
            "health": {name: asdict(counts.figures()) for name, counts in figures.items()},
            "updates": await self._updating.history(),
            "doctor": dict(found),
            "disk": dict(zip(("total", "used", "free"), shutil.disk_usage(state), strict=True)),
        }
        return await asyncio.to_thread(diagnostics.packed, parts, self.lines.since(), self._redactor())

    async def _identify(self, shown: Shown, job: FleetJob) -> Mapping[str, Any]:
        """Blink, and say who this is."""
        wanted = job.options.get("seconds", USUAL_BLINKS_S)
        lasts_s = min(float(wanted), LONGEST_BLINKS_S) if isinstance(wanted, int | float) else USUAL_BLINKS_S
        name, area = self._member.reports.address.device.replace("-", " "), self._member.settings.device.area
        saying = asyncio.ensure_future(shown.say(f"I am {name}{f', in the {area}' if area else ''}."))
        ends = time.monotonic() + lasts_s
        try:
            while time.monotonic() < ends:
                shown.sign("question")
                await asyncio.sleep(BLINK_S)
                shown.sign("idle")
                await asyncio.sleep(BLINK_S)
            await saying
        finally:
            shown.sign("idle")
            saying.cancel()
        return {"seconds": lasts_s}

    def clean(self, text: str) -> str:
        """Return a text as it may leave the device."""
        return self._redactor().text(text)

    def _redactor(self) -> Redactor:
        words = () if self._member.settings.fleet.share_words else self.said.sentences()
        return Redactor(secrets_of(self._member.in_use.given), words)
