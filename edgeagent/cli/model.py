"""`edgeagent model`: fetch, import, list and remove speech models."""

import json as json_
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from edgeagent.cli.options import Json, SettingsFile, settings_of
from edgeagent.errors import ModelError
from edgeagent.hear import model_store
from edgeagent.hear.model_store import MODELS, InstalledModel
from edgeagent.hear.unpacking import Progress
from edgeagent.hear.vosk_folder import check
from edgeagent.logs import printable
from edgeagent.settings import ActingSettings

ListUrl = Annotated[str | None, typer.Option("--list", metavar="URL", help="A list in place of Vosk's own.")]
SHOWN_WORDS = 12
"""So many words that a model lacks are named; the JSON has all."""

model_app = typer.Typer(no_args_is_help=True, help="Get speech models, and look after them.")


@model_app.command("fetch")
def fetch_model(
    name: Annotated[str, typer.Argument(help="vosk-small-en, or a name that `model list --available` shows.")],
    list_url: ListUrl = None,
    settings: SettingsFile = None,
    *,
    json: Json = False,
) -> None:
    """Download a published model, check it and install it; goes on where it was cut."""
    from edgeagent.hear import model_download, published_models  # noqa: PLC0415  # a subcommand loads what it needs

    wanted = settings_of(settings)
    words = _command_words(wanted.acting)
    model = published_models.choose(published_models.model_list(list_url or published_models.LIST_URL), name)
    with _bars() as bar:
        made = model_download.fetch(
            wanted.device.state_dir / MODELS, model, words=words, progress=bar("fetch"), unpacked=bar("unpack")
        )
    _tell(made, words, is_json=json)


@model_app.command("import")
def import_model(
    path: Annotated[Path, typer.Argument(help="Folder or zip of a Vosk model.")],
    name: Annotated[str | None, typer.Option(help="What to call it, when not as the folder in it.")] = None,
    settings: SettingsFile = None,
    *,
    json: Json = False,
) -> None:
    """Install a model that is on this device already."""
    wanted = settings_of(settings)
    words = _command_words(wanted.acting)
    with _bars() as bar:
        models = wanted.device.state_dir / MODELS
        made = model_store.import_model(models, path, name=name, words=words, progress=bar("unpack"))
    _tell(made, words, is_json=json)


@model_app.command("list")
def list_models(
    list_url: ListUrl = None,
    settings: SettingsFile = None,
    *,
    available: Annotated[bool, typer.Option("--available", help="With those that can be fetched.")] = False,
    json: Json = False,
) -> None:
    """Show the models that are installed."""
    models = settings_of(settings).device.state_dir / MODELS
    shown: dict[str, list[dict[str, Any]]] = {"installed": [_row(models, name) for name in model_store.names(models)]}
    if available:
        from edgeagent.hear import published_models  # noqa: PLC0415  # a subcommand loads what it needs

        shown["available"] = [
            {
                "name": model.name,
                "short_name": model.short_name,
                "bytes": model.size,
                "language": model.language_text or model.language,
            }
            for model in published_models.model_list(list_url or published_models.LIST_URL)
            if not model.obsolete
        ]
    if json:
        _print_json(shown)
        return
    console = Console(highlight=False, markup=False, emoji=False)
    for title, rows in shown.items():
        if rows:
            console.print(_table(title, rows))
        else:
            console.print("No model is installed. Fetch one: edgeagent model fetch vosk-small-en")


@model_app.command("remove")
def remove_model(
    name: Annotated[str, typer.Argument(help="A name that `model list` shows.")],
    settings: SettingsFile = None,
    *,
    json: Json = False,
) -> None:
    """Remove a model, and what was fetched of it."""
    removed = model_store.remove(settings_of(settings).device.state_dir / MODELS, name)
    if json:
        _print_json({"removed": removed})
    else:
        typer.echo(f"{removed}: removed")


def _command_words(settings: ActingSettings) -> frozenset[str]:
    """Return the words of all commands, without the names of devices, which are known only on the bus."""
    from edgeagent.act import names  # noqa: PLC0415  # a subcommand loads what it needs
    from edgeagent.act.vocabulary import lists_of  # noqa: PLC0415  # as above
    from edgeagent.grammar import commands  # noqa: PLC0415  # as above
    from edgeagent.grammar.automaton import compile_commands  # noqa: PLC0415  # as above

    own = [commands.load(path) for path in settings.command_files]
    everything = commands.merge([commands.built_in(settings.commands), *own])
    return compile_commands(everything.with_names(lists_of(names.collect(())))).words


@contextmanager
def _bars() -> Iterator[Callable[[str], Progress]]:
    """Yield what makes a bar of progress; nothing is drawn where nobody looks."""
    from rich.progress import (  # noqa: PLC0415  # a subcommand loads what it needs
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars  # noqa: PLC0415  # as above

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:

        def bar(description: str) -> Progress:
            task = bars.add_task(description, total=None, visible=False)

            def progress(done: int, total: int) -> None:
                if bars.tasks[task].total is None:  # what was there already is no speed
                    bars.reset(task, total=total, completed=done, visible=True)
                else:
                    bars.update(task, completed=done)

            return progress

        yield bar


def _tell(model: InstalledModel, words: frozenset[str], *, is_json: bool) -> None:
    found = check(model.folder)
    lacks = sorted(found.missing(words))
    if is_json:
        told = {"folder": str(model.folder), **model.record.model_dump(mode="json")}
        _print_json({**told, "words": len(found.words), "lacks": lacks, "remarks": found.remarks})
        return
    typer.echo(f"{model.record.name}: installed in {printable(str(model.folder))}")
    typer.echo(f"  knows {len(found.words):,} words, {len(words) - len(lacks)} of the {len(words)} in the commands")
    if lacks:
        rest = f" and {len(lacks) - SHOWN_WORDS} more" if len(lacks) > SHOWN_WORDS else ""
        typer.echo(f"  lacks {', '.join(lacks[:SHOWN_WORDS])}{rest}")
    for remark in found.remarks:
        typer.echo(f"  note: {remark}")


def _row(models: Path, name: str) -> dict[str, Any]:
    try:
        record = model_store.installed(models, name).record
    except ModelError as error:
        return {"name": name, "bytes": None, "installed": None, "from": f"damaged: {error}"}
    return {
        "name": name,
        "bytes": sum(record.files.values()),
        "installed": f"{record.installed_at:%Y-%m-%d}",
        "from": record.origin.source,
    }


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, box=None, header_style="bold", pad_edge=False, title_justify="left")
    for column in rows[0]:
        table.add_column("MB" if column == "bytes" else column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_said(column, value) for column, value in row.items()))
    return table


def _said(column: str, value: Any) -> str:
    if value is None:
        return ""
    return f"{value / 1e6:,.1f}" if column == "bytes" else printable(str(value))


def _print_json(told: object) -> None:
    sys.stdout.write(json_.dumps(told) + "\n")
