"""A bundle looked at before it is released: it must do on this machine what its makers saw it do."""

import time
from dataclasses import dataclass
from pathlib import Path

from edgeagent.errors import ModelError, UpdateError
from edgeagent.understand.model.bundle import open_bundle
from edgeagent.understand.model.self_test import disagreements
from edgeagent.understanding import segments_of
from edgeagent.update.nouns import Kind


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was seen: golden sentences that were decided, seconds for all of them, bytes of all files."""

    sentences: int
    took_s: float
    size_bytes: int


def inspect(folder: Path, kind: Kind) -> Inspected:
    """Look at a bundle. Raise UpdateError if it is damaged, or decides its golden sentences in another way."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if kind != "model":
        return Inspected(0, 0.0, size)
    began = time.perf_counter()
    try:
        bundle = open_bundle(folder)
        count, different = disagreements(bundle, segments_of(bundle, "onnx"))
    except ModelError as error:
        raise UpdateError(f"{folder}: {error}", code="bad-bundle", remedy=error.remedy) from error
    if different:
        raise UpdateError(
            f"{folder}: {len(different)} of {count} golden sentences are decided in another way: {different[0]!r}",
            code="bad-bundle",
            remedy="Make the bundle again, or look at what differs on this machine.",
        )
    return Inspected(count, time.perf_counter() - began, size)
