"""What a recognizer searches: the grammar's sentences, and after an order a time or a word that joins."""

import random
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice

import pytest
from homes import everything

from edgeagent.act.plan import can_be_later
from edgeagent.act.vocabulary import lists_of
from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.grammar.acyclic import Acyclic, phrases
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.grammar.spoken import Phrase, parse_clock, parse_duration
from edgeagent.grammar.tails import JOINTS, tails
from edgeagent.understand.extended import is_tail

TAILS = tails()


def own(*sentences: str, order: str = "turn_on", **lists: str) -> Automaton:
    """Make an automaton of two intents: an order, and a question that nothing can follow."""
    text = "language: en\n"
    if lists:
        text += "lists:\n" + "".join(f"  {name}: {{values: [{values}]}}\n" for name, values in lists.items())
    told = "".join(f"          - {sentence!r}\n" for sentence in sentences)
    text += f"intents:\n  {order}:\n    data:\n      - sentences:\n{told}"
    text += "  get_time: {data: [{sentences: [what time is it]}]}\n"
    return compile_commands(commands.parse(text, "own.yaml"))


def accepts(automaton: Acyclic, words: Phrase) -> bool:
    state = 0
    for word in words:
        if word not in automaton.arcs[state]:
            return False
        state = automaton.arcs[state][word]
    return state in automaton.final


def sentences_of(automaton: Acyclic) -> list[Phrase]:
    """Return all sentences, of which there must be few."""
    found: list[Phrase] = []
    waiting: list[tuple[int, Phrase]] = [(0, ())]
    while waiting:
        state, said = waiting.pop()
        found += [said] if state in automaton.final else []
        waiting += [(after, (*said, word)) for word, after in automaton.arcs[state].items()]
    return found


def drawn(automaton: Acyclic, draw: random.Random) -> Phrase:
    state = 0
    said: list[str] = []
    while True:
        ways: list[str | None] = [*automaton.arcs[state], *([None] if state in automaton.final else [])]
        word = draw.choice(ways)
        if word is None:
            return tuple(said)
        said.append(word)
        state = automaton.arcs[state][word]


SHORT: Mapping[str, Acyclic] = {
    "for": phrases([("ten", "minutes"), ("an", "hour")]),
    "in": phrases([("ten", "minutes")]),
    "and": phrases([()]),
}


def test_a_tail_is_a_time_or_a_word_that_joins() -> None:
    draw = random.Random(5)  # noqa: S311 - a sample
    assert set(TAILS) == {"for", "in", "at", "tomorrow"} | JOINTS
    for word, rest in TAILS.items():
        for _ in range(200):
            said = (word, *drawn(rest, draw))
            assert said in {(joint,) for joint in JOINTS} or is_tail(said), said


@pytest.mark.parametrize(
    "said",
    [
        "for ten minutes",
        "for an hour and a half",
        "for half an hour",
        "at seven",
        "at seven tomorrow",
        "at ten tonight",
        "tomorrow at seven thirty",
    ],
)
def test_the_times_that_people_say_are_tails(said: str) -> None:
    first, *rest = said.split()
    assert accepts(TAILS[first], tuple(rest))


@pytest.mark.parametrize("said", ["for", "for ten", "in minutes", "at", "tomorrow", "tomorrow seven", "and then"])
def test_half_a_time_is_no_tail(said: str) -> None:
    first, *rest = said.split()
    assert not accepts(TAILS[first], tuple(rest))


def test_what_is_searched_is_exactly_the_grammar_and_its_orders_with_tails() -> None:
    automaton = own("turn on (a|b) [in the hall]", "a on")
    orders = [("turn", "on", "a"), ("turn", "on", "b"), ("a", "on")]
    orders += [(*one, "in", "the", "hall") for one in orders[:2]]
    after = [("for", "ten", "minutes"), ("for", "an", "hour"), ("in", "ten", "minutes"), ("and",)]
    expected = {*orders, ("what", "time", "is", "it"), *((*one, *tail) for one in orders for tail in after)}
    found = sentences_of(automaton.flat_with_tails(SHORT, {"turn_on"}))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert set(sentences_of(automaton.flat_with_tails(SHORT, set()))) == set(sentences_of(automaton.flat()))
    assert set(sentences_of(automaton.flat_with_tails({}, {"turn_on"}))) == set(sentences_of(automaton.flat()))


def test_an_order_that_goes_on_with_the_first_word_of_a_tail_has_both() -> None:
    automaton = own("turn on a [for two|for the night]", "turn on a and b")
    found = set(sentences_of(automaton.flat_with_tails(SHORT, {"turn_on"})))
    said = {" ".join(words) for words in found}
    assert {"turn on a for two", "turn on a for the night", "turn on a for ten minutes", "turn on a and"} <= said
    assert {"turn on a and b", "turn on a and b and", "turn on a for two for an hour"} <= said
    assert "turn on a for" not in said


@lru_cache(maxsize=1)
def built_in() -> Automaton:
    lists = lists_of(everything().names())
    return compile_commands(commands.built_in(("home", "plant")).with_names(lists))


@lru_cache(maxsize=1)
def searched() -> Acyclic:
    automaton = built_in()
    return automaton.flat_with_tails(TAILS, {intent for intent in automaton.intents if can_be_later(intent)})


def is_order(words: Phrase) -> bool:
    return any(can_be_later(parse.intent) for parse in built_in().parse(words))


def test_every_sentence_of_the_built_in_grammar_is_searched_and_an_order_with_every_time() -> None:
    draw = random.Random(11)  # noqa: S311 - a sample
    count = 0
    for _ in range(2000):
        words = built_in().generate(draw)
        assert accepts(searched(), words), words
        first = draw.choice(sorted(TAILS))
        tail = (first, *drawn(TAILS[first], draw))
        if is_order(words):
            count += 1
            assert accepts(searched(), (*words, *tail)), (words, tail)
        elif not is_final_with(words, tail):
            assert not accepts(searched(), (*words, *tail)), (words, tail)
    assert count > 100


def is_final_with(words: Phrase, tail: Phrase) -> bool:
    """Tell whether the whole is a sentence, or an order that ends elsewhere with a tail."""
    return is_explained((*words, *tail))


def is_explained(words: Phrase) -> bool:
    if built_in().parse(words):
        return True
    places = (place for place in range(1, len(words)) if words[place] in TAILS)
    return any(accepts(TAILS[words[at]], words[at + 1 :]) and is_order(words[:at]) for at in places)


def test_everything_that_is_searched_is_a_sentence_or_an_order_with_a_tail() -> None:
    draw = random.Random(13)  # noqa: S311 - a sample
    for words in islice((drawn(searched(), draw) for _ in iter(int, 1)), 2000):
        assert is_explained(words), words


def test_the_tails_cost_few_states() -> None:
    assert len(searched().arcs) < 2 * len(built_in().flat().arcs)


def test_what_is_searched_can_be_parsed_as_a_time() -> None:
    draw = random.Random(17)  # noqa: S311 - a sample
    for _ in range(300):
        assert parse_duration(drawn(TAILS["for"], draw))
        assert parse_clock(drawn(TAILS["tomorrow"], draw)[1:])


def test_an_automaton_without_sentences_has_none_with_tails() -> None:
    empty = compile_commands(commands.parse("language: en\nintents: {}\n", "empty.yaml"))
    assert sentences_of(empty.flat_with_tails(TAILS, {"turn_on"})) == []
    with pytest.raises(SettingsError):
        empty.generate(random.Random(1))  # noqa: S311 - no sample at all


@pytest.mark.parametrize(
    ("area", "time"), [("half moon", "half an hour"), ("ten", "ten minutes"), ("an attic", "an hour")]
)
def test_a_room_that_begins_like_a_time_takes_no_time_away(area: str, time: str) -> None:
    automaton = own(f"turn on a [in {area}]")
    found = automaton.flat_with_tails(TAILS, {"turn_on"})
    assert accepts(found, ("turn", "on", "a", "in", *area.split()))
    assert accepts(found, ("turn", "on", "a", "in", *time.split()))


@pytest.mark.xfail(strict=True, reason="an order may end on the first word of a tail and then has no tail itself")
def test_an_order_that_ends_on_the_first_word_of_a_tail_has_tails_too() -> None:
    automaton = own("turn a [in]")
    found = {" ".join(words) for words in sentences_of(automaton.flat_with_tails(SHORT, {"turn_on"}))}
    assert {"turn a in", "turn a in ten minutes", "turn a in in ten minutes", "turn a in for an hour"} <= found
