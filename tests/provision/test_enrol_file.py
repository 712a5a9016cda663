"""The files of the boot partition: read as any editor leaves them, mistakes told by line, secrets never."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provision_wishes import BUILT, TOKEN, enrolment

from edgeagent.console.authority import Authority
from edgeagent.provision.enrol_file import LARGEST_BYTES, EnrolFile, Seed, read_enrol_file, read_seed, written
from edgeagent.provision.errors import ImageError
from edgeagent.settings import Settings

EC_KEY = bytes.fromhex("06072a8648ce3d0201")
"""How a certificate says that its key is on a curve (RFC 5480, 2.1.1)."""
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.init(tmp_path_factory.mktemp("authority"), "acme", NOW)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> EnrolFile:
    return enrolment(tmp_path_factory.mktemp("card"))


def edited(card: EnrolFile, old: str, new: str) -> bytes:
    raw = written(card)
    assert old.encode() in raw
    return raw.replace(old.encode(), new.encode())


def test_what_is_written_is_read_back(card: EnrolFile) -> None:
    assert read_enrol_file(written(card)) == card
    seed = Seed(name="kitchen", area="Küche 廚房", microphone='USB "PnP" \\ Sound', built=BUILT)
    assert read_seed(written(seed)) == seed


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()))
def test_any_name_that_can_be_seen_is_kept(area: str) -> None:
    seed = Seed(area=area, built=BUILT)
    assert read_seed(written(seed)).area == area


def test_a_byte_order_mark_and_crlf_are_taken(card: EnrolFile) -> None:
    assert read_enrol_file(b"\xef\xbb\xbf" + written(card).replace(b"\n", b"\r\n")) == card


def test_a_token_is_taken_with_spaces_around(card: EnrolFile) -> None:
    assert read_enrol_file(edited(card, TOKEN, f" {TOKEN} ")).token.get_secret_value() == TOKEN


def test_no_secret_is_in_a_repr(card: EnrolFile) -> None:
    shown = f"{card!r} {card}"
    assert TOKEN not in shown
    assert "PRIVATE KEY" not in shown


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('fleet = "home"', 'fleet = "Home!"', "enrol.toml:2: fleet: "),
        ('fleet = "home"', 'flet = "home"', "did you mean fleet?"),
        ("version = 1", "version = 2", "enrol.toml:1: version: "),
        ("broker_port = 8883", 'broker_port = "8883"', "enrol.toml:4: broker_port: "),
        ("expires = 2027", 'expires = "soon" # 2027', "expires: "),
        ("expires = 2027-01-01T00:00:00Z", "expires = 2027-01-01T00:00:00", "expires: "),
        (f'token = "{TOKEN}"', 'token = "SECRET"', "token: expected the token as the console has shown it"),
        (f'token = "{TOKEN}"', 'token = ["SECRET"]', "token: "),
        (f'token = "{TOKEN}"', f'token = "{TOKEN}', "enrol.toml:9: "),
        ("any_board = false", "any_board = true", ""),
        ('serial = "10000000abcdef01"', "", ""),
    ],
)
def test_a_mistake_is_told_with_its_place_and_without_the_secret(
    card: EnrolFile, old: str, new: str, words: str
) -> None:
    raw = edited(card, old, new)
    if not words:
        assert read_enrol_file(raw)
        return
    with pytest.raises(ImageError) as caught:
        read_enrol_file(raw)
    assert words in str(caught.value)
    assert caught.value.remedy
    told = f"{caught.value} {caught.value.remedy} {caught.value.__cause__!r}"
    assert "SECRET" not in told
    assert TOKEN not in told


@pytest.mark.parametrize("around", ["Issuer: CN=a\\,b\n", '"""\nany_board = true\nx = """\n', "# \x7f\0\n", "\ufeff"])
@pytest.mark.parametrize("key", ["ca", "claim", "claim_key"])
def test_nothing_around_a_pem_gets_into_the_file(card: EnrolFile, key: str, around: str) -> None:
    given = card.model_dump() | {"claim_key": card.claim_key.get_secret_value(), "token": TOKEN}
    made = EnrolFile.model_validate(given | {key: around + given[key] + around})
    assert made == card
    assert read_enrol_file(written(made)) == card


def test_any_board_needs_a_serial_number(card: EnrolFile) -> None:
    raw = edited(card, 'serial = "10000000abcdef01"', "").replace(b"any_board = false", b"any_board = true")
    with pytest.raises(ImageError, match="any_board needs a serial"):
        read_enrol_file(raw)


def test_a_key_of_another_claim_is_told_before_anything_is_asked(card: EnrolFile, authority: Authority) -> None:
    other = authority.claim_certificate("two", NOW).key.decode()
    old = card.claim_key.get_secret_value()
    with pytest.raises(ImageError, match="claim_key is not the key of claim") as caught:
        read_enrol_file(edited(card, old, other))
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_damaged_key_is_not_shown(card: EnrolFile) -> None:
    inside = card.claim_key.get_secret_value().splitlines()[1]
    with pytest.raises(ImageError, match="claim_key: expected a private key") as caught:
        read_enrol_file(edited(card, inside, inside[::-1]))
    assert inside[::-1][:10] not in str(caught.value)


@pytest.mark.parametrize("key", ["ca", "claim", "claim_key"])
def test_a_key_of_a_kind_that_nobody_knows_is_told(card: EnrolFile, key: str) -> None:
    given = card.model_dump() | {"claim_key": card.claim_key.get_secret_value(), "token": TOKEN}
    lines = given[key].splitlines()[1:-1]
    der = base64.b64decode("".join(lines)).replace(EC_KEY, EC_KEY[:-1] + b"\x7e")
    with pytest.raises(ImageError, match=f"{key}: expected"):
        read_enrol_file(edited(card, "\n".join(lines), base64.encodebytes(der).decode().strip()))


@pytest.mark.parametrize("raw", [b"", b"\0" * 512, b"\r\n", b"\xef\xbb\xbf"])
def test_a_file_that_was_cut_off_is_told_as_such(raw: bytes) -> None:
    with pytest.raises(ImageError, match="not written to its end"):
        read_seed(raw)


@pytest.mark.parametrize(("raw", "words"), [(b"\xff\xfea\0", "not UTF-8"), (b"#" * (LARGEST_BYTES + 1), "larger than")])
def test_what_is_no_text_of_ours_is_told(raw: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        read_seed(raw, Path("seed.toml"))


def test_every_key_has_its_meaning() -> None:
    kinds: tuple[type[Settings], ...] = (Seed, EnrolFile)
    assert all(field.description for kind in kinds for field in kind.model_fields.values())


@pytest.mark.parametrize("root", ["no JSON", "[]", "{}", '{"signed": {"_type": "targets"}, "signatures": [{}]}',
                                  '{"signed": {"_type": "root"}, "signatures": []}'])  # fmt: skip
def test_what_is_no_root_of_trust_is_told_by_its_key(root: str) -> None:
    raw = f"built = 2026-01-01T00:00:00Z\nupdate_root = {json.dumps(root)}\n".encode()
    with pytest.raises(ImageError, match=r"(?s)seed\.toml.*update_root.*expected a root of trust"):
        read_seed(raw, "seed.toml")
