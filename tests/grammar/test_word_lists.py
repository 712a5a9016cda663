"""Lists of names are laid out once: what they say, how they join with what stands beside them, and what they cost."""

import time
import tracemalloc

from edgeagent.grammar import commands
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.messages import Value

COLOURS = ("amber", "birch", "cedar", "delta", "ember", "fern", "grove", "hazel", "indigo", "juniper")


def compiled(*templates: str, names: list[tuple[str, Value]]) -> Automaton:
    quoted = ", ".join(f"'{template}'" for template in templates)
    text = f"intents: {{a: {{data: [{{sentences: [{quoted}]}}]}}}}\nlists: {{few: {{values: ['[big] fan', heater]}}}}"
    return compile_commands(commands.parse(text, "F").with_names({"name": names}))


def slots(automaton: Automaton, text: str) -> list[list[tuple[str, Value, str]]]:
    return [[(slot.name, slot.value, slot.text) for slot in parse.slots] for parse in automaton.parse(text.split())]


def test_a_name_that_begins_another_is_told_from_it() -> None:
    automaton = compiled(
        "turn on {name} [now]", names=[("desk", "one"), ("desk lamp", "two"), ("desk lamp left", "three")]
    )
    assert slots(automaton, "turn on desk") == [[("name", "one", "desk")]]
    assert slots(automaton, "turn on desk lamp now") == [[("name", "two", "desk lamp")]]
    assert slots(automaton, "turn on desk lamp left") == [[("name", "three", "desk lamp left")]]
    assert slots(automaton, "turn on desk now lamp") == []


def test_names_join_with_the_letters_beside_them() -> None:
    automaton = compiled("un{name}[s]", "{few}{name}", names=[("lock", "l"), ("desk lamp", "d")])
    assert slots(automaton, "unlocks") == [[("name", "l", "unlocks")]]
    assert slots(automaton, "undesk lamps") == [[("name", "d", "undesk lamps")]]
    assert slots(automaton, "big fanlock") == [[("few", "big fanlock", "big fanlock")]]
    assert slots(automaton, "lock") == []


def test_two_devices_of_one_name_are_two_readings() -> None:
    automaton = compiled("{name} on", names=[("lamp two", "first"), ("lamp two", "second")])
    assert sorted(parse[0][1] for parse in slots(automaton, "lamp two on")) == ["first", "second"]


def test_a_list_that_stands_twice_in_a_sentence_is_two_slots() -> None:
    automaton = compiled("{name} {name}", names=[("lamp", "l"), ("fan", "f")])
    assert slots(automaton, "lamp lamp") == [[("name", "l", "lamp"), ("name", "l", "lamp")]]


def test_what_is_ahead_within_a_name_is_its_slot_and_what_follows_it() -> None:
    automaton = compiled("turn on {name} [in {few:place}]", names=[("desk lamp", "d")])
    state = automaton.walk(["turn", "on", "desk"])
    assert state is not None
    assert automaton.ahead(state, frozenset()).slots == {"name", "place"}
    assert automaton.ahead(state, frozenset({"lamp"})).slots == frozenset()


def test_names_in_many_templates_cost_what_they_say_and_not_what_they_stand_in() -> None:
    """Laid out anew for every template, they took some twenty times as long."""
    names: list[tuple[str, Value]] = [
        (f"{one} {two} {three}", f"{one}-{two}-{three}") for one in COLOURS for two in COLOURS for three in COLOURS
    ]
    templates = [
        f"v{letter}{other} {{name}} n{letter}{other} [please]" for letter in "abcdefgh" for other in "abcdefgh"
    ]
    tracemalloc.start()
    began = time.process_time()
    automaton = compiled(*templates, names=names)
    took_s = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert slots(automaton, "vab birch cedar ember nab please") == [
        [("name", "birch-cedar-ember", "birch cedar ember")]
    ]
    assert took_s < 20
    assert peak < 100e6
