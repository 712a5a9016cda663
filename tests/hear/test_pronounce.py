"""Words get pronunciations that the recognizer can use, known or not."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.errors import ModelError
from edgeagent.hear import learn_pronunciation, letters
from edgeagent.hear.pronounce import MODEL, MOST_WAYS, OWN_WORDS, Pronunciations, dictionary_path, entries

pronounce = Pronunciations()
PHONES = {phone for word, phones in entries(dictionary_path()) if len(word) < 5 for phone in phones}


def ways(word: str) -> list[str]:
    return [" ".join(phones) for phones in pronounce(word)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Ecobee", "EH K OW B IY"),
        ("Sonos", "S OW N OW S"),
        ("Hue", "HH Y UW"),
        ("Zigbee", "Z IH G B IY"),
        ("Roomba", "R UW M B AH"),
        ("Nuki", "N UW K IY"),
        ("Velux", "V EH L AH K S"),
        ("Shelly", "SH EH L IY"),
        ("Küche", "K UW CH AH"),
        ("bedlight", "B EH D L AY T"),
        ("heatpump", "HH IY T P AH M P"),
        ("TV2", "T IY V IY T UW"),
        ("nas", "EH N EY EH S"),
        ("ac", "EY S IY"),
        ("led", "EH L IY D IY"),
        ("pdlc", "P IY D IY EH L S IY"),
        ("o'clock", "AH K L AA K"),
        ("litres", "L IY T ER Z"),
        ("fibre", "F AY B ER"),
        ("grandma's", "G R AE N D M AA Z"),
    ],
)
def test_names_of_real_things_are_pronounced_as_people_do(word: str, expected: str) -> None:
    assert expected in ways(word)


def test_names_that_no_list_has_are_guessed_well() -> None:
    model = letters.load(MODEL)
    expected = {"roomba": "R UW M B AH", "nuki": "N UW K IY", "shelly": "SH EH L IY", "sonos": "S OW N OW S"}
    assert {word: " ".join(model.guess(word, 1)[0].phones) for word in expected} == expected


def test_a_word_with_two_ways_has_both() -> None:
    assert set(ways("read")) == {"R EH D", "R IY D"}


def test_every_word_of_the_dictionary_is_found_in_place() -> None:
    listed = list(entries(dictionary_path()))
    for word, phones in [*listed[:50], *listed[::97], *listed[-50:]]:
        assert phones in pronounce.known(word), word


@pytest.mark.parametrize("word", ["", "a" * 41, "💡", "\u0441\u0432\u0435\u0442", "'", "aaaaaaab", "zzzzz", "~"])
def test_a_word_that_the_dictionary_lacks_is_not_found(word: str) -> None:
    assert pronounce.known(word) == ()


@pytest.mark.parametrize("word", ["", " ", "'", "💡", "a" * 41, "\u0441\u0432\u0435\u0442"])
def test_what_has_no_letters_or_too_many_is_not_pronounced(word: str) -> None:
    assert pronounce(word) == ()


@given(st.from_regex(r"[a-z']{1,39}[a-z]", fullmatch=True))
def test_any_letters_can_be_pronounced_in_the_recognizers_phones(word: str) -> None:
    found = pronounce(word)
    assert 1 <= len(found) <= MOST_WAYS
    assert len(set(found)) == len(found)
    assert all(phones and set(phones) <= PHONES for phones in found)


def test_our_own_words_use_the_recognizers_phones() -> None:
    for word, phones in entries(OWN_WORDS):
        assert set() < set(phones) <= PHONES, word


def test_the_shipped_model_is_small_and_right_about_held_out_words() -> None:
    held_out = [entry for entry in entries(dictionary_path()) if learn_pronunciation.is_held_out(entry[0])]
    regular = [(word, phones) for word, phones in held_out if word.isalpha() and len(word) > 1][::10]
    model = letters.load(MODEL)
    right = sum(
        any(guess.phones == phones for guess in model.guess(word, 1) for other, phones in regular if other == word)
        for word, _ in regular
    )
    assert right / len(regular) > 0.65
    assert MODEL.stat().st_size <= 400_000


def test_letters_and_phones_are_aligned_as_they_sound() -> None:
    spoken = [("box", "B AA K S"), ("ox", "AA K S"), ("bob", "B AA B"), ("cob", "K AA B"), ("cobb", "K AA B")]
    emissions = learn_pronunciation.learn_emissions([(word, tuple(phones.split())) for word, phones in spoken])
    assert learn_pronunciation.align("box", ("B", "AA", "K", "S"), emissions) == (
        ("b", ("B",)),
        ("o", ("AA",)),
        ("x", ("K", "S")),
    )
    assert learn_pronunciation.align("box", ("Z",), emissions) is None


@pytest.mark.parametrize(
    "damage", [b"", b"no gzip", gzip.compress(b"{}", mtime=0), gzip.compress(b'{"symbols":[],"orders":[1]}', mtime=0)]
)
def test_a_damaged_model_is_an_error_that_says_so(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "letters.gz"
    path.write_bytes(damage)
    with pytest.raises(ModelError, match=r"letters\.gz"):
        letters.load(path)


def test_a_cut_off_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "letters.gz"
    path.write_bytes(MODEL.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"letters\.gz"):
        letters.load(path)


def test_a_missing_dictionary_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.dict"):
        Pronunciations(tmp_path / "none.dict")
