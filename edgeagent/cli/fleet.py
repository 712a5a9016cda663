"""`edgeagent fleet`: what the console's pages do, from a terminal or a script, over its API."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edgeagent.cli.fleet_calls import CONSOLE, FLEET, calls, quoted
from edgeagent.cli.fleet_jobs import job_app
from edgeagent.cli.fleet_rollouts import rollouts_app
from edgeagent.cli.fleet_shown import (
    NOT_DONE,
    ago,
    asked,
    at,
    everything,
    say,
    show,
    show_settings,
    shown_as,
    tags_of,
    value_of,
)
from edgeagent.cli.options import Json
from edgeagent.errors import SettingsError

fleet_app = typer.Typer(no_args_is_help=True, help="Look after a fleet, over its console.")
devices_app = typer.Typer(no_args_is_help=True, help="Devices: seen, tagged, set, taken out.")
tokens_app = typer.Typer(no_args_is_help=True, help="Tokens by which devices are enrolled.")
fleet_app.add_typer(devices_app, name="devices")
fleet_app.add_typer(job_app, name="job")
fleet_app.add_typer(rollouts_app, name="rollouts")
fleet_app.add_typer(tokens_app, name="tokens")

Device = Annotated[str, typer.Argument(help="Name of the device.")]
Filter = Annotated[str, typer.Option("--filter", help="Which devices, as: tag:floor=2 and version<0.6")]


@fleet_app.callback()
def _console(
    context: typer.Context,
    console: Annotated[str | None, typer.Option(help=f"Address of the console; else {CONSOLE}.")] = None,
    fleet: Annotated[str | None, typer.Option(help="Name of the fleet; else the only one.", envvar=FLEET)] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the API token, readable by you alone.")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file of the authority that has signed the console.")] = None,
) -> None:
    context.obj = lambda: (calls(console, token_file, ca), fleet)  # so that --help needs neither


@devices_app.command("ls")
def list_devices(
    context: typer.Context,
    filter: Filter = "",  # noqa: A002  # as it is called everywhere
    search: Annotated[str, typer.Option(help="A part of a name, title, serial number or room.")] = "",
    *,
    json: Json = False,
) -> None:
    """List devices."""
    console, start = asked(context)
    found = everything(console, f"{start}/devices", filter=filter, search=search)
    rows = [
        (one["name"], _condition(one), one["version"], one["area"], ago(one["seen"]), tags_of(one["tags"]))
        for one in found
    ]
    show(found, json, ("device", "condition", "version", "room", "seen", "tags"), rows)


@devices_app.command("show")
def show_device(context: typer.Context, device: Device, *, json: Json = False) -> None:
    """Show one device."""
    console, start = asked(context)
    found = console.get(at(start, device))
    show(found, json, ("", ""), [(name.replace("_", " "), shown_as(name, value)) for name, value in found.items()])


@devices_app.command("tag")
def tag(
    context: typer.Context,
    device: Device,
    tags: Annotated[list[str], typer.Argument(help="key or key=value; key- takes one away.")],
    *,
    json: Json = False,
) -> None:
    """Put tags on a device, or take them away."""
    console, start = asked(context)
    wanted: dict[str, str] = dict(console.get(at(start, device))["tags"])
    for one in tags:
        key, _, value = one.partition("=")
        if one.endswith("-") and "=" not in one:
            wanted.pop(one[:-1], None)
        else:
            wanted[key] = value
    found = console.patch(at(start, device), {"tags": wanted})
    show(found["tags"], json, ("tag", "value"), list(found["tags"].items()))


@devices_app.command("get")
def get_settings(context: typer.Context, device: Device, *, json: Json = False) -> None:
    """Show the settings that are wanted of a device, and those that it has."""
    console, start = asked(context)
    show_settings(console.get(f"{at(start, device)}/settings"), is_json=json)


@devices_app.command("set")
def set_settings(
    context: typer.Context,
    device: Device,
    settings: Annotated[list[str], typer.Argument(help="key=value, as hearing.cap_s=9; key= leaves it to the device.")],
    *,
    json: Json = False,
) -> None:
    """Want settings of a device."""
    console, start = asked(context)
    address = f"{at(start, device)}/settings"
    now = console.get(address)
    wanted: dict[str, Any] = dict(now["desired"])
    for one in settings:
        key, sign, value = one.partition("=")
        if not sign:
            raise SettingsError(f"{one!r:.80}: expected key=value", remedy="As: hearing.cap_s=9")
        wanted.pop(key, None)
        if value:
            wanted[key] = value_of(value)
    show_settings(
        console.put(address, {"settings": wanted, "replace": True, "version": now["desired_version"]}), is_json=json
    )


@devices_app.command("jobs")
def list_jobs(context: typer.Context, device: Device, *, json: Json = False) -> None:
    """List what was asked of a device."""
    console, start = asked(context)
    found = console.get(f"{at(start, device)}/jobs")["items"]
    rows = [(one["id"], one["kind"], one["state"], one["reason"], ago(one["created"])) for one in found]
    show(found, json, ("job", "kind", "state", "why", "asked"), rows)


@devices_app.command("events")
def list_events(context: typer.Context, device: Device, *, json: Json = False) -> None:
    """List what a device has told."""
    console, start = asked(context)
    found = console.get(f"{at(start, device)}/events")["items"]
    show(found, json, ("when", "kind", "what"), [(ago(one["at"]), one["kind"], one["body"]) for one in found])


@devices_app.command("retire")
def retire(
    context: typer.Context, device: Device, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Take a device out of its fleet: its certificates are revoked."""
    console, start = asked(context)
    if not yes and not typer.confirm(f"Take {device} out of the fleet?"):
        raise typer.Exit(1)
    console.post(f"{at(start, device)}/retire")
    say(f"{device} is retired.")


@fleet_app.command("say")
def say_to(
    context: typer.Context,
    device: Device,
    sentence: Annotated[str, typer.Argument(help="What it shall do, as if it had been said there.")],
    *,
    json: Json = False,
) -> None:
    """Have a device do what a sentence asks for, and show what came of it."""
    console, start = asked(context)
    found = console.post(f"{at(start, device)}/say", {"text": sentence})
    rows = [(one["kind"], one["body"]) for one in found["events"]]
    show(found, json, ("what", f"after {found['took_ms']:.0f} ms"), rows)
    if not found["answered"] and not json:
        say("it has told nothing in time")
    raise typer.Exit(0 if found["answered"] else NOT_DONE)


@fleet_app.command("ls")
def list_fleets(context: typer.Context, *, json: Json = False) -> None:
    """List the fleets of this console."""
    found = context.obj()[0].get("/fleets")
    columns = ("name", "devices", "well", "warn", "bad", "offline")
    show(found, json, columns, [tuple(one[column] for column in columns) for one in found])


@fleet_app.command("releases")
def releases(context: typer.Context, *, json: Json = False) -> None:
    """List what is signed and can be brought to devices."""
    console, start = asked(context)
    found = console.get(f"{start}/releases")
    rows = [
        (repository["name"], family, one["version"], one["devices"])
        for repository in found
        for family, some in repository["releases"].items()
        for one in some
    ]
    show(found, json, ("repository", "family", "version", "devices"), rows)
    for one in found if not json else ():
        if one["problem"]:
            say(f"{one['name']}: {one['problem']}")


@fleet_app.command("audit")
def audit(
    context: typer.Context,
    user: Annotated[str, typer.Option(help="Of this user alone.")] = "",
    search: Annotated[str, typer.Option(help="A part of an action or a subject.")] = "",
    *,
    refused: Annotated[bool, typer.Option("--refused", help="Only what was refused.")] = False,
    json: Json = False,
) -> None:
    """Show who did what."""
    console, start = asked(context)
    found = console.get(f"{start}/audit", user=user, search=search, refused=str(refused).lower())["items"]
    rows = [
        (ago(one["at"]), one["user"], one["action"], one["subject"], "" if one["is_allowed"] else "refused")
        for one in found
    ]
    show(found, json, ("when", "user", "action", "subject", ""), rows)


@tokens_app.command("ls")
def list_tokens(
    context: typer.Context,
    state: Annotated[str, typer.Option(help="open, used, expired, revoked or all.")] = "open",
    *,
    json: Json = False,
) -> None:
    """List enrolment tokens."""
    console, start = asked(context)
    found = console.get(f"{start}/tokens", state=state)["items"]
    rows = [(one["id"], one["device"], one["serial"], ago(one["expires"])) for one in found]
    show(found, json, ("token", "device", "serial", "ends"), rows)


@tokens_app.command("new")
def new_token(
    context: typer.Context,
    serial: Annotated[str, typer.Argument(help="Serial number (`edgeagent identity --serial` at the device).")],
    device: Device,
    tag: Annotated[list[str] | None, typer.Option(help="key=value; repeat it.")] = None,
    days: Annotated[int, typer.Option(help="How long it is good.")] = 7,
    *,
    json: Json = False,
) -> None:
    """Make a token for one device; it is shown this once."""
    console, start = asked(context)
    tags = {key: value for key, _, value in (one.partition("=") for one in tag or ())}
    found = console.post(
        f"{start}/tokens", {"devices": [{"serial": serial, "device": device, "tags": tags}], "days": days}
    )
    show(found, json, ("device", "token"), [(one["device"], one["secret"]) for one in found])


@tokens_app.command("revoke")
def revoke_token(context: typer.Context, token: Annotated[str, typer.Argument(help="Id of the token.")]) -> None:
    """Take a token back."""
    console, start = asked(context)
    console.delete(f"{start}/tokens/{quoted(token)}")
    say("taken back")


def _condition(device: dict[str, Any]) -> str:
    if not device["online"]:
        return "offline"
    health = str(device["health"])
    return {"ok": "well", "warn": "warning"}.get(health, health)
