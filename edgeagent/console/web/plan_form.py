"""A rollout's plan as a form has it, and what was typed into it as a plan; a plan in words. Pure.

In the form shares are percents, bake times minutes, waits and time-outs hours.
"""

from collections.abc import Mapping
from typing import Any

from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts.nouns import Constant, Exponential, Plan, SettingsTo, Shares, UpdateTo, plan_of
from edgeagent.console.web.settings_view import fields, shown, typed

KINDS = ("update", "settings", "restart", "self-test", "clips", "logs", "diagnostics", "identify")
PACES = ("shares", "constant", "exponential")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
LONGEST_FIELD = 4_000


def usual() -> dict[str, str]:
    """Return the form as it is before anybody has typed."""
    plan = Plan(what=UpdateTo(family="command-en", version="1"))
    return filled(plan) | {"version": "", "base": "10", "factor": "2", "step": "60", "per_minute": "100"}


def filled(plan: Plan) -> dict[str, str]:
    """Return a plan as the form has it."""
    form = {
        "kind": plan.what.kind,
        "filter": plan.filter,
        "pace": plan.pace.pace,
        "shares": "1, 5, 25, 100",
        "bake": _short(plan.bake_s / _MINUTE),
        "success": _short(plan.success_share * 100),
        "failure": _short(plan.failure_share * 100),
        "failure_least": str(plan.failure_least),
        "reached": _short(plan.reached_share * 100),
        "reach_wait": _short(plan.reach_wait_s / _HOUR),
        "unreached": _short(plan.unreached_s / _DAY),
        "timeout": _short(plan.timeout_s / _HOUR),
        "window": plan.window or "",
        "time_zone": plan.time_zone,
        "approval": "yes" if plan.needs_approval else "",
        "guard": "yes" if plan.health.on else "",
        "alpha": _short(plan.health.alpha * 100),
        "family": "command-en",
        "version": "",
        "settings": "",
    }
    match plan.what:
        case UpdateTo(family=family, version=version):
            form |= {"family": family, "version": version}
        case SettingsTo(settings=settings):
            form["settings"] = "\n".join(f"{key} = {shown(value)}" for key, value in settings.items())
    match plan.pace:
        case Shares(shares=shares):
            form["shares"] = ", ".join(_short(100 * share) for share in shares)
        case Constant(per_minute=per_minute):
            form["per_minute"] = str(per_minute)
        case Exponential(base=base, factor=factor, step_s=step_s):
            form |= {"base": str(base), "factor": _short(factor), "step": _short(step_s / _MINUTE)}
    return form


def plan_typed(form: Mapping[str, str]) -> Plan:
    """Return the plan that was typed. Raise ConsoleError naming the field that is wrong."""
    for name, text in form.items():
        if len(text) > LONGEST_FIELD:
            raise ConsoleError(f"{name}: more than {LONGEST_FIELD} letters", remedy="Write less.")
    return plan_of(
        {
            "what": _what(form),
            "filter": form.get("filter", "").strip(),
            "pace": _pace(form),
            "bake_s": _number(form, "bake", "minutes") * _MINUTE,
            "success_share": _number(form, "success", "percent") / 100,
            "failure_share": _number(form, "failure", "percent") / 100,
            "failure_least": _whole(form, "failure_least"),
            "reached_share": _number(form, "reached", "percent") / 100,
            "reach_wait_s": _number(form, "reach_wait", "hours") * _HOUR,
            "unreached_s": _number(form, "unreached", "days") * _DAY,
            "timeout_s": _number(form, "timeout", "hours") * _HOUR,
            "window": form.get("window", "").strip() or None,
            "time_zone": form.get("time_zone", "").strip() or "UTC",
            "needs_approval": form.get("approval") == "yes",
            "health": {"on": form.get("guard") == "yes", "alpha": _number(form, "alpha", "percent") / 100},
        }
    )


def told_what(plan: Plan) -> str:
    """Return in a few words what a plan brings."""
    match plan.what:
        case UpdateTo(family=family, version=version):
            return f"{family} {version}"
        case SettingsTo(settings=settings):
            more = f" and {len(settings) - 1} more" if len(settings) > 1 else ""
            return next((f"{key} = {shown(value)}{more}" for key, value in settings.items()), "settings")
    return plan.what.kind


def told(plan: Plan) -> list[tuple[str, str]]:
    """Return a plan in words, line by line."""
    window = f"{plan.window}, {plan.time_zone}" if plan.window else "at any hour"
    guard = f"pauses when they hear worse (false alarms at most {_short(100 * plan.health.alpha)} %)"
    return [
        ("To", plan.filter or "all devices"),
        ("Pace", _told_pace(plan)),
        ("Bake time", f"{span(plan.bake_s)} after a wave has done well"),
        ("Goes on", f"when {_short(100 * plan.success_share)} % of a wave have succeeded"),
        ("Stops", f"when {_short(100 * plan.failure_share)} % have failed, from {plan.failure_least} devices on"),
        ("Hours", window),
        ("Voice health", guard if plan.health.on else "is not looked at"),
        ("Time for a device", span(plan.timeout_s)),
    ]


def span(seconds: float) -> str:
    """Return a length of time in one unit."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{_short(seconds / unit)} {name}"
    return f"{_short(seconds)} s"


def _told_pace(plan: Plan) -> str:
    match plan.pace:
        case Shares(shares=shares):
            return "waves of " + ", ".join(f"{_short(100 * share)} %" for share in shares)
        case Constant(per_minute=per_minute):
            return f"{per_minute} a minute"
        case Exponential(base=base, factor=factor, step_s=step_s):
            return f"{base} devices, then {_short(factor)} times as many every {span(step_s)}"


def _what(form: Mapping[str, str]) -> dict[str, Any]:
    kind = form.get("kind", "")
    if kind == "update":
        if not form.get("version", "").strip():
            raise ConsoleError("which version shall it be?", remedy="Write one, as 1.3.0; Releases lists them.")
        return {"kind": kind, "family": form.get("family", "").strip(), "version": form.get("version", "").strip()}
    if kind == "settings":
        return {"kind": kind, "settings": settings_typed(form.get("settings", ""))}
    return {"kind": kind}


def settings_typed(text: str) -> dict[str, Any]:
    """Return settings that were typed as `key = value`, a line each. Raise ConsoleError naming the line."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        key, sign, value = line.partition("=")
        if line.strip() and not (sign and key.strip() and value.strip()):
            raise ConsoleError(f"settings, line {number}: expected key = value", remedy="As: hearing.cap_s = 9")
        if line.strip():
            values[key.strip()] = value.strip().strip('"')
    known = {field.key for field in fields()}
    if unknown := set(values) - known:
        raise ConsoleError(
            f"settings: there is no {min(unknown)!r:.80}", remedy="`edgeagent settings show --docs` lists all of them."
        )
    return typed({f"s.{key}": value for key, value in values.items()})


def _pace(form: Mapping[str, str]) -> dict[str, Any]:
    match form.get("pace"):
        case "constant":
            return {"pace": "constant", "per_minute": _whole(form, "per_minute")}
        case "exponential":
            step_s = _number(form, "step", "minutes") * _MINUTE
            return {
                "pace": "exponential",
                "base": _whole(form, "base"),
                "factor": _number(form, "factor", "times"),
                "step_s": step_s,
            }
    words = form.get("shares", "").replace("%", " ").replace(",", " ").split()
    try:
        return {"pace": "shares", "shares": [float(word) / 100 for word in words]}
    except ValueError as error:
        raise ConsoleError("waves: expected percents, as 1, 5, 25, 100", remedy="Write numbers that grow.") from error


def _number(form: Mapping[str, str], name: str, unit: str) -> float:
    text = form.get(name, "").strip()
    try:
        return float(text)
    except ValueError as error:
        raise ConsoleError(
            f"{name.replace('_', ' ')}: expected {unit}, found {text!r:.40}", remedy="Write a number."
        ) from error


def _whole(form: Mapping[str, str], name: str) -> int:
    number = _number(form, name, "a whole number")
    if not number.is_integer():
        raise ConsoleError(f"{name.replace('_', ' ')}: expected a whole number", remedy="Leave the decimals out.")
    return int(number)


def _short(number: float) -> str:
    return f"{round(number, 4):g}"
