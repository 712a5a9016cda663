"""The orders from the bus that were carried out already: the same one may be delivered twice, over a restart too."""

import json
import logging
from collections import OrderedDict
from pathlib import Path

from edgeagent.errors import SettingsError
from edgeagent.files import write_durably

log = logging.getLogger(__name__)

MOST_REMEMBERED = 500
"""An order expires within a minute, so the last few hundred are more than can still come back."""
LARGEST_FILE_BYTES = 1 << 20
"""Ids are short: a larger file is not ours."""


class RememberedOrders:
    """The ids of the latest orders, on disk before they are carried out."""

    def __init__(self, path: Path) -> None:
        """Read the file if there is one; one that is damaged is set aside and begun anew."""
        self._path = path
        self._ids: OrderedDict[str, None] = OrderedDict.fromkeys(self._read())

    def is_new(self, order: str) -> bool:
        """Tell whether this order was never seen, and remember it durably. At most once: after a crash it is not new.

        Raise SettingsError if it cannot be written down: then it must not be carried out, and is new the next time.
        """
        if order in self._ids:
            return False
        latest = [*self._ids, order][-MOST_REMEMBERED:]
        try:
            write_durably(self._path, json.dumps(latest).encode())
        except OSError as error:
            raise SettingsError(
                f"{self._path}: orders cannot be remembered: {error.strerror or error}",
                remedy="Name a folder that can be written to: [device] state_dir.",
            ) from error
        self._ids = OrderedDict.fromkeys(latest)
        return True

    def _read(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                raw = file.read(LARGEST_FILE_BYTES + 1)
            ids = json.loads(raw) if len(raw) <= LARGEST_FILE_BYTES else None
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            return self._set_aside(repr(error))
        if isinstance(ids, list) and all(isinstance(one, str) for one in ids):
            return ids[-MOST_REMEMBERED:]
        return self._set_aside("not a list of ids")

    def _set_aside(self, problem: str) -> list[str]:
        aside = self._path.with_suffix(".damaged")
        log.warning("remembered orders are damaged", extra={"path": str(aside), "problem": problem})
        try:
            self._path.replace(aside)
        except OSError as error:
            log.warning("cannot set aside", extra={"path": str(self._path), "problem": repr(error)})
        return []
