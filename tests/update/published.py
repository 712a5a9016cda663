"""A repository made by our own publisher, for journeys: real keys, real signatures, the model that ships."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from edgeagent.release.shop import Offer, Shop
from edgeagent.shipped import built_in_model

FAMILY = "command-en"


class Publisher:
    """A shop whose key holders all sign at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.out = folder / "out"
        self._shop = Shop(folder / "shop", lambda _: "x")
        self._shop.init([FAMILY], now())

    @property
    def root(self) -> Path:
        return self.out / "metadata" / "1.root.json"

    def release(self, version: str, changed: dict[str, bytes] | None = None, security: int = 0) -> None:
        """Publish the model that ships under another version, with some files changed."""
        bundle = self._folder / f"bundle-{version}"
        shutil.copytree(built_in_model(), bundle)
        for name, content in (changed or {}).items():
            (bundle / name).write_bytes(content)
        self._shop.add(Offer(bundle, FAMILY, version, "model", "0.1.0", security=security), now())
        for holder in self._shop.holders():
            self._shop.sign(holder)
        self._shop.publish(self.out, now())


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
