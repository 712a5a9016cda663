"""`edgeagent simulate fleet`: thousands of devices on a real broker, to try a console before the devices are there."""

from pathlib import Path
from typing import Annotated

import typer

from edgeagent.cli.options import Json

# A subcommand loads only what it needs, and its options are its parameters.
# ruff: noqa: PLC0415, PLR0913, PLR0917


def fleet(
    devices: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 1_000,
    name: Annotated[str, typer.Option("--fleet", help="The fleet's name, as in the topics.")] = "home",
    broker: Annotated[str, typer.Option(help="HOST:PORT of the broker.")] = "127.0.0.1:1883",
    tls: Annotated[
        Path | None, typer.Option(help="Folder with ca.pem, and NAME.pem and NAME.key for each device.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Devices are called PREFIX-00001 and so on.")] = "sim",
    seed: Annotated[int, typer.Option(help="The same seed makes the same fleet.")] = 1,
    fail_share: Annotated[float, typer.Option(min=0, max=1, help="Share of devices whose update fails.")] = 0.0,
    slow_share: Annotated[float, typer.Option(min=0, max=1, help="Share that takes four times as long.")] = 0.0,
    worse_share: Annotated[float, typer.Option(min=0, max=1, help="Share that hears worse once updated.")] = 0.0,
    bad_version: Annotated[str, typer.Option(help="Only this release fails, or makes worse.")] = "",
    update_s: Annotated[float, typer.Option(min=0.1, help="How long an update takes.")] = 30.0,
    utterances: Annotated[float, typer.Option(min=0, help="Utterances an hour and device.")] = 6.0,
    samples_s: Annotated[float, typer.Option(min=1, help="Seconds from sample to sample.")] = 300.0,
    keepalive_s: Annotated[int, typer.Option(min=5, max=3600, help="Seconds from ping to ping.")] = 30,
    drop_every: Annotated[float, typer.Option(min=0, help="Seconds a connection lasts on average; 0: for ever.")] = 0.0,
    connects_per_s: Annotated[float, typer.Option(min=1, help="Tries to connect in a second, at most.")] = 500.0,
    offline_share: Annotated[float, typer.Option(min=0, max=1, help="Share that never comes.")] = 0.0,
    *,
    old: Annotated[bool, typer.Option("--mqtt-3", help="Speak MQTT 3.1.1 instead of 5.")] = False,
    commands: Annotated[
        bool, typer.Option("--commands", help="Read from standard input: away SHARE, back DAYS, cut SHARE, tell FILE.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Put thousands of devices on a broker; Ctrl-C ends them."""
    from edgeagent.cli.ending import finish
    from edgeagent.simulate.fleet import FleetWishes
    from edgeagent.simulate.fleet_habits import Habits
    from edgeagent.simulate.fleet_running import broker_at, simulate_fleet

    habits = Habits(
        seed=seed,
        fail_share=fail_share,
        slow_share=slow_share,
        worse_share=worse_share,
        bad_version=bad_version,
        utterances_per_hour=utterances,
        update_s=update_s,
    )
    wishes = FleetWishes(
        broker_at(broker, keepalive_s),
        devices=devices,
        fleet=name,
        prefix=prefix,
        certificates=tls,
        habits=habits,
        samples_every_s=samples_s,
        drop_every_s=drop_every,
        connects_per_s=connects_per_s,
        offline_share=offline_share,
        version=4 if old else 5,
    )
    raise typer.Exit(finish(simulate_fleet(wishes, is_json=is_json, with_commands=commands)))
