"""The Debian package: made of a bundle by dpkg-deb, and installed from what it holds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installing import PYTHON, bundle, root, wheel

from edgeagent.install.debian import PLACE, SCRIPTS, TEMPLATES, architecture_of, package, pythons_of
from edgeagent.install.nouns import LOCK, InstallError, Wish
from edgeagent.install.running import install

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None and "EDGEAGENT_CI" not in os.environ,
    reason="dpkg-deb is not installed: apt-get install dpkg",
)


def asked(made: Path, *arguments: str) -> str:
    return subprocess.run(["dpkg-deb", *arguments, made], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return package(bundle(tmp_path / "bundle", "1.0"), tmp_path)


def test_a_package_says_what_it_needs(made: Path) -> None:
    assert made.name == "edgeagent_1.0_all.deb"
    fields = asked(made, "--field")
    assert "@" not in fields.replace("edgeagent@localhost", "")
    assert "python3 (>= 3.11~), python3 (<< 3.14~)" in fields


def test_what_is_in_it_is_roots_and_nobody_else_writes_it(made: Path) -> None:
    for line in asked(made, "--contents").splitlines():
        mode, owner, *_ = line.split()
        assert owner == "root/root", line
        assert mode in {"drwxr-xr-x", "-rw-r--r--"}, line


def test_the_same_bundle_gives_the_same_package(made: Path, tmp_path: Path) -> None:
    again = package(tmp_path / "bundle", tmp_path / "again")
    assert again.read_bytes() == made.read_bytes()


def test_its_scripts_are_shell_and_leave_alone_what_does_not_concern_them() -> None:
    for name in SCRIPTS:
        script = TEMPLATES / name
        subprocess.run(["sh", "-n", script], check=True)
        for other in ("abort-upgrade", "upgrade", "triggered"):
            subprocess.run([script, other, "1.0"], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="users and their folders are made by root")
def test_what_it_holds_installs_itself_with_nothing_but_python(made: Path, tmp_path: Path) -> None:
    places = root(tmp_path / "root")
    subprocess.run(["dpkg-deb", "--extract", made, places.root], check=True)
    install(places, places.root / PLACE, PYTHON, Wish(), lambda _: None)
    assert (places.link / "bin/edgeagent").is_file()


def test_the_wheels_say_for_what_it_is() -> None:
    common = ["edgeagent-1.0-py3-none-any.whl", "cryptography-46-cp311-abi3-manylinux_2_34_aarch64.whl"]
    wheels = [*common, "numpy-2.4-cp313-cp313-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl"]
    assert (architecture_of(wheels), pythons_of(wheels)) == ("arm64", (13, 13))
    assert (architecture_of(common[:1]), pythons_of(common)) == ("all", (11, 13))
    with pytest.raises(InstallError, match="several processors"):
        architecture_of([*wheels, "x-1-py3-none-manylinux_2_17_x86_64.whl"])
    with pytest.raises(InstallError, match=r"several Pythons: 3\.11, 3\.13"):
        pythons_of([*wheels, "y-1-cp311-cp311-manylinux_2_17_aarch64.whl"])


def test_a_bundle_that_asks_an_index_makes_no_package(tmp_path: Path) -> None:
    source = bundle(tmp_path / "bundle")
    lock = source / LOCK
    lock.write_text(f"{lock.read_text()}numpy==2 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(InstallError, match="lacks wheels"):
        package(source, tmp_path)
    wheel(source / "wheels", "numpy", "2", {})
    assert package(source, tmp_path).exists()


def test_without_templates_or_dpkg_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = bundle(tmp_path / "bundle")
    with pytest.raises(InstallError, match="no templates"):
        package(source, tmp_path, tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(InstallError, match="dpkg-deb cannot be run"):
        package(source, tmp_path)
