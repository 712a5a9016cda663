"""The command line: parse, load, run, exit code. Everything else is done elsewhere."""

import logging
import os
import sys
from typing import Annotated

import typer

from edgeagent import logs
from edgeagent.cli.ending import START_ANEW, leave, start_anew
from edgeagent.cli.on_demand import on_demand
from edgeagent.errors import EdgeAgentError

app = typer.Typer(
    cls=on_demand(
        {
            "run": "edgeagent.cli.daily:run",
            "say": "edgeagent.cli.daily:say",
            "devices": "edgeagent.cli.daily:devices",
            "doctor": "edgeagent.cli.daily:doctor",
            "demo": "edgeagent.cli.daily:demo",
            "log": "edgeagent.cli.daily:log",
            "answer": "edgeagent.cli.daily:answer",
            "talk": "edgeagent.cli.daily:talk",
            "import": "edgeagent.cli.daily:import_",
            "mute": "edgeagent.cli.daily:mute",
            "version": "edgeagent.cli.daily:version",
            "train": "edgeagent.cli.workshop:train",
            "teach": "edgeagent.cli.workshop:teach",
            "listen": "edgeagent.cli.owner:listen",
            "record": "edgeagent.cli.owner:record",
            "pronounce": "edgeagent.cli.owner:pronounce",
            "enrol": "edgeagent.cli.enrol:enrol",
            "identity": "edgeagent.cli.enrol:identity",
            "install": "edgeagent.cli.install:install",
            "uninstall": "edgeagent.cli.install:uninstall",
            "first-boot": "edgeagent.cli.first_boot:first_boot",
            "settings": "edgeagent.cli.daily:settings_app",
            "evaluate": "edgeagent.cli.workshop:evaluate_app",
            "bench": "edgeagent.cli.workshop:bench_app",
            "board": "edgeagent.cli.board:board_app",
            "image": "edgeagent.cli.image:image_app",
            "model": "edgeagent.cli.model:model_app",
            "release": "edgeagent.cli.release:release_app",
            "update": "edgeagent.cli.update:update_app",
            "simulate": "edgeagent.cli.simulations:simulate_app",
            "console": "edgeagent.cli.console:console_app",
            "fleet": "edgeagent.cli.fleet:fleet_app",
        }
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_LOGGED = {"run": logging.INFO, "first-boot": logging.WARNING, "listen": logging.WARNING, "simulate": logging.WARNING}
"""What runs for long tells what happens; the others print what went wrong at their end, once."""


@app.callback()
def _main(
    context: typer.Context,
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001  # see main()
) -> None:
    """Speak a command to a device, offline, and see it done."""
    usual = _LOGGED.get(context.invoked_subcommand or "", logging.ERROR)
    logs.set_up(logging.DEBUG if verbose else usual)


def main() -> None:
    """Run the command line, and end the program with its exit code, whatever threads are left."""
    try:
        _run()
    except SystemExit as ended:
        if ended.code == START_ANEW:
            start_anew()
        leave(ended.code if isinstance(ended.code, int) else int(ended.code is not None))


def _run() -> None:
    """Run the command line; an error that somebody can mend is two lines, not a traceback."""
    try:
        app()
    except BaseExceptionGroup as group:
        if group.split(BrokenPipeError)[1] is None:
            _stop_writing()
        matching, other = group.split(EdgeAgentError)
        if "--debug" in sys.argv or other is not None or matching is None:
            raise
        _complain(_first(matching))
    except EdgeAgentError as error:
        if "--debug" in sys.argv:
            raise
        _complain(error)


def _stop_writing() -> None:
    """End where nobody reads on, as after `| head`; typer does so where there is no group."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be flushed goes nowhere
    sys.exit(1)


def _first(group: BaseExceptionGroup[EdgeAgentError]) -> EdgeAgentError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, EdgeAgentError)  # noqa: S101  # the split left nothing else
    return error


def _complain(error: EdgeAgentError) -> None:
    typer.echo(f"error: {logs.printable_lines(str(error))}", err=True)
    if error.remedy:
        typer.echo(f"  try: {logs.printable_lines(error.remedy)}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
