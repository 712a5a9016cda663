"""Names of networks in all scripts and encodings, and keys derived from passphrases."""

import pytest

from edgeagent.provision.errors import ImageError
from edgeagent.provision.wifi import wifi


@pytest.mark.parametrize(
    ("name", "passphrase", "key"),
    [
        # IEEE 802.11i-2004, H.4.3
        ("IEEE", "password", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
        ("ThisIsASSID", "ThisIsAPassword", "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af"),
        ("Z" * 32, "a" * 32, "becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62"),
    ],
)
def test_keys_are_those_of_the_standard(name: str, passphrase: str, key: str) -> None:
    assert wifi(name, passphrase, country="de").key == key


def test_the_passphrase_is_nowhere_and_the_key_is_not_shown() -> None:
    made = wifi("home", "correct horse", country="DE")
    assert "correct horse" not in repr(made)
    assert made.key not in repr(made)


def test_line_ends_of_a_paste_are_no_part_of_it() -> None:
    assert wifi("home\r\n", "correct horse\r\n", country="de") == wifi("home", "correct horse", country="DE")


def test_spaces_are_part_of_a_passphrase() -> None:
    assert wifi("home", " correct horse ", country="DE").key != wifi("home", "correct horse", country="DE").key


def test_a_key_is_taken_as_it_is_and_none_means_open() -> None:
    assert wifi("home", "AB" * 32, country="DE").key == "ab" * 32
    assert wifi("home", country="DE").key == ""
    assert "wifi-security" not in wifi("home", country="DE").connection()


@pytest.mark.parametrize("name", ["Zuhause", "カフェ", "Кафе 7", "بيت", "naïve_net-2.4"])
def test_names_in_all_scripts_are_text(name: str) -> None:
    made = wifi(name, "12345678", country="DE")
    assert made.plain == made.shown == name


@pytest.mark.parametrize(
    "name", [b"caf\xe9", b"a;b", b'say "hi"', b"back\\slash", b" edge", b"65;66;", b"tab\there", b"$(x)", b"-h"]
)
def test_names_that_a_file_could_take_for_something_else_go_as_octets(name: bytes) -> None:
    made = wifi(name, "12345678", country="DE")
    assert made.plain is None
    assert made.shown.isascii()
    assert f"ssid={''.join(f'{octet};' for octet in name)}\n" in made.connection()


@pytest.mark.parametrize(
    ("name", "passphrase", "country", "wrong"),
    [
        ("", "12345678", "DE", "0 octets, expected 1 to 32"),
        ("ü" * 17, "12345678", "DE", "34 octets, expected 1 to 32"),
        ("home", "1234567", "DE", "7 octets, expected 8 to 63"),
        ("home", "1" * 64 + "x", "DE", "65 octets, expected 8 to 63"),
        ("home", "g" * 64, "DE", "64 octets"),
        ("home", "12345678", "Germany", "expected two letters"),
        ("home", "12345678", "", "expected two letters"),
    ],
)
def test_what_cannot_be_is_refused_without_the_passphrase(name: str, passphrase: str, country: str, wrong: str) -> None:
    with pytest.raises(ImageError, match=wrong) as one:
        wifi(name, passphrase, country=country)
    assert passphrase not in str(one.value)
