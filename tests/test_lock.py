"""The lock has everything with hashes, and installs as wheels alone on every board and Python that we name."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[1]
WITHOUT_WHEEL = {"srt"}
"""One file of Python that vosk imports; pip builds it anywhere."""
GLIBC = range(12, 37)
"""Minor versions of glibc 2 that Debian 12 (2.36) runs."""


def locked() -> dict[Requirement, str]:
    """Return each requirement of the lock and its whole text with hashes."""
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    return {Requirement(block.split(" \\")[0]): block for block in blocks}


def needed() -> set[NormalizedName]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["evaluate"], *extras["litert"]]
    return {canonicalize_name(Requirement(text).name) for text in wanted} - {project["name"]}


def test_everything_is_pinned_and_has_hashes() -> None:
    for requirement, block in locked().items():
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert "--hash=sha256:" in block, requirement


def test_everything_that_the_project_names_is_locked() -> None:
    assert needed() <= {canonicalize_name(requirement.name) for requirement in locked()}


def test_the_lock_names_no_registry() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_it_installs_from_wheels_alone(tmp_path: Path, machine: str, python: str) -> None:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    chosen = [
        block
        for one, block in locked().items()
        if one.name not in WITHOUT_WHEEL and (one.marker is None or one.marker.evaluate(environment))
    ]
    # pip would judge the markers by the Python that it runs on, so they are left out here.
    plain = [re.sub(r" ; [^\\]*", " ", block, count=1) for block in chosen]
    (tmp_path / "lock").write_text("\n".join(plain))
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC]
    platforms += [f"--platform=manylinux{year}_{machine}" for year in (2010, 2014)]  # the old names of two of them
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run",
            "--ignore-installed", "--ignore-requires-python", "--only-binary=:all:", "--require-hashes", "--no-deps",
            *platforms,
            f"--python-version={python}", f"--target={tmp_path / 'target'}", f"--report={tmp_path / 'report'}",
            f"--requirement={tmp_path / 'lock'}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "report").read_text())["install"]) == len(chosen)
