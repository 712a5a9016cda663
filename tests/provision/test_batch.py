"""A table of devices to what goes onto each card, or to every mistake with its line."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.console import authority as console_authority
from edgeagent.console.authority import Authority
from edgeagent.provision.batch import (
    Enrolment,
    Token,
    Who,
    check_free,
    check_room,
    enrol_file,
    tokens_in,
    tokens_of,
    write_folders,
    write_images,
)
from edgeagent.provision.batch_rows import MOST_ROWS, MOST_TOLD, RESERVED, Known, Row, read_rows
from edgeagent.provision.batch_sheet import sheet
from edgeagent.provision.enrol_file import EnrolFile, Seed, read_enrol_file, read_seed
from edgeagent.provision.errors import ImageError

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
SECRET = "ABCD-EFGH-JKLM-NPQR-STUV"  # noqa: S105  # of no console
KNOWN = Known(frozenset({"rpi-zero-2-w", "rpi-4b"}), frozenset({"respeaker-2-mic-v1"}), NOW, fleet="acme")


def rows(text: str) -> list[Row]:
    return read_rows(text, "devices.csv", KNOWN)


def mistakes(text: str) -> list[str]:
    with pytest.raises(ImageError) as caught:
        rows(text)
    assert "nothing was made" in caught.value.remedy
    return str(caught.value).splitlines()


@pytest.fixture(scope="module")
def enrolment(tmp_path_factory: pytest.TempPathFactory) -> Enrolment:
    authority = Authority.init(tmp_path_factory.mktemp("authority"), "acme", NOW.timestamp())
    claim = authority.claim_certificate("one", NOW.timestamp())
    return Enrolment("broker.acme", 8883, 8884, authority.trusted, claim.certificate.decode(), claim.key.decode())


def test_a_line_is_a_device() -> None:
    (row,) = rows(
        "name,serial,fleet,area,board,hat,microphone,tags\n"
        "kitchen-1,10000000abcdef01,acme,Küche,rpi-zero-2-w,respeaker-2-mic-v1,USB PnP,floor=2 test\n"
    )
    assert row == Row(
        line=2,
        seed=Seed(
            name="kitchen-1",
            fleet="acme",
            area="Küche",
            board="rpi-zero-2-w",
            hat="respeaker-2-mic-v1",
            microphone="USB PnP",
            built=NOW,
        ),
        serial="10000000abcdef01",
        any_board=False,
        tags={"floor": "2", "test": ""},
    )


TABLE = 'name,area,serial\nkitchen-1,Kitchen,s1\nhall,"Hall, left",s2\n'


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        TABLE.replace("\n", "\r\n"),
        "sep=,\r\n" + TABLE,
        "\n\n" + TABLE + "\n,,\n\n",
        'AREA,Serial,name,,\nKitchen,s1,kitchen-1,,\n"Hall, left",s2,hall,,\n',
        "name;area;serial\nkitchen-1;Kitchen;s1\nhall;Hall, left;s2\n",
        "name\tarea\tserial\nkitchen-1\tKitchen\ts1\nhall\tHall, left\ts2\n",
        "sep=;\nname;area;serial\n kitchen-1 ; Kitchen ;s1\nhall;Hall, left;s2",
    ],
    ids=["plain", "crlf", "sep", "empty lines", "columns", "semicolons", "tabs", "sep and spaces"],
)
def test_tables_are_read_as_spreadsheets_save_them(text: str) -> None:
    assert [(one.seed.name, one.seed.area, one.serial) for one in rows(text)] == [
        ("kitchen-1", "Kitchen", "s1"),
        ("hall", "Hall, left", "s2"),
    ]


def test_without_a_serial_number_the_card_has_one() -> None:
    (row,) = rows("name\nkitchen-1\n")
    assert (row.serial, row.any_board, row.seed.fleet) == ("card-kitchen-1", True, "acme")
    (long,) = rows(f"name\n{'k' * 63}\n")
    assert len(long.serial) == 64


def test_every_mistake_is_named_with_its_line() -> None:
    assert mistakes(
        "name;serial;area;board;hat;tags;token;expires\n"
        "good;s1;Hall;rpi-4b;;;;\n"
        "Küche;s2;;;;;;\n"
        "claim-1;s3;;;;;;\n"
        ";s4;;;;;;\n"
        "good;s5;;;;;;\n"
        "six;s1;;;;;;\n"
        "seven;1,00000E+15;;rpi-5;no-hat;;;\n"
        "eight;a b;;;;=x floor=1;;\n"
        f"nine;s9;;;;;{SECRET};\n"
        f"ten;s10;;;;;{SECRET};2026-11-01\n"
        f"eleven;s11;;;;;{SECRET};soon\n"
        f"twelve;s12;;;;;{SECRET};2027-01-01\n"
        f"thirteen;s13;;;;;{SECRET};2027-01-01\n"
        "fourteen;s14;;;;;no!;2027-01-01\n"
        "fifteen;s15;;;;;;;;x\n"
    ) == [
        "devices.csv:3: name 'Küche': expected 1 to 63 small letters, digits and hyphens, none first or last",
        "devices.csv:4: name 'claim-1': names that begin with claim- or console- are reserved",
        "devices.csv:5: name '': expected 1 to 63 small letters, digits and hyphens, none first or last",
        "devices.csv:6: name 'good': is in line 2 already",
        "devices.csv:7: serial 's1': is in line 2 already",
        "devices.csv:8: board 'rpi-5': no profile is called so; there are rpi-4b, rpi-zero-2-w",
        "devices.csv:8: hat 'no-hat': no profile is called so; there are respeaker-2-mic-v1",
        "devices.csv:8: serial '1,00000E+15': a spreadsheet has made a number of it; format the column as text",
        "devices.csv:9: serial 'a b': expected up to 64 letters, digits and . _ : -",
        "devices.csv:9: tags '=x': expected key or key=value, separated by spaces",
        "devices.csv:10: expires: a token was given, and not until when it is good",
        "devices.csv:11: expires '2026-11-01': that is over",
        "devices.csv:12: expires 'soon': expected a day, as 2026-12-31",
        "devices.csv:14: token: is in line 13 already",
        "devices.csv:15: token: expected it as the console has shown it: five groups of four",
        "devices.csv:16: has 10 columns, the first line 8",
    ]


def test_a_line_is_counted_where_it_begins_even_behind_a_cell_of_several_lines() -> None:
    assert mistakes('name,area\nx,"a\nb\nc"\nBAD,\n') == [
        "devices.csv:2: area 'a\\nb\\nc': expected one line without control characters",
        "devices.csv:5: name 'BAD': expected 1 to 63 small letters, digits and hyphens, none first or last",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("name\n", "0 devices, 1 to 5000 were expected"),
        ("kitchen-1,s1\n", "devices.csv:1: there is no column 'kitchen-1'"),
        ("serial\ns1\n", "devices.csv:1: the column name is missing"),
        ("name,name\na,b\n", "devices.csv:1: the column name is there twice"),
        ('name\n"a\n', "devices.csv:2: unexpected end of data"),
        ("name\na\0b\n", "devices.csv:2: name"),
        ("name\n" + "\n".join(f"d{one}" for one in range(5_001)), "5001 devices"),
        ("name," + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_a_table_that_is_none_is_an_error(text: str, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        rows(text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 10_000


def test_a_table_of_5000_devices_is_read_and_one_more_is_refused() -> None:
    lines = [f"device-{one},{one:016x},Room {one},floor=1" for one in range(MOST_ROWS)]
    found = rows("\n".join(["name,serial,area,tags", *lines]))
    assert [found[0].seed.name, found[-1].seed.name, found[-1].line] == ["device-0", "device-4999", MOST_ROWS + 1]
    with pytest.raises(ImageError, match="5001 devices, 1 to 5000 were expected"):
        rows("\n".join(["name,serial,area,tags", *lines, "one-more,,,"]))


def test_no_more_mistakes_are_told_than_somebody_reads() -> None:
    found = mistakes("name\n" + "\n".join("BAD" + str(one) for one in range(1_000)))
    assert len(found) == MOST_TOLD + 1
    assert found[-1] == "devices.csv: and 950 more"


@given(st.text(max_size=300))
def test_whatever_a_table_holds_it_is_rows_or_an_error(text: str) -> None:
    for head in ("", "name,serial,tags\n", "name;token;expires\n"):
        with suppress(ImageError):
            assert all(one.seed.name for one in rows(head + text))


def test_the_console_has_the_same_names_for_itself() -> None:
    assert RESERVED == console_authority.RESERVED


class Console:
    """What a console is asked, and its answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def __call__(self, path: str, body: Any) -> Any:
        self.asked.append((path, len(body["devices"]), body["days"]))
        return [
            {"device": one["device"], "secret": f"AAAA-{one['serial']}", "expires": LATER.timestamp()}
            for one in body["devices"]
        ]


def test_a_console_is_asked_for_each_fleet_and_for_no_more_than_it_makes_at_once() -> None:
    table = "name,fleet\n" + "\n".join(f"d{one},{'b' if one % 3 else 'a'}" for one in range(1_200))
    console = Console()
    found = tokens_of(rows(table), console, 30)
    assert len(found) == 1_200
    assert console.asked == [
        ("/fleets/a/tokens", 400, 30),
        ("/fleets/b/tokens", 500, 30),
        ("/fleets/b/tokens", 300, 30),
    ]
    assert found["d7"] == Token("AAAA-card-d7", LATER)


@pytest.mark.parametrize("answer", [None, {}, [{}], [{"device": "d", "secret": "x"}], [[]], "x", []])
def test_what_is_no_answer_with_tokens_is_an_error(answer: Any) -> None:
    with pytest.raises(ImageError, match="console"):
        tokens_of(rows("name\nd\n"), lambda *_: answer, 7)


def test_each_device_gets_a_folder_for_its_boot_partition(tmp_path: Path, enrolment: Enrolment) -> None:
    found = rows(f"name,serial,token,expires\none,s1,{SECRET},2027-01-01\ntwo,,,\n")
    out = tmp_path / "out"
    check_free(out, found)
    made = write_folders(out, found, tokens_in(found), enrolment)
    assert read_seed((out / "one/edgeagent/seed.toml").read_bytes()) == found[0].seed
    enrol = read_enrol_file((out / "one/edgeagent/enrol.toml").read_bytes())
    assert (enrol.serial, enrol.any_board, enrol.token.get_secret_value(), enrol.expires) == (
        "s1",
        False,
        SECRET,
        LATER,
    )
    assert (out / "one/edgeagent/enrol.toml").stat().st_mode & 0o777 == 0o600
    assert out.stat().st_mode & 0o777 == 0o700
    assert not (out / "two/edgeagent/enrol.toml").exists()
    assert [one.token for one in made] == [Token(SECRET, LATER), None]
    with pytest.raises(ImageError, match="one, two are there already"):
        check_free(out, found)


def test_each_device_gets_an_image_where_one_is_wanted(tmp_path: Path, enrolment: Enrolment) -> None:
    found = rows(f"name,serial,token,expires\none,s1,{SECRET},2027-01-01\n")

    def make(path: Path, seed: Seed, enrol: EnrolFile | None) -> None:
        assert enrol is not None
        path.write_text(f"{seed.name} {enrol.serial}")

    (made,) = write_images(tmp_path / "out", found, tokens_in(found), enrolment, make)
    assert made.path.read_text() == "one s1"
    with pytest.raises(ImageError, match="is there already"):
        check_free(tmp_path / "out", found)


def test_images_that_do_not_fit_onto_the_disk_are_not_begun(tmp_path: Path) -> None:
    found = rows("name\n" + "\n".join(f"d{one}" for one in range(500)))
    check_room(tmp_path, found, 10**9, 500 * 10**9)
    with pytest.raises(ImageError, match=r"500 images need 500\.0 GB, 499\.0 GB are free"):
        check_room(tmp_path, found, 10**9, 499 * 10**9)


def test_a_claim_that_is_none_is_told_without_being_shown(enrolment: Enrolment) -> None:
    (row,) = rows("name\none\n")
    broken = Enrolment("b", 1, 2, enrolment.ca, enrolment.claim, "-----BEGIN EC PRIVATE KEY-----\nsecret")
    with pytest.raises(ImageError, match=r"^claim_key: ") as caught:
        enrol_file(Who("acme", row.serial), Token(SECRET, LATER), broken)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "secret" not in f"{broken} {Token(SECRET, LATER)} {row}"


class Texts(HTMLParser):
    """What stands on a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        self.close()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        del attrs
        self.tags.append(tag)


def test_the_sheet_has_a_label_for_each_device_with_its_token(tmp_path: Path, enrolment: Enrolment) -> None:
    found = rows(f"name,area,token,expires\none,<b>Hall</b>,{SECRET},2027-01-01\ntwo,,,\n")
    page = sheet(write_folders(tmp_path / "out", found, tokens_in(found), enrolment))
    seen = Texts(page)
    assert seen.tags.count("svg") == 1
    assert "b" not in seen.tags
    assert {"one", "<b>Hall</b>", SECRET, "two", "no token", "any board"} <= set(seen.texts)
    assert "2027-01-01 00:00 UTC" in seen.texts
    assert not re.search(r"https?://|src=|@import", page), "nothing is fetched from elsewhere"
