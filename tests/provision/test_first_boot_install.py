"""`install.sh` of the boot partition, run for real into a scratch root: twice, cut off, with a damaged bundle."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from installing import SMALL, bundle, root

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / "provisioning/first-boot/install.sh"
INSTALLER = {
    f"edgeagent/{name}": (CHECKOUT / "edgeagent" / name).read_text()
    for name in (
        "errors.py",
        "files.py",
        *(f"install/{one.name}" for one in (CHECKOUT / "edgeagent/install").glob("*.py")),
    )
}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs")


@dataclass(frozen=True)
class Card:
    """A boot partition with a bundle, and the root folder that it is for."""

    folder: Path
    root: Path

    def installs(self, *before: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*before, "sh", str(self.folder / "install.sh")],
            env={**os.environ, "EDGEAGENT_ROOT": str(self.root)},
            capture_output=True, text=True, check=False, timeout=110,
        )  # fmt: skip

    @property
    def note(self) -> Path:
        return self.folder / "problem.txt"

    @property
    def again(self) -> Path:
        return self.root / "etc/systemd/system/multi-user.target.wants/edgeagent-install-again.service"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, as it lies on a card."""
    work, card = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("card")
    made = bundle(work / "bundle", files=SMALL | INSTALLER)
    with tarfile.open(card / "bundle.tar", "w") as archive:
        for path in sorted(made.rglob("*")):
            if path.is_file():
                archive.add(path, path.relative_to(made))
    digest = hashlib.sha256((card / "bundle.tar").read_bytes()).hexdigest()
    (card / "bundle.sha256").write_text(f"{digest}  bundle.tar\n")
    shutil.copy(SCRIPT, card / "install.sh")
    return card


@pytest.fixture
def card(tmp_path: Path, packed: Path) -> Card:
    root(tmp_path / "root")
    shutil.copytree(packed, tmp_path / "card")
    return Card(tmp_path / "card", tmp_path / "root")


def test_the_shell_reads_both_programs() -> None:
    for program in ("install.sh", "growroot"):
        path = SCRIPT.with_name(program)
        assert os.access(path, os.X_OK)
        subprocess.run(["sh", "-n", str(path)], check=True)


@pytest.mark.slow
def test_it_installs_once_and_is_safe_to_run_again(card: Card) -> None:
    done = card.installs()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (card.root / "opt/edgeagent/venv/bin/edgeagent").exists()
    assert (card.root / "usr/local/lib/systemd/system/edgeagent.service").exists()
    assert not (card.root / "opt/edgeagent/unpacked").exists()
    assert not card.again.is_symlink()
    assert (card.root / "opt/edgeagent/.installing").stat().st_mode & 0o777 == 0o600, "nobody else can hold its lock"
    before = (card.root / "opt/edgeagent/venv").readlink()
    again = card.installs()
    assert (again.returncode, again.stdout) == (0, "edgeagent: installed already\n")
    assert (card.root / "opt/edgeagent/venv").readlink() == before


def test_a_hash_file_that_was_edited_on_another_system_is_taken(card: Card) -> None:
    path = card.folder / "bundle.sha256"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().upper().replace(b"\n", b"\r\n"))
    (card.folder / "bundle.tar").write_bytes((card.folder / "bundle.tar").read_bytes()[:-1])
    done = card.installs()
    assert done.returncode == 1
    assert "its hash is not that of bundle.sha256" in done.stdout, "it was read"


@pytest.mark.parametrize("how", ["one byte", "cut off", "empty"])
def test_a_damaged_bundle_is_not_even_unpacked(card: Card, how: str) -> None:
    path = card.folder / "bundle.tar"
    raw = path.read_bytes()
    damaged = {"one byte": raw[:1_000] + bytes([raw[1_000] ^ 1]) + raw[1_001:], "cut off": raw[:-512], "empty": b""}
    path.write_bytes(damaged[how])
    done = card.installs()
    assert done.returncode == 1
    assert "problem: bundle.tar is damaged" in done.stdout
    assert not (card.root / "opt/edgeagent/unpacked").exists()
    assert b"Write the card anew.\r\n" in card.note.read_bytes()
    assert card.again.is_symlink(), "a card that is mended is taken at the next start"


@pytest.mark.parametrize("name", ["bundle.tar", "bundle.sha256"])
def test_a_file_that_is_missing_is_named(card: Card, name: str) -> None:
    (card.folder / name).unlink()
    done = card.installs()
    assert done.returncode == 1
    assert f"{name} is missing" in done.stdout


def test_a_hash_that_is_none_is_told(card: Card) -> None:
    (card.folder / "bundle.sha256").write_text("hello\n")
    assert "holds no SHA-256" in card.installs().stdout


@pytest.mark.slow
def test_the_note_goes_when_it_is_mended(card: Card) -> None:
    path = card.folder / "bundle.sha256"
    right = path.read_bytes()
    path.write_text("0" * 64)
    assert card.installs().returncode == 1
    assert card.note.exists()
    path.write_bytes(right)
    done = card.installs()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not card.note.exists()
    assert not card.again.exists()


def test_a_bundle_that_the_installer_refuses_does_not_count_as_installed(card: Card) -> None:
    (card.root / "usr/lib/systemd/systemd").unlink()
    done = card.installs()
    assert done.returncode == 1
    assert "the installer has ended with an error" in done.stdout
    assert not (card.root / "opt/edgeagent/.installed").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("nth", [1, 20, 60, 200, 500])
def test_killed_while_it_installs_it_begins_anew(card: Card, nth: int) -> None:
    card.installs("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat", "-e",
                  f"inject=openat:signal=KILL:when={nth}")  # fmt: skip
    done = card.installs()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (card.root / "opt/edgeagent/venv/bin/edgeagent").exists()
    assert not (card.root / "opt/edgeagent/unpacked").exists()
