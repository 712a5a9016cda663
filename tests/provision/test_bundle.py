"""Bundles: the same bytes each time, checked by their manifest and against the lock."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from provision_wishes import small_bundle

from edgeagent import __version__
from edgeagent.provision.bundle import bundle, packed, strays
from edgeagent.provision.bundle_contents import MOST_MEMBERS, Contents, Member, contents_of, damaged
from edgeagent.provision.errors import ImageError

CHECKOUT = Path(__file__).parents[2]


def wheel(name: str, content: bytes = b"") -> tuple[str, Member]:
    return f"wheels/{name}", Member(size=len(content), sha256=hashlib.sha256(content).hexdigest())


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first = small_bundle(tmp_path).read_bytes()
    for path in tmp_path.iterdir():
        path.touch()
    assert small_bundle(tmp_path).read_bytes() == first


def test_the_manifest_comes_first_and_names_all(tmp_path: Path) -> None:
    path = small_bundle(tmp_path)
    with tarfile.open(path) as archive:
        names = archive.getnames()
        assert {(one.uid, one.gid, one.mtime) for one in archive} == {(0, 0, 0)}
    assert names == ["bundle.json", "install.sh", "systemd/edgeagent.service"]
    with path.open("rb") as file:
        found = contents_of(file, "bundle.tar")
        assert (found.agent, found.python, set(found.files)) == (__version__, "3.11", set(names[1:]))
        assert damaged(file, found) == []


def test_what_is_not_in_the_manifest_or_no_plain_file_is_refused(tmp_path: Path) -> None:
    path = small_bundle(tmp_path)
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("../../etc/passwd"))
    with path.open("rb") as file, pytest.raises(ImageError, match="do not agree about"):
        contents_of(file, "bundle.tar")
    link = tarfile.TarInfo("install.sh")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
    manifest = Contents(agent="1", python="3.11", files={"install.sh": Member(size=0, sha256="0" * 64)})
    with tarfile.open(path, "w") as archive:
        raw = manifest.model_dump_json().encode()
        head = tarfile.TarInfo("bundle.json")
        head.size = len(raw)
        archive.addfile(head, io.BytesIO(raw))
        archive.addfile(link)
    with path.open("rb") as file, pytest.raises(ImageError, match="no plain file"):
        contents_of(file, "bundle.tar")


def test_a_manifest_that_is_a_link_to_itself_is_none(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    link = tarfile.TarInfo("bundle.json")
    link.type, link.linkname = tarfile.SYMTYPE, "bundle.json"
    with tarfile.open(path, "w") as archive:
        archive.addfile(link)
    with path.open("rb") as file, pytest.raises(ImageError, match=r"bundle\.json is no file"):
        contents_of(file, "bundle.tar")


def test_a_bundle_of_more_files_than_any_has_is_refused_before_all_are_read(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(MOST_MEMBERS + 2):
            archive.addfile(tarfile.TarInfo(f"{number}"))
    with path.open("ab") as file:
        file.write(b"\xff" * 1024)  # whoever goes on to read meets this
    with path.open("rb") as file, pytest.raises(ImageError, match="holds more than 2000 files"):
        contents_of(file, "bundle.tar")


def test_a_bundle_without_an_installer_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    packed({"file": tmp_path / "file"}, tmp_path / "bundle.tar", python="3.11")
    with (
        (tmp_path / "bundle.tar").open("rb") as file,
        pytest.raises(ImageError, match=r"do not agree about install\.sh"),
    ):
        contents_of(file, "bundle.tar")


def test_wheels_that_are_not_the_locks_are_found() -> None:
    name, good = wheel("Some_Thing-1.0-py3-none-any.whl", b"good")
    own, ours = wheel(f"edgeagent-{__version__}-py3-none-any.whl")
    lock = f"some-thing==1.0 \\\n    --hash=sha256:{good.sha256}\nother==2 --hash=sha256:{'0' * 64}\n"
    files = {name: good, own: ours, "systemd/a.service": good}
    assert strays(Contents(agent="1", python="3.11", files=files), lock) == []
    odd = dict([wheel("Some_Thing-1.0-py3-none-any.whl", b"bad"), wheel("other-3-py3-none-any.whl"), wheel("no.whl")])
    assert strays(Contents(agent="1", python="3.11", files=odd | {own: ours}), lock) == list(odd)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises((ImageError, OSError)):
        bundle(tmp_path, tmp_path / "bundle.tar", tmp_path / "cache")
    assert not (tmp_path / "bundle.tar").exists()
