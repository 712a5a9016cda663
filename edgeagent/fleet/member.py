"""The device as a member of its fleet: under which name, over which broker, with which settings, known by what."""

import logging
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from edgeagent.errors import EdgeAgentError
from edgeagent.fleet import wire
from edgeagent.fleet.gauges import hardware, system
from edgeagent.fleet.outbox import last_job
from edgeagent.fleet.settings_kept import KeptSettings
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.releases import InUse
from edgeagent.reports import Reports
from edgeagent.settings import AgentSettings, BrokerSettings

if TYPE_CHECKING:
    from edgeagent.fleet.identity import Identity
    from edgeagent.fleet.renewing import Renewing

log = logging.getLogger(__name__)

_LONGEST = 200
IDENTITY = "identity"
"""In the state folder."""


class Member:
    """Who this device is in its fleet.

    Where the fleet has a broker of its own, an identity in the state folder says how the device is called there.
    """

    def __init__(self, in_use: InUse, kept: KeptSettings, *, muted: bool) -> None:
        """Look at what there is; a damaged identity is said, and the device goes on under the name in its settings."""
        self.in_use, self.kept = in_use, kept
        self.settings = in_use.settings
        self.job = last_job(self.settings.device.state_dir)
        """The id of the job that the pointer named last."""
        self._met_at = -math.inf
        device = self.settings.device
        self.broker = self.settings.fleet.broker
        """The fleet's own, None where it is met on the broker of the devices."""
        self._identity = self._read_identity()
        if self._identity is not None and self.broker is not None:
            self.broker = _as_identified(self.broker, self._identity)
            device = device.model_copy(update={"id": self._identity.device, "fleet": self._identity.fleet})
        words = self.settings.fleet.share_words
        self.reports = Reports(device, releases=in_use.versions, muted=muted, about=self.about, with_words=words)
        self.client_id = f"{device.id}-fleet" if self._identity is None else device.id

    def greetings(self) -> tuple[Message, ...]:
        """Return what is said first on every connection to the fleet."""
        self._met_at = time.monotonic()
        if not self.settings.fleet.enabled:
            return self.reports.greetings()
        return *self.reports.greetings(), wire.reported(self.reports.address, self.kept.report())

    @property
    def met_s(self) -> float:
        """Return for how many seconds the connection has been up, or was."""
        return time.monotonic() - self._met_at

    def about(self) -> Mapping[str, str | float]:
        """Return what a birth tells beside names and versions."""
        if self._identity is not None:
            self._identity = self._read_identity() or self._identity
        until = {} if self._identity is None else {"certificate_until": round(self._identity.not_after)}
        area = {} if self.settings.device.area is None else {"area": self.settings.device.area[:_LONGEST]}
        return self._lasting | until | area | {"desired": self.kept.kept.version, "job": self.job}

    @cached_property
    def _lasting(self) -> dict[str, str | float]:
        model, serial = hardware()
        if self._identity is not None:
            from edgeagent.fleet.identity_serial import serial_of  # noqa: PLC0415  # as below

            with suppress(EdgeAgentError):
                serial = serial_of()
        told = {"board": self.settings.device.board, "hardware": model, "serial": serial, "system": system()}
        return {name: text[:_LONGEST] for name, text in told.items() if text}

    def renewing(self, bus: Bus) -> "Renewing | None":
        """Return who keeps the certificate from running out; None where there is none."""
        if self.broker is None or self._identity is None:
            return None
        from edgeagent.fleet.identity_store import Identities  # noqa: PLC0415  # as below
        from edgeagent.fleet.renewing import Renewing  # noqa: PLC0415

        return Renewing(bus, Identities(self.settings.device.state_dir), self.broker)

    def _read_identity(self) -> "Identity | None":
        state = self.settings.device.state_dir
        if self.broker is None or not os.path.isdir(state / IDENTITY):  # noqa: PTH112  # it never raises
            return None
        from edgeagent.fleet import identity  # noqa: PLC0415  # who has none does without its library

        try:
            return identity.current(state)
        except EdgeAgentError as error:
            log.error("the identity cannot be used", extra={"problem": str(error), "remedy": error.remedy})  # noqa: TRY400
            return None


def _as_identified(broker: BrokerSettings, identity: "Identity") -> BrokerSettings:
    from edgeagent.fleet.renewing import with_current  # noqa: PLC0415  # as above

    return with_current(broker, identity)


def house_reports(member: Member, settings: AgentSettings, *, muted: bool) -> Reports:
    """Return what makes the messages on the broker of the devices: the same where the fleet is met there."""
    if member.broker is None:
        return member.reports
    return Reports(settings.device, releases=member.in_use.versions, muted=muted)
