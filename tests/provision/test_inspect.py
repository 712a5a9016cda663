"""Looking at an image: what is told, what is never told, and every kind of problem."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from provision_cards import BOOKWORM, OWN, TRIXIE, in_use, made
from provision_images import get, needs_fat_tools, put
from provision_wishes import BUILT, FULL, SEED, TOKEN, enrolment, small_bundle

from edgeagent.provision.customise import customise
from edgeagent.provision.errors import ImageError
from edgeagent.provision.inspect import inspect, verify

pytestmark = needs_fat_tools


@pytest.fixture
def image(tmp_path: Path) -> Path:
    made(tmp_path / "card.img", TRIXIE)
    wishes = replace(FULL, bundle=small_bundle(tmp_path, "3.13"), seed=SEED, enrol=enrolment(tmp_path))
    customise(tmp_path / "card.img", wishes, now=BUILT)
    return tmp_path / "card.img"


def problems(image: Path, *, now: datetime = BUILT) -> list[str]:
    return [one.what for one in verify(image, now=now)]


def test_all_is_told_but_no_secret(image: Path) -> None:
    found = inspect(image)
    assert found.system
    assert found.bundle
    assert (found.system.format, found.fat_bits, found.seed, found.bundle.python) == ("cloudinit", 16, SEED, "3.13")
    assert (found.has_token, found.serial, found.token_until) == (
        True,
        "10000000abcdef01",
        datetime(2027, 1, 1, tzinfo=UTC),
    )
    assert not found.was_booted
    assert TOKEN not in repr(found)
    assert "PRIVATE KEY" not in repr(found)
    assert problems(image) == []


def test_an_image_without_anything_of_ours_is_told_as_well(tmp_path: Path) -> None:
    plain = made(tmp_path / "plain.img", OWN)
    found = inspect(plain)
    assert (found.seed, found.has_token, found.bundle, found.bundle_bytes) == (None, False, None, None)
    assert problems(plain) == []


def test_looking_changes_nothing(image: Path) -> None:
    before = image.read_bytes()
    inspect(image)
    verify(image, now=BUILT)
    assert image.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("edgeagent/bundle.sha256", b"0" * 64 + b"  bundle.tar\n", "bundle.tar is not what bundle.sha256 says"),
        ("edgeagent/bundle.sha256", b"", "bundle.tar is not what bundle.sha256 says"),
        ("edgeagent/bundle.tar", b"short", "no bundle"),
        ("edgeagent/seed.toml", b"name = 1\n", "seed.toml"),
        ("edgeagent/enrol.toml", b"", "enrol.toml: empty"),
        (
            "edgeagent/seed.toml",
            b'name = "a"\nfleet = "other"\nbuilt = 2026-01-01T00:00:00Z\n',
            "the seed says 'other'",
        ),
    ],
)
def test_what_was_changed_afterwards_is_a_problem(image: Path, name: str, content: bytes, problem: str) -> None:
    put(image, name, content)
    found = problems(image)
    assert any(problem in one for one in found), found
    assert TOKEN not in str(found)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda line: line.replace(b" root=", b" rout="), "does not say where the root file system is"),
        (lambda line: line + b"\n", ""),
        (lambda line: line.replace(b"ds=nocloud;i=", b"ds=nocloud;i=x"), "does not name edgeagent-"),
        (lambda line: b"\n" + line, "does not say where the root"),
        (lambda line: line.strip() + b" systemd.run=/boot/firmware/first.sh\n", "runs 'first.sh', which is not there"),
        (lambda line: line.strip() + b" systemd.run=/usr/bin/true\n", ""),
        (lambda line: line.strip() + b" " + b"x" * 2048, "expected at most 2,048"),
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_boot_is_a_problem(
    image: Path, edit: Callable[[bytes], bytes], problem: str
) -> None:
    put(image, "cmdline.txt", edit(get(image, "cmdline.txt")))
    found = problems(image)
    assert bool(found) == bool(problem)
    assert any(problem in one for one in found) == bool(problem), found


def test_a_first_run_script_that_nothing_runs_is_a_problem(tmp_path: Path) -> None:
    image = made(tmp_path / "card.img", BOOKWORM)
    customise(image, replace(FULL, bundle=None), now=BUILT)
    assert problems(image) == []
    put(image, "cmdline.txt", BOOKWORM["cmdline.txt"])
    assert problems(image) == ["firstrun.sh is there, and cmdline.txt does not run it"]


def test_a_changed_wheel_is_a_problem_even_with_a_hash_to_match(image: Path) -> None:
    raw = get(image, "edgeagent/bundle.tar").replace(b"/bin/true", b"/bin/evil")
    put(image, "edgeagent/bundle.tar", raw)
    put(image, "edgeagent/bundle.sha256", hashlib.sha256(raw).hexdigest().encode())
    assert problems(image) == ["bundle.tar: damaged: systemd/edgeagent.service"]


def test_a_token_that_has_expired_since_is_a_problem(image: Path) -> None:
    assert problems(image, now=datetime(2027, 1, 2, tzinfo=UTC)) == ["the token has expired on 2027-01-01 00:00 UTC"]


def test_a_partition_in_use_and_an_unknown_system_are_problems(tmp_path: Path) -> None:
    strange = made(tmp_path / "strange.img", {"EFI.BIN": b""})
    in_use(strange)
    assert inspect(strange).is_dirty
    assert inspect(strange).system is None
    assert [one[:40] for one in problems(strange)] == [
        "the boot partition is marked as in use", "unknown system: its boot partition holds",
    ]  # fmt: skip


def test_what_is_no_image_is_a_problem_to_verify_and_an_error_to_inspect(tmp_path: Path) -> None:
    (tmp_path / "noise.img").write_bytes(b"noise" * 1000)
    assert problems(tmp_path / "noise.img")[0].startswith("no partition table")
    with pytest.raises(ImageError, match="no partition table"):
        inspect(tmp_path / "noise.img")
    assert "cannot be read" in problems(tmp_path / "nowhere.img")[0]
