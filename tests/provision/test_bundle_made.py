"""The real bundle, made of this checkout and the real wheels: complete, the lock's alone, and the same again."""

import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from edgeagent.install.bundles import opened
from edgeagent.provision.build.plan import SUITES
from edgeagent.provision.build.programs import run
from edgeagent.provision.build.wheels import platforms
from edgeagent.provision.bundle import bundle
from edgeagent.provision.bundle_contents import contents_of, damaged
from edgeagent.provision.errors import ImageError
from edgeagent.provision.packages import THERE, WANTED, fetched

CHECKOUT = Path(__file__).parents[2]
needs_apt = pytest.mark.skipif(
    shutil.which("apt-get") is None and "EDGEAGENT_CI" not in os.environ, reason="apt-get is not installed: not Debian"
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("suite", "python"), [("bookworm", "3.11"), ("trixie", "3.13")])
def test_the_real_bundle_is_whole_and_the_same_again(tmp_path: Path, suite: str, python: str) -> None:
    target, checkout = tmp_path / "bundle.tar", copied(tmp_path / "checkout")
    found = bundle(checkout, target, tmp_path / "cache", suite=suite)
    assert found.python == python
    tag = f"cp{python.replace('.', '')}"
    binary = [name for name in found.files if name.endswith("aarch64.whl")]
    assert any("numpy-" in name and tag in name for name in binary)
    assert {"install.sh", "requirements.lock", "systemd/edgeagent.service"} <= set(found.files)
    with target.open("rb") as file:
        assert contents_of(file, "bundle.tar") == found
        assert damaged(file, found) == []
    opens_for_pip(target, tmp_path / "unpacked", suite)
    first = target.read_bytes()
    bundle(checkout, target, tmp_path / "cache", suite=suite)
    assert target.read_bytes() == first
    kept = next((tmp_path / "cache").glob("wheels-*/numpy-*.whl"))
    kept.write_bytes(kept.read_bytes() + b"\0")
    with pytest.raises(ImageError, match=f"{kept.name} is not the lock's"):
        bundle(checkout, target, tmp_path / "cache", suite=suite)
    assert target.read_bytes() == first


def copied(folder: Path) -> Path:
    """Copy what a bundle is made of: nobody edits that meanwhile."""
    hidden = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("edgeagent", "hardware", "models", "provisioning", "systemd"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=hidden)
    for name in ("LICENSE", "NOTICE", "README.md", "pyproject.toml", "requirements.lock"):
        shutil.copy(CHECKOUT / name, folder)
    return folder


def opens_for_pip(bundle_file: Path, folder: Path, suite: str) -> None:
    """See that the installer takes the folder, and that pip for such a board finds every wheel in it, by hash."""
    with tarfile.open(bundle_file) as archive:
        archive.extractall(folder, filter="data")
    assert opened(folder).is_whole
    tags = [f"--platform={tag}" for tag in platforms(SUITES[suite])]
    version = "--python-version={}.{}".format(*SUITES[suite].python)
    board = (version, "--implementation=cp", "--only-binary=:all:", *tags)
    offline = ("--no-index", "--no-deps", "--require-hashes", "--find-links", folder / "wheels")
    where = ("-r", folder / "requirements.lock", "-d", folder / "taken")
    run(sys.executable, "-m", "pip", "download", "-q", "--isolated", *offline, *board, *where)
    assert len(list((folder / "taken").iterdir())) == len(list((folder / "wheels").iterdir()))


@needs_apt
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_packages_that_a_lean_system_lacks_are_fetched(tmp_path: Path, suite: str) -> None:
    names = {path.name.split("_")[0] for path in fetched(suite, tmp_path)}
    assert set(WANTED) <= names
    assert not names & {"libc6", "python3", "systemd", "libstdc++6", "bash"}
    assert f"debian-security {suite}-security main\n" in (tmp_path / ".apt/etc/sources.list").read_text()
    said = installed_onto_a_lean_system(tmp_path)
    assert "0 to remove" in said
    assert all(f"Inst {name} " in said for name in names)


def installed_onto_a_lean_system(folder: Path) -> str:
    """Let apt say what it would do on a system that has what it is taken to have, and no network."""
    state = folder / ".apt"
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "APT::Architecture": "arm64",
    }
    settings |= {"Dir::Etc::sourcelist": state / "etc/sources.list", "Dir::Etc::sourceparts": "/dev/null"}
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    options += ["-o", "APT::Architectures=arm64"]
    base = run("apt-get", *options, "-s", "--no-install-recommends", "install", *THERE)
    names = [line.split()[1] for line in base.splitlines() if line.startswith("Inst ")]
    stanzas = run("apt-cache", *options, "show", "--no-all-versions", *names).replace(
        "\nArchitecture:", "\nStatus: install ok installed\nArchitecture:"
    )
    (state / "status").write_text(stanzas)
    (state / "etc/sources.list").write_text("")
    packages = sorted(folder.glob("*.deb"))
    return run("apt-get", *options, "-s", "--no-remove", "-y", "install", *packages)
