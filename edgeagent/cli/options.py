"""The options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from edgeagent.credentials import with_credentials
from edgeagent.settings import AgentSettings, load

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="TOML file; without it, the defaults.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_of(file: Path | None) -> AgentSettings:
    """Return the settings of the file that was named, or the defaults, with what systemd hands over in secret.

    Raise SettingsError if something is wrong with them.
    """
    return with_credentials(AgentSettings() if file is None else load(file))


def can_be_written(file: Path | None) -> Path | None:
    """Refuse at the beginning what could not be written at the end."""
    if file is not None and (file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK)):
        raise typer.BadParameter(f"{file} cannot be written")
    return file
