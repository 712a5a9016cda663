"""Real environments by a real pip: installed, upgraded, refused, cut off, taken away."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from installing import PYTHON, SMALL, bundle, root

from edgeagent.install.bundles import opened
from edgeagent.install.doing import carry_out
from edgeagent.install.machine import look
from edgeagent.install.nouns import InstallError, Places, Point, Prove, Step, Wish
from edgeagent.install.plan import installation
from edgeagent.install.running import install, uninstall

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="users and their folders are made by root"),
]


def put(places: Places, source: Path, wish: Wish | None = None) -> list[str]:
    said: list[str] = []
    install(places, source, PYTHON, wish or Wish(), said.append)
    return said


def version_of(places: Places) -> str:
    """Ask the environment in use, as the daemon's unit would start it."""
    command = [str(places.link / "bin/python"), "-I", "-c", "import edgeagent; print(edgeagent.__version__)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def environments(places: Places) -> list[str]:
    return sorted(path.name for path in places.home.glob("venv-*"))


def test_it_is_installed_upgraded_and_taken_away(tmp_path: Path) -> None:
    places = root(tmp_path / "root")
    put(places, bundle(tmp_path / "first", "1.0"))
    assert version_of(places) == "1.0"
    assert str(places.command.readlink()) == "/opt/edgeagent/venv/bin/edgeagent"
    assert (places.link / "bin/edgeagent").read_text().startswith("#!/opt/edgeagent/venv-1.0-1/bin/python")
    wanted = places.root / "etc/systemd/system/multi-user.target.wants"
    assert {path.name for path in wanted.iterdir()} == {"edgeagent.service", "edgeagent-firstboot.service"}
    places.settings.write_text("# mine\n")
    (places.state / "identity").write_text("me")

    put(places, bundle(tmp_path / "second", "1.1"))
    assert (version_of(places), environments(places)) == ("1.1", ["venv-1.1-2"])
    assert (places.settings.read_text(), (places.state / "identity").read_text()) == ("# mine\n", "me")

    uninstall(places, PYTHON, lambda _: None)
    assert not places.home.exists()
    assert not places.command.is_symlink()
    assert not list(places.root.rglob("*edgeagent*.service"))
    assert (places.settings.read_text(), (places.state / "identity").read_text()) == ("# mine\n", "me")
    uninstall(places, PYTHON, lambda _: None, is_purge=True)
    assert not places.settings.parent.exists()
    assert not places.state.exists()


def test_systemd_finds_all_that_the_units_name(tmp_path: Path) -> None:
    places = root(tmp_path / "root")
    put(places, bundle(tmp_path / "bundle"))
    for target in ("sysinit", "basic", "shutdown", "network", "sound", "time-set", "multi-user"):
        (places.root / f"usr/lib/systemd/system/{target}.target").parent.mkdir(exist_ok=True)
        (places.root / f"usr/lib/systemd/system/{target}.target").write_text("[Unit]\nDescription=x\n")
    command = ["systemd-analyze", "verify", "--recursive-errors=no", f"--root={places.root}", "edgeagent.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "edgeagent" in done.stderr) == (0, False), done.stderr


def test_a_wheel_that_was_changed_is_refused_and_the_old_version_stays(tmp_path: Path) -> None:
    places = root(tmp_path / "root")
    put(places, bundle(tmp_path / "first", "1.0"))
    source = bundle(tmp_path / "second", "1.1")
    wheel = next((source / "wheels").iterdir())
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(InstallError, match=r"^edgeagent==1\.1 is not what requirements\.lock says"):
        put(places, source)
    assert version_of(places) == "1.0"


@pytest.mark.parametrize("broken", ["edgeagent/__main__.py", "edgeagent/cli/run.py", "edgeagent/shipped.py"])
def test_a_version_that_does_not_import_is_never_in_use(tmp_path: Path, broken: str) -> None:
    places = root(tmp_path / "root")
    put(places, bundle(tmp_path / "first", "1.0"))
    with pytest.raises(InstallError, match="no_such_library") as caught:
        put(places, bundle(tmp_path / "second", "1.1", SMALL | {broken: "import no_such_library\n"}))
    assert "still in use" in caught.value.remedy
    assert version_of(places) == "1.0"


def test_a_version_that_says_it_is_another_is_never_in_use(tmp_path: Path) -> None:
    places = root(tmp_path / "root")
    with pytest.raises(InstallError, match=r"is version '7', expected 1\.1"):
        put(places, bundle(tmp_path / "second", "1.1", SMALL | {"edgeagent/__init__.py": "__version__ = '7'\n"}))
    assert not places.link.is_symlink()


class CutError(Exception):
    """The plug was pulled."""


@pytest.mark.parametrize("kind", [Prove, Point])
def test_after_a_cut_before_a_step_the_old_or_the_new_one_is_whole_and_trying_again_ends_well(
    tmp_path: Path, kind: type[Step]
) -> None:
    places = root(tmp_path / "root")
    put(places, bundle(tmp_path / "first", "1.0"))
    source = opened(bundle(tmp_path / "second", "1.1"))
    seen: list[Step] = []

    def cut(step: Step) -> None:
        seen.append(step)
        if sum(isinstance(one, kind) for one in seen) == (2 if kind is Point else 1):
            raise CutError

    with pytest.raises(CutError):
        carry_out(installation(Wish(), source, look(places, PYTHON)), cut)
    assert version_of(places) == ("1.1" if kind is Point else "1.0")
    assert len(environments(places)) == 2
    put(places, source.folder)
    assert version_of(places) == "1.1"
    assert len(environments(places)) == 1


def test_killed_at_any_moment_it_leaves_a_version_that_works(tmp_path: Path) -> None:
    places = root(tmp_path / "root")
    put(places, bundle(tmp_path / "first", "1.0"))
    source = bundle(tmp_path / "second", "1.1")
    command = [
        sys.executable,
        "-m",
        "edgeagent.install",
        "install",
        "--bundle",
        str(source),
        "--root",
        str(places.root),
    ]
    chance = random.Random(8)  # noqa: S311  # when the plug is pulled
    began = time.monotonic()
    subprocess.run([*command, "--dry-run"], check=True, stdout=subprocess.DEVNULL)
    least_s = time.monotonic() - began
    found = []
    for _ in range(6):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(least_s + chance.uniform(0, 6))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        found.append(version_of(places))
    assert set(found) <= {"1.0", "1.1"}
    assert found == sorted(found), "what is new does not become old again"
    put(places, source)
    assert (version_of(places), len(environments(places))) == ("1.1", 1)


def test_two_installations_at_once_are_one_too_many(tmp_path: Path) -> None:
    places = root(tmp_path / "root")
    source = bundle(tmp_path / "bundle")

    def try_another(_: str) -> None:
        with pytest.raises(InstallError, match="another installation is under way"):
            put(places, source)

    install(places, source, PYTHON, Wish(), try_another)
    assert version_of(places) == "1.0"


def test_this_checkout_is_installed_from_its_lock(tmp_path: Path) -> None:
    """The whole program, with all its libraries, from the index that pip has been given."""
    places = root(tmp_path / "root")
    said: list[str] = []
    install(places, None, PYTHON, Wish(), said.append)
    assert any("from the index, by hash" in line for line in said)
    command = [
        str(places.link / "bin/python"),
        "-I",
        "-m",
        "edgeagent",
        "settings",
        "show",
        "--settings",
        str(places.settings),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 'id = "kitchen-pi"' in shown
    assert not list((places.link / "lib").glob("python3*/site-packages/pytest"))
