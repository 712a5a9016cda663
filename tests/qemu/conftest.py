"""One image for all journeys: they change copies of it."""

from pathlib import Path

import pytest
from qemu.images import built


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("image")).image
