"""`edgeagent simulate`: virtual houses, plants and fleets, to try things out without the things."""

from collections.abc import Callable

import typer

from edgeagent.cli.ending import finish
from edgeagent.cli.options import SettingsFile, settings_of
from edgeagent.cli.simulate_fleet import fleet

simulate_app = typer.Typer(no_args_is_help=True, help="Put virtual devices, or a fleet, on the bus, to try things out.")
PLACES = {
    "house": "A house of lamps, blinds, a lock and more.",
    "mixed": "A house whose things speak several dialects.",
    "plant": "A plant with machines, valves and alarms.",
    "sparkplug": "A plant that speaks Sparkplug B.",
}


def _command(place: str) -> Callable[[typer.Context, SettingsFile], None]:
    def simulate(_: typer.Context, settings: SettingsFile = None) -> None:
        from edgeagent.cli.simulate import simulate as run  # noqa: PLC0415  # a subcommand loads only what it needs

        raise typer.Exit(finish(run(settings_of(settings), place)))

    return simulate


for _place, _help in PLACES.items():
    simulate_app.command(_place, help=_help)(_command(_place))
simulate_app.command("fleet")(fleet)
