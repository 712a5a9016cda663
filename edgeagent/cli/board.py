"""`edgeagent board`: which board this is, what it needs, and whether microphone, lights and button of it work."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeagent.cli.options import Json, SettingsFile, settings_of
from edgeagent.logs import printable
from edgeagent.settings import AgentSettings

if TYPE_CHECKING:
    from edgeagent.board.here import Here

# A subcommand loads only what it needs, and its options are its parameters.
# ruff: noqa: PLC0415

board_app = typer.Typer(no_args_is_help=True, help="Look at the board underneath, and set it up.")
Root = Annotated[Path, typer.Option(help="Root folder: of this machine, or of a card that is mounted.")]
BoardName = Annotated[str | None, typer.Option("--board", help="Name of the board's profile; else it is found out.")]
HatNames = Annotated[list[str] | None, typer.Option("--hat", help="Name of the sound hardware; else it is found out.")]
ProbeI2c = Annotated[bool, typer.Option("--probe-i2c", help="Ask the header's I2C bus which codecs answer.")]
SETTINGS = Path("etc/edgeagent/edgeagent.toml")
TROUBLE = 1


@board_app.command("show")
def show(
    root: Root = Path("/"),
    board: BoardName = None,
    hat: HatNames = None,
    *,
    probe_i2c: ProbeI2c = False,
    json: Json = False,
) -> None:
    """Show the board, its sound hardware, its limits, its heat, and what is known not to work."""
    from edgeagent.cli.board_shown import print_here, print_json

    found = _here(root, board, hat, probe_i2c=probe_i2c)
    (print_json if json else print_here)(found)


@board_app.command("apply")
def apply(
    root: Root = Path("/"),
    settings: SettingsFile = None,
    board: BoardName = None,
    hat: HatNames = None,
    *,
    probe_i2c: ProbeI2c = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
    json: Json = False,
) -> None:
    """Set the board up: limits of the unit, config.txt, mixer. Your settings stay; what should be in them is shown."""
    from edgeagent.board.applying import plan
    from edgeagent.board.machine import carry_out, on_machine
    from edgeagent.cli.board_shown import print_plan, print_plan_as_json

    found = _here(root, board, hat, probe_i2c=probe_i2c)
    wanted, notes = _owners(settings, root)
    done = plan(found.board, found.hats, on_machine(root), wanted)
    done = replace(done, notes=(*done.notes, *notes))
    troubles = () if dry_run else tuple(carry_out(done, root))
    (print_plan_as_json if json else print_plan)(found, done, troubles, is_done=not dry_run)
    raise typer.Exit(TROUBLE if troubles else 0)


@board_app.command("test")
def try_out(
    settings: SettingsFile = None,
    board: BoardName = None,
    hat: HatNames = None,
    wav: Annotated[list[Path] | None, typer.Option(help="Sound file in place of the microphone.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Step to leave out: microphone, tone, light, button.")] = None,
    seconds: Annotated[float, typer.Option(min=1, max=60, help="How long to listen, and to wait for the button.")] = 5,
    *,
    json: Json = False,
) -> None:
    """Try microphone, tone, lights and button, one after the other; without a terminal nobody is asked."""
    from edgeagent.board.checking import STEPS
    from edgeagent.cli.board_shown import print_checked, print_checked_as_json
    from edgeagent.cli.board_steps import Trial, asked_on_terminal, run_steps

    unknown = ", ".join(sorted(set(skip or ()) - set(STEPS)))
    if unknown:
        raise typer.BadParameter(f"no step {unknown}: choose among {', '.join(STEPS)}", param_hint="--skip")
    wanted, notes = (settings_of(settings), ()) if settings is not None else _owners(None, Path("/"))
    for note in notes:
        typer.echo(note, err=True)
    found = _here(Path("/"), board, hat, probe_i2c=False)
    ask = asked_on_terminal if sys.stdin.isatty() and sys.stdout.isatty() and not json else None
    trial = Trial(wanted, found, tuple(wav or ()), frozenset(skip or ()), seconds, ask)
    checked = []
    for one in run_steps(trial):
        checked.append(one)
        if not json:
            print_checked(one)
    if json:
        print_checked_as_json(checked)
    raise typer.Exit(TROUBLE if any(one.verdict == "failure" for one in checked) else 0)


def _here(root: Path, board: str | None, hat: list[str] | None, *, probe_i2c: bool) -> "Here":
    from edgeagent.board.detection import nothing_probed
    from edgeagent.board.here import Named, here
    from edgeagent.board.i2c import answering

    return here(root, named=Named(board, tuple(hat or ())), probe=answering if probe_i2c else nothing_probed)


def _owners(file: Path | None, root: Path) -> tuple[AgentSettings, tuple[str, ...]]:
    """Return the owner's settings; where they are wrong, the defaults and what is wrong: the board is set up anyway."""
    from edgeagent.errors import SettingsError

    place = file or root / SETTINGS
    try:
        if file is None:
            place.stat()
        return settings_of(place), ()
    except (FileNotFoundError, NotADirectoryError):
        return AgentSettings(), ()
    except (OSError, SettingsError) as error:
        return AgentSettings(), (f"the settings are not looked at: {printable(str(error))}",)
