"""The commands that an owner uses every day, and the daemon itself. A command loads only what it needs."""

from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from edgeagent import __version__
from edgeagent.cli.ending import finish
from edgeagent.cli.options import Json, SettingsFile, can_be_written, settings_of
from edgeagent.errors import SettingsError
from edgeagent.settings import load

settings_app = typer.Typer(no_args_is_help=True, help="Look at settings.")


class Said(StrEnum):
    """Answers to a question."""

    YES = "yes"
    NO = "no"


def run(
    settings: SettingsFile = None,
    wav: Annotated[
        list[Path] | None, typer.Option("--wav", help="Sound file instead of the microphone; repeat it.")
    ] = None,
    *,
    fast: Annotated[bool, typer.Option("--fast", help="Play files as fast as possible.")] = False,
    json: Json = False,
) -> None:
    """Listen, understand, act: the daemon."""
    from edgeagent.cli.run import listen_and_obey

    _finish(listen_and_obey(settings_of(settings), wav or [], is_fast=fast, is_json=json))


def say(
    sentences: Annotated[list[str], typer.Argument(help="One or more sentences; a later one may answer a question.")],
    settings: SettingsFile = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, publish nothing.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Tell how it was understood, step by step.")] = False,
    json: Json = False,
) -> None:
    """Do what a typed sentence asks for."""
    from edgeagent.cli.say import say_all

    _finish(say_all(settings_of(settings), sentences, is_dry_run=dry_run, is_json=json, explains=explain))


def devices(
    settings: SettingsFile = None,
    *,
    say: Annotated[bool, typer.Option("--say", help="With what can be said to each.")] = False,
    json: Json = False,
) -> None:
    """Show the devices that were discovered, and what was left out."""
    from edgeagent.cli.devices import show_devices

    _finish(show_devices(settings_of(settings), is_json=json, with_examples=say))


def doctor(settings: SettingsFile = None, *, json: Json = False) -> None:
    """Look for what stands in the way, and say what to type."""
    from edgeagent.cli.doctor import show_findings

    _finish(show_findings(settings_of(settings), is_json=json))


def demo(
    *,
    json: Json = False,
    fast: Annotated[bool, typer.Option("--fast", help="Do not wait for the sound to pass.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="SVG file to draw the timeline into.", callback=can_be_written)
    ] = None,
) -> None:
    """Speak recorded sentences to a virtual house, and see what it does."""
    from edgeagent.demo.show import show

    _finish(show(is_json=json, is_fast=fast, picture=picture))


def log(  # its options are its parameters
    settings: SettingsFile = None,
    since: Annotated[str | None, typer.Option(help="An age as in 15m, 2h, 7d, or a date or time.")] = None,
    device: Annotated[str | None, typer.Option(help="Only what concerned this device.")] = None,
    step: Annotated[str | None, typer.Option(help="understood, question, rejected, published, done or failed.")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="See whether the log is as it was written.")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="How fast and how reliably each device obeys.")] = False,
    json: Json = False,
) -> None:
    """Show what was ordered, by which words, and what came of it."""
    from datetime import UTC, datetime

    from edgeagent.cli.log import Wanted, check_log, show_log, show_summary, since_of

    wanted = settings_of(settings)
    if check:
        raise typer.Exit(check_log(wanted, is_json=json))
    if summary:
        raise typer.Exit(show_summary(wanted, is_json=json))
    began = None if since is None else since_of(since, datetime.now(UTC))
    raise typer.Exit(show_log(wanted, Wanted(began, device, step), is_json=json))


def answer(
    said: Annotated[Said, typer.Argument(help="yes or no.")],
    settings: SettingsFile = None,
) -> None:
    """Answer the question that the running daemon has asked, as a button does."""
    from edgeagent.bell import ask

    ask(settings_of(settings).device.state_dir, said.value)


def talk(settings: SettingsFile = None) -> None:
    """Have the running daemon listen to what is said next (push to talk; `[waking] push_to_talk = true`)."""
    from edgeagent.bell import ask

    wanted = settings_of(settings)
    if not (wanted.waking.push_to_talk or wanted.waking.words):
        raise SettingsError("it always listens", remedy="Set [waking] push_to_talk = true, or name wake words.")
    ask(wanted.device.state_dir, "listen")


def import_(
    source: Annotated[Path, typer.Argument(help="sentences.ini, or a file or folder of custom_sentences.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Command file to write.")],
    slots: Annotated[Path | None, typer.Option(help="Rhasspy's folder of values.")] = None,
    *,
    json: Json = False,
) -> None:
    """Make a command file of Rhasspy's or Home Assistant's sentences."""
    from edgeagent.cli.imports import import_sentences

    raise typer.Exit(import_sentences(source, output, slots=slots, is_json=json))


def mute(
    settings: SettingsFile = None,
    *,
    off: Annotated[bool, typer.Option("--off", help="Open it again.")] = False,
) -> None:
    """Have the running daemon close its microphone."""
    from edgeagent.bell import ask

    ask(settings_of(settings).device.state_dir, "unmute" if off else "mute")


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@settings_app.command("check")
def settings_check(file: Annotated[Path, typer.Argument(help="TOML file.")]) -> None:
    """Tell whether a settings file is right, and every mistake with its line."""
    load(file)
    typer.echo(f"{file}: all right")


@settings_app.command("show")
def settings_show(
    settings: SettingsFile = None,
    *,
    docs: Annotated[bool, typer.Option("--docs", help="With what every setting means.")] = False,
) -> None:
    """Print all settings as they are, secrets hidden."""
    from edgeagent.cli.settings import as_toml

    typer.echo(as_toml(settings_of(settings), with_docs=docs), nl=False)


def _finish(work: Coroutine[Any, Any, int]) -> None:
    raise typer.Exit(finish(work))
