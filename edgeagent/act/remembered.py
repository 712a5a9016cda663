"""The orders from the bus that were carried out already: the same one may be delivered twice, over a restart too."""

import json
import logging
from collections import OrderedDict
from pathlib import Path

from edgeagent.files import write_durably

log = logging.getLogger(__name__)

MOST_REMEMBERED = 500
"""An order expires within a minute, so the last few hundred are more than can still come back."""


class RememberedOrders:
    """The ids of the latest orders, on disk before they are carried out."""

    def __init__(self, path: Path) -> None:
        """Read the file if there is one; one that is damaged is set aside and begun anew."""
        self._path = path
        self._ids: OrderedDict[str, None] = OrderedDict.fromkeys(self._read())

    def is_new(self, order: str) -> bool:
        """Tell whether this order was never seen, and remember it durably. At most once: after a crash it is not new."""
        if order in self._ids:
            return False
        self._ids[order] = None
        while len(self._ids) > MOST_REMEMBERED:
            self._ids.popitem(last=False)
        write_durably(self._path, json.dumps(list(self._ids)).encode())
        return True

    def _read(self) -> list[str]:
        try:
            ids = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
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
