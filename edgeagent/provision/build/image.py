"""A wish to an image that boots, with a list of what is in it."""

import gzip
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from edgeagent.files import write_durably
from edgeagent.provision.build import disk, initrd, overlay, rootfs, wheels
from edgeagent.provision.build.manifest import Contents, bill, digest, packages_of
from edgeagent.provision.build.manifest import manifest as manifest_of
from edgeagent.provision.build.plan import Plan, Wishes, planned
from edgeagent.provision.build.programs import PACKAGES, need, need_emulation
from edgeagent.provision.enrol_file import FOLDER, SEED, Seed, written

Said = Callable[[str], None]
"""Told of each step when it begins."""


@dataclass(frozen=True, slots=True)
class Built:
    """What was made."""

    image: Path
    manifest: Path
    sbom: Path
    took_s: dict[str, float] = field(default_factory=dict)
    """Seconds of each step."""


def default_cache() -> Path:
    """Return where downloads are kept: EDGEAGENT_CACHE, or a folder in the user's own cache."""
    return Path(os.environ.get("EDGEAGENT_CACHE") or Path.home() / ".cache" / "edgeagent")


def build(wishes: Wishes, said: Said = lambda _: None) -> Built:
    """Build the image. Raise ImageError if a program is missing, a package cannot be fetched, or it does not fit."""
    plan = planned(wishes)
    need(tuple(PACKAGES))
    if plan.variant == "ship":
        need_emulation()
    wishes.cache.mkdir(parents=True, exist_ok=True)
    clock = _Clock(said)
    with tempfile.TemporaryDirectory(dir=wishes.cache, prefix="building-") as name:
        folder = Path(name)
        root = folder / "root"
        installed = _fill(plan, wishes, folder, clock)
        clock.step("first root")
        kernel = rootfs.kernel_of(root)
        boot = {
            "vmlinuz": (root / "boot" / f"vmlinuz-{kernel}").read_bytes(),
            "initrd.img": gzip.compress(initrd.first_root(root, kernel, at=plan.epoch), mtime=0),
            disk.MENU: disk.menu(),
            f"{FOLDER}/{SEED}": written(Seed(built=datetime.fromtimestamp(plan.epoch, UTC))),
            **dict(wishes.files),
        }
        clock.step("disk")
        unfinished = wishes.image.with_name(f".{wishes.image.name}.part")
        try:
            disk.lay_out(plan, root, boot, unfinished, folder)
            unfinished.replace(wishes.image)
        finally:
            unfinished.unlink(missing_ok=True)
    clock.step("manifest")
    manifest, sbom = (wishes.image.with_name(f"{wishes.image.name}.{kind}.json") for kind in ("manifest", "cdx"))
    name, sha256 = wishes.image.name, digest(wishes.image)
    size = wishes.image.stat().st_size
    write_durably(manifest, manifest_of(plan, installed, name, size, sha256), mode=0o644)
    write_durably(sbom, bill(plan, installed, name, sha256), mode=0o644)
    clock.step("end")
    return Built(wishes.image, manifest, sbom, clock.took_s)


def _fill(plan: Plan, wishes: Wishes, folder: Path, clock: "_Clock") -> Contents:
    """Make the root, and tell what is in it."""
    root = folder / "root"
    clock.step("packages")
    kept = rootfs.made(plan, wishes.cache)
    clock.step("unpacking")
    rootfs.unpack(kept, root)
    clock.step("wheels")
    house = wheels.wheelhouse(plan, wishes.checkout, wishes.cache)
    own = wheels.own_wheel(wishes.checkout, folder / "own")
    wheels.install(plan, (*house.glob("*.whl"), own), root)
    rootfs.compile_all(plan, root, (f"{wheels.PLACE}/lib",))
    clock.step("overlay")
    overlay.lay_over(plan, wishes.checkout, root)
    disk.settle_times(root, plan.epoch)
    return Contents(packages_of(root), wheels.hashes(house))


class _Clock:
    """How long each step has taken."""

    def __init__(self, said: Said) -> None:
        self.took_s: dict[str, float] = {}
        self._said = said
        self._step, self._began = "", time.monotonic()

    def step(self, name: str) -> None:
        """End the step before, and begin this one."""
        now = time.monotonic()
        if self._step:
            self.took_s[self._step] = round(now - self._began, 1)
        self._step, self._began = name, now
        self._said(name)
