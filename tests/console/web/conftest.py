"""A website for each test, on a copy of one database."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from console.web.website import Make, Website, make_template

from edgeagent.console.web.site import Publish


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def make(template: Path, tmp_path: Path) -> Make:
    def serve(*, settings: str = "", publish: Publish | None = None) -> AbstractContextManager[Website]:
        file = shutil.copy(template, tmp_path / "console.db")
        return Website(Path(file), settings=settings, publish=publish).served()

    return serve


@pytest.fixture
def website(make: Make) -> Iterator[Website]:
    with make() as made:
        yield made
