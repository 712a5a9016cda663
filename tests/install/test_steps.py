"""Each step on real files, and bundles and machines as they are found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from installing import PYTHON, bundle, root, wheel

from edgeagent.install.__main__ import main
from edgeagent.install.bundles import chosen, entries_of, made_of_checkout, opened
from edgeagent.install.doing import carry_out, do
from edgeagent.install.locking import EXTRAS, PROJECT, closure
from edgeagent.install.machine import look
from edgeagent.install.nouns import (
    LOCK,
    WHEELS,
    CheckGroups,
    InstallError,
    PlaceFile,
    Point,
    Relocate,
    Remove,
    RemoveIfEmpty,
    Run,
    WriteIfAbsent,
)

ROOT = Path(__file__).parents[2]


def test_a_link_leads_to_the_new_one_though_a_power_cut_left_half_a_link(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "venv").symlink_to("old")
    (tmp_path / ".venv.new").symlink_to("nowhere")
    do(Point(tmp_path / "venv", "new"))
    assert str((tmp_path / "venv").readlink()) == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "venv"]


def test_the_environment_of_an_image_is_set_aside_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/file").touch()
    for left in (".venv.new", "venv-image-0"):  # by a power cut in the middle
        (tmp_path / left / "folder").mkdir(parents=True)
    do(Point(tmp_path / "venv", "new"))
    assert str((tmp_path / "venv").readlink()) == "new"
    assert [path.name for path in (tmp_path / "venv-image-0").iterdir()] == ["file"]
    assert not (tmp_path / ".venv.new").exists()


def test_settings_of_the_owner_stay(tmp_path: Path) -> None:
    file = tmp_path / "etc/edgeagent.toml"
    do(WriteIfAbsent(file, "first"))
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("first", 0o640)
    do(WriteIfAbsent(file, "second"))
    assert file.read_text() == "first"


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "link").symlink_to("kept")
    do(Remove(tmp_path / "link"))
    do(Remove(tmp_path / "link"))
    assert (tmp_path / "kept/file").exists()
    do(RemoveIfEmpty(tmp_path / "kept"))
    assert (tmp_path / "kept").exists()


def test_programs_find_their_interpreter_when_the_root_is_the_root(tmp_path: Path) -> None:
    environment = tmp_path / "opt/venv-1"
    (environment / "bin").mkdir(parents=True)
    script, binary = environment / "bin/edgeagent", environment / "bin/tool"
    script.write_text(f"#!{environment}/bin/python\n")
    script.chmod(0o755)
    binary.write_bytes(f"\0{environment}".encode())
    (environment / "bin/python").symlink_to(sys.executable)
    (environment / "pyvenv.cfg").write_text(f"command = python -m venv {environment}\n")
    do(Relocate(environment, tmp_path))
    assert (script.read_text(), script.stat().st_mode & 0o777) == ("#!/opt/venv-1/bin/python\n", 0o755)
    assert str(tmp_path).encode() in binary.read_bytes()
    assert (environment / "pyvenv.cfg").read_text() == "command = python -m venv /opt/venv-1\n"


def test_a_group_that_a_drop_in_names_and_that_is_not_there_is_told_before_the_daemon_fails(tmp_path: Path) -> None:
    places = root(tmp_path / "root")
    unit = tmp_path / "edgeagent.service"
    unit.write_text("[Service]\nSupplementaryGroups=audio\n")
    do(CheckGroups(places.root, (unit, places.board.parent)))
    places.board.parent.mkdir(parents=True)
    places.board.write_text("[Service]\nSupplementaryGroups=audio gpio render\n")
    with pytest.raises(InstallError, match=r"10-board\.conf: there is no group gpio, render") as caught:
        do(CheckGroups(places.root, (unit, places.board.parent)))
    assert caught.value.remedy == "sudo groupadd --system gpio; sudo groupadd --system render"


def test_a_program_that_fails_is_told_with_its_last_words_unless_it_may() -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('no such thing')")
    with pytest.raises(InstallError, match="ended with 1: no such thing") as caught:
        do(Run(command, "Do this."))
    assert caught.value.remedy == "Do this."
    do(Run(command, may_fail=True))
    do(Run(("/nonexistent/program",), may_fail=True))
    with pytest.raises(InstallError, match="cannot be run"):
        do(Run(("/nonexistent/program",)))


def test_a_disk_that_cannot_be_written_is_told_and_the_mask_is_as_before(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        (tmp_path / "file").touch()
        with pytest.raises(InstallError, match="file: File exists"):
            carry_out([PlaceFile(tmp_path / "file", tmp_path / "file/target")], lambda _: None)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)


def test_a_bundle_is_known_by_its_wheel_and_its_lock(tmp_path: Path) -> None:
    found = opened(bundle(tmp_path, "2.1"))
    assert (found.version, found.is_whole) == ("2.1", True)
    assert "systemd/edgeagent.service" in found.files


def spoilt(folder: Path, how: str) -> Path:
    bundle(folder)
    lock = folder / LOCK
    match how:
        case "no lock":
            lock.unlink()
        case "no wheel":
            next((folder / WHEELS).iterdir()).unlink()
        case "two wheels":
            wheel(folder / WHEELS, "edgeagent", "9.9", {})
        case "no hash":
            lock.write_text(lock.read_text() + "numpy==2.4.6\n")
        case "a line without a hash":
            lock.write_text(f"{lock.read_text()}numpy==1\nnumpy==2 --hash=sha256:{'0' * 64}\n")
        case "not ours":
            lock.write_text(f"numpy==2 --hash=sha256:{'0' * 64}\n")
        case "no text":
            lock.write_bytes(b"\xff\xff")
    return folder


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("no lock", "is no bundle"),
        ("no text", "is no bundle"),
        ("no wheel", "expected one wheel of edgeagent, found 0"),
        ("two wheels", "expected one wheel of edgeagent, found 2"),
        ("no hash", "has no hash for numpy"),
        ("a line without a hash", "has no hash for numpy"),
        ("not ours", "has no hash for edgeagent"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, how: str, problem: str) -> None:
    with pytest.raises(InstallError, match=problem) as caught:
        opened(spoilt(tmp_path, how))
    assert caught.value.remedy == "Make or fetch the bundle again."


def test_the_daemon_needs_a_part_of_the_lock_for_every_python() -> None:
    lock = (ROOT / LOCK).read_text()
    names = closure(PROJECT, EXTRAS)
    assert {"numpy", "onnxruntime", "tuf", "pydantic", "ai-edge-litert", "gpiod", "pymicro-wakeword"} <= names
    assert not names & {"pytest", "torch", "fastapi", "mypy"}
    found = entries_of(chosen(lock, names))
    assert found.keys() == names
    assert "numpy==2.4.6" in found["numpy"]
    assert "numpy==2.5.5" in found["numpy"], "the one for Python 3.12 and later"
    with pytest.raises(InstallError, match="the lock lacks nothing-such"):
        chosen(lock, {"nothing-such"})


def test_what_a_checkout_needs_is_not_known_before_it_is_set_up_anew() -> None:
    with pytest.raises(InstallError, match="before it had lamps") as caught:
        closure(PROJECT, ("board", "lamps"))
    assert caught.value.remedy == "Type: make setup"
    with pytest.raises(InstallError, match="no-such-project: not installed here"):
        closure("no-such-project", ())


def test_only_a_checkout_is_installed_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="no checkout") as caught:
        made_of_checkout(tmp_path / "out", tmp_path)
    assert "--bundle" in caught.value.remedy


def test_a_machine_is_looked_at(tmp_path: Path) -> None:
    places = root(tmp_path)
    found = look(places, PYTHON)
    assert (found.systemd, found.hostname, found.python.version) == (257, "Kitchen Pi", sys.version_info[:2])
    assert (found.environments, found.current, found.in_the_way) == ((), None, None)
    assert found.python.has_venv
    assert found.python.is_64_bit
    for name in ("venv-1.0-1", "venv-1.1-2"):
        (places.home / name).mkdir(parents=True)
    places.link.symlink_to("venv-1.0-1")
    found = look(places, PYTHON)
    assert (found.environments, found.current) == (("venv-1.0-1", "venv-1.1-2"), "venv-1.0-1")


def test_what_is_not_ours_is_seen_to_be_in_the_way(tmp_path: Path) -> None:
    places = root(tmp_path)
    places.command.parent.mkdir(parents=True)
    places.command.symlink_to("/opt/edgeagent/venv/bin/edgeagent")
    assert look(places, PYTHON).in_the_way is None
    places.command.unlink()
    places.command.write_text("#!/bin/sh\n")
    assert look(places, PYTHON).in_the_way == places.command
    places.link.mkdir(parents=True)
    assert look(places, PYTHON).in_the_way == places.link
    places.command.unlink()
    (places.link / "pyvenv.cfg").touch()
    found = look(places, PYTHON)
    assert (found.in_the_way, found.is_folder, found.has_seed) == (None, True, False)
    seed = places.root / "boot/firmware/edgeagent/seed.toml"
    seed.parent.mkdir(parents=True)
    seed.touch()
    assert look(places, PYTHON).has_seed


def test_an_image_without_systemd_is_refused_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = root(tmp_path / "root")
    (places.root / "usr/lib/systemd/systemd").unlink()
    arguments = ["install", "--bundle", str(bundle(tmp_path / "bundle")), "--root", str(places.root)]
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"edgeagent: {places.root}: has no systemd\n  try: ")
    assert not places.home.exists()


def test_what_is_no_python_is_said(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="is no Python"):
        look(root(tmp_path), Path("/bin/true"))


def test_a_dry_run_tells_all_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = root(tmp_path / "root")
    before = sorted(places.root.rglob("*"))
    assert main(["install", "--bundle", str(bundle(tmp_path / "b")), "--root", str(places.root), "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"link {places.link} to venv-1.0-1" in said
    assert main(["uninstall", "--purge", "--root", str(places.root), "--dry-run"]) == 0
    assert f"remove {places.state}" in capsys.readouterr().out.splitlines()
    assert sorted(places.root.rglob("*")) == before


def test_the_installer_runs_from_its_wheel_with_python_alone(tmp_path: Path) -> None:
    """What a fresh system has: no library of ours is installed there."""
    package = ROOT / "edgeagent"
    names = ["__init__.py", "errors.py", "files.py", *(f"install/{path.name}" for path in package.glob("install/*.py"))]
    made = wheel(tmp_path, "edgeagent", "1.0", {f"edgeagent/{name}": (package / name).read_text() for name in names})
    main = "import runpy, sys; sys.argv[1:] = ['-h']; runpy.run_module('edgeagent.install', run_name='__main__')"
    command = [sys.executable, "-S", "-E", "-c", f"import sys; sys.path.insert(0, {str(made)!r}); {main}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "uninstall" in done.stdout
