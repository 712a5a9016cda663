"""The folders of profiles to boards and sound hardware by name; an owner's own come before ours.

Rules:
- a file is named after the id in it, so that nobody has two of one name without seeing it;
- an owner's profile takes the place of ours of the same id, whole: half of one and half of the other is neither;
- a file that is wrong is an error which names file and line; a folder that is not there, or closed, is empty.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from edgeagent.board.errors import BoardError
from edgeagent.board.nouns import BoardProfile, HatProfile
from edgeagent.errors import SettingsError
from edgeagent.files import read_text
from edgeagent.settings import parse_as

__all__ = ["OWN", "BoardProfile", "HatProfile", "boards", "hats"]

OWN = Path("/etc/edgeagent/hardware")
"""Where an owner puts profiles, in `boards` and `hats`."""
MOST_PROFILES = 500
"""More files in a folder than this are not profiles."""
_PLACES = (Path(__file__).parents[2] / "hardware", Path(sys.prefix) / "share" / "edgeagent" / "hardware")
"""Beside the package in a checkout, or where an installed package has put it."""
_REMEDY = "hardware/README.md lists every key of a profile with its meaning."

AnyProfile = TypeVar("AnyProfile", BoardProfile, HatProfile)


def boards(own: Path = OWN) -> Mapping[str, BoardProfile]:
    """Return all boards by id. Raise BoardError if ours are not there, SettingsError if a profile is wrong."""
    return _merged(BoardProfile, "boards", own)


def hats(own: Path = OWN) -> Mapping[str, HatProfile]:
    """Return all sound hardware by id. Raise BoardError if ours are not there, SettingsError if a profile is wrong."""
    return _merged(HatProfile, "hats", own)


def profiles_in(kind: type[AnyProfile], folder: Path) -> dict[str, AnyProfile]:
    """Return a folder's profiles by id. Raise SettingsError if one is wrong, or named after another."""
    try:
        files = sorted(folder.glob("*.toml"))
    except PermissionError:
        return {}
    if len(files) > MOST_PROFILES:
        raise SettingsError(f"{folder}: more than {MOST_PROFILES} profiles", remedy=_REMEDY)
    return {file.stem: _profile(kind, file) for file in files}


def _profile(kind: type[AnyProfile], file: Path) -> AnyProfile:
    profile = parse_as(kind, read_text(file, _REMEDY), str(file), remedy=_REMEDY)
    if profile.id != file.stem:
        raise SettingsError(
            f"{file}: its id is {profile.id}", remedy=f'Name the file {profile.id}.toml, or write id = "{file.stem}".'
        )
    return profile


def _merged(kind: type[AnyProfile], folder: str, own: Path) -> dict[str, AnyProfile]:
    ours = next((place / folder for place in _PLACES if (place / folder).is_dir()), None)
    if ours is None:
        looked = " or ".join(str(place) for place in _PLACES)
        raise BoardError(f"no hardware profiles in {looked}", remedy="Install edgeagent again.")
    return profiles_in(kind, ours) | profiles_in(kind, own / folder)
