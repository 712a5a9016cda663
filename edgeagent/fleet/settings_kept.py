"""The settings that the fleet wants, on the disk of the device, and the agent's settings that come of them.

Rules:
    - What is not on the disk is not tried: where it cannot be written, the fleet is told so, and what was good goes on.
    - A damaged file is set aside; what the fleet wants comes again, since it is retained.
    - What was kept and does not fit any more stays on the disk: the run goes without, the next start tries it again.
"""

import json
import logging
from contextlib import suppress
from dataclasses import replace

from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError, SettingsError
from edgeagent.files import write_durably
from edgeagent.fleet import settings_wanted as rules
from edgeagent.fleet.settings_wanted import Kept
from edgeagent.fleet.wire import Desired, Reported
from edgeagent.settings import AgentSettings

log = logging.getLogger(__name__)

SETTINGS = "fleet/settings.json"
LARGEST_BYTES = 256 << 10


class KeptSettings:
    """What the fleet wants of this device, and how it stands to it. Not for two threads at the same time."""

    def __init__(self, given: AgentSettings) -> None:
        """Read what was put down. `given` are the settings as the owner wrote them."""
        self.given = given
        self.settings = given
        """What is in force in this run."""
        self._path = given.device.state_dir / SETTINGS
        self.kept = self._read()
        self._running = self.kept.overlay
        self.aside = ""
        """Why this run goes without the settings that were kept; empty where it does not."""
        self.may_fit_later = False
        """Whether that may have passed: it is not what the owner's settings say."""

    def start(self) -> AgentSettings:
        """Count this start, and return the settings that it has; never raises for what the fleet has wanted."""
        if not self._write(rules.started(self.kept)) and self.is_in_trial:
            self.kept = rules.undone(self.kept, "this start cannot be put down")
        for _ in range(2):
            try:
                self.settings = rules.in_force(self.given, self.kept)
                break
            except SettingsError as error:
                self.undo(str(error))
        self.may_fit_later = False
        self._running = self.kept.overlay
        return self.settings

    @property
    def is_in_trial(self) -> bool:
        """Tell whether the settings are still to prove themselves."""
        return self.kept.standing in {"waiting", "trial"}

    @property
    def is_new_start_due(self) -> bool:
        """Tell whether other settings are to be in force than those of this run."""
        return self.kept.overlay != self._running

    def desire(self, wanted: Desired, *, is_reached: bool) -> None:
        """Take what the fleet wants."""
        if wanted.version <= self.kept.version:
            if wanted.version < self.kept.version:
                log.info("older settings ignored", extra={"version": wanted.version, "have": self.kept.version})
            return
        problem = rules.problem_of(self.given, wanted.settings)
        changed = rules.desired(self.kept, wanted, problem, is_reached=is_reached)
        if not self._write(changed) and not self.is_in_trial:
            # The version is not taken: the same one may come again when there is room.
            self.kept = replace(self.kept, standing="refused", problem="they cannot be put down: look at the disk")
        log.info(
            "settings wanted",
            extra={"version": wanted.version, "standing": self.kept.standing, "problem": self.kept.problem},
        )

    def reach(self) -> None:
        """Keep the settings in trial: the fleet was reached with them."""
        self._settle(rules.reached(self.kept))

    def last(self) -> None:
        """Take note that this start has lasted."""
        self._settle(rules.lasted(self.kept))

    def undo(self, why: str) -> None:
        """Put back the settings before, from the next start on; where none is in trial, this run goes without."""
        if not self.is_in_trial:
            log.warning("settings of the fleet set aside", extra={"version": self.kept.version, "reason": why})
            self.settings, self.aside, self.may_fit_later = self.given, why, True
            return
        changed = rules.undone(self.kept, why)
        log.warning("settings of the fleet undone", extra={"version": self.kept.version, "reason": why})
        if not self._write(changed):
            self.kept = changed

    def report(self) -> Reported:
        """Return what the fleet is told."""
        return rules.report(self.kept, self.settings, self.aside)

    def _settle(self, changed: Kept) -> None:
        if not self._write(changed):
            self.kept = changed

    def _write(self, changed: Kept) -> bool:
        if changed == self.kept:
            return True
        try:
            write_durably(self._path, json.dumps(rules.written(changed)).encode())
        except OSError as error:
            log.error("settings of the fleet cannot be put down", extra={"problem": str(error)})  # noqa: TRY400
            return False
        self.kept = changed
        return True

    def _read(self) -> Kept:
        try:
            with self._path.open("rb") as file:
                return rules.read(parse(file.read(LARGEST_BYTES + 1), largest=LARGEST_BYTES))
        except FileNotFoundError:
            return Kept()
        except OSError as error:  # it may be whole: who can read it finds it as it was
            log.error("settings of the fleet cannot be read", extra={"problem": str(error)})  # noqa: TRY400
            return Kept()
        except (ValueError, PayloadError) as error:
            aside = self._path.with_suffix(".damaged")
            log.warning("settings of the fleet are damaged", extra={"path": str(aside), "problem": str(error)})
            with suppress(OSError):
                self._path.replace(aside)
            return Kept()
