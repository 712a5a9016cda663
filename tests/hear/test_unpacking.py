import os
import random
import socket
import stat
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from voskmodels import in_folder, vosk_files, zipped

from edgeagent.errors import ModelError
from edgeagent.hear.unpacking import MOST_BYTES, MOST_FILES, opened


def zip_of(path: Path, *entries: zipfile.ZipInfo | str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for entry in entries:
            archive.writestr(entry, b"content")
    return path


def unpacked(source: Path, folder: Path) -> dict[str, bytes]:
    with opened(source) as package:
        package.unpack(folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(source: Path, folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        unpacked(source, folder)
    assert raised.value.remedy
    return str(raised.value)


@pytest.mark.parametrize(("top", "name"), [("", "download"), ("vosk-model-x", "vosk-model-x")])
def test_a_folder_around_all_files_is_taken_off_and_is_the_name(tmp_path: Path, top: str, name: str) -> None:
    archive = tmp_path / "download.zip"
    archive.write_bytes(zipped(vosk_files(), top))
    with opened(archive) as package:
        assert package.name == name
    assert unpacked(archive, tmp_path / "made") == vosk_files()


def test_a_folder_is_copied_and_its_name_kept(tmp_path: Path) -> None:
    source = in_folder(tmp_path / "mine", vosk_files())
    with opened(source) as package:
        assert package.name == "mine"
    assert unpacked(source, tmp_path / "made") == vosk_files()


def test_progress_is_told_in_bytes_up_to_all(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with opened(in_folder(tmp_path / "mine", vosk_files())) as package:
        package.unpack(tmp_path / "made", lambda done, total: told.append((done, total)))
        assert told[-1] == (package.size, package.size)
    assert told == sorted(told)


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "model/../../outside", "am\\final.mdl", "a\nb"])
def test_a_name_that_leads_outside_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    archive = zip_of(tmp_path / "evil.zip", "model/harmless", name)
    assert "not the name of a file inside" in refused(archive, tmp_path / "made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.zip"]


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("model/am")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "'model/am': a link" in refused(zip_of(tmp_path / "evil.zip", link), tmp_path / "made")


@pytest.mark.parametrize("kind", ["link", "link to a folder", "pipe", "socket"])
def test_what_is_no_file_in_a_folder_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = in_folder(tmp_path / "mine", vosk_files())
    odd = source / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "socket":
        monkeypatch.chdir(source)  # a socket's address is short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("odd")
    else:
        odd.symlink_to("/etc" if kind == "link to a folder" else "README")
    assert "'odd': a link, or no file at all" in refused(source, tmp_path / "made")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = zip_of(tmp_path / "evil.zip", "am/final.mdl", "am/final.mdl")
    assert "two files are called am/final.mdl" in refused(archive, tmp_path / "made")


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "evil.zip", "am", "am/final.mdl")
    with pytest.raises(OSError, match="am"):
        unpacked(archive, tmp_path / "made")


def test_more_files_than_any_model_has_are_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "bomb.zip", *(f"model/{number}" for number in range(MOST_FILES + 1)))
    assert f"at most {MOST_FILES} files" in refused(archive, tmp_path / "made")


def test_a_bomb_is_refused_by_what_it_says_of_itself_and_cannot_be_more(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("model/zeros", bytes(4 << 20))
    whole = archive.read_bytes()
    size = (4 << 20).to_bytes(4, "little")
    place = whole.rindex(size)
    assert archive.stat().st_size < 10_000

    archive.write_bytes(whole[:place] + (1000).to_bytes(4, "little") + whole[place + 4 :])
    assert "zeros: damaged: Bad CRC-32" in refused(archive, tmp_path / "lies")
    assert sum(path.stat().st_size for path in (tmp_path / "lies").rglob("*")) <= 1000

    assert MOST_BYTES < 3 * 0xFFFFFFF0
    entry = whole[whole.index(b"PK\x01\x02") : whole.index(b"PK\x05\x06")].replace(size, b"\xf0\xff\xff\xff")
    claims = b"".join(entry.replace(b"zeros", b"zero%d" % number) for number in range(3))
    end = b"PK\x05\x06" + bytes(4) + b"\3\0\3\0" + len(claims).to_bytes(4, "little") + bytes(6)
    archive.write_bytes(claims + end)
    assert "no model is larger" in refused(archive, tmp_path / "claims")
    assert not (tmp_path / "claims").exists()


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "secret.zip"
    whole = bytearray(zipped({"am/final.mdl": b"x", "conf/model.conf": b"y"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := whole.find(mark, place + 1)) >= 0:
            whole[place + offset] |= 1
    archive.write_bytes(whole)
    assert "encrypted" in refused(archive, tmp_path / "made")


def test_what_is_neither_folder_nor_zip_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"\x1f\x8b\x08 not a zip")
    assert "neither a folder nor a whole zip" in refused(tmp_path / "model.tar.gz", tmp_path / "made")
    assert "no such folder or file" in refused(tmp_path / "nowhere.zip", tmp_path / "made")


def test_a_file_that_grows_while_it_is_copied_is_an_error(tmp_path: Path) -> None:
    source = in_folder(tmp_path / "mine", vosk_files())
    with opened(source) as package:
        with (source / "README").open("ab") as file:
            file.write(b"and more")
        with pytest.raises(ModelError, match="README: expected 28 bytes, found 29 or more"):
            package.unpack(tmp_path / "made")


def test_a_zip_with_any_byte_changed_is_unpacked_as_it_was_or_refused(tmp_path: Path) -> None:
    files = {"m/am/final.mdl": b"\0B" + bytes(300), "m/conf/model.conf": b"--beam=10", "m/words.txt": b"one 1\n" * 40}
    whole = zipped(files)
    draw = random.Random(5)  # noqa: S311  # a sample
    for number in range(400):
        spoilt = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 8))):
            spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        archive = tmp_path / "spoilt.zip"
        archive.write_bytes(spoilt[: draw.choice((len(spoilt), len(spoilt), draw.randrange(1, len(spoilt))))])
        folder = tmp_path / str(number)
        try:
            found = unpacked(archive, folder)
        except (ModelError, OSError):
            continue
        assert set(found.values()) <= set(files.values())


def test_a_zip_of_nothing_has_no_files(tmp_path: Path) -> None:
    packed = BytesIO()
    zipfile.ZipFile(packed, "w").close()
    (tmp_path / "empty.zip").write_bytes(packed.getvalue())
    assert unpacked(tmp_path / "empty.zip", tmp_path / "made") == {}
