"""What a manifest may say, and whom a release is for: A13 and all that is malformed."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from update.folder_repository import manifest_of

from edgeagent.errors import UpdateError
from edgeagent.update.manifest import (
    DEEPEST_PATH,
    LARGEST_BYTES,
    MOST_FILES,
    Machine,
    by_version,
    read_manifest,
    refuse_unfit,
)

GOOD = json.loads(manifest_of("command-en", "1.2.0", {"manifest.json": b"{}", "inner/a.bin": b"abc"}, security=3))
MACHINE = Machine("pi4", "0.5.0", 512)
SHA = "0" * 64


def raw(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def files(*paths: str, length: object = 1) -> dict[str, Any]:
    return {"files": [{"path": path, "sha256": SHA, "length": length} for path in paths]}


def code_of(content: bytes) -> str:
    with pytest.raises(UpdateError) as caught:
        read_manifest(content)
    return caught.value.code


def test_a_manifest_is_read_and_its_hash_is_the_release() -> None:
    release = read_manifest(raw())
    assert (release.family, release.version, release.security) == ("command-en", "1.2.0", 3)
    assert [file.path for file in release.files] == ["manifest.json", "inner/a.bin"]
    assert release.id != read_manifest(raw() + b" ").id


@pytest.mark.parametrize(
    "path",
    [
        *(
            "../a",
            "a/../b",
            "/etc/passwd",
            "a//b",
            "./a",
            "a/.",
            "",
            "a\\b",
            "a\0b",
            "C:a",
            "a\n",
            " a",
            ".hidden",
            "-x",
        ),
        *(
            "con",
            "aux.txt",
            "inner/NUL.bin",
            "LPT1",
            "a.",
            "ä",
            "a/" * DEEPEST_PATH + "b",
            "x" * 101,
            "a" * 300,
            "%2e%2e/a",
        ),
    ],
)
def test_a_path_that_is_not_plain_and_inside_is_refused(path: str) -> None:
    assert code_of(raw(**files(path))) == "bad-manifest"


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "A"), ("a", "a/b"), ("A", "a/b"), ("x/a", "X/b")])
def test_two_files_that_would_meet_on_some_disk_are_refused(paths: tuple[str, ...]) -> None:
    assert code_of(raw(**files(*paths))) == "bad-manifest"


@pytest.mark.parametrize("length", [-1, 1 << 40, 1.5, "1", True, None])
def test_a_size_that_is_none_is_refused(length: object) -> None:
    assert code_of(raw(**files("a", length=length))) == "bad-manifest"


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"kind": "program"},
            {"family": "../x"},
            {"family": "A"},
            {"version": "1.2-rc1"},
            {"version": "01"},
            {"version": ""},
        ),
        *({"agent_least": "new"}, {"format": 2}, {"extra": 1}, {"files": []}, {"files": {}}, {"security": -1}),
        *({"security": True}, {"boards": "pi4"}, {"boards": [""]}, {"memory_mb": 1e3}, {"version": "1.2\n"}),
        files(*(f"f{number}" for number in range(MOST_FILES + 1))),
        files(*(f"f{number}" for number in range(3)), length=2 << 30),
        {"files": [{"path": "a", "sha256": SHA.replace("0", "G"), "length": 1}]},
        {"files": [{"path": "a", "sha256": SHA, "length": 1}, {"path": "b", "sha256": SHA, "length": 2}]},
    ],
)
def test_what_a_manifest_cannot_say_is_refused(changes: dict[str, Any]) -> None:
    assert code_of(raw(**changes)) == "bad-manifest"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * (LARGEST_BYTES + 1), b'{"format": NaN}'),
        raw().replace(b'"format": 1', b'"format": 1, "format": 1'),
    ],
)
def test_a27_what_is_no_manifest_is_refused(content: bytes) -> None:
    assert code_of(content) == "bad-manifest"


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_whatever_it_is_nothing_but_an_update_error_comes_out(content: bytes) -> None:
    with pytest.raises(UpdateError):
        read_manifest(content)


@given(
    st.sampled_from(sorted(GOOD)),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.text()),
)
def test_one_wrong_value_is_an_update_error_or_a_release(key: str, value: object) -> None:
    try:
        release = read_manifest(raw(**{key: value}))
    except UpdateError as error:
        assert error.code == "bad-manifest"  # noqa: PT017
    else:
        assert release.files


@given(st.text(max_size=60))
def test_whatever_path_is_taken_stays_inside(path: str) -> None:
    try:
        release = read_manifest(raw(**files(path)))
    except UpdateError:
        return
    assert not release.files[0].path.startswith("/")
    assert ".." not in release.files[0].path.split("/")


def test_a13_the_wrong_board_is_refused() -> None:
    release = replace(read_manifest(raw()), boards=("pi5", "x86-64"))
    with pytest.raises(UpdateError, match="pi5") as caught:
        refuse_unfit(release, MACHINE)
    assert caught.value.code == "wrong-board"
    refuse_unfit(replace(release, boards=("pi4",)), MACHINE)
    refuse_unfit(replace(release, boards=()), MACHINE)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"abi": 2}, "unsupported-abi"),
        ({"agent_least": "0.10"}, "agent-too-old"),
        ({"memory_mb": 513}, "too-little-memory"),
    ],
)
def test_a13_a_bundle_for_a_newer_agent_or_a_larger_machine_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(UpdateError) as caught:
        refuse_unfit(replace(read_manifest(raw()), **changes), MACHINE)
    assert caught.value.code == code


def test_versions_are_compared_by_their_numbers() -> None:
    assert by_version("1.10") > by_version("1.9.2")
    assert by_version("1.0") == by_version("1")
    assert by_version("0.1.0.dev3") == by_version("0.1")
