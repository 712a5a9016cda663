"""What systemd hands to the daemon in secret, put into its settings: passwords that stand in no file of ours."""

import os
from collections.abc import Mapping
from pathlib import Path

from edgeagent.errors import SettingsError
from edgeagent.settings import AgentSettings, overlaid

SETTINGS = {"edgeagent.broker-password": "broker.password", "edgeagent.fleet-password": "fleet.broker.password"}
"""Which setting each credential is; systemd/edgeagent.service names the same ones."""
LARGEST_BYTES = 1024
_WRITE_IT = "Write the password alone, as one line of UTF-8, into /etc/credstore/{name}."


def with_credentials(settings: AgentSettings, environment: Mapping[str, str] = os.environ) -> AgentSettings:
    """Return the settings with the passwords that systemd has handed over, before those of the file.

    Raise SettingsError if one is no password, or belongs to a broker that the settings do not name.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return settings
    changes = {}
    for name, key in SETTINGS.items():
        password = _password(Path(folder) / name)
        if password is None:
            continue
        if key.startswith("fleet.") and settings.fleet.broker is None:
            raise SettingsError(f"credential {name}: there is no [fleet.broker]", remedy="Name it, or remove the file.")
        changes[key] = password
    return overlaid(settings, changes, "credentials") if changes else settings


def _password(path: Path) -> str | None:
    """Return a password, None where there is none. Raise SettingsError; what was found is never told."""
    remedy = _WRITE_IT.format(name=path.name)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
        text = raw.decode().rstrip("\r\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"credential {path.name}: {error.strerror}", remedy=remedy) from error
    except UnicodeDecodeError:
        raise SettingsError(f"credential {path.name}: not UTF-8", remedy=remedy) from None  # it would show the bytes
    if not text or len(raw) > LARGEST_BYTES or not text.isprintable():
        raise SettingsError(f"credential {path.name}: expected one line of 1 to {LARGEST_BYTES} bytes", remedy=remedy)
    return text
