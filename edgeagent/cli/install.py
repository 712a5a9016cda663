"""`edgeagent install` and `edgeagent uninstall`: onto this machine, or into another root."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgeagent.logs import printable

# A subcommand loads only what it needs, and its options are its parameters.
# ruff: noqa: PLC0415

Root = Annotated[Path, typer.Option("--root", help="Another root folder, as of an image.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")]


def install(
    bundle: Annotated[Path | None, typer.Option(help="Folder of a bundle; without it, this checkout.")] = None,
    root: Root = Path("/"),
    python: Annotated[Path | None, typer.Option(help="Interpreter to make it with; without it, this one's.")] = None,
    *,
    image: Annotated[bool, typer.Option("--image", help="The whole image is ours: its root grows.")] = False,
    no_start: Annotated[bool, typer.Option("--no-start", help="Do not start it now.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Put edgeagent on this machine, or upgrade it: program, units, user; settings and state stay."""
    from edgeagent.install.nouns import Places, Wish
    from edgeagent.install.running import install as put

    wish = Wish(starts=not no_start, is_image=image)
    put(Places(root.absolute()), bundle, python or Path(sys.executable), wish, _say, is_dry=dry_run)


def uninstall(
    root: Root = Path("/"),
    *,
    purge: Annotated[bool, typer.Option("--purge", help="Settings, identity and state as well.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Take edgeagent off this machine; settings and state stay unless --purge is given."""
    from edgeagent.install.nouns import Places
    from edgeagent.install.running import uninstall as take_away

    if purge and not yes and not dry_run:
        typer.confirm("Delete the settings, the identity and everything that it has kept?", abort=True)
    take_away(Places(root.absolute()), Path(sys.executable), _say, is_purge=purge, is_dry=dry_run)


def _say(text: str) -> None:
    typer.echo(printable(text))
