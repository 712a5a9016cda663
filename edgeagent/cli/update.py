"""`edgeagent update`: whom this device trusts, what there is for it, and what was done."""

import json as json_
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edgeagent.cli.options import Json, SettingsFile, settings_of
from edgeagent.logs import printable

update_app = typer.Typer(no_args_is_help=True, help="Look after signed updates of this device.")


@update_app.command("trust")
def trust_root(
    file: Annotated[Path, typer.Argument(help="The root of trust, N.root.json, from whom you trust.")],
    settings: SettingsFile = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Trust a publisher from now on, in place of the one before."""
    from edgeagent.update.owner import look_at_root, trust

    state = settings_of(settings).device.state_dir
    content, facts = look_at_root(file)
    _say(f"root {facts.version}, until {facts.expires:%Y-%m-%d}; {facts.threshold} of these keys must sign a new one:")
    for key in facts.keys:
        _say(f"  {key}")
    if not yes:
        typer.confirm("Does your publisher tell you the same? Trust it, and forget the one before?", abort=True)
    trust(state, content)
    _say("trusted")


@update_app.command("check")
def check_versions(settings: SettingsFile = None, *, json: Json = False) -> None:
    """Ask the repository what there is."""
    from edgeagent.update.owner import repository, versions_of

    wanted = settings_of(settings)
    with repository(wanted.update, wanted.device.state_dir) as trusted:
        found = {family: list(versions_of(trusted, family)) for family in wanted.update.families}
    if json:
        sys.stdout.write(json_.dumps(found) + "\n")
        return
    for family, versions in found.items():
        _say(f"{family}: {', '.join(versions) or 'nothing'}")


@update_app.command("history")
def show_history(settings: SettingsFile = None, *, json: Json = False) -> None:
    """Show what became of updates."""
    from edgeagent.update.owner import history_of

    rows = history_of(settings_of(settings).device.state_dir)
    if json:
        sys.stdout.write(json_.dumps(rows) + "\n")
        return
    for row in rows:
        _say(f"{row['since']}  {row['family']} {row['version']}: {row['state']}")
    if not rows:
        _say("Nothing was updated yet.")


def _say(text: str) -> None:
    Console(highlight=False, markup=False, emoji=False).print(printable(text), soft_wrap=True)
