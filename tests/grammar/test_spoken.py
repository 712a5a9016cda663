"""What is said is read back: numbers, durations, clock times and typed text."""

import random
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Words

import pytest
from growth import assert_linear
from hassil.expression import Alternative, Expression, ListReference, Sequence, TextChunk
from hassil.parse_expression import parse_sentence
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.grammar import spoken

Reader = Callable[[Words[str]], float | str | None]


def said(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def phrases(value: float) -> set[str]:
    return {" ".join(phrase) for phrase in spoken.number_phrases(value)}


def assert_read_back(values: Iterable[float]) -> None:
    for value in values:
        found = spoken.number_phrases(value)
        assert len(set(found)) == len(found), value
        for phrase in found:
            assert spoken.parse_number(phrase) == value, (value, phrase)


def test_every_integer_below_ten_thousand_is_read_back_from_all_its_phrases() -> None:
    assert_read_back(range(10_000))


def test_no_two_numbers_share_a_phrase() -> None:
    owners: dict[tuple[str, ...], float] = {}
    for value in [*range(10_000), *(half / 2 for half in range(100)), *(quarter / 4 for quarter in range(100))]:
        for phrase in spoken.number_phrases(value):
            assert owners.setdefault(phrase, value) == value


def test_halves_quarters_and_tenths_are_read_back() -> None:
    assert_read_back(half / 2 for half in range(101))
    assert_read_back(quarter / 4 for quarter in range(101))
    assert_read_back(round(tenth * 0.1, 1) for tenth in range(1001))


@given(st.integers(-999_999, 999_999))
def test_any_integer_is_read_back(value: int) -> None:
    assert_read_back([value])


@given(st.integers(-9_999_999, 9_999_999).map(lambda thousandths: thousandths / 1000))
def test_any_decimal_is_read_back(value: float) -> None:
    assert_read_back([value])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "zero"),
        (15, "fifteen"),
        (21.5, "twenty one point five|twenty one and a half"),
        (100, "one hundred|a hundred|hundred"),
        (105, "one hundred five|one hundred and five|a hundred five|a hundred and five|one oh five"),
        (1200, "twelve hundred|one thousand two hundred|a thousand two hundred"),
        (1250, "twelve fifty|twelve hundred and fifty|one thousand two hundred and fifty"),
        (-5, "minus five|negative five"),
        (0.5, "zero point five|point five|half|a half|one half"),
        (20.05, "twenty point zero five|twenty point oh five"),
        (3000, "three thousand"),
    ],
)
def test_people_say_numbers_in_these_ways(value: float, expected: str) -> None:
    assert set(expected.split("|")) <= phrases(value)


def test_the_usual_phrase_comes_first() -> None:
    assert [" ".join(spoken.number_phrases(value)[0]) for value in (1200, 105, 21.5, -5)] == [
        "one thousand two hundred",
        "one hundred five",
        "twenty one point five",
        "minus five",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "and",
        "point",
        "five point",
        "point point five",
        "five six",
        "twenty ten hundred",
        "one hundred zero",
        "one hundred and",
        "minus",
        "minus minus five",
        "zero and a half",
        "and a half",
        "one thousand one thousand",
        "twenty eleven point",
        "hundred five",
        "light",
        "oh five",
    ],
)
def test_words_that_are_no_number_are_none(text: str) -> None:
    assert spoken.parse_number(said(text)) is None


@pytest.mark.parametrize("value", [1_000_000, -1e9, float("nan"), float("inf")])
def test_a_number_that_nobody_says_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected a number between"):
        spoken.number_phrases(value)


@given(st.lists(st.sampled_from(("a", "and", "half", "hundred", "thousand", "oh", "point", "minus", "one", "ten"))))
def test_any_words_are_a_number_or_none(words: list[str]) -> None:
    value = spoken.parse_number(words)
    assert value is None or abs(value) < 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("five minutes", 300),
        ("five minute", 300),
        ("an hour", 3600),
        ("half an hour", 1800),
        ("half hour", 1800),
        ("an hour and a half", 5400),
        ("hour and a half", 5400),
        ("one hour and twenty minutes", 4800),
        ("four and a half hours", 16_200),
        ("one point five hours", 5400),
        ("ninety seconds", 90),
        ("one hour one minute and ten seconds", 3670),
        ("one minute and forty five seconds", 105),
        ("a minute and a half", 90),
        ("two hours thirty minutes", 9000),
        ("a quarter of an hour", 900),
        ("three quarters of an hour", 2700),
        ("two and a quarter hours", 8100),
        ("a couple of minutes", 120),
        ("a hundred and five minutes", 6300),
        ("one hundred and five minutes and ten seconds", 6310),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert spoken.parse_duration(said(text)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "five",
        "minutes",
        "hour",
        "zero minutes",
        "ten seconds and two hours",
        "an hour and",
        "an hour and a",
        "five minutes five minutes",
        "and five minutes",
        "five lights",
        "minus five minutes",
        "a half",
        "five seconds and a half",
    ],
)
def test_words_that_are_no_duration_are_none(text: str) -> None:
    assert spoken.parse_duration(said(text)) is None


def test_every_whole_minute_of_a_day_is_read_as_a_duration() -> None:
    for minutes in range(1, 24 * 60 + 1):
        hours, rest = divmod(minutes, 60)
        parts = [(hours, "hour"), (rest, "minute")]
        texts = [f"{' '.join(spoken.number_phrases(n)[0])} {unit}{'s' if n > 1 else ''}" for n, unit in parts if n > 0]
        assert spoken.parse_duration(said(" and ".join(texts))) == minutes * 60
        assert spoken.parse_duration((*spoken.number_phrases(minutes)[0], "minutes")) == minutes * 60


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("seven", "07:00"),
        ("seven thirty", "07:30"),
        ("seven oh five", "07:05"),
        ("half past seven", "07:30"),
        ("half seven", "07:30"),
        ("quarter to eight", "07:45"),
        ("a quarter to one", "12:45"),
        ("quarter to one in the afternoon", "12:45"),
        ("quarter to one in the morning", "00:45"),
        ("ten past six", "06:10"),
        ("twenty five minutes past six in the evening", "18:25"),
        ("one minute to noon", "11:59"),
        ("ten to midnight", "23:50"),
        ("seven p m", "19:00"),
        ("seven pm", "19:00"),
        ("seven a m", "07:00"),
        ("twelve a m", "00:00"),
        ("twelve thirty p m", "12:30"),
        ("twelve at night", "00:00"),
        ("seven in the evening", "19:00"),
        ("noon", "12:00"),
        ("twelve noon", "12:00"),
        ("midnight", "00:00"),
        ("seven o'clock", "07:00"),
        ("seven o'clock in the morning", "07:00"),
        ("nineteen thirty", "19:30"),
        ("twenty one ten", "21:10"),
        ("twenty ten", "20:10"),
        ("nineteen hundred hours", "19:00"),
        ("oh seven thirty", "07:30"),
        ("zero seven hundred", "07:00"),
    ],
)
def test_clock_times_are_read(text: str, time: str) -> None:
    assert spoken.parse_clock(said(text)) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "thirteen",
        "twenty five",
        "seven seventy",
        "seven five",
        "half",
        "half past",
        "quarter to",
        "forty past six",
        "nineteen thirty p m",
        "oh seven thirty p m",
        "zero",
        "p m",
        "noon p m",
        "two in the evening",
        "seven hundred",
        "light",
    ],
)
def test_words_that_are_no_time_are_none(text: str) -> None:
    assert spoken.parse_clock(said(text)) is None


def generate(expression: Expression, pick: random.Random) -> str:
    match expression:
        case TextChunk():
            return expression.text
        case Sequence():
            return "".join(generate(item, pick) for item in expression.items)
        case Alternative():
            return generate(pick.choice(expression.items), pick)
        case ListReference():
            inline = expression.get_inline_range()
            assert inline is not None
            return " ".join(pick.choice(spoken.number_phrases(pick.randint(*inline[:2]))))
    raise AssertionError(expression)


@pytest.mark.parametrize(
    ("template", "read"), [(spoken.DURATION, spoken.parse_duration), (spoken.CLOCK, spoken.parse_clock)]
)
def test_everything_that_the_templates_generate_is_read(template: str, read: Reader) -> None:
    expression = parse_sentence(template).expression
    pick = random.Random(1)  # noqa: S311 - a sample, not a secret
    for _ in range(5000):
        text = generate(expression, pick)
        assert read(text.split()) is not None, text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50%", "fifty percent"),
        ("21.5°C", "twenty one point five degrees celsius"),
        ("70 °F", "seventy degrees fahrenheit"),
        ("7:30pm", "seven thirty p m"),
        ("7:30 P.M.", "seven thirty p m"),
        ("at 7pm!", "at seven p m"),
        ("4.5", "four point five"),
        (".5", "zero point five"),
        ("1½ hours", "one point five hours"),
        ("PM2.5", "pm two point five"),
        ("3D", "three d"),
        ("TV2", "tv two"),
        ("Line 2", "line two"),
        ("2nd floor, 21st", "second floor twenty first"),
        ("30th", "thirtieth"),
        ("1,200 rpm", "one thousand two hundred rpm"),
        ("-5", "minus five"),
        ("\u22125°", "minus five degrees"),
        ("turn-on the living_room lamp", "turn on the living room lamp"),
        ("007", "zero zero seven"),
        ("1234567", "one two three four five six seven"),
        ("What\u2019s on? It's 5 o\u2019clock", "what's on it's five o'clock"),
        ("'kids' room'", "kids room"),
        ("Küche & Bar é Straße", "kuche and bar e strasse"),
        ("Cafe\u0301", "cafe"),
        ("light 💡️ on\x00now", "light on now"),
        ("turn on \u0441\u0432\u0435\u0442", "turn on"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("\uff15\uff10\uff05", "fifty percent"),
        ("15min", "fifteen minutes"),
        ("1 hr 30 min", "one hour thirty minutes"),
        ("19:00", "nineteen hundred"),
        ("0:05", "twelve oh five a m"),
        ("25:99", "twenty five ninety nine"),
        ("", ""),
        ("...!?", ""),
    ],
)
def test_typed_text_becomes_words(text: str, expected: str) -> None:
    assert " ".join(spoken.spell_out(text)) == expected


def test_every_typed_time_of_day_is_read_back() -> None:
    for hour in range(24):
        for minute in range(60):
            typed = f"{hour}:{minute:02}"
            assert spoken.parse_clock(spoken.spell_out(typed)) == f"{hour:02}:{minute:02}", typed


@given(st.integers(-99_999, 999_999).map(lambda tenths: tenths / 10))
def test_typed_numbers_are_read_back(value: float) -> None:
    assert spoken.parse_number(spoken.spell_out(str(value))) == value


@given(st.text(max_size=200))
def test_any_text_becomes_plain_words_and_stays_so(text: str) -> None:
    words = spoken.spell_out(text)
    assert len(words) <= spoken.MOST_WORDS + 1
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz'") for word in words)
    assert spoken.spell_out(" ".join(words)) == words


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "1,111",
        "\u0301\u0316",
        "\u0301a",
        " ",
        "-",
        "'a",
        "1:",
        ".5",
        "\u0130",
        "\ufdfa",
        "turn on the light ",
        "°",
        "💡",
    ],
)
def test_a_megabyte_takes_linear_time_and_is_seen_to_be_too_long(piece: str) -> None:
    count = 1_000_000 // len(piece)
    assert_linear(spoken.spell_out, piece * (count // 16), piece * count, times=16)
    assert len(spoken.spell_out(piece * count)) in {0, spoken.MOST_WORDS + 1}


def test_colours_are_words_of_speech() -> None:
    assert len(set(spoken.COLORS)) == len(spoken.COLORS) >= 20
    assert all(" ".join(spoken.spell_out(color)) == color for color in spoken.COLORS)
