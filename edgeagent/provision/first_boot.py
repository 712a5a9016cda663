"""The first boot of a card: settings, time, identity, and the token gone; begun anew wherever the power was cut.

How it fits among the units: `edgeagent-firstboot.service` runs this before the daemon. As soon as the settings are
there it says READY=1, so with Type=notify the daemon starts and listens at once, without any network; enrolling goes
on beside it, no longer than `wait_s` twice over. What has not worked until then ends quietly ("offline, will enrol
later"), and edgeagent-firstboot.timer starts it again: a process that waits for days would cost a small board its
memory. Exit code 1 is for what only a person can mend, so that `systemctl --failed` shows it.

Rules: those of `first_boot_rules`. What is done here is one step after the other, each of which changes what is found.
"""

import grp
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import assert_never

from edgeagent import BUILT
from edgeagent.errors import EdgeAgentError, SettingsError
from edgeagent.files import write_durably
from edgeagent.fleet.identity import current
from edgeagent.fleet.identity_keys import IdentityError
from edgeagent.fleet.identity_serial import serial_of
from edgeagent.logs import printable
from edgeagent.provision.clock import wait_for_time
from edgeagent.provision.enrol_file import EnrolFile, Seed
from edgeagent.provision.errors import ImageError
from edgeagent.provision.first_boot_board import GROUP, Board, name_host, nothing
from edgeagent.provision.first_boot_rules import OFFLINE, Facts, Step, Trouble, Who, next_step, trouble_of
from edgeagent.provision.first_boot_settings import first_settings, fleet_section, is_blank, joined, with_fleet
from edgeagent.provision.telling import Teller
from edgeagent.settings import AgentSettings, load
from edgeagent.unenrolled import Standing, leave
from edgeagent.update.on_disk import make_folder
from edgeagent.update.places import TRUST

MOST_STEPS = 12
"""Twice as many as there are: a step that changes nothing must not be taken for ever."""


def first_boot(board: Board, teller: Teller, ready: Callable[[], object]) -> int:
    """Go on from wherever it stands. `ready` is called once the daemon can start. Return the exit code."""
    return _FirstBoot(board, teller, ready).run()


class _FirstBoot:
    """One run: what was read stays with it, so that a file is judged once."""

    def __init__(self, board: Board, teller: Teller, ready: Callable[[], object]) -> None:
        """Take the places; nothing is read yet."""
        self._board, self._teller, self._ready = board, teller, ready
        self._seed: Seed | None = None
        self._file: EnrolFile | None = None
        self._problem = ""
        self._waited = self._has_enrolled = self._has_changed = False

    def run(self) -> int:
        try:
            return self._run()
        except EdgeAgentError as error:
            return self._stuck(Trouble("settings", str(error), error.remedy, is_final=True))
        except OSError as error:
            said = f"{error.filename or self._board.root}: {error.strerror or error}"
            remedy = "See that the card has room and is not worn out."
            return self._stuck(Trouble("disk", said, remedy, is_final=True))

    def _run(self) -> int:
        try:
            self._seed = self._board.card.seed()
        except ImageError:
            if not self._board.settings_file.exists():
                raise
        for _ in range(MOST_STEPS):
            facts = self._look()
            if facts.has_settings:
                self._own_settings()
                self._ready()
                self._ready = nothing
            step = next_step(facts)
            trouble = step if isinstance(step, Trouble) else self._done(step)
            if trouble is not None:
                return self._stuck(trouble)
            if step == "done":
                return self._end()
        return self._stuck(Trouble("broken", "the first boot goes in circles", "Look at the journal.", is_final=True))

    def _done(self, step: Step) -> Trouble | None:
        """Do a step; return why it did not work."""
        match step:
            case "settle":
                self._settle()
            case "wait":
                return self._wait()
            case "enrol":
                return self._enrol()
            case "join":
                self._join()
            case "erase":
                return self._erase()
            case "done":
                pass
            case never:
                assert_never(never)
        return None

    def _look(self) -> Facts:
        board = self._board
        is_written = board.settings_file.exists()
        settings = load(board.settings_file) if is_written else AgentSettings()
        has_settings = is_written and not (self._seed is not None and is_blank(settings))
        card, self._file, self._problem = board.card.enrol_file()
        return Facts(
            has_settings=has_settings,
            card=card,
            who=self._who(self._state_dir(settings)),
            has_joined=settings.fleet.broker is not None,
            is_for_this_board=self._serial() is not None,
            is_clock_sane=self._waited,
        )

    def _who(self, state_dir: Path) -> Who:
        try:
            found = current(state_dir)
        except IdentityError:
            return "nobody"
        if found is None:
            return "nobody"
        if self._file is None:
            return "another"
        if self._has_enrolled:  # what has just come is not asked for again
            return "expected"
        # a clock that is not set yet says nothing of what has run out
        is_over = self._board.clock.is_synchronized() and found.is_expired(self._board.clock.now())
        return "another" if is_over or found.fleet != self._file.fleet else "expected"

    def _serial(self) -> str | None:
        """Return the serial number to tell; None where the token is for another board (A63)."""
        if self._file is None:
            return ""
        if self._file.any_board and self._file.serial is not None:
            return self._file.serial
        own = serial_of(self._board.root)
        if self._file.serial is None:
            return own
        return self._file.serial if self._file.serial.casefold() == own.casefold() else None

    def _state_dir(self, settings: AgentSettings) -> Path:
        is_said = "state_dir" in settings.device.model_fields_set
        return settings.device.state_dir if is_said else self._board.state_dir

    def _settle(self) -> None:
        board, seed = self._board, self._seed
        if seed is None:
            seed = Seed(built=BUILT)
        for note in board.set_up(seed):  # all before the settings, which say that it has been done
            self._teller.line(printable(note))
        self._trust(seed)
        self._teller.doing(f"writing the settings of {seed.name}")
        text = first_settings(seed, board.hardware(seed), board.state_dir)
        self._has_changed = board.settings_file.exists()  # a daemon may run with those
        name_host(board.root, seed.name)
        make_folder(board.settings_file.parent)
        write_durably(board.settings_file, text.encode(), mode=0o640)

    def _trust(self, seed: Seed) -> None:
        """Have the root of trust that the card carries, where there is none: an owner's stays."""
        file = self._board.state_dir / TRUST
        if seed.update_root is None or file.exists():
            return
        self._teller.doing("trusting the publisher of the card's root of trust")
        make_folder(file.parent)
        write_durably(file, seed.update_root.encode(), mode=0o644)

    def _own_settings(self) -> None:
        """Have the daemon's group read the settings: root writes them."""
        with suppress(KeyError, PermissionError):
            group = grp.getgrnam(GROUP).gr_gid
            if self._board.settings_file.stat().st_gid != group:
                os.chown(self._board.settings_file, -1, group)

    def _wait(self) -> Trouble | None:
        board = self._board
        floor = max(BUILT.timestamp(), self._seed.built.timestamp() if self._seed else 0.0)
        state = wait_for_time(
            board.clock, floor, board.wait_s, lambda: self._teller.doing("waiting for the time from the network")
        )
        self._waited = True
        if state == "wrong":
            return Trouble(
                "clock",
                "the clock is behind the time at which the card was written, and cannot be set",
                "Let a time server be reached, or set it: timedatectl set-time.",
            )
        return None

    def _enrol(self) -> Trouble | None:
        card, board = self._file, self._board
        serial = self._serial()
        if card is None or serial is None:  # the rules leave neither
            return Trouble("broken", "there is nothing to enrol with", "Write the card anew.")
        self._teller.doing(f"enrolling at {card.broker_host} for the fleet {card.fleet}, serial number {serial}")
        state_dir = self._state_dir(load(board.settings_file))
        make_folder(state_dir)
        try:
            fleet, device = board.enrolling(card, state_dir, serial, board.wait_s)
        except EdgeAgentError as error:
            trouble = trouble_of(error)
            if trouble.erases:
                self._erase()
            return trouble
        self._has_enrolled = True
        self._teller.doing(f"enrolled: {device} of {fleet}", "done", spoken=True)
        return None

    def _join(self) -> None:
        card, board = self._file, self._board
        state_dir = self._state_dir(load(board.settings_file))
        found = current(state_dir)
        assert card is not None  # noqa: S101  # the rules
        assert found is not None  # noqa: S101  # the same
        who = joined(card, found.fleet, found.device)
        try:
            text = with_fleet(
                board.settings_file.read_text("utf-8-sig"), self._seed or Seed(built=BUILT), who, state_dir
            )
        except SettingsError as error:
            lines = fleet_section(who, state_dir)
            raise SettingsError(
                f"{board.settings_file}: the fleet's broker cannot be added: {error}",
                remedy=f"Add it yourself:\n{lines}",
            ) from error
        write_durably(board.settings_file, text.encode(), mode=0o640)
        self._has_enrolled = True

    def _erase(self) -> Trouble | None:
        self._teller.doing("erasing the token from the boot partition")
        try:
            self._board.card.erase()
        except ImageError as error:
            return Trouble("not-erased", str(error), error.remedy)
        self._has_enrolled = True
        return None

    def _stuck(self, trouble: Trouble) -> int:
        if trouble.code == "unreadable" and self._problem:
            trouble = Trouble("unreadable", self._problem, trouble.remedy, is_final=True)
        is_new = leave(Standing(trouble.said, trouble.remedy), self._board.root)
        self._teller.trouble(trouble, is_new=is_new)
        self._board.card.note(trouble)
        if trouble.code in OFFLINE:
            self._teller.line("offline, will enrol later")
        self._restart_where_new()
        return int(trouble.is_final)

    def _end(self) -> int:
        leave(None, self._board.root)
        self._board.card.note(None)
        self._teller.doing("ready", "done" if self._has_enrolled else "idle")
        self._restart_where_new()
        return 0

    def _restart_where_new(self) -> None:
        if self._has_enrolled or self._has_changed:
            self._board.restart()
