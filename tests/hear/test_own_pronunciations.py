"""The owner's pronunciations are kept, come first, and can be heard."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from edgeagent.errors import SettingsError
from edgeagent.hear import own_pronunciations
from edgeagent.hear.own_pronunciations import ESPEAK, MOST_ENTRIES, add, espeak_input, like, load, phones_of, remove
from edgeagent.hear.pronounce import MOST_WAYS, OWN_WORDS, Pronunciations, dictionary_path, entries

usual = Pronunciations()
IKEA = ("IY", "K", "EY", "AH")


def ways(word: str, owned: own_pronunciations.Owned) -> list[tuple[str, str]]:
    return [(" ".join(way.phones), way.origin) for way in own_pronunciations.ways_of(word, owned, usual)]


def complaint(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert caught.value.remedy
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "pronunciations.txt"


def test_every_phone_of_the_dictionary_can_be_typed_and_said() -> None:
    used = {phone for path in (dictionary_path(), OWN_WORDS) for _, phones in entries(path) for phone in phones}
    assert set(ESPEAK) == used
    assert len(ESPEAK) == 39
    assert len(set(ESPEAK.values())) == 39


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed: apt-get install espeak-ng")
@pytest.mark.parametrize(
    ("phones", "expected"),
    [
        ("K IH CH AH N", "k'ItSVn"),
        ("G R EY T SH IH P", "gr'eItSIp"),
        ("HH AA V ER K", "h'A:v3:k"),
        ("S S T", "sst"),
    ],
)
def test_the_voice_reads_phones_as_they_are_meant(phones: str, expected: str) -> None:
    said = subprocess.run(
        ["espeak-ng", "-v", "en-us", "-q", "-x", espeak_input(phones_of(phones))],
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.strip() == expected


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed: apt-get install espeak-ng")
def test_the_voice_knows_every_phone() -> None:
    said = subprocess.run(
        ["espeak-ng", "-v", "en-us", "-q", "-x", *(espeak_input(["AH", phone, "AH"]) for phone in ESPEAK)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "[" not in said.stdout


def test_a_correction_is_kept_and_can_be_taken_back(file: Path) -> None:
    assert load(file) == {}
    add(file, "ikea", IKEA)
    add(file, "ikea", ("AY", "K", "IY"))
    add(file, "nuki", ("N", "UW", "K", "IY"))
    assert load(file) == {"ikea": (("AY", "K", "IY"), IKEA), "nuki": (("N", "UW", "K", "IY"),)}
    assert file.read_text() == "ikea AY K IY\nikea(2) IY K EY AH\nnuki N UW K IY\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(entries(file)) == [("ikea", ("AY", "K", "IY")), ("ikea", IKEA), ("nuki", ("N", "UW", "K", "IY"))]
    assert remove(file, "ikea") == (("AY", "K", "IY"), IKEA)
    assert set(load(file)) == {"nuki"}


def test_the_same_correction_again_only_comes_first(file: Path) -> None:
    for phones in (IKEA, ("AY", "K"), IKEA):
        add(file, "ikea", phones)
    assert load(file) == {"ikea": (IKEA, ("AY", "K"))}


def test_what_was_not_corrected_cannot_be_taken_back(file: Path) -> None:
    with pytest.raises(SettingsError, match="'ikea' has no pronunciation of yours"):
        remove(file, "ikea")


def test_each_way_tells_where_it_is_from() -> None:
    assert ways("kitchen", {}) == [("K IH CH AH N", "dictionary")]
    assert ways("govee", {}) == [("G OW V IY", "our list")]
    assert {origin for _, origin in ways("off", {})} == {"dictionary", "our list"}
    assert {origin for _, origin in ways("zorblax", {})} == {"guess"}
    assert "rule" in {origin for _, origin in ways("bedlight", {})} | {origin for _, origin in ways("pov", {})}
    assert ways("", {}) == []


def test_the_owners_way_comes_before_the_dictionarys_and_in_place_of_a_guess() -> None:
    owned = {"kitchen": (("K", "IY"),), "zorblax": (("Z", "AO"),), "off": (("AO", "F"),)}
    assert ways("kitchen", owned) == [("K IY", "yours"), ("K IH CH AH N", "dictionary")]
    assert ways("zorblax", owned) == [("Z AO", "yours")]
    assert ways("off", owned)[0] == ("AO F", "yours")
    assert len(ways("off", owned)) == len(ways("off", {}))


@pytest.mark.parametrize("word", ["kitchen", "off", "govee", "litres", "nas", "heatpump", "zorblax", "grandma's"])
def test_without_corrections_these_are_the_recognizers_own_ways(word: str) -> None:
    assert tuple(way.phones for way in own_pronunciations.ways_of(word, {}, usual)) == usual(word)


def test_a_word_can_be_spelled_by_others() -> None:
    assert " ".join(like("eye key uh", {}, usual)) == "AY K IY AH"
    assert " ".join(like("ikea 2", {"ikea": (IKEA,)}, usual)) == "IY K EY AH T UW"
    with pytest.raises(SettingsError, match=r"expected 1 to 60 phones, found 0"):
        like("💡", {}, usual)


def test_phones_are_read_as_people_copy_them() -> None:
    assert phones_of(" ay0  K iy1 AH ") == ("AY", "K", "IY", "AH")


def test_a_wrong_phone_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match="there is no phone 'XX'") as caught:
        phones_of("AH XX N")
    assert caught.value.remedy.startswith("The phones are AA, AE, ")
    with pytest.raises(SettingsError, match="expected 1 to 60 phones, found 0"):
        phones_of("")
    with pytest.raises(SettingsError, match="expected 1 to 60 phones, found 61"):
        phones_of("AH " * 61)


@pytest.mark.parametrize("word", ["Ikea", "two words", "tv2", "", "x" * 41, "../x", "a(2)"])
def test_only_one_plain_word_is_corrected(file: Path, word: str) -> None:
    with pytest.raises(SettingsError, match="is not one word in small letters"):
        add(file, word, IKEA)
    assert not file.exists()


def test_a_word_has_no_more_ways_than_the_recognizer_tries(file: Path) -> None:
    for number in range(MOST_WAYS):
        add(file, "ikea", ("AY",) * (number + 1))
    with pytest.raises(SettingsError, match=f"has {MOST_WAYS} pronunciations of yours already"):
        add(file, "ikea", IKEA)


def test_no_more_is_kept_than_there_is_room_for(file: Path) -> None:
    letters = "abcdefghij"
    words = [a + b + c for a in letters for b in letters for c in letters]
    file.parent.mkdir()
    file.write_text("".join(f"{word} AH\n" for word in words))
    assert len(load(file)) == MOST_ENTRIES
    with pytest.raises(SettingsError, match="holds 1000 pronunciations"):
        add(file, "ikea", IKEA)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("ikea IY K\nnuki XX\n", "2: there is no phone 'XX'"),
        ("ikea\n", "1: expected 1 to 60 phones, found 0"),
        ("two-words AH\n", "1: 'two-words' is not one word in small letters"),
        ("\n" * 1001, "more than 1000 lines"),
        ("\ud800", "cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(file: Path, content: str, expected: str) -> None:
    file.parent.mkdir()
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert expected in complaint(file)
    assert str(file) in complaint(file)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(SettingsError, match=r"cannot be read: .*Not a directory"):
        add(tmp_path / "state" / "pronunciations.txt", "ikea", IKEA)


def test_the_recognizer_can_use_what_was_corrected(file: Path) -> None:
    add(file, "kitchen", ("K", "IY"))
    both = Pronunciations(own_words=file)
    assert both("kitchen") == (("K", "IH", "CH", "AH", "N"), ("K", "IY"))
