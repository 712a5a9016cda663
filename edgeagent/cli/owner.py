"""The commands with which an owner looks at what is heard, keeps clips of it, and corrects pronunciations."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgeagent.cli.options import Json, SettingsFile, settings_of
from edgeagent.settings import load

# A subcommand loads only what it needs, and its options are its parameters.
# ruff: noqa: PLC0415, PLR0913


def listen(
    settings: SettingsFile = None,
    wav: Annotated[
        list[Path] | None, typer.Option("--wav", help="Sound file instead of the microphone; repeat it.")
    ] = None,
    *,
    monitor: Annotated[bool, typer.Option("--monitor", help="Show level, room, speech and decisions live.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Play files as fast as possible.")] = False,
    json: Json = False,
) -> None:
    """Show what is heard and how it would be understood, and do nothing."""
    from edgeagent.cli.ending import finish
    from edgeagent.cli.listen import listen as listen_only

    work = listen_only(settings_of(settings), wav or [], is_fast=fast, is_monitored=monitor, is_json=json)
    raise typer.Exit(finish(work))


def record(
    name: Annotated[str | None, typer.Argument(help="What to call the clip.")] = None,
    settings: SettingsFile = None,
    said: Annotated[str | None, typer.Option(help="What it means, as a sentence that is understood.")] = None,
    wav: Annotated[Path | None, typer.Option("--wav", help="Sound file instead of the microphone.")] = None,
    *,
    nothing: Annotated[bool, typer.Option("--nothing", help="It means that nothing must be done.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a clip of that name.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the clip of that name.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show what is kept.")] = False,
    json: Json = False,
) -> None:
    """Keep one utterance with what it means, to be replayed by `edgeagent evaluate clips`."""
    from edgeagent.cli import record as recording

    if (name is None) != list_:
        raise typer.BadParameter("give a NAME, or --list")
    if sum((said is not None, nothing, delete, list_)) > 1:
        raise typer.BadParameter("--said, --nothing, --delete and --list go one at a time")
    wanted = settings_of(settings)
    if name is None:
        raise typer.Exit(recording.show_clips(wanted, is_json=json))
    if delete:
        raise typer.Exit(recording.forget(wanted, name, is_json=json))
    if said is None and not nothing and not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here what was meant: give --said SENTENCE or --nothing")
    wish = recording.Wish(name, said, nothing, wav, replace)
    raise typer.Exit(recording.record_and_tell(wanted, wish, is_json=json))


def clips(
    settings: SettingsFile = None,
    against: Annotated[
        Path | None, typer.Option(help="Settings to compare with, in place of what was understood at the recording.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Replay the owner's clips, and tell what would change; exit code 1 if any would be understood worse."""
    from edgeagent.cli.clips import show_changes

    before = None if against is None else load(against)
    raise typer.Exit(show_changes(settings_of(settings), before, is_json=json))


def pronounce(
    name: Annotated[str | None, typer.Argument(help="A name, or a word of one.")] = None,
    settings: SettingsFile = None,
    as_: Annotated[str | None, typer.Option("--as", help='How it is said, in phones: "AH N IY".')] = None,
    like: Annotated[str | None, typer.Option("--like", help='How it is said, in other words: "eye key uh".')] = None,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was corrected.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show what was corrected.")] = False,
    say: Annotated[bool, typer.Option("--say", help="Say it aloud, by espeak-ng.")] = False,
    json: Json = False,
) -> None:
    """Show, hear and correct how a name is expected to be said."""
    from edgeagent.cli import pronounce as pronouncing

    if (name is None) != list_:
        raise typer.BadParameter("give a NAME, or --list")
    if sum((as_ is not None, like is not None, undo, list_)) > 1:
        raise typer.BadParameter("--as, --like, --undo and --list go one at a time")
    wanted = settings_of(settings)
    if name is None:
        raise typer.Exit(pronouncing.show_own(wanted, is_json=json))
    correction = pronouncing.Correction(as_, like, undo)
    raise typer.Exit(pronouncing.pronounce(wanted, name, correction, says=say, is_json=json))
