"""Three small files of the store: the floor of security, pins, quarantine. Each is written whole or not at all.

A file that is damaged counts as empty, which is logged, and is written anew. The floor stands in the journal as well,
and the higher one counts.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably
from edgeagent.update.manifest import FAMILY, VERSION
from edgeagent.update.on_disk import disk, read_small

log = logging.getLogger(__name__)

LARGEST_BYTES = 256 << 10
MOST_QUARANTINED = 200
"""The oldest is let go; it would have to fail its tests again."""

LARGEST_VERSION = 2**53
HIGHEST_SECURITY = 1_000_000
"""As in a manifest; what is higher was damaged, and would be a floor that nothing reaches."""

Family = Annotated[str, Field(pattern=FAMILY)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Quarantined(_Form):
    """A release that has failed here, why, and the version of the targets metadata that offered it."""

    release: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    code: Annotated[str, Field(max_length=64)]
    targets_version: Annotated[int, Field(ge=0, le=LARGEST_VERSION)]


class _Floors(_Form):
    security: Mapping[Family, Annotated[int, Field(ge=0, le=HIGHEST_SECURITY)]] = {}


class _Pins(_Form):
    versions: Mapping[Family, Annotated[str, Field(pattern=VERSION)]] = {}


class _Quarantine(_Form):
    releases: Annotated[tuple[Quarantined, ...], Field(max_length=MOST_QUARANTINED)] = ()


AForm = TypeVar("AForm", _Floors, _Pins, _Quarantine)


class Kept:
    """What is remembered beside the releases. Reading never fails; writing raises UpdateError."""

    def __init__(self, root: Path) -> None:
        """Keep it in this folder, which is there when something is written."""
        self._root = root

    def floors(self) -> Mapping[str, int]:
        """Return the highest count of security-relevant releases that was ever confirmed, by family."""
        return self._read("security.json", _Floors).security

    def raise_floor(self, family: str, security: int) -> None:
        """Note that such a release is confirmed. A floor is never lowered."""
        floors = self.floors()
        if security > floors.get(family, 0):
            self._write("security.json", _Floors(security={**floors, family: security}))

    def pins(self) -> Mapping[str, str]:
        """Return the version that the owner wants to keep, by family."""
        return self._read("pins.json", _Pins).versions

    def pin(self, family: str, version: str | None) -> None:
        """Keep a family at a version; None: no longer. Raise UpdateError "bad-pin" for what is no version."""
        pins = {name: pinned for name, pinned in self.pins().items() if name != family}
        try:
            form = _Pins(versions=pins if version is None else {**pins, family: version})
        except ValidationError as error:
            raise UpdateError(
                f"expected a family and a version like 1.2.0, found {family!r:.40} {version!r:.40}",
                code="bad-pin",
                remedy="edgeagent update status shows both.",
            ) from error
        self._write("pins.json", form)

    def quarantined(self, release: str, targets_version: int) -> Quarantined | None:
        """Return why a release is not tried again; None if newer metadata than it failed under still offers it."""
        for one in self._read("quarantine.json", _Quarantine).releases:
            if one.release == release and targets_version <= one.targets_version:
                return one
        return None

    def quarantine(self, failed: Quarantined) -> None:
        """Do not try a release again before newer metadata offers it."""
        others = [one for one in self._read("quarantine.json", _Quarantine).releases if one.release != failed.release]
        self._write("quarantine.json", _Quarantine(releases=(*others, failed)[-MOST_QUARANTINED:]))

    def _read(self, name: str, form: type[AForm]) -> AForm:
        path = self._root / name
        try:
            return form.model_validate_json(read_small(path, self._root, LARGEST_BYTES))
        except FileNotFoundError:
            return form()
        except (OSError, ValidationError, UpdateError) as error:
            log.warning("a file of the store is damaged", extra={"path": str(path), "problem": type(error).__name__})
            return form()

    def _write(self, name: str, form: BaseModel) -> None:
        with disk(f"{self._root / name} cannot be written"):
            write_durably(self._root / name, form.model_dump_json().encode(), mode=0o644)
