"""What stands in the way, and what to type: one finding per thing that edgeagent needs."""

import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from edgeagent import BUILT
from edgeagent.board.here import here
from edgeagent.board.providers import Computing
from edgeagent.errors import EdgeAgentError
from edgeagent.grammar.acyclic import phrases
from edgeagent.hear import microphone
from edgeagent.listening import wake_words
from edgeagent.recognizers import recognizer_of
from edgeagent.settings import AgentSettings, DeviceSettings, UnderstandingSettings, WakingSettings
from edgeagent.understand.model.bundle import open_bundle
from edgeagent.understand.model.self_test import disagreements
from edgeagent.understanding import model_folder, segments_of
from edgeagent.unenrolled import left

LEAST_FREE_BYTES = 64 << 20
"""State, logs and a model update need room; below this, writes start to fail in the middle."""
_SOUND_FOLDER = Path("/dev/snd")
_MODEL_FILES = ("en-us/en-us/mdef", "en-us/en-us/means", "en-us/cmudict-en-us.dict")

Verdict = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and what to type where it is not well."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""


async def examine(
    settings: AgentSettings, reach_broker: Callable[[], Awaitable[str]], root: Path = Path("/")
) -> tuple[Finding, ...]:
    """Look at everything. `reach_broker` connects and tells how, or raises EdgeAgentError; `root` is the board's."""
    return (
        _board(settings.device, root),
        *_first_boot(root),
        *_microphone(settings),
        *_permissions(settings.device.state_dir),
        await _broker(reach_broker),
        _models(settings),
        _command_model(settings.understanding),
        _wake_words(settings.waking),
        _clock(datetime.now(UTC)),
        _disk(settings.device.state_dir),
        _voice(settings),
    )


def _board(settings: DeviceSettings, root: Path) -> Finding:
    try:
        found = here(root)
    except EdgeAgentError as error:
        return Finding("board", "failure", str(error), error.remedy)
    if found.throttling is not None and found.throttling.now:
        slowed = f"{found.line}, slowed down: {', '.join(found.throttling.now)}"
        return Finding("board", "warning", slowed, "edgeagent board show   # and cool it, or give it a better supply")
    profile = found.board.profile
    if profile.match.compatible and settings.board != profile.id:
        meant = f"{found.line}; the settings name {settings.board}"
        return Finding("board", "warning", meant, "sudo edgeagent board apply   # and put in what it proposes")
    return Finding("board", "ok", found.board.note or found.line)


def _first_boot(root: Path) -> Iterator[Finding]:
    if (standing := left(root)) is not None:
        yield Finding("first boot", "failure", standing.said, standing.remedy)


def _microphone(settings: AgentSettings) -> Iterator[Finding]:
    try:
        names = microphone.devices()
        microphone.check(settings.microphone)
    except EdgeAgentError as error:
        remedy = error.remedy
        cards = tuple(_SOUND_FOLDER.glob("controlC*"))
        if cards and not any(os.access(card, os.R_OK | os.W_OK) for card in cards):
            remedy = "sudo usermod -aG audio $USER   # then log in again"
        yield Finding("microphone", "failure", str(error), remedy)
        return
    yield Finding("microphone", "ok", f"opens; can record: {', '.join(names)}")


def _permissions(state: Path) -> Iterator[Finding]:
    existing = _existing(state)
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        yield Finding("permissions", "ok", f"{state} can be written")
    else:
        yield Finding("permissions", "failure", f"{existing} cannot be written", f'sudo install -d -o "$USER" {state}')


async def _broker(reach_broker: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding("broker", "ok", await reach_broker())
    except EdgeAgentError as error:
        return Finding("broker", "failure", str(error), error.remedy)


def _models(settings: AgentSettings) -> Finding:
    if settings.hearing.recognizer != "pocketsphinx":
        try:
            recognizer_of(settings, phrases([("turn", "on", "the", "light")]))
        except EdgeAgentError as error:
            return Finding("models", "failure", str(error), error.remedy)
        return Finding("models", "ok", f"{settings.hearing.recognizer} opens the model {settings.hearing.model}")
    spec = find_spec("pocketsphinx")  # looked for, not imported
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin is not None else None
    missing = [name for name in _MODEL_FILES if folder is None or not (folder / name).is_file()]
    if missing:
        found = f"the embedded recognizer lacks {', '.join(missing)}"
        return Finding("models", "failure", found, "pip install --force-reinstall pocketsphinx")
    return Finding("models", "ok", "the embedded recognizer's model is there")


def _command_model(settings: UnderstandingSettings) -> Finding:
    if settings.model == "off":
        return Finding("understands", "ok", "none is wanted: [understanding] model is off")
    try:
        bundle = open_bundle(model_folder(settings))
        computing = Computing(settings.providers, settings.threads)
        count, different = disagreements(bundle, segments_of(bundle, settings.runtime, computing))
    except EdgeAgentError as error:
        return Finding("understands", "failure", str(error), error.remedy)
    name = f"{bundle.manifest.name} {bundle.manifest.version} in {settings.runtime}"
    if different:
        found = f"{name} decides {len(different)} of {count} golden sentences in another way: {different[0]!r}"
        return Finding("understands", "failure", found, "Install the model again, or use the other runtime.")
    return Finding("understands", "ok", f"{name} decides all {count} golden sentences as it should")


def _wake_words(settings: WakingSettings) -> Finding:
    try:
        wake_words(settings)
    except EdgeAgentError as error:
        return Finding("wakes", "failure", str(error), error.remedy)
    calls = [*settings.words, *(["push to talk"] if settings.push_to_talk else [])]
    waits = f"waits for {' or '.join(calls)}" if calls else "always listens: [waking] words is empty"
    return Finding("wakes", "ok", waits)


def _clock(now: datetime) -> Finding:
    if now < BUILT:
        return Finding("clock", "failure", f"it shows {now:%Y-%m-%d %H:%M} UTC", "sudo timedatectl set-ntp true")
    is_synchronised = Path("/run/systemd/timesync/synchronized").exists() or Path("/var/lib/chrony/drift").exists()
    if not is_synchronised:
        found = f"{now:%Y-%m-%d %H:%M} UTC, plausible, but nothing says that it is synchronised"
        return Finding("clock", "warning", found, "sudo timedatectl set-ntp true")
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC, synchronised")


def _disk(state: Path) -> Finding:
    existing = _existing(state)
    free = shutil.disk_usage(existing).free
    found = f"{free / (1 << 20):,.0f} MiB free at {existing}"
    if free < LEAST_FREE_BYTES:
        return Finding("disk", "failure", found, f"du -xh -d1 {existing} | sort -h   # and remove what is not needed")
    return Finding("disk", "ok", found)


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that is there and can be seen."""
    absolute = folder.absolute()
    return next(one for one in (absolute, *absolute.parents) if os.path.exists(one))  # noqa: PTH110  # never raises


def _voice(settings: AgentSettings) -> Finding:
    if settings.answering.speech == "off":
        return Finding("voice", "ok", "answers are printed: [answering] speech is off")
    if shutil.which("espeak-ng") is None:
        return Finding("voice", "warning", "answers are printed only", "sudo apt-get install espeak-ng")
    return Finding("voice", "ok", "espeak-ng speaks the answers")
