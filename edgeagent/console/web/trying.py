"""A sentence tried on command sets that are being edited, in a process of its own: nobody's YAML stops the console.

`python -m edgeagent.console.web.trying` reads a question as JSON from its input and writes the answer as JSON.
"""

import json
import re
import resource
import sys
from collections.abc import Mapping
from typing import Any, get_args

from edgeagent.act.names import collect
from edgeagent.act.vocabulary import lists_of
from edgeagent.errors import EdgeAgentError, SettingsError
from edgeagent.grammar import commands
from edgeagent.grammar.yaml_places import lines_of
from edgeagent.messages import Capability, Device, Kind
from edgeagent.timeline import as_row
from edgeagent.understand.text import typed
from edgeagent.understanding import interpreter_of

CPU_S, MEMORY_MB = 20, 700
MOST_NAMES = 2_000
BUILT_IN = ("home", "plant")
USUAL: Mapping[str, tuple[Capability, ...]] = {
    "light": ("power", "brightness", "color", "color_temperature"),
    "switch": ("power",),
    "cover": ("opening", "position", "tilt"),
    "lock": ("lock",),
    "climate": ("power", "target_temperature", "mode"),
    "fan": ("power", "speed"),
    "media": ("power", "playback", "volume"),
    "vacuum": ("cleaning",),
    "scene": ("activate",),
    "valve": ("opening", "position"),
    "machine": ("run", "speed"),
    "alarm": ("acknowledge",),
    "number": ("setpoint",),
    "select": ("option",),
    "text": ("text",),
    "alarm_panel": ("arming",),
    "sensor": ("reading",),
    "binary_sensor": ("reading",),
}
"""What a thing of a kind can usually do: an editor names things, and has none of them at hand."""
_ROOM = "room:"
"""Begins the id of what stands for a room: it has no name of its own."""
_STEP = re.compile(r"\.([^.\[\]:]+)|\[(\d+)\]")


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is wrong with the texts (`problems`), and how the sentence is understood (`steps`)."""
    problems: list[dict[str, Any]] = []
    found = []
    for name, text in asked["texts"].items():
        try:
            found.append(commands.parse(text, name))
        except EdgeAgentError as error:
            problems.append(_problem(name, text, error))
    devices: list[Device] = []
    areas: list[str] = []
    try:
        devices, areas = things(asked["names"])
    except EdgeAgentError as error:
        problems.append(_problem("names", asked["names"], error))
    sentence = asked.get("sentence", "").strip()
    if problems or not sentence:
        return {"problems": problems, "steps": [], "templates": sum(len(one.templates) for one in found)}
    sets = [commands.built_in(BUILT_IN if asked.get("with_built_in") else ()), *found]
    try:
        steps = _steps(commands.merge(sets), devices, areas, sentence)
    except EdgeAgentError as error:
        name, text = next(iter(asked["texts"].items()), ("", ""))
        return {"problems": [_problem(name, text, error)], "steps": [], "templates": 0}
    return {"problems": [], "steps": steps, "templates": sum(len(one.templates) for one in found)}


def things(text: str) -> tuple[list[Device], list[str]]:
    """Return the devices and areas that a text names: lists by kind, and `areas`. Raise SettingsError."""
    document = commands.read_yaml(text, "names") or {}
    if not isinstance(document, dict):
        raise SettingsError("names: expected kinds with lists of names", remedy="As: light: [kitchen light]")
    devices: list[Device] = []
    areas: list[str] = []
    for kind, names in document.items():
        if kind != "areas" and kind not in get_args(Kind):
            raise SettingsError(
                f"names: {kind!r:.60}: there is no such kind", remedy=f"Kinds: areas, {', '.join(get_args(Kind))}."
            )
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SettingsError(f"names: {kind}: expected a list of names", remedy="Put odd ones in quotes.")
        if kind == "areas":
            areas += names
        else:
            devices += [Device(f"{kind}-{name}", name, kind, frozenset(USUAL[kind])) for name in names]
    if len(devices) + len(areas) > MOST_NAMES:
        raise SettingsError(f"names: more than {MOST_NAMES}", remedy="Try with fewer of them.")
    return devices, areas


def _steps(whole: commands.CommandSet, devices: list[Device], areas: list[str], sentence: str) -> list[dict[str, Any]]:
    rooms = [Device(f"{_ROOM}{area}", "", "text", frozenset(), area=area) for area in areas]
    names = collect([*devices, *rooms])
    kinds = {device.kind for device in devices}
    interpreter = interpreter_of(whole, lists_of(names), kinds, None, unsure_below=0.0, unique_names=names.unique)
    heard = typed("t1", sentence)
    left_out = [one for one in names.left_out if not one.subject.startswith(_ROOM)]
    rows = [as_row(heard), as_row(interpreter.interpret(heard))]
    return [*rows, *({"step": "left out", "text": f"{one.subject}: {one.reason}"} for one in left_out[:5])]


def _problem(name: str, text: str, error: EdgeAgentError) -> dict[str, Any]:
    return {"where": name, "line": _line(text, name, str(error)), "problem": str(error), "remedy": error.remedy}


def _line(text: str, name: str, problem: str) -> int | None:
    """Return the line that a problem is about: as YAML's reader says it, or where the place that is named stands."""
    if found := re.search(r"line (\d+)", problem):
        return int(found[1])
    path: list[object] = []
    for key, number in _STEP.findall("." + problem.removeprefix(f"{name}: ").partition(": ")[0]):
        path.append(int(number) if number else key)
    try:
        lines = lines_of(text)
    except Exception:  # noqa: BLE001  # a text that is no YAML has been told of already
        return None
    while path and tuple(path) not in lines:
        path.pop()
    return lines.get(tuple(path)) if path else None


def main() -> None:
    """Answer one question within bounds."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 2))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MB << 20, MEMORY_MB << 20))
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
