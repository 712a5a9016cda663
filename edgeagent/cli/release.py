"""`edgeagent release`: the publisher's side of signed updates."""

import getpass
import json as json_
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.console import Console
from rich.table import Table

from edgeagent import __version__
from edgeagent.cli.options import Json, SettingsFile, settings_of
from edgeagent.errors import SettingsError, UpdateError
from edgeagent.logs import printable
from edgeagent.update.nouns import Kind

if TYPE_CHECKING:
    from edgeagent.release.shop import Holder, Shop

PASSPHRASE = "EDGEAGENT_PASSPHRASE"  # noqa: S105  # the name of a variable
"""Where passphrases come from when nobody can be asked; NAME is added for one key: EDGEAGENT_PASSPHRASE_ROOT_1."""
FOUND = 1

release_app = typer.Typer(no_args_is_help=True, help="Publish signed updates.")
Folder = Annotated[Path, typer.Option("--shop", help="The publisher's folder.")]
HERE = Path("shop")


@release_app.command("init")
def init_shop(
    families: Annotated[list[str], typer.Argument(help="Families of releases, as command-en.")], shop: Folder = HERE
) -> None:
    """Make a repository: three root keys of which two must sign, a key per family, and two online keys."""
    made = _shop(shop)
    made.init(families, _now())
    _say(f"{made.folder}: made. Give the root keys to three people, and keep copies: keys/root-1.pem …")


@release_app.command("key")
def new_key(path: Annotated[Path, typer.Argument(help="File of the new key.")]) -> None:
    """Make a key, for a new key holder."""
    from edgeagent.release.keys import make_key

    key = make_key(path, _secret(path.stem))
    _say(f"{path}: made, key id {key.keyid}")


@release_app.command("add")
def add_release(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    family: Annotated[str, typer.Option(help="Family that it belongs to.")],
    version: Annotated[str, typer.Option("--as", help="Version, as 1.2.0.")],
    kind: Annotated[str, typer.Option(help=f"What it is: {', '.join(get_args(Kind))}.")] = "model",
    board: Annotated[list[str] | None, typer.Option(help="Board profile that it is for; repeat it; else all.")] = None,
    security: Annotated[int, typer.Option(help="Count up where an older release must never be installed again.")] = 0,
    shop: Folder = HERE,
) -> None:
    """Take a bundle into the repository, after looking whether it does here what it should."""
    from edgeagent.release.inspection import inspect
    from edgeagent.release.shop import Offer

    known = next((one for one in get_args(Kind) if one == kind), None)
    if known is None:
        raise SettingsError(f"--kind {kind}: is none of {', '.join(get_args(Kind))}")
    seen = inspect(bundle, known, board or ())
    offer = Offer(
        bundle,
        family,
        version,
        known,
        __version__,
        boards=tuple(board or ()),
        memory_mb=seen.memory_mb,
        security=security,
    )
    name = _shop(shop).add(offer, _now())
    tested = f", {seen.sentences} golden sentences right at {seen.decision_ms:.1f} ms each" if known == "model" else ""
    _say(f"{name}: {seen.size_bytes / 1e6:.1f} MB, {seen.memory_mb} MB of memory in its trial{tested}.")
    _say(f"Now: edgeagent release sign --key {family}")


@release_app.command("sign")
def sign_drafts(
    key: Annotated[str, typer.Option(help="Name of a key of the shop.")],
    uri: Annotated[str | None, typer.Option(help="Where its private part is, as file:PATH or hsm:2.")] = None,
    shop: Folder = HERE,
) -> None:
    """Sign what waits for this key."""
    made = _shop(shop)
    signed = made.sign(_holder(made, key), uri)
    _say(f"signed: {', '.join(signed)}" if signed else "nothing waits for this key")


@release_app.command("publish")
def publish_repository(
    out: Annotated[Path, typer.Argument(help="Folder that a web server serves.")], shop: Folder = HERE
) -> None:
    """Publish what is signed."""
    _shop(shop).publish(out, _now())
    _say(f"{out}: published. Devices need {out}/metadata/1.root.json once.")


@release_app.command("refresh-timestamp")
def refresh_timestamp(out: Annotated[Path, typer.Argument(help="Folder that is served.")], shop: Folder = HERE) -> None:
    """Say anew that nothing newer is there: once a day, or devices take nothing any more."""
    _shop(shop).refresh_timestamp(out, _now())
    _say(f"{out}: said anew")


@release_app.command("renew")
def renew_role(role: Annotated[str, typer.Argument(help="root, targets, or a family.")], shop: Folder = HERE) -> None:
    """Draft a role as it is, to last anew."""
    _shop(shop).renew(role, _now())
    _say(f"{role}: drafted; it must be signed")


@release_app.command("rotate")
def rotate_key(
    old: Annotated[str, typer.Argument(help="Name or key id of the old key.")],
    new: Annotated[str, typer.Argument(help="File of the new key (`edgeagent release key`), or as hsm:2?label=TOKEN.")],
    name: Annotated[str, typer.Option(help="What to call the new key.")],
    shop: Folder = HERE,
) -> None:
    """Put a new key in the place of an old one."""
    from edgeagent.release.keys import imported

    made = _shop(shop)
    uri, key = imported(new, _secret)
    made.add_key(name, key, uri)
    _say(f"drafted: {', '.join(made.replace_key(old, key, _now()))}; they must be signed")


@release_app.command("revoke")
def revoke(
    key: Annotated[str | None, typer.Option(help="Name or key id of a key that is trusted no more.")] = None,
    release: Annotated[
        str | None, typer.Option(help="A release that is to be installed no more: FAMILY/VERSION.")
    ] = None,
    shop: Folder = HERE,
) -> None:
    """Take a key or a release out."""
    made = _shop(shop)
    if (key is None) == (release is None):
        raise SettingsError("name a key or a release", remedy="--key NAME, or --release FAMILY/VERSION")
    if key is not None:
        _say(f"drafted: {', '.join(made.replace_key(key, None, _now()))}; they must be signed")
    if release is not None:
        family, _, version = release.partition("/")
        made.withdraw(family, version, _now())
        _say(f"{release}: taken out of the draft of {family}, which must be signed")


@release_app.command("status")
def show_status(shop: Folder = HERE, *, json: Json = False) -> None:
    """Show what is published, until when, and who must sign what."""
    made = _shop(shop)
    names = {one.keyid: one.name for one in made.holders()}
    rows: list[dict[str, Any]] = [
        {
            "role": state.role,
            "version": state.version,
            "expires": state.expires.isoformat() if state.expires else None,
            "state": state.state,
            "missing": state.missing,
            "may_sign": [names.get(keyid, keyid[:12]) for keyid in state.may_sign],
        }
        for state in made.status()
    ]
    if json:
        sys.stdout.write(json_.dumps(rows) + "\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("role", "version", "expires", "state", "who may sign"):
        table.add_column(title)
    for row in rows:
        who = f"{row['missing']} of {', '.join(row['may_sign'])}" if row["missing"] else ""
        table.add_row(row["role"], str(row["version"]), (row["expires"] or "")[:16], row["state"], printable(who))
    _console().print(table)


@release_app.command("doctor")
def show_findings(shop: Folder = HERE, *, json: Json = False) -> None:
    """Look for what expires, is missing, or stands open; exit with 1 if there is something."""
    found = _shop(shop).findings(_now())
    if json:
        sys.stdout.write(json_.dumps([asdict(one) for one in found]) + "\n")
    for one in () if json else found:
        _console().print(printable(f"{one.role}: {one.problem}\n  try: {one.remedy}"), soft_wrap=True)
    if not found and not json:
        _say("all is well")
    raise typer.Exit(FOUND if found else 0)


def _shop(folder: Path) -> "Shop":
    from edgeagent.release.shop import Shop

    return Shop(folder, _secret)


def _holder(shop: "Shop", name: str) -> "Holder":
    found = next((one for one in shop.holders() if name in {one.name, one.keyid}), None)
    if found is None:
        known = ", ".join(one.name for one in shop.holders())
        raise UpdateError(f"there is no key {name}: {known}", code="no-key")
    return found


def _secret(name: str) -> str:
    """Return the passphrase of a key: from systemd's credentials, from the environment, or by asking."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    for file in (f"passphrase-{name}", "passphrase"):
        if credentials and (path := Path(credentials) / file).is_file():
            return path.read_text("utf-8").rstrip("\n")
    own = os.environ.get(f"{PASSPHRASE}_{name.upper().replace('-', '_')}", os.environ.get(PASSPHRASE))
    if own is not None:
        return own
    if not sys.stdin.isatty():
        raise UpdateError(f"the passphrase of {name} is not known", code="no-passphrase", remedy=f"Set {PASSPHRASE}.")
    return getpass.getpass(f"passphrase of {name}: ")


def _now() -> datetime:
    return datetime.now(UTC)


def _say(text: Any) -> None:
    _console().print(printable(str(text)), soft_wrap=True)


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


@release_app.command("serve")
def serve_blocks(
    repository: Annotated[Path, typer.Argument(help="Folder of the published repository.")],
    settings: SettingsFile = None,
) -> None:
    """Serve a published repository over the broker, to devices with [update] over_bus = true; any number may serve."""
    from edgeagent.cli.ending import finish
    from edgeagent.release.block_server import serve_folder

    wanted = settings_of(settings)
    if not (repository / "metadata").is_dir():
        raise SettingsError(f"{repository}: holds no repository", remedy="edgeagent release publish DIR writes one.")
    raise typer.Exit(finish(serve_folder(wanted, repository)))
