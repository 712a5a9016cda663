"""`edgeagent fleet rollouts`: bring something to many devices, and watch it."""

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from edgeagent.cli.fleet_calls import quoted
from edgeagent.cli.fleet_shown import NOT_DONE, WATCH_EVERY_S, ago, asked, everything, say, show, value_of
from edgeagent.cli.options import Json
from edgeagent.errors import SettingsError

# Its options are its parameters.
# ruff: noqa: PLR0913, PLR0917

rollouts_app = typer.Typer(no_args_is_help=True, help="Bring something to many devices, in waves.")
Rollout = Annotated[str, typer.Argument(help="Id of the rollout.")]
What = Annotated[str, typer.Argument(help="FAMILY/VERSION, or key=value, or restart, self-test, clips, identify, …")]
Filter = Annotated[str, typer.Option("--filter", help="Which devices, as: tag:floor=2 and version<0.6")]
Waves = Annotated[str, typer.Option(help="Percents, each with those before.")]
PerMinute = Annotated[int | None, typer.Option(help="So many devices a minute, in place of waves.")]
Bake = Annotated[float, typer.Option(help="Minutes that a wave is watched after it has done well.")]
Success = Annotated[float, typer.Option(help="Percent of a wave that must have succeeded to go on.")]
Failure = Annotated[float, typer.Option(help="Percent of failures at which it stops.")]
Window = Annotated[str | None, typer.Option(help="Hours in which devices are asked, as 02:00-05:00.")]
Zone = Annotated[str, typer.Option(help="Time zone of the window, as Europe/Berlin.")]
ENDED = ("done", "stopped", "aborted")


@rollouts_app.command("ls")
def list_rollouts(context: typer.Context, *, json: Json = False) -> None:
    """List rollouts, the newest first."""
    console, start = asked(context)
    found = everything(console, f"{start}/rollouts")
    rows = [(one["id"], one["state"], one["title"] or _what(one), _counted(one["counts"]), ago(one["created"]))
            for one in found]  # fmt: skip
    show(found, json, ("rollout", "state", "what", "devices", "made"), rows)


@rollouts_app.command("create")
def create(
    context: typer.Context,
    what: What,
    filter: Filter = "",  # noqa: A002  # as it is called everywhere
    waves: Waves = "1,5,25,100",
    per_minute: PerMinute = None,
    bake: Bake = 360.0,
    success: Success = 98.0,
    failure: Failure = 3.0,
    window: Window = None,
    time_zone: Zone = "UTC",
    title: Annotated[str, typer.Option(help="What it is called.")] = "",
    *,
    approval: Annotated[bool, typer.Option("--approval", help="A second person must agree first.")] = False,
    no_guard: Annotated[bool, typer.Option("--no-guard", help="Do not look at voice health.")] = False,
    draft: Annotated[bool, typer.Option("--draft", help="Do not begin yet.")] = False,
    json: Json = False,
) -> None:
    """Make a rollout, and begin it."""
    console, start = asked(context)
    plan = _plan(what, filter, _pace(waves, per_minute), bake) | {
        "success_share": success / 100,
        "failure_share": failure / 100,
        "window": window,
        "time_zone": time_zone,
        "needs_approval": approval,
        "health": {"on": not no_guard},
    }
    _shown(console.post(f"{start}/rollouts", {"title": title, "plan": plan, "draft": draft}), is_json=json)


@rollouts_app.command("what-if")
def what_if(
    context: typer.Context,
    what: What,
    filter: Filter = "",  # noqa: A002  # as it is called everywhere
    waves: Waves = "1,5,25,100",
    per_minute: PerMinute = None,
    bake: Bake = 360.0,
    *,
    json: Json = False,
) -> None:
    """Tell what would happen. Nothing is changed."""
    console, start = asked(context)
    plan = _plan(what, filter, _pace(waves, per_minute), bake)
    found = console.post(f"{start}/rollouts/what-if", {"plan": plan})
    rows = [
        (number, one["devices"], one["offline"], f"{one['begins_after_s'] / 3600:.1f} h")
        for number, one in enumerate(found["waves"], start=1)
    ]
    show(found, json, ("wave", "devices", "offline now", "begins after"), rows)
    for one in (
        () if json else (*found["warnings"], *(f"{one['devices']}: {one['reason']}" for one in found["excluded"]))
    ):
        say(one)


@rollouts_app.command("show")
def show_rollout(context: typer.Context, rollout: Rollout, *, json: Json = False) -> None:
    """Show how a rollout stands."""
    console, start = asked(context)
    _shown(console.get(f"{start}/rollouts/{quoted(rollout)}"), is_json=json)


@rollouts_app.command("devices")
def list_devices(
    context: typer.Context,
    rollout: Rollout,
    only: Annotated[str, typer.Option("--show", help="all, failed, open or succeeded.")] = "all",
    *,
    json: Json = False,
) -> None:
    """List the devices of a rollout, with reasons."""
    console, start = asked(context)
    found = everything(console, f"{start}/rollouts/{quoted(rollout)}/devices", show=only)
    rows = [(one["device"], one["job"]["wave"] + 1, one["job"]["state"], one["job"]["reason"]) for one in found]
    show(found, json, ("device", "wave", "state", "why"), rows)


@rollouts_app.command("watch")
def watch(context: typer.Context, rollout: Rollout, *, json: Json = False) -> None:
    """Watch a rollout until its end."""
    console, start = asked(context)
    before = ""
    while True:
        found = console.get(f"{start}/rollouts/{quoted(rollout)}")
        line = f"{found['state']}: {_counted(found['counts'])}. {found['reason']}"
        if line != before and not json:
            say(line)
        before = line
        if found["state"] in ENDED:
            break
        time.sleep(WATCH_EVERY_S)
    if json:
        _shown(found, is_json=True)
    raise typer.Exit(0 if found["state"] == "done" else NOT_DONE)


ACTS = {
    "start": "Begin a draft.",
    "approve": "Agree to a rollout that somebody else has made.",
    "pause": "Ask no further devices.",
    "resume": "Go on.",
    "abort": "End a rollout: what is under way is called back.",
}


def _acting(act: str) -> Callable[[typer.Context, str, bool], None]:
    def command(context: typer.Context, rollout: Rollout, json: Json = False) -> None:  # noqa: FBT002  # an option
        console, start = asked(context)
        where = f"{start}/rollouts/{quoted(rollout)}"
        seen = console.get(where)
        _shown(console.post(f"{where}/{act}", {"revision": seen["revision"]}), is_json=json)

    return command


for _name, _help in ACTS.items():
    rollouts_app.command(_name, help=_help)(_acting(_name))


def _plan(what: str, wanted: str, pace: Mapping[str, Any], bake: float) -> dict[str, Any]:
    return {"what": _brought(what), "filter": wanted, "pace": pace, "bake_s": 60 * bake}


def _brought(what: str) -> dict[str, Any]:
    key, sign, value = what.partition("=")
    if sign:
        return {"kind": "settings", "settings": {key.strip(): value_of(value.strip())}}
    family, slash, version = what.partition("/")
    return {"kind": "update", "family": family, "version": version} if slash else {"kind": what}


def _pace(waves: str, per_minute: int | None) -> dict[str, Any]:
    if per_minute is not None:
        return {"pace": "constant", "per_minute": per_minute}
    try:
        return {"pace": "shares", "shares": [float(share) / 100 for share in waves.replace("%", "").split(",")]}
    except ValueError as error:
        raise SettingsError(f"--waves {waves}: expected percents", remedy="As: --waves 1,5,25,100") from error


def _what(rollout: Mapping[str, Any]) -> str:
    what = rollout["plan"]["what"]
    return f"{what['family']} {what['version']}" if what["kind"] == "update" else str(what["kind"])


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {part.replace('_', ' ')}" for part, count in counts.items() if count) or "none yet"


def _shown(rollout: Mapping[str, Any], *, is_json: bool) -> None:
    rows: list[tuple[str, Any]] = [
        (name, rollout[name]) for name in ("id", "title", "state", "reason") if rollout[name]
    ]
    rows += [("what", _what(rollout)), ("devices", _counted(rollout["counts"]))]
    rows += [(f"wave {number}", _counted(one)) for number, one in enumerate(rollout["waves"], start=1)]
    rows += [(one["verdict"], one["words"]) for one in rollout["health"].get("compared", ())]
    show(rollout, is_json, ("", ""), rows)
