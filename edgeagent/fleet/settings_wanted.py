"""Settings that the fleet wants, to settings that are tried, kept, or undone. Pure.

Rules:
    - They lie on top of the owner's file, all or none of them; what the owner does not allow is refused with a reason.
    - A version that is not higher than the last one changes nothing.
    - They are tried from the next start on, and kept once the fleet was reached with them and the start has lasted; the
      ones before are put back when it is not, when the agent cannot be opened with them, or when three starts with them
      do not last.
    - Those that lead to the fleet have reached it only once their own wish has come over the new way: any broker takes
      a connection, but only the fleet's has that.
    - What was kept is never undone: where it does not fit, a start goes without it, and the next one tries it again.
    - What is put back is kept beside what is tried, so that a power cut at any point leaves the one or the other.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from edgeagent.errors import SettingsError
from edgeagent.fleet.redacting import Redactor, secrets_of, without_user
from edgeagent.fleet.wire import LARGEST_SMALL_BYTES, MOST_SETTINGS, Desired, Reported, Setting, Settings, Standing
from edgeagent.fleet.wire import written as as_payload
from edgeagent.settings import AgentSettings, overlaid

MOST_STARTS = 3
LONGEST_TEXT = 200
LEAST_TRIAL_S, LONGEST_TRIAL_S = 5.0, 60.0
"""How long a start with settings in trial goes on before they are kept, as `undo_after_s` says."""
NEVER = ("device.id", "device.fleet", "device.state_dir", "fleet.enabled", "fleet.may_set", "fleet.share_words")
"""Not for the fleet to change, whatever the owner's patterns say: who this device is, and what the fleet may do."""
_FILES = ("hearing", "waking", "understanding", "answering")
"""Sections in which a text with a slash names a file of this device."""
_NAME = "the fleet's settings"


@dataclass(frozen=True, slots=True)
class Kept:
    """How things stand: `overlay` is in force from the next start on, `before` is put back if that goes wrong.

    `starts` counts those in trial that have not lasted; `was_reached`: the fleet was in reach before the trial.
    """

    version: int = 0
    standing: Standing = "none"
    problem: str = ""
    overlay: Mapping[str, Setting] = field(default_factory=dict)
    before: Mapping[str, Setting] = field(default_factory=dict)
    starts: int = 0
    was_reached: bool = False


def desired(kept: Kept, wanted: Desired, problem: str, *, is_reached: bool) -> Kept:
    """Return how things stand once these settings are wanted; `problem` is why they cannot be, empty if they can."""
    if wanted.version <= kept.version:
        return kept
    is_pending = kept.standing in {"waiting", "trial"}
    good = kept.before if is_pending else kept.overlay
    if problem:
        return Kept(wanted.version, "refused", problem[: 2 * LONGEST_TEXT], good, good)
    if kept.standing == "trial" and wanted.settings == kept.overlay:
        return replace(kept, version=wanted.version)
    if wanted.settings == good:
        return Kept(wanted.version, "applied", "", good, good)
    return Kept(wanted.version, "waiting", "", dict(wanted.settings), good, was_reached=is_reached)


def started(kept: Kept) -> Kept:
    """Return how things stand when the agent starts: a trial begins, goes on, or has failed."""
    if kept.standing == "waiting":
        return replace(kept, standing="trial", starts=1)
    if kept.standing != "trial":
        return kept
    if kept.starts >= MOST_STARTS:
        return undone(kept, f"{kept.starts} starts with them did not last")
    return replace(kept, starts=kept.starts + 1)


def lasted(kept: Kept) -> Kept:
    """Return how things stand once a start has lasted."""
    return replace(kept, starts=0) if kept.standing == "trial" else kept


def reached(kept: Kept) -> Kept:
    """Return how things stand once the fleet was reached with the settings in trial."""
    return replace(kept, standing="applied", before=kept.overlay, starts=0) if kept.standing == "trial" else kept


def trial_s(undo_after_s: float) -> float:
    """Return for how long a start goes on before it is taken for one that the settings in trial have not spoilt."""
    return min(LONGEST_TRIAL_S, max(LEAST_TRIAL_S, undo_after_s / 2))


def leads_elsewhere(kept: Kept, *, is_apart: bool) -> bool:
    """Tell whether the fleet is met in another way with these settings than with those before.

    `is_apart`: the fleet has a broker of its own, and is not met on the broker of the devices.
    """
    ways = ("fleet.broker.",) if is_apart else ("fleet.broker.", "broker.")
    changed = {key for key in {*kept.overlay, *kept.before} if kept.overlay.get(key) != kept.before.get(key)}
    return any(key.startswith(ways) for key in changed)


def is_own_wish(kept: Kept, wanted: Desired) -> bool:
    """Tell whether what is wanted is what is in trial: who wants it is the fleet."""
    return kept.standing == "trial" and wanted.version >= kept.version and wanted.settings == kept.overlay


def is_cut_off(kept: Kept, unreached_s: float, undo_after_s: float, *, is_elsewhere: bool = False) -> bool:
    """Tell whether the settings in trial have cut the device off; `is_elsewhere`: they lead to the fleet."""
    was_there = kept.was_reached or is_elsewhere
    return kept.standing == "trial" and was_there and unreached_s >= undo_after_s


def undone(kept: Kept, why: str) -> Kept:
    """Return how things stand once settings in trial are undone: those before; what was kept stays."""
    if kept.standing not in {"waiting", "trial"}:
        return kept
    return Kept(kept.version, "undone", why[: 2 * LONGEST_TEXT], kept.before, kept.before)


def problem_of(settings: AgentSettings, wanted: Mapping[str, Setting]) -> str:
    """Return why these settings cannot be laid over the owner's, or an empty text."""
    for key, value in wanted.items():
        if key in NEVER or "password" in key or not any(fnmatchcase(key, one) for one in settings.fleet.may_set):
            return f"{key}: not for the fleet to change; the owner's [fleet] may_set says what is"
        if _names_file(key, value):
            return f"{key}: names a file on this device, which is not for the fleet to do"
    try:
        changed = overlaid(settings, wanted, _NAME)
    except SettingsError as error:
        return str(error)
    files = (key for key in wanted if _holds_path(_value(changed, key)))
    return next((f"{key}: names a file on this device, which is not for the fleet to do" for key in files), "")


def in_force(settings: AgentSettings, kept: Kept) -> AgentSettings:
    """Return the owner's settings with those of the fleet on top. Raise SettingsError if they do not fit."""
    if not kept.overlay:
        return settings
    if problem := problem_of(settings, kept.overlay):
        raise SettingsError(problem, remedy="Allow it in [fleet] may_set, or have the fleet want something else.")
    return overlaid(settings, kept.overlay, _NAME)


def report(kept: Kept, settings: AgentSettings, aside: str = "") -> Reported:
    """Return what the fleet is told of the settings that are in force. No passwords; long texts are cut.

    `aside` is why this start goes without those that were kept. A console reads at most LARGEST_SMALL_BYTES of it.
    """
    standing: Standing = "undone" if aside and kept.standing == "applied" else kept.standing
    problem = Redactor(secrets_of(settings), ()).text(f"not in this start: {aside}" if aside else kept.problem)
    bare = Reported(version=kept.version, standing=standing, problem=problem[:500])
    told: dict[str, Setting] = {}
    size = len(as_payload(bare))
    for key, value in flat(settings):
        added = len(json.dumps({key: value}))
        if size + added <= LARGEST_SMALL_BYTES and len(told) < MOST_SETTINGS:
            size += added
            told[key] = value
    return bare.model_copy(update={"settings": told})


def flat(settings: BaseModel, start: str = "") -> Iterator[tuple[str, Setting]]:
    """Yield settings by dotted keys; none that is not set, no passwords, and no tables of names of one's own.

    Who an address says one is (https://name:password@host) is left out of it.
    """
    for name in type(settings).model_fields:
        key, value = f"{start}{name}", getattr(settings, name)
        match value:
            case BaseModel():
                yield from flat(value, f"{key}.")
            case SecretStr() | None | dict():
                continue
            case tuple():
                yield key, tuple(one if isinstance(one, bool | int | float) else _text(one) for one in value[:32])
            case bool() | int() | float():
                yield key, value
            case _:
                yield key, _text(value)


def written(kept: Kept) -> dict[str, Any]:
    """Return what is put down."""
    return asdict(kept)


_MAPPING: TypeAdapter[Mapping[str, Setting]] = TypeAdapter(Settings)
_STANDING: TypeAdapter[Standing] = TypeAdapter(Standing)


def read(found: object) -> Kept:
    """Return what was put down. Raise ValueError if it is nothing of ours."""
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004  # of a file, not of an argument
    try:
        overlay, before = (_MAPPING.validate_python(_as_tuples(found.get(key))) for key in ("overlay", "before"))
        standing = _STANDING.validate_python(found.get("standing"))
    except ValidationError as error:
        raise ValueError(str(error)) from error
    version, problem, starts = found.get("version"), found.get("problem"), found.get("starts")
    if not (isinstance(version, int) and version >= 0 and isinstance(problem, str) and isinstance(starts, int)):
        raise ValueError("a version, a problem and a count of starts were expected")
    return Kept(version, standing, problem, overlay, before, starts, found.get("was_reached") is True)


def _as_tuples(found: object) -> object:
    if not isinstance(found, dict):
        return found
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}


def _names_file(key: str, value: Setting) -> bool:
    texts = value if isinstance(value, tuple) else (value,)
    return key.partition(".")[0] in _FILES and any(isinstance(one, str) and "/" in one for one in texts)


def _value(settings: BaseModel, key: str) -> object:
    found: object = settings
    for name in key.split("."):
        found = getattr(found, name, None)
    return found


def _holds_path(value: object) -> bool:
    return isinstance(value, Path) or (isinstance(value, tuple) and any(isinstance(one, Path) for one in value))


def _text(value: object) -> str:
    return without_user(str(value))[:LONGEST_TEXT]
