"""`edgeagent console broker`: write a hardened Mosquitto configuration with its certificates, and renew them."""

import json as json_
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from edgeagent.cli.options import Json
from edgeagent.console.errors import ConsoleError
from edgeagent.files import read_text, write_durably
from edgeagent.logs import printable_lines

# A subcommand loads only what it needs, and its options are its parameters.
# ruff: noqa: PLC0415, PLR0913, PLR0917

PLAN = "plan.json"
broker_app = typer.Typer(no_args_is_help=True, help="Set up the broker that the fleet is on.")
Folder = Annotated[Path, typer.Argument(help="Folder for all of it, as /etc/edgeagent-broker.")]


@broker_app.command("init")
def init_broker(
    folder: Folder,
    name: Annotated[list[str], typer.Option(help="Host name or address by which devices reach it; repeat it.")],
    fleet: Annotated[str, typer.Option(help="Name of the first fleet, for the next steps that are printed.")] = "home",
    port: Annotated[int, typer.Option(help="Port for devices and consoles.")] = 8883,
    enrolment_port: Annotated[int, typer.Option(help="Port for claims.")] = 8884,
    console: Annotated[list[str] | None, typer.Option(help="Name of a console; repeat it.")] = None,
    batch: Annotated[str, typer.Option(help="Name of the claim certificate.")] = "1",
    bind: Annotated[str, typer.Option(help="Address on which to listen; all, where none is given.")] = "",
    state: Annotated[Path, typer.Option(help="Folder in which mosquitto keeps sessions.")] = Path(
        "/var/lib/edgeagent-broker"
    ),
    outside_ca: Annotated[Path | None, typer.Option(help="Roots of an authority outside that signs devices.")] = None,
    outside_crl: Annotated[Path | None, typer.Option(help="That one's list of revoked certificates.")] = None,
    *,
    json: Json = False,
) -> None:
    """Write configuration, access rules, an authority and certificates into a folder."""
    from edgeagent.console import broker_files

    consoles = tuple(console or ("1",))
    plan = broker_files.Plan(tuple(name), port, enrolment_port, consoles, batch, bind, state, outside_ca, outside_crl)
    broker_files.init(folder, plan, time.time())
    write_durably(folder / PLAN, json_.dumps(asdict(plan), default=str).encode(), mode=0o644)
    if json:
        sys.stdout.write(json_.dumps({"folder": str(folder.absolute()), "names": name}) + "\n")
        return
    typer.echo(printable_lines(broker_files.next_steps(folder, plan, fleet)), nl=False)


@broker_app.command("renew")
def renew_broker(
    folder: Folder,
    console: Annotated[list[str] | None, typer.Option(help="Names of consoles, in place of those before.")] = None,
    batch: Annotated[str | None, typer.Option(help="Name of a new claim certificate.")] = None,
    *,
    json: Json = False,
) -> None:
    """Make new certificates for the broker, the consoles and the claims; then start the broker anew.

    Those from before are not revoked: they lie in authority/replaced, for `edgeagent console broker revoke`.
    """
    from edgeagent.console import broker_files

    plan = replace(broker_files.Plan(**_plan(folder)))
    if console:
        plan = replace(plan, consoles=tuple(console))
    if batch:
        plan = replace(plan, batch=batch)
    broker_files.renew(folder, plan, time.time())
    write_durably(folder / PLAN, json_.dumps(asdict(plan), default=str).encode(), mode=0o644)
    if json:
        sys.stdout.write(json_.dumps({"folder": str(folder.absolute()), "consoles": list(plan.consoles)}) + "\n")
        return
    typer.echo("made anew. Now: systemctl restart edgeagent-broker edgeagent-console")
    typer.echo(f"Those from before still count. To end one: edgeagent console broker revoke {folder}")
    typer.echo(f"  {folder}/authority/replaced/NAME.pem")


@broker_app.command("revoke")
def revoke_certificate(
    folder: Folder,
    certificate: Annotated[Path, typer.Argument(help="The claim.pem or console-NAME.pem that nobody shall use.")],
) -> None:
    """Let nobody in with a claim's or a console's certificate any more: it was lost, or replaced."""
    from edgeagent.console import broker_files

    count = broker_files.revoke(folder, certificate, time.time())
    typer.echo(f"revoked, {count} in all; then, to end its connections: systemctl restart edgeagent-broker")


def _plan(folder: Path) -> dict[str, Any]:
    remedy = "Name the folder that `edgeagent console broker init` has made."
    try:
        found: dict[str, Any] = json_.loads(read_text(folder / PLAN, remedy))
        return found | {
            "names": tuple(found["names"]),
            "consoles": tuple(found["consoles"]),
            **{key: Path(found[key]) for key in ("state", "outside_ca", "outside_crl") if found.get(key)},
        }
    except (ValueError, LookupError, TypeError) as error:
        raise ConsoleError(f"{folder / PLAN}: is not what `init` has written", remedy=remedy) from error
