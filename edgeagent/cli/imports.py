"""`edgeagent import`: Rhasspy's sentences.ini and Home Assistant's custom_sentences to a command file of ours."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from edgeagent.act.names import collect
from edgeagent.act.vocabulary import lists_of
from edgeagent.errors import SettingsError
from edgeagent.files import write_durably
from edgeagent.grammar import commands, homeassistant_sentences, rhasspy
from edgeagent.grammar.automaton import compile_commands
from edgeagent.grammar.commands import LARGEST_FILE_BYTES
from edgeagent.grammar.imported import Imported, Remark
from edgeagent.logs import printable

MOST_FILES = 200
_INI, _SLOTS = "sentences.ini", "slots"
_YAML = frozenset({".yaml", ".yml"})
_OURS = "# From "
"""How a file that we wrote begins; any other is not replaced."""


def import_sentences(source: Path, output: Path, *, slots: Path | None = None, is_json: bool = False) -> int:
    """Write a command file of what a file or a folder says, print what is not in it and why; return the exit code.

    `source` is a sentences.ini, the folder of a Rhasspy profile, a YAML file, or a folder of YAML files; `slots` is the
    folder of Rhasspy's files of values, `slots` beside sentences.ini where none is named. Raise SettingsError if it
    cannot be read, if nothing of it can be used, or if the output is somebody else's file.
    """
    found = _read(source, slots)
    if found.text:
        _check(found, source)
        _write(output, found.text)
    if is_json:
        rows = {key: [asdict(one) for one in getattr(found, key)] for key in ("left_out", "changed")}
        sys.stdout.write(json.dumps({"sentences": found.sentences, "intents": list(found.intents), **rows}) + "\n")
    else:
        _tell(found, source, output)
    if not found.text:
        raise SettingsError(f"{source}: nothing of it can be used", remedy="See above why, sentence by sentence.")
    return 0


def _read(source: Path, slots: Path | None) -> Imported:
    ini = source / _INI if source.is_dir() else source
    if ini.suffix == ".ini" and ini.is_file():
        return rhasspy.imported(_text(ini), _slot_files(slots or ini.parent / _SLOTS), ini.name)
    folder = source / "en" if (source / "en").is_dir() else source
    paths = sorted(one for one in folder.iterdir() if one.suffix in _YAML) if folder.is_dir() else [source]
    if not paths or len(paths) > MOST_FILES:
        raise SettingsError(
            f"{source}: {len(paths)} files of sentences, expected 1 to {MOST_FILES}",
            remedy=f"Name a {_INI}, a YAML file of sentences, or a folder with such files.",
        )
    return homeassistant_sentences.imported({one.name: _text(one) for one in paths}, source.name)


def _slot_files(folder: Path) -> Mapping[str, str]:
    """Return Rhasspy's files of values by their names, which are their paths in the folder."""
    return {path.relative_to(folder).as_posix(): _text(path) for path in _files_in(folder)}


def _files_in(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for count, path in enumerate(sorted(one for one in folder.rglob("*") if one.is_file())):
        if count >= MOST_FILES:
            raise SettingsError(f"{folder}: more than {MOST_FILES} files", remedy="Leave out what is not used.")
        yield path


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}", remedy="Name a file that can be read.") from error
    if len(raw) > LARGEST_FILE_BYTES:
        raise SettingsError(f"{path}: larger than 1 MiB", remedy="Split it.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}", remedy="Save the file as UTF-8.") from error


def _check(found: Imported, source: Path) -> None:
    """Raise SettingsError if the sentences cannot be understood beside ours."""
    own = commands.parse(found.text, source.name)
    whole = commands.merge([commands.built_in(("home", "plant")), own])
    compile_commands(whole.with_names(lists_of(collect(()))))


def _write(output: Path, text: str) -> None:
    try:
        if output.exists() and not output.read_bytes().startswith(_OURS.encode()):
            raise SettingsError(f"{output}: is there already, and was not imported", remedy="Name another file.")
        write_durably(output, text.encode(), mode=0o644)
    except OSError as error:
        remedy = "Name a file in a folder that can be written to."
        raise SettingsError(f"{output}: cannot be written: {error.strerror or error}", remedy=remedy) from error


def _tell(found: Imported, source: Path, output: Path) -> None:
    for title, remarks in (("left out", found.left_out), ("changed", found.changed)):
        for remark in remarks:
            sys.stdout.write(f"{_where(remark, source)}: {title}: {printable(remark.what)}: {printable(remark.why)}\n")
    intents = ", ".join(map(printable, found.intents))
    sys.stdout.write(f"{found.sentences} sentences of {len(found.intents)} intents{': ' if intents else ''}{intents}\n")
    if found.text:
        sys.stdout.write(f'{output}: written; have it understood: [acting] command_files = ["{output.resolve()}"]\n')


def _where(remark: Remark, source: Path) -> str:
    return f"{printable(remark.file or source.name)}:{remark.line}"
