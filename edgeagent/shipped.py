"""The command model that ships with the package: where it lies. Nothing is loaded here."""

import sys
from pathlib import Path

from edgeagent.errors import ModelError

BUILT_IN = "command-en"
MANIFEST = "manifest.json"
_PLACES = (Path(__file__).parents[1] / "models", Path(sys.prefix) / "share" / "edgeagent" / "models")
"""Beside the package in a checkout, or where an installed package has put it."""


def built_in_model() -> Path:
    """Return the folder of the model that ships. Raise ModelError if it is not there."""
    for place in _PLACES:
        if (place / BUILT_IN / MANIFEST).is_file():
            return place / BUILT_IN
    looked = " or ".join(str(place) for place in _PLACES)
    raise ModelError(f"no model {BUILT_IN} in {looked}", remedy='Install it, or set [understanding] model = "off".')
