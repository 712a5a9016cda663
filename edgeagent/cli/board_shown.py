"""What is known of a board, what is done for it and what was tried on it, to lines for a person or to JSON."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from difflib import unified_diff
from typing import Any

from rich.console import Console
from rich.text import Text

from edgeagent.board.applying import Change, Plan, Proposal
from edgeagent.board.checking import Checked
from edgeagent.board.detection import FoundHat
from edgeagent.board.here import Here
from edgeagent.board.nouns import Fault
from edgeagent.logs import printable

_STATUS = {
    "tested-qemu": "tried in an emulator, not on the real board",
    "untested-hardware": "not tried on real hardware",
    "limited": "limited: see what does not work",
}
_BY = {
    "eeprom": "its EEPROM",
    "i2c": "an answer on I2C",
    "card": "its sound card",
    "driver": "the driver of its sound card",
    "owner": "your word",
}
_MARKS = {"ok": "green", "warning": "yellow", "failure": "red", "skipped": "dim"}


def print_here(found: Here) -> None:
    """Print the board for a person."""
    profile = found.board.profile
    rows = [
        ("board", f"{profile.title} ({profile.id}); {_STATUS[profile.status]}"),
        ("cores", profile.cpu),
        ("limits", _limits(found)),
        ("hears with", f"{profile.engines.recognizer}, effort {profile.engines.effort}"),
        ("computes by", ", ".join(profile.engines.providers)),
        ("heat", _heat(found)),
        *(("sound", _hat(one)) for one in found.hats),
    ]
    if found.seen.model:
        rows.insert(1, ("calls itself", found.seen.model))
    if not found.hats:
        rows.append(("sound", "no sound hardware is known by its EEPROM or its card"))
    console = Console(highlight=False)
    for name, text in rows:
        console.print(Text.assemble((name.ljust(14), "bold"), printable(text)), soft_wrap=True)
    for note in (found.board.note,) if found.board.note else ():
        console.print(Text.assemble(("note          ", "yellow"), printable(note)), soft_wrap=True)
    for fault in _faults(found):
        console.print(Text.assemble(("known fault   ", "yellow"), f"{fault.what} "), soft_wrap=True, end="")
        console.print(Text(f"[{fault.source}]", "dim"), soft_wrap=True)


def print_json(found: Here) -> None:
    """Print the board as JSON."""
    _write(
        {
            "board": found.board.profile.model_dump(mode="json"),
            "note": found.board.note,
            "seen": {**asdict(found.seen), "i2c": sorted(found.seen.i2c)},
            "hats": [_hat_as_json(one) for one in found.hats],
            "temperatures": found.temperatures,
            "throttling": asdict(found.throttling) if found.throttling is not None else None,
        }
    )


def print_plan(found: Here, plan: Plan, troubles: Sequence[str], *, is_done: bool) -> None:
    """Print what was done, or would be, and what should stand in the settings."""
    console = Console(highlight=False)
    console.print(Text(printable(found.line), "bold"), soft_wrap=True)
    written = [one for one in plan.changes if not any(text.startswith(f"/{one.path}: ") for text in troubles)]
    for change in written:
        console.print(Text(f"{'written' if is_done else 'would be written'}: /{change.path}"), soft_wrap=True)
        if not is_done:
            console.print(Text("".join(_difference(change))), end="", soft_wrap=True)
    for command in plan.commands:
        console.print(Text(f"{'run' if is_done else 'would be run'}: {' '.join(command)}", "dim"), soft_wrap=True)
    if not plan.changes and not plan.commands:
        console.print("nothing is to be done")
    for note in plan.notes:
        console.print(Text.assemble(("note: ", "yellow"), printable(note)), soft_wrap=True)
    for trouble in troubles:
        console.print(Text.assemble(("trouble: ", "red"), printable(trouble)), soft_wrap=True)
    if plan.proposals:
        console.print("For this board these settings are better; put them into your settings file:")
        console.print(Text("".join(as_toml(plan.proposals))), end="", soft_wrap=True)
    if is_done and any(change.path.name == "config.txt" for change in written):
        console.print("Reboot: config.txt is read at the start.")
    elif is_done and written:
        console.print("Then: sudo systemctl restart edgeagent")


def print_plan_as_json(found: Here, plan: Plan, troubles: Sequence[str], *, is_done: bool) -> None:
    """Print the same as JSON."""
    _write(
        {
            "board": found.board.profile.id,
            "hats": [one.profile.id for one in found.hats],
            "is_done": is_done,
            "changes": [
                {"path": f"/{change.path}", "content": change.after.decode("latin-1")} for change in plan.changes
            ],
            "commands": [list(command) for command in plan.commands],
            "proposals": [asdict(one) for one in plan.proposals],
            "notes": list(plan.notes),
            "troubles": list(troubles),
        }
    )


def print_checked(one: Checked) -> None:
    """Print what came of a step."""
    console = Console(highlight=False)
    mark = (one.verdict.ljust(8), _MARKS[one.verdict])
    console.print(Text.assemble(mark, (one.step.ljust(12), "bold"), printable(one.found)), soft_wrap=True)
    if one.remedy:
        console.print(Text.assemble(("        do: ", "dim"), printable(one.remedy)), soft_wrap=True)


def print_checked_as_json(checked: Sequence[Checked]) -> None:
    """Print the same as JSON."""
    _write([asdict(one) for one in checked])


def as_toml(proposals: Sequence[Proposal]) -> Iterator[str]:
    """Yield lines of a settings file; text as JSON has it is TOML as well (TOML 1.0, basic strings)."""
    for table in dict.fromkeys(one.table for one in proposals):
        yield f"[{table}]\n"
        for one in proposals:
            if one.table == table:
                yield f"{one.key} = {json.dumps(one.value)}  # {one.why}\n"


def _difference(change: Change) -> Iterator[str]:
    before, after = ((text or b"").decode("latin-1").splitlines() for text in (change.before, change.after))
    for line in list(unified_diff(before, after, lineterm="", n=1))[2:]:
        yield f"  {printable(line)}\n"


def _faults(found: Here) -> Iterator[Fault]:
    yield from found.board.profile.known_faults
    for hat in found.hats:
        yield from hat.profile.known_faults


def _limits(found: Here) -> str:
    limits = found.board.profile.limits
    return f"{limits.memory_high_mb} to {limits.memory_max_mb} MB of memory, a sign of life every {limits.watchdog_s} s"


def _heat(found: Here) -> str:
    zones = ", ".join(f"{name} {celsius:.0f} °C" for name, celsius in found.temperatures.items())
    slowed = found.throttling
    if slowed is None:
        return zones or "nothing tells"
    now = f"slowed down: {', '.join(slowed.now)}" if slowed.now else "not slowed down"
    before = f"; since the start: {', '.join(slowed.since_start)}" if slowed.since_start else ""
    return f"{zones or 'no thermometer'}; {now}{before}"


def _hat(one: FoundHat) -> str:
    card = f"card {one.card.number} {one.card.name}" if one.card is not None else "without a sound card"
    return f"{one.profile.title} ({one.profile.id}), known by {_BY[one.by]}, {card}; {_STATUS[one.profile.status]}"


def _hat_as_json(one: FoundHat) -> dict[str, Any]:
    card = asdict(one.card) if one.card is not None else None
    return {"hat": one.profile.model_dump(mode="json"), "by": one.by, "card": card}


def _write(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
