"""`edgeagent update`: whom this device trusts, what there is for it, what is installed, and what was done."""

import asyncio
import json as json_
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from edgeagent.cli.options import Json, SettingsFile, settings_of
from edgeagent.errors import SettingsError
from edgeagent.logs import printable
from edgeagent.settings import AgentSettings

update_app = typer.Typer(no_args_is_help=True, help="Look after signed updates of this device.")
Family = Annotated[str | None, typer.Argument(help="Family of releases; where there is one, it need not be named.")]
FAILED = 1


@update_app.command("trust")
def trust_root(
    file: Annotated[Path, typer.Argument(help="The root of trust, N.root.json, from whom you trust.")],
    settings: SettingsFile = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Trust a publisher from now on, in place of the one before."""
    from edgeagent.update.owner import trust
    from edgeagent.update.roots import look_at_root

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
    from edgeagent.update.owner import refreshed, versions_of

    wanted = settings_of(settings)
    with refreshed(wanted) as site:
        found = {family: list(versions_of(site.repository, family)) for family in wanted.update.families}
    if json:
        sys.stdout.write(json_.dumps(found) + "\n")
        return
    for family, versions in found.items():
        _say(f"{family}: {', '.join(versions) or 'nothing'}")


@update_app.command("apply")
def apply_version(
    family: Family = None,
    version: Annotated[str | None, typer.Option("--as", help="Version; without it, the newest.")] = None,
    settings: SettingsFile = None,
    *,
    older: Annotated[bool, typer.Option("--older", help="Take it though it is older than what is there.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is confirmed in service.")] = False,
) -> None:
    """Install a version now; the agent goes on listening, and uses it when nobody is being served."""
    from edgeagent.cli.updating import CONFIRMED, IN_PLACE, follow
    from edgeagent.update.owner import ask_for

    wanted = settings_of(settings)
    course = ask_for(wanted, _only(wanted.update.families, family), version, may_go_back=older)
    raise typer.Exit(asyncio.run(follow(wanted, course.job.id, until=CONFIRMED if wait else IN_PLACE)))


@update_app.command("cancel")
def cancel_update(settings: SettingsFile = None) -> None:
    """End what is under way; what was before stays, or is put back."""
    wanted = settings_of(settings)
    code, _ = _cancelled(wanted)
    if code is None:
        _say("nothing is under way")
    raise typer.Exit(code or 0)


@update_app.command("rollback")
def roll_back_release(family: Family = None, settings: SettingsFile = None) -> None:
    """Go back to the release before, or to the one that ships; what is under way is ended."""
    from edgeagent.cli.updating import ring
    from edgeagent.update.owner import roll_back

    wanted = settings_of(settings)
    name = _only(wanted.update.families, family)
    code, was_in_place = _cancelled(wanted, name)
    if was_in_place or code:
        raise typer.Exit(code or 0)
    course = roll_back(wanted.device.state_dir, name)
    _say(f"{name}: {course.job.version if course.notes.get('release') else 'as it ships'}")
    is_running = ring(wanted)
    _say("the agent is started anew when nobody is being served" if is_running else "the agent opens it when it starts")


def _cancelled(wanted: AgentSettings, family: str | None = None) -> tuple[int | None, bool]:
    """End the job that is under way, if it is for this family.

    Return the exit code, None where there is none, and whether its release was in place already.
    """
    from edgeagent.cli.updating import CANCELLED, follow
    from edgeagent.update.owner import cancel

    course = cancel(wanted.device.state_dir, family)
    if course is None:
        return None, False
    was_in_place = course.state in {"switching", "probation"}
    return asyncio.run(follow(wanted, course.job.id, until=CANCELLED)), was_in_place


@update_app.command("pin")
def pin_version(
    family: Family = None,
    version: Annotated[str | None, typer.Option("--as", help="Version to keep.")] = None,
    settings: SettingsFile = None,
    *,
    off: Annotated[bool, typer.Option("--off", help="Keep none.")] = False,
) -> None:
    """Keep a family at a version, whatever the fleet asks for."""
    from edgeagent.update.owner import pin

    wanted = settings_of(settings)
    if (version is None) != off:
        raise SettingsError("which version?", remedy="edgeagent update pin --as 1.2.0, or --off")
    name = _only(wanted.update.families, family)
    pin(wanted.device.state_dir, name, version)
    _say(f"{name} is kept at {version}" if version else f"{name} is not kept at a version any more")


@update_app.command("status")
def show_status(settings: SettingsFile = None, *, json: Json = False) -> None:
    """Show what is installed, whom this device trusts, and what is under way."""
    from edgeagent.update.owner import status_of

    found = status_of(settings_of(settings))
    if json:
        sys.stdout.write(json_.dumps(found) + "\n")
        return
    trusts = found["trusts"]
    whose = "the owner's" if trusts and trusts["from"] == "owner" else "the package's"
    _say(f"trusts {whose} root {trusts['version']}, until {trusts['expires']}" if trusts else _NOBODY)
    _say(f"updates from: {', '.join(found['from']) or 'nowhere ([update] url)'}")
    for family, slots in found["families"].items():
        others = [f"{name} {slots[name]}" for name in ("previous", "candidate", "pinned") if slots.get(name)]
        _say(f"{family}: {slots['current']}" + (f" ({', '.join(others)})" if others else ""))
    if found["under_way"]:
        waits_for = found["under_way"]["waits_for"]
        _say(f"under way: {_told(found['under_way'])}" + (f" (waits for: {waits_for})" if waits_for else ""))


_NOBODY = "trusts nobody, and takes no updates: edgeagent update trust FILE"


@update_app.command("history")
def show_history(settings: SettingsFile = None, *, json: Json = False) -> None:
    """Show what became of updates."""
    from edgeagent.update.owner import history_of

    rows = history_of(settings_of(settings).device.state_dir)
    if json:
        sys.stdout.write(json_.dumps(rows) + "\n")
        return
    for row in rows:
        _say(_told(row))
    if not rows:
        _say("Nothing was updated yet.")


def _told(row: dict[str, Any]) -> str:
    notes = row["notes"]
    why = f" ({notes['code']}: {notes.get('detail', '')})" if notes.get("code") else ""
    return f"{row['since']}  {row['family']} {row['version']}: {row['state']}{why}"


def _only(families: tuple[str, ...], family: str | None) -> str:
    """Return the family that is meant. Raise SettingsError if that is not plain."""
    if family in families:
        return str(family)
    if family is None and len(families) == 1:
        return families[0]
    known = ", ".join(families) or "none"
    raise SettingsError(f"which family? known are: {known}", remedy="Name one, or add it: [update] families.")


def _say(text: str) -> None:
    Console(highlight=False, markup=False, emoji=False).print(printable(text), soft_wrap=True)
