"""CI judges the same generated examples every time; a developer's runs look further. Tests may run in any order."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if "EDGEAGENT_CI" in os.environ:
    settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Let no test inherit what a command line before it has set up."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)
