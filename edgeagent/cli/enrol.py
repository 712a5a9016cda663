"""`edgeagent enrol` and `edgeagent identity`: become a device of a fleet, and see who this device is."""

import json as json_
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeagent.cli.options import Json, SettingsFile, settings_of
from edgeagent.errors import SettingsError
from edgeagent.files import read_text
from edgeagent.logs import printable
from edgeagent.settings import AgentSettings, BrokerSettings, TlsSettings

if TYPE_CHECKING:
    from edgeagent.fleet.identity import Identity

# A subcommand loads only what it needs, and its options are its parameters.
# ruff: noqa: PLC0415, PLR0913, PLR0917

EXPIRED = 1
BROKER_PORT, ENROLMENT_PORT = 8883, 8884
LONGEST_TOKEN = 200


def enrol(
    broker: Annotated[str, typer.Option(help="The fleet's broker, as HOST or HOST:PORT.")],
    ca: Annotated[Path, typer.Option(help="PEM file with the authority of the fleet.")],
    claim: Annotated[Path, typer.Option(help="PEM file with the claim certificate.")],
    claim_key: Annotated[Path, typer.Option(help="PEM file with the claim's key.")],
    settings: SettingsFile = None,
    fleet: Annotated[str | None, typer.Option(help="Name of the fleet; else that of the settings.")] = None,
    serial: Annotated[str | None, typer.Option(help="Serial number; else the board's own.")] = None,
    token: Annotated[str | None, typer.Option(help="One-time token; others may see it here: better a file.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token; else it is read from input.")] = None,
    key: Annotated[str, typer.Option(help="Where the key lives: file, or tpm2.")] = "file",
    enrolment_port: Annotated[int, typer.Option(help="Port on which claims connect.")] = ENROLMENT_PORT,
    deadline_s: Annotated[float, typer.Option(help="Seconds to wait for the console.")] = 30.0,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Give the identity up that is there.")] = False,
    keep_claim: Annotated[bool, typer.Option("--keep-claim", help="Do not delete the claim afterwards.")] = False,
    json: Json = False,
) -> None:
    """Make a key, and get a certificate for it by a one-time token."""
    import asyncio

    from edgeagent.fleet.enrolling import Wish
    from edgeagent.fleet.enrolling import enrol as ask_for_identity
    from edgeagent.fleet.identity_serial import serial_of
    from edgeagent.fleet.identity_store import Identities

    wanted = settings_of(settings)
    identities = Identities(wanted.device.state_dir)
    known = None if replace else identities.current()
    if known is not None:
        raise SettingsError(
            f"this device is {known.device} of {known.fleet} already",
            remedy="See `edgeagent identity`; with --replace it gets another identity.",
        )
    if key not in {"file", "tpm2"}:
        raise typer.BadParameter("--key is file or tpm2")
    host, port = _where(broker)
    wish = Wish(
        broker=_settings(BrokerSettings, host=host, port=port),
        enrolment_port=enrolment_port,
        claim=_settings(TlsSettings, ca=ca, certificate=claim, key=claim_key),
        fleet=fleet or wanted.device.fleet,
        serial=serial or serial_of(),
        token=_token(token, token_file),
        kind="tpm2" if key == "tpm2" else "file",
        deadline_s=deadline_s,
    )
    began = time.monotonic()
    identity = asyncio.run(ask_for_identity(wish, identities))
    took_s = time.monotonic() - began
    dropped = [] if keep_claim else _drop((claim, claim_key))
    if json:
        _print(_facts(identity, time.time()) | {"took_s": round(took_s, 3), "dropped": dropped})
        return
    _tell(identity, wish.broker, took_s, dropped)


def identity(
    settings: SettingsFile = None,
    *,
    serial: Annotated[bool, typer.Option("--serial", help="Only the serial number, for making a token.")] = False,
    json: Json = False,
) -> None:
    """Show who this device is, and until when; exit code 1 if it is nobody, or its certificate has run out."""
    from edgeagent.fleet.identity import current
    from edgeagent.fleet.identity_serial import serial_of

    if serial:
        _say(serial_of())
        return
    wanted, now = settings_of(settings), time.time()
    found = current(wanted.device.state_dir)
    if found is None:
        if json:
            _print({"enrolled": False, "serial": serial_of()})
        else:
            _say(f"not enrolled; make a token for the serial number {serial_of()}, then: edgeagent enrol")
        raise typer.Exit(EXPIRED)
    facts = {"enrolled": True, "serial": serial_of()} | _facts(found, now)
    if json:
        _print(facts)
    else:
        _show(found, facts, wanted, now)
    raise typer.Exit(EXPIRED if found.is_expired(now) else 0)


def _facts(found: "Identity", now: float) -> dict[str, Any]:
    return {
        "fleet": found.fleet,
        "device": found.device,
        "certificate": found.serial,
        "valid_from": _day(found.not_before),
        "valid_until": _day(found.not_after),
        "renewal_due": _day(found.renewal_due),
        "is_due": found.is_due_for_renewal(now),
        "is_expired": found.is_expired(now),
        "key": "tpm2" if found.in_tpm else "file",
        "files": {
            str(path): f"{path.stat().st_mode & 0o777:04o}"
            for path in (found.folder, found.key, found.certificate, found.ca)
        },
    }


def _show(found: "Identity", facts: dict[str, Any], wanted: AgentSettings, now: float) -> None:
    left_d = (found.not_after - now) / 86_400
    _say(f"{found.device} of {found.fleet}, serial number {facts['serial']}")
    _say(f"certificate {found.serial}, until {facts['valid_until']} ({left_d:.0f} days)")
    _say(f"renewal {'is due' if facts['is_due'] else 'due ' + facts['renewal_due']}")
    _say(f"key in {'the TPM' if found.in_tpm else 'a file'}")
    for path, mode in facts["files"].items():
        _say(f"  {mode} {path}")
    if (wanted.device.fleet, wanted.device.id) != (found.fleet, found.device):
        _say(f'the settings name another device: set [device] id = "{found.device}", fleet = "{found.fleet}"')
    if facts["is_expired"]:
        _say("expired: no broker takes it; enrol anew, with a new token: edgeagent enrol --replace")


def _tell(found: "Identity", broker: BrokerSettings, took_s: float, dropped: list[str]) -> None:
    link = found.folder.parent / "current"
    _say(f"{found.device} of {found.fleet}: enrolled in {took_s:.1f} s, until {_day(found.not_after)}")
    for path in dropped:
        _say(f"deleted: {path}")
    _say("Settings:")
    for line in (
        "[device]",
        f'id = "{found.device}"',
        f'fleet = "{found.fleet}"',
        "[fleet.broker]",
        f'host = "{broker.host}"',
        f"port = {broker.port}",
        "[fleet.broker.tls]",
        f'ca = "{link / "ca.pem"}"',
        f'certificate = "{link / "certificate.pem"}"',
        f'key = "{link / "key.pem"}"',
    ):
        _say(f"  {line}")


def _where(broker: str) -> tuple[str, int]:
    host, colon, port = broker.rpartition(":")
    if not colon or broker.endswith("]") or (":" in host and not host.startswith("[")):
        return broker.strip("[]"), BROKER_PORT
    if not port.isdecimal():
        raise typer.BadParameter(f"--broker {broker}: expected HOST or HOST:PORT")
    return host.strip("[]"), int(port)


def _settings(kind: Any, **given: object) -> Any:
    try:
        return kind.model_validate(given)
    except ValueError as error:
        raise SettingsError(f"these options do not go together: {error}", remedy="See --help.") from error


def _token(given: str | None, file: Path | None) -> str:
    if given is not None and file is not None:
        raise typer.BadParameter("give --token or --token-file, not both")
    if file is not None:
        given = read_text(file, "Name the file that holds the token.")
    elif given is None and sys.stdin.isatty():
        given = typer.prompt("Token", hide_input=True)
    elif given is None:
        given = sys.stdin.readline(LONGEST_TOKEN)
    found = given.strip()
    if not 8 <= len(found) <= 128:  # noqa: PLR2004  # what the console reads
        raise SettingsError("that is no token", remedy="Give the one that the console has shown: five groups of four.")
    return found


def _drop(paths: tuple[Path, ...]) -> list[str]:
    """Delete what is not needed any more; a file that cannot be deleted is told of, and is no failure."""
    dropped = []
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            typer.echo(f"{path}: cannot be deleted: {error.strerror}", err=True)
        else:
            dropped.append(str(path))
    return dropped


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _print(facts: dict[str, Any]) -> None:
    sys.stdout.write(json_.dumps(facts) + "\n")


def _say(text: str) -> None:
    typer.echo(printable(text))
