"""`edgeagent fleet job`: ask one device for something."""

from collections.abc import Callable
from typing import Annotated

import typer

from edgeagent.cli.fleet_calls import quoted
from edgeagent.cli.fleet_shown import ask_for, asked, at, show_job
from edgeagent.cli.options import Json

job_app = typer.Typer(no_args_is_help=True, help="Ask one device for something.")
Device = Annotated[str, typer.Argument(help="Name of the device.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for what comes of it.")]


PLAIN = {
    "identify": "Have it blink and speak.",
    "restart": "Have its program start anew.",
    "diagnostics": "Fetch what helps to find what is wrong, without secrets.",
    "self-test": "Have it test itself.",
    "clips": "Have it judge its recordings.",
}
"""Jobs without options."""


def _asking(kind: str) -> Callable[[typer.Context, str, bool, bool], None]:
    def command(context: typer.Context, device: Device, wait: Wait = False, json: Json = False) -> None:  # noqa: FBT002  # options
        ask_for(context, device, kind, {}, wait=wait, is_json=json)

    return command


for _kind, _help in PLAIN.items():
    job_app.command(_kind, help=_help)(_asking(_kind))


@job_app.command("logs")
def logs(
    context: typer.Context,
    device: Device,
    lines: Annotated[int, typer.Option(help="How many of the last lines.")] = 200,
    *,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Fetch the last lines of its log."""
    ask_for(context, device, "logs", {"lines": lines}, wait=wait, is_json=json)


@job_app.command("update")
def update(
    context: typer.Context,
    device: Device,
    release: Annotated[str, typer.Argument(help="FAMILY/VERSION, as command-en/1.3.0")],
    *,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Have it install a release."""
    family, _, version = release.partition("/")
    ask_for(context, device, "update", {"family": family, "version": version}, wait=wait, is_json=json)


@job_app.command("cancel")
def cancel(
    context: typer.Context, device: Device, job: Annotated[str, typer.Argument(help="Id.")], *, json: Json = False
) -> None:
    """Call a job back."""
    console, start = asked(context)
    show_job(console.post(f"{at(start, device)}/jobs/{quoted(job)}/cancel"), is_json=json)
