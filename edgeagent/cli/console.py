"""`edgeagent console`: the fleet's side, run and looked after on the machine that it is on."""

import asyncio
import json as json_
import logging
import sys
import time
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeagent.cli.console_broker import broker_app
from edgeagent.cli.ending import finish
from edgeagent.cli.options import Json
from edgeagent.console.errors import ConsoleError
from edgeagent.logs import printable

if TYPE_CHECKING:
    from edgeagent.console.database import Database
    from edgeagent.console.settings import ConsoleSettings

# A subcommand loads only what it needs: a board has none of it.
# ruff: noqa: PLC0415

console_app = typer.Typer(no_args_is_help=True, help="Run the console of a fleet, and look after it.")
user_app = typer.Typer(no_args_is_help=True, help="Say who may log in, and what each may.")
console_app.add_typer(broker_app, name="broker")
console_app.add_typer(user_app, name="user")

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="TOML file of the console.")]
User = Annotated[str, typer.Argument(help="Name of the user.")]
FromInput = Annotated[bool, typer.Option("--password-stdin", help="Take the password from the first line of input.")]
Role = Annotated[
    list[str] | None,
    typer.Option("--role", help="viewer, operator or admin of all fleets, or FLEET=ROLE; repeat it."),
]
NEEDED = ("alembic", "argon2", "fastapi", "prometheus_client", "python_multipart", "segno", "sqlalchemy", "uvicorn")
"""What the extra brings."""
DEFAULT_FILE = Path("/etc/edgeagent/console.toml")
FAILED = 1


@console_app.callback()
def _need_the_extra() -> None:
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConsoleError(
            f"the console needs what is not installed here: {', '.join(missing)}",
            remedy="pip install 'edgeagent[console]'",
        )


@console_app.command("run")
def run_console(settings: SettingsFile = None) -> None:
    """Be the console: listen to the fleet, carry out rollouts, serve the pages."""
    from edgeagent.console.running import collect_seldom, run

    if logging.getLogger().level > logging.INFO:
        logging.getLogger().setLevel(logging.INFO)
    for talkative in ("alembic", "uvicorn"):
        logging.getLogger(talkative).setLevel(logging.WARNING)

    def ready(where: str) -> None:
        collect_seldom()
        print(f"console: {where}", flush=True)  # noqa: T201  # for people

    async def until_ended() -> int:
        await run(_settings(settings), ready)
        return 0

    _finish(until_ended())


@console_app.command("settings")
def show_settings(
    settings: SettingsFile = None,
    *,
    docs: Annotated[bool, typer.Option("--docs", help="With what every setting means.")] = False,
) -> None:
    """Print all settings as they are, secrets hidden."""
    from edgeagent.cli.settings import as_toml

    typer.echo(as_toml(_settings(settings), with_docs=docs), nl=False)


@console_app.command("check")
def check_console(settings: SettingsFile = None, *, json: Json = False) -> None:
    """Look whether settings, database, broker and authority are as a console needs them."""
    from edgeagent.console.checking import findings

    found = asyncio.run(findings(_settings(settings)))
    if json:
        sys.stdout.write(json_.dumps([one.as_row() for one in found]) + "\n")
    for one in [] if json else found:
        _say(
            f"{'ok   ' if one.is_well else 'WRONG'} {one.what}: {one.found}" + (f" {one.remedy}" if one.remedy else "")
        )
    if not all(one.is_well for one in found):
        raise typer.Exit(FAILED)


@console_app.command("backup")
def back_up(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")], settings: SettingsFile = None
) -> None:
    """Copy the database while the console runs, and read the copy back."""
    from edgeagent.console.backup import backup

    size = backup(_database(_settings(settings)), file)
    _say(f"{file}: {size / 1e6:.1f} MB, read back and undamaged")
    _say("It has no keys of the authority: keep a copy of the folder of `edgeagent console broker init`, too.")


@console_app.command("restore")
def put_back(
    file: Annotated[Path, typer.Argument(help="Backup to put in the database's place.")], settings: SettingsFile = None
) -> None:
    """Put a backup in the database's place, while no console runs; what was there is kept."""
    from edgeagent.console.backup import restore

    before = restore(_database(_settings(settings)), file)
    _say(f"{file}: put back" + (f"; what was there is {before}" if before else ""))


@user_app.command("add")
def add_user(
    name: User,
    role: Role = None,
    settings: SettingsFile = None,
    *,
    password_stdin: FromInput = False,
) -> None:
    """Add a user; the first one is best an admin of all fleets."""
    from edgeagent.console.web import users
    from edgeagent.console.web.passwords import Passwords

    database, levels = _opened(settings), _levels(role or ["viewer"])
    password = _password(is_from_input=password_stdin)
    with database.session() as session:
        users.add(session, Passwords(), name, password, levels, time.time())
        _audit(session, "user add", name, roles=levels)
    _say(f"{name}: added")


@user_app.command("passwd")
def change_password(name: User, settings: SettingsFile = None, *, password_stdin: FromInput = False) -> None:
    """Give a user another password; who is logged in under the old one is logged out."""
    from edgeagent.console.web import users
    from edgeagent.console.web.passwords import Passwords

    database = _opened(settings)
    password = _password(is_from_input=password_stdin)
    with database.session() as session:
        users.set_password(session, Passwords(), name, password)
        _audit(session, "user passwd", name)
    _say(f"{name}: has another password")


@user_app.command("role")
def change_role(name: User, role: Role = None, settings: SettingsFile = None) -> None:
    """Say what a user may from now on; what is not named is not allowed any more."""
    from edgeagent.console.web import users

    levels = _levels(role or [])
    with _opened(settings).session() as session:
        users.existing(session, name)
        users.set_levels(session, name, levels)
        _audit(session, "user role", name, roles=levels)
    _say(f"{name}: {', '.join(f'{level} of {fleet}' for fleet, level in levels.items()) or 'may nothing'}")


@user_app.command("disable")
def disable_user(
    name: User, settings: SettingsFile = None, *, undo: Annotated[bool, typer.Option("--undo")] = False
) -> None:
    """Let a user in no more, from this moment on; or, undone, again."""
    from edgeagent.console.web import users

    with _opened(settings).session() as session:
        users.disable(session, name, is_disabled=not undo)
        _audit(session, "user enable" if undo else "user disable", name)
    _say(f"{name}: {'may log in again' if undo else 'is not let in any more'}")


@user_app.command("token")
def new_token(
    name: User,
    title: Annotated[str, typer.Option(help="What it is for, in a few words.")] = "command line",
    role: Annotated[str, typer.Option(help="viewer, operator or admin: what it may at most.")] = "operator",
    days: Annotated[int, typer.Option(help="Days until it is void.")] = 90,
    settings: SettingsFile = None,
) -> None:
    """Make an API token of a user's, for `edgeagent fleet`; its secret is printed once."""
    from edgeagent.console.web import api_tokens, users

    with _opened(settings).session() as session:
        users.existing(session, name)
        _, secret = api_tokens.new(session, name, title, role, days=days, now=time.time())
        _audit(session, "api.new", name, title=title, role=role, days=days)
    typer.echo(secret)


@user_app.command("list")
def list_users(settings: SettingsFile = None, *, json: Json = False) -> None:
    """Show who may log in, and what each may."""
    from sqlalchemy import select

    from edgeagent.console import tables

    with _opened(settings).reading() as session:
        found = session.scalars(select(tables.User).order_by(tables.User.name)).all()
        roles = session.scalars(select(tables.Role).order_by(tables.Role.fleet)).all()
    rows: list[dict[str, Any]] = [
        {
            "name": user.name,
            "disabled": user.disabled,
            "roles": {role.fleet: role.role for role in roles if role.user == user.name},
        }
        for user in found
    ]
    if json:
        sys.stdout.write(json_.dumps(rows) + "\n")
    for row in [] if json else rows:
        may = ", ".join(f"{level} of {fleet}" for fleet, level in row["roles"].items()) or "may nothing"
        _say(f"{row['name']}: {may}{' (disabled)' if row['disabled'] else ''}")


def _settings(file: Path | None) -> "ConsoleSettings":
    from edgeagent.console.settings import ConsoleSettings, load

    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    return ConsoleSettings() if file is None else load(file)


def _database(settings: "ConsoleSettings") -> "Database":
    from edgeagent.console.database import Database

    return Database(settings.database_url)


def _opened(file: Path | None) -> "Database":
    """Return the database, made and brought up to date where need be."""
    settings = _settings(file)
    database = _database(settings)
    if database.file is not None:
        database.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database.migrate()
    return database


def _levels(roles: list[str]) -> dict[str, str]:
    """Return roles by fleet: `admin` is of all fleets, `home=admin` of one."""
    parts = [role.rpartition("=") for role in roles]
    return {fleet or "*": level for fleet, _, level in parts}


def _password(*, is_from_input: bool) -> str:
    """Ask for a password: it is never an argument, which others on the machine could read (A87)."""
    if is_from_input:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _audit(session: Any, action: str, subject: str, **detail: Any) -> None:
    import getpass

    from edgeagent.console.tables import Audited

    row = Audited(at=time.time(), user="", address="command line", action=action, subject=subject)
    row.detail = detail | {"account": getpass.getuser()}
    session.add(row)


def _say(text: str) -> None:
    typer.echo(printable(text))


def _finish(work: Coroutine[Any, Any, int]) -> None:
    raise typer.Exit(finish(work))
