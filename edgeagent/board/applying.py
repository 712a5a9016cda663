"""A board, its sound hardware and what is on the machine, to what is to be written and done. Pure.

Rules:
- the unit's drop-in names only groups that exist: a unit that names another does not start;
- config.txt is changed where there is one, in a block of our own; an overlay whose file is missing is left out;
- the mixer is set where the card is there; whatever cannot be done is a note, and all else is done;
- the owner's settings are never written: what should stand in them is proposed.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeagent.board.config_txt import Wanted, counts, with_lines
from edgeagent.board.detection import FoundBoard, FoundHat
from edgeagent.board.nouns import BoardProfile, HatProfile
from edgeagent.settings import AgentSettings, BoardSettings

DROP_IN = Path("etc/systemd/system/edgeagent.service.d/10-board.conf")
_BUSES = {"i2c": "dtparam=i2c_arm=on", "spi": "dtparam=spi=on", "i2s": "dtparam=i2s=on"}


@dataclass(frozen=True, slots=True)
class There:
    """What is on the machine: files with their content, groups, overlays. None: it is not there, or not known.

    One that is not running, as a card in a reader, has no mixer.
    """

    drop_in: bytes | None = None
    config: tuple[Path, bytes] | None = None
    overlays: frozenset[str] | None = None
    groups: frozenset[str] = frozenset()
    kernel: tuple[int, int] | None = None
    is_running: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is to have this content; `before` is what it has."""

    path: Path
    before: bytes | None
    after: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """A setting that would be better for this board, and why; `table` and `key` as in the settings file."""

    table: str
    key: str
    value: str | int | tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written and done, proposed and said. Paths are below the root."""

    changes: tuple[Change, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    proposals: tuple[Proposal, ...] = ()
    notes: tuple[str, ...] = field(default=())


def plan(board: FoundBoard, hats: Sequence[FoundHat], there: There, settings: AgentSettings) -> Plan:
    """Return what is to be done for this board and the first of the hats. Raise BoardError if config.txt is damaged."""
    hat = hats[0] if hats else None
    notes = [note for note in (board.note,) if note]
    if len(hats) > 1:
        others = ", ".join(one.profile.id for one in hats[1:])
        notes.append(f"{hats[0].profile.id} is set up; {others} fits as well: choose with --hat")
    changes = [Change(DROP_IN, there.drop_in, drop_in(board.profile, hat, settings.board, there.groups).encode())]
    notes += _missing_groups(needed_groups(hat, settings.board), there.groups)
    if there.config is not None:
        path, before = there.config
        after = with_lines(before, _lines(board.profile, hat, there), board.profile.boot.sections, path.name)
        changes.append(Change(path, before, after))
    if hat is not None:
        notes += _doubts(board.profile, hat, there)
    return Plan(
        changes=tuple(change for change in changes if change.before != change.after),
        commands=tuple(mixer(hat)) if hat is not None and there.is_running else (),
        proposals=tuple(proposals(board.profile, hat, settings)),
        notes=tuple(notes),
    )


def drop_in(board: BoardProfile, hat: FoundHat | None, own: BoardSettings, groups: frozenset[str]) -> str:
    """Return the unit's drop-in: limits of the board, groups and devices of its lights and buttons."""
    needed = [group for group in needed_groups(hat, own) if group in groups]
    devices = {"gpio": "char-gpiochip rw", "spi": "char-spi rw"}
    limits = board.limits
    lines = [
        f"# {board.title}{f' with {hat.profile.title}' if hat is not None else ''}: `edgeagent board apply` wrote this",
        "# and writes it anew. What you want otherwise goes into a drop-in of your own, as 20-own.conf.",
        "[Service]",
        f"MemoryHigh={limits.memory_high_mb}M",
        f"MemoryMax={limits.memory_max_mb}M",
        f"WatchdogSec={limits.watchdog_s}",
    ]
    if needed:
        lines += [f"SupplementaryGroups={' '.join(needed)}", *(f"DeviceAllow={devices[group]}" for group in needed)]
    return "".join(f"{line}\n" for line in lines)


def needed_groups(hat: FoundHat | None, own: BoardSettings) -> tuple[str, ...]:
    """Return the groups that may use lamps, button and mute lines: those of the hat, and the owner's own."""
    lights = [own.light] if own.light is not None else [hat.profile.light] if hat is not None else []
    of_hat = (hat.profile.button, hat.profile.mute) if hat is not None else ()
    contacts = (own.button, own.mute_switch, own.mute_lamp, own.mute_cut, *of_hat)
    lines = [one for light in lights for one in (light.line, light.data_line, light.power_line)]
    has_lines = any(one is not None for one in (*contacts, *lines))
    return (*(["gpio"] if has_lines else []), *(["spi"] if any(light.spi for light in lights) else []))


def mixer(hat: FoundHat) -> Iterator[tuple[str, ...]]:
    """Yield the commands that set the card's mixer and keep it so; none while the card is not there."""
    if hat.card is None or not hat.profile.mixer:
        return
    for one in hat.profile.mixer:
        yield ("amixer", "-q", "-c", hat.card.id, "sset", one.control, *one.value.split())
    yield ("alsactl", "store", hat.card.id)


def proposals(board: BoardProfile, hat: FoundHat | None, settings: AgentSettings) -> Iterator[Proposal]:
    """Yield what should stand in the owner's settings and does not."""
    engines, is_known = board.engines, bool(board.match.compatible)
    better: list[tuple[str, str, object, str | int | tuple[str, ...], str]] = [
        *([("device", "board", settings.device.board, board.id, "releases are chosen by it")] if is_known else []),
        ("hearing", "recognizer", settings.hearing.recognizer, engines.recognizer, "what this board has room for"),
        ("hearing", "effort", settings.hearing.effort, engines.effort, "what its cores are fast enough for"),
        ("understanding", "runtime", settings.understanding.runtime, engines.runtime, "what runs the int8 model here"),
        ("understanding", "providers", settings.understanding.providers, engines.providers, "best first; else the CPU"),
        (
            "understanding",
            "threads",
            settings.understanding.threads,
            board.limits.threads,
            "what its cores are good for",
        ),
    ]
    for table, key, now, wanted, why in better:
        if now != wanted:
            yield Proposal(table, key, wanted, why)
    if hat is not None and settings.board.hat is None and needed_groups(hat, BoardSettings()):
        yield Proposal("board", "hat", hat.profile.id, "its lamps and its button")
    if hat is not None and hat.card is not None and hat.profile.microphone and settings.microphone.device is None:
        yield Proposal("microphone", "device", hat.profile.microphone, f"the card {hat.card.name}")


def _lines(board: BoardProfile, hat: FoundHat | None, there: There) -> list[Wanted]:
    own = board.boot.sections[0] if board.boot.sections else "all"
    lines = [Wanted(line, own) for line in board.boot.config_txt]
    if hat is None:
        return lines
    lines += [Wanted(_BUSES[bus]) for bus in hat.profile.needs]
    if hat.profile.overlay is not None and not _lacks_overlay(hat.profile, there):
        lines.append(Wanted(hat.profile.overlay.line))
    return lines


def _missing_groups(needed: Collection[str], groups: frozenset[str]) -> Iterator[str]:
    for group in needed:
        if group not in groups:
            yield (
                f"there is no group {group}: lamps or buttons stay off until `sudo systemd-sysusers` has made it "
                "and this is applied again"
            )


def _lacks_overlay(hat: HatProfile, there: There) -> bool:
    return (
        hat.overlay is not None and there.overlays is not None and overlay_name(hat.overlay.line) not in there.overlays
    )


def overlay_name(line: str) -> str:
    """Return the name in a line as dtoverlay=wm8960-soundcard,alsaname=x."""
    return line.partition("=")[2].partition(",")[0]


def _doubts(board: BoardProfile, hat: FoundHat, there: There) -> Iterator[str]:
    """Yield why the hat may not work."""
    name, overlay = hat.profile.id, hat.profile.overlay
    if overlay is not None and _lacks_overlay(hat.profile, there):
        yield f"{name}: overlays/{overlay_name(overlay.line)}.dtbo is not on the boot partition: its line is left out"
    if overlay is not None and there.config is None:
        yield f"{name}: there is no config.txt here, so that its overlay must be loaded in this system's own way"
    if overlay is not None and overlay.minimum_kernel and there.kernel is not None:
        least = tuple(int(part) for part in overlay.minimum_kernel.split("."))
        if there.kernel < least:
            found = ".".join(map(str, there.kernel))
            yield f"{name}: its driver came with kernel {overlay.minimum_kernel}, and this is {found}"
    if hat.card is not None:
        return
    is_loaded = overlay and there.config and counts(there.config[1], overlay.line, board.boot.sections)
    if is_loaded:
        yield f"{name}: its overlay is in config.txt, but it has no sound card: reboot; then see that it sits firmly"
    elif overlay is not None:
        yield f"{name}: its sound card is there after a reboot; apply again then, for its mixer"
    else:
        yield f"{name}: no sound card of it is there: plug it in, then apply again"
