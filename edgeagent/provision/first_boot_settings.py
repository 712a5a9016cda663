"""A seed to the settings file of a device, and what an identity adds to it. Pure, but for the board that is asked for.

Rules:
    - What stands there already is the owner's: only what enrolment gives is added, and only where it is not said yet.
      A file that says no more than a name and a folder is an installer's, who had no seed: the seed goes before it.
    - The file that comes of both is read back before it counts.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeagent.errors import SettingsError
from edgeagent.provision.enrol_file import EnrolFile, Seed
from edgeagent.settings import AgentSettings, parse

MARK = "# Written by the first boot from seed.toml on the boot partition. It is yours: nothing overwrites it.\n"


def is_blank(settings: AgentSettings) -> bool:
    """Tell whether settings are those of an installer, who knew nothing of this device."""
    return settings.model_fields_set == {"device"} and settings.device.model_fields_set <= {"id", "state_dir"}


@dataclass(frozen=True, slots=True)
class Joined:
    """Who a device is in its fleet, and where the fleet is met."""

    fleet: str
    device: str
    broker_host: str
    broker_port: int


def joined(card: EnrolFile, fleet: str, device: str) -> Joined:
    """Return where an identity belongs that this file was for."""
    return Joined(fleet, device, card.broker_host, card.broker_port)


@dataclass(frozen=True, slots=True)
class Hardware:
    """The ids of the profiles that a device has, and what its settings should say because of them."""

    board: str
    hat: str | None = None
    better: tuple[tuple[str, str, object], ...] = ()
    """Table, key and value of each setting that is another one than by default."""


def first_settings(seed: Seed, hardware: Hardware, state_dir: Path) -> str:
    """Return the settings file of a new device. Raise SettingsError if they do not fit together."""
    lines = [MARK, "[device]", f"id = {_text(seed.name)}", f"fleet = {_text(seed.fleet)}"]
    lines += [f"area = {_text(seed.area)}"] if seed.area else []
    lines += [f"state_dir = {_text(str(state_dir))}", f"board = {_text(hardware.board)}"]
    if seed.broker_host:
        lines += ["", "[broker]", f"host = {_text(seed.broker_host)}", f"port = {seed.broker_port}"]
    if seed.microphone:
        lines += ["", "[microphone]", f"device = {_text(seed.microphone)}"]
    if hardware.hat:
        lines += ["", "[board]", f"hat = {_text(hardware.hat)}"]
    if seed.update_url:
        lines += ["", "[update]", f"url = {_text(seed.update_url)}"]
    elif seed.update_root:
        lines += ["", "[update]", "over_bus = true"]
    lines += _better(hardware, frozenset(lines))
    return _checked("\n".join(lines) + "\n")


def _better(hardware: Hardware, said: Collection[str]) -> Iterator[str]:
    """Yield the board's own settings, but for tables that the seed has begun: what it says goes before."""
    for table in dict.fromkeys(table for table, _, _ in hardware.better):
        if f"[{table}]" not in said:
            yield from ("", f"[{table}]")
            yield from (f"{key} = {_text(value)}" for of, key, value in hardware.better if of == table)


def with_fleet(text: str, seed: Seed, who: Joined, state_dir: Path) -> str:
    """Return settings that name the fleet's broker. Raise SettingsError where that cannot be added at the end."""
    if text.startswith(MARK):  # the names there are the seed's, unless somebody has changed them
        text = text.replace(f"\nid = {_text(seed.name)}\n", f"\nid = {_text(who.device)}\n", 1)
        text = text.replace(f"\nfleet = {_text(seed.fleet)}\n", f"\nfleet = {_text(who.fleet)}\n", 1)
    return _checked(text.rstrip("\n") + "\n" + fleet_section(who, state_dir))


def fleet_section(who: Joined, state_dir: Path) -> str:
    """Return what the settings say of the fleet's broker."""
    link = state_dir / "identity" / "current"
    lines = ("", "[fleet.broker]", f"host = {_text(who.broker_host)}", f"port = {who.broker_port}", "")
    files = {"ca": "ca.pem", "certificate": "certificate.pem", "key": "key.pem"}
    tls = ("[fleet.broker.tls]", *(f"{key} = {_text(str(link / file))}" for key, file in files.items()))
    return "\n".join([*lines, *tls, ""])


def _checked(text: str) -> str:
    try:
        parse(text, "edgeagent.toml")
    except SettingsError as error:
        raise SettingsError(
            f"the settings would be wrong: {error}", remedy="Mend /etc/edgeagent/edgeagent.toml or seed.toml."
        ) from error
    return text


def _text(value: object) -> str:
    """Return text, a number or a list; as JSON has them they are TOML as well."""
    return json.dumps(value, ensure_ascii=False)
