"""A root of Jetson Linux, made without NVIDIA's files: what is put into it, and which trees are refused."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgeagent.install.nouns import InstallError
from edgeagent.provision.bundle import packed
from edgeagent.provision.enrol_file import Seed, read_seed
from edgeagent.provision.errors import ImageError
from edgeagent.provision.jetson import FLASH, Overlay, apply, release_of

R36 = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 2025\n"
    "# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
)
SEED = Seed(name="workshop", board="jetson-orin-nano", built=datetime(2026, 11, 22, tzinfo=UTC))


def rootfs_in(folder: Path, release: str = R36) -> Path:
    root = folder / "Linux_for_Tegra" / "rootfs"
    for one in ("boot", "usr/bin", "usr/lib", "etc/systemd/system/multi-user.target.wants", "opt"):
        (root / one).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "etc/nv_tegra_release").write_text(release)
    return root


def bundle_in(folder: Path, version: str = "1.2.3", program: str = "") -> Path:
    bundle = folder / f"bundle-{version}"
    (bundle / "wheels").mkdir(parents=True)
    (bundle / "systemd").mkdir()
    wheel = bundle / "wheels" / f"edgeagent-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in (("__init__", ""), ("install/__init__", ""), ("install/__main__", program)):
            file.writestr(f"edgeagent/{name}.py", text)
    shutil.copy(Path(__file__).parents[2] / "systemd" / "edgeagent.service", bundle / "systemd")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (bundle / "requirements.lock").write_text(f"edgeagent=={version} --hash=sha256:{digest}\n")
    return bundle


def tree_of(root: Path) -> dict[str, tuple[int, str]]:
    """Return all that is in a tree: modes, and contents or where links lead."""
    found = {}
    for path in sorted(root.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else "" if path.is_dir() else path.read_bytes().hex()
        found[path.relative_to(root).as_posix()] = (path.lstat().st_mode, content)
    return found


def test_a_tree_gets_the_bundle_the_first_boot_and_the_settings(tmp_path: Path) -> None:
    root = rootfs_in(tmp_path)
    applied = apply(root, Overlay(bundle_in(tmp_path), SEED))
    assert applied.release == "36.4.3"
    assert applied.changed == (
        "opt/edgeagent/bundle/requirements.lock",
        "opt/edgeagent/bundle/systemd/edgeagent.service",
        "opt/edgeagent/bundle/wheels/edgeagent-1.2.3-py3-none-any.whl",
        "opt/edgeagent/jetson-install",
        "etc/systemd/system/edgeagent-jetson.service",
        "boot/edgeagent/seed.toml",
        "etc/systemd/system/multi-user.target.wants/edgeagent-jetson.service",
    )
    assert read_seed((root / "boot/edgeagent/seed.toml").read_bytes()) == SEED
    assert (root / "opt/edgeagent/jetson-install").stat().st_mode & 0o777 == 0o755
    link = root / "etc/systemd/system/multi-user.target.wants/edgeagent-jetson.service"
    assert link.readlink() == Path("/etc/systemd/system/edgeagent-jetson.service")  # as it is on the board


def test_it_says_how_to_flash_and_that_nothing_was_flashed_or_tried(tmp_path: Path) -> None:
    root = rootfs_in(tmp_path)
    applied = apply(root, Overlay(bundle_in(tmp_path)))
    assert applied.commands == (f"cd {tmp_path}/Linux_for_Tegra", FLASH)
    assert any("no Python 3.11 to 3.13" in one for one in applied.remarks)
    assert "None of this was tried on a Jetson." in applied.remarks
    (root / "usr/bin/python3.11").touch()
    assert not any("no Python" in one for one in apply(root, Overlay(bundle_in(tmp_path / "b"))).remarks)


def test_done_again_it_changes_nothing(tmp_path: Path) -> None:
    root, overlay = rootfs_in(tmp_path), Overlay(bundle_in(tmp_path), SEED)
    apply(root, overlay)
    before = tree_of(root)
    assert apply(root, overlay).changed == ()
    assert tree_of(root) == before


def test_of_an_older_bundle_nothing_stays(tmp_path: Path) -> None:
    root, fresh = rootfs_in(tmp_path), rootfs_in(tmp_path / "fresh")
    apply(root, Overlay(bundle_in(tmp_path), SEED))
    newer = Overlay(bundle_in(tmp_path, "1.3.0"), SEED)
    assert "opt/edgeagent/bundle/wheels/edgeagent-1.2.3-py3-none-any.whl" in apply(root, newer).changed
    apply(fresh, newer)
    assert tree_of(root) == tree_of(fresh)


def test_what_was_cut_off_or_changed_by_hand_is_mended(tmp_path: Path) -> None:
    root, overlay = rootfs_in(tmp_path), Overlay(bundle_in(tmp_path), SEED)
    apply(root, overlay)
    before = tree_of(root)
    (root / "opt/edgeagent/jetson-install").chmod(0o600)
    (root / "opt/edgeagent/bundle/requirements.lock").write_text("half")
    (root / "etc/systemd/system/multi-user.target.wants/edgeagent-jetson.service").unlink()
    assert len(apply(root, overlay).changed) == 3
    assert tree_of(root) == before


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ("# R35 (release), REVISION: 4.1, GCID: 1, BOARD: t186ref\n", r"is release 35\.4\.1, 36 or later was expected"),
        ("# R32 (release), REVISION: 7.5\n", "its C library is too old"),
        ("", "names no release"),
        ("Debian 12\n", "names no release"),
        ("\0" * 100_000, "names no release"),
    ],
    ids=["JetPack 5", "JetPack 4", "empty", "another", "zeros"],
)
def test_a_release_that_does_not_fit_is_refused_and_nothing_is_changed(
    tmp_path: Path, release: str, words: str
) -> None:
    root = rootfs_in(tmp_path, release)
    before = tree_of(root)
    with pytest.raises(ImageError, match=words):
        apply(root, Overlay(bundle_in(tmp_path)))
    assert tree_of(root) == before


def test_other_trees_and_this_machine_are_refused(tmp_path: Path) -> None:
    debian = tmp_path / "debian"
    (debian / "etc").mkdir(parents=True)
    bundle = bundle_in(tmp_path)
    for path, words in (
        (debian, "no root of Jetson"),
        (tmp_path / "none", "no root of"),
        (Path("/"), "machine itself"),
    ):
        with pytest.raises(ImageError, match=words):
            apply(path, Overlay(bundle))
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(ImageError, match="machine itself"):
        release_of(tmp_path / "link")
    assert tree_of(debian) == {"etc": ((debian / "etc").stat().st_mode, "")}


@pytest.mark.parametrize("where", ["opt/edgeagent", "boot", "etc/systemd/system", "etc/nv_tegra_release"])
def test_nothing_is_written_through_a_link_that_leads_out_of_the_tree(tmp_path: Path, where: str) -> None:
    root, outside = rootfs_in(tmp_path), tmp_path / "outside"
    outside.mkdir()
    if (root / where).is_dir():
        shutil.rmtree(root / where)
    (root / where).unlink(missing_ok=True)
    (root / where).symlink_to(outside)
    with pytest.raises(ImageError, match="a link leads out of the tree"):
        apply(root, Overlay(bundle_in(tmp_path), SEED))
    assert list(outside.iterdir()) == []


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    root = rootfs_in(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name, kind, words in (
        ("none", ImageError, "No such file"),
        ("file", ImageError, "no bundle"),
        ("folder", InstallError, "is no bundle"),
    ):
        with pytest.raises(kind, match=words):
            apply(root, Overlay(tmp_path / name))


def test_a_bundle_that_is_a_file_is_unpacked_into_the_tree(tmp_path: Path) -> None:
    root, folder = rootfs_in(tmp_path), bundle_in(tmp_path)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files["install.sh"] = folder / "requirements.lock"
    packed(files, tmp_path / "bundle.tar", python="3.11")
    apply(root, Overlay(tmp_path / "bundle.tar"))
    for name in (*files, "bundle.json"):
        assert (root / "opt/edgeagent/bundle" / name).is_file(), name


def installed(root: Path, tmp_path: Path, *pythons: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a tree, with these Pythons and a systemctl that says what it was asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text('#!/bin/sh\necho "systemctl $*"\n')
    (programs / "systemctl").chmod(0o755)
    for name in pythons:
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (programs / name).chmod(0o755)
    for name in ("dirname", "ls", "sh"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    return subprocess.run(
        [root / "opt/edgeagent/jetson-install"],
        env={"PATH": str(programs)},
        cwd=Path(__file__).parents[2],  # where a folder `edgeagent` lies, which is not to be taken
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_boot_installs_the_bundle_and_is_not_done_again(tmp_path: Path) -> None:
    root = rootfs_in(tmp_path)
    apply(root, Overlay(bundle_in(tmp_path, program="import sys; print(sys.argv[1:], flush=True)")))
    done = installed(root, tmp_path, "python3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"['install', '--bundle', '{root}/opt/edgeagent/bundle', '--no-start']",
        "systemctl disable edgeagent-jetson.service",
        "systemctl start --no-block edgeagent-firstboot.service edgeagent-firstboot.timer edgeagent.service",
    ]


def test_the_python_that_the_wheels_are_for_is_taken_and_else_it_is_said(tmp_path: Path) -> None:
    root, bundle = rootfs_in(tmp_path), bundle_in(tmp_path, program="print('installed', flush=True)")
    (bundle / "wheels" / "numpy-2.4-cp310-cp310-manylinux_2_28_aarch64.whl").touch()
    apply(root, Overlay(bundle))
    done = installed(root, tmp_path, "python3", "python3.11")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no Python 3.11 to 3.13 with venv is here that the wheels" in done.stderr


def test_a_failed_installation_is_tried_again_at_the_next_boot(tmp_path: Path) -> None:
    root = rootfs_in(tmp_path)
    apply(root, Overlay(bundle_in(tmp_path, program="raise SystemExit(1)")))
    done = installed(root, tmp_path, "python3")
    assert done.returncode == 1
    assert "disable" not in done.stdout


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "EDGEAGENT_CI" not in os.environ,
    reason="systemd-analyze is not installed: apt-get install systemd",
)
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    root = rootfs_in(tmp_path)
    apply(root, Overlay(bundle_in(tmp_path)))
    for name in ("sysinit", "basic", "shutdown", "local-fs", "network", "multi-user"):
        (root / "etc/systemd/system" / f"{name}.target").write_text("[Unit]\nDescription=as in any system\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={root}", "edgeagent-jetson.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if "edgeagent-jetson" in line] == []
