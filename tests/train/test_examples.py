"""Sentences of templates are labelled, perturbed with their tags, and placed in homes that nobody has."""

import random
from pathlib import Path

import numpy as np
import pytest

from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.train.examples import Example, from_templates
from edgeagent.train.known_values import known_values
from edgeagent.train.noise import disturbed
from edgeagent.train.places import load_names, random_place
from edgeagent.understand.model.gazetteer import FEATURES, Gazetteer
from edgeagent.understand.model.labels import label_name, parse_label
from edgeagent.understand.model.wordpieces import MOST_PIECES, PAD, UNKNOWN, WordPieces

ENGLISH = Path(__file__).parents[2] / "models" / "recipes" / "english"
DRAW = random.Random(3)  # noqa: S311 - samples, not secrets


def test_every_template_of_the_recipe_compiles_and_speaks() -> None:
    sets = [commands.load(ENGLISH / name) for name in ("paraphrases.yaml", "negatives.yaml")]
    everything = commands.merge([commands.built_in(("home", "plant")), *sets])
    stock = load_names(ENGLISH / "names.yaml")
    spoken: set[str] = set()
    for is_plant in (False, True):
        lists = random_place(stock, DRAW, is_plant=is_plant)
        made = list(from_templates(everything, lists, 3, DRAW, {"choose": 0}))
        spoken |= {one.label.split()[0] for one in made}
        for one in made:
            assert one.tags is not None
            assert one.marks is not None
            assert len(one.words) == len(one.tags) == len(one.marks)
    unnamed = {"set_tilt", "set_option", "set_text"}  # a made-up place has no slats, selects or texts
    assert {template.intent for template in everything.templates} - {"choose"} - unnamed == spoken


def test_what_is_disturbed_keeps_a_tag_and_a_mark_for_every_word() -> None:
    words = ("turn", "on", "the", "desk", "lamp", "in", "the", "office")
    tags = ("O", "O", "O", "B-name", "I-name", "O", "O", "B-area")
    whole = Example(words, "turn_on", tags, Gazetteer({"device": [("desk lamp", "d")]})(words))
    for _ in range(300):
        one = disturbed(whole, DRAW, 1.0)
        assert one.tags is not None
        assert one.marks is not None
        assert len(one.words) == len(one.tags) == len(one.marks)
        assert "on" in one.words
        places = [place for place, tag in enumerate(one.tags) if tag.startswith("I-")]
        assert all(one.tags[place - 1] != "O" for place in places)


def test_names_are_marked_the_longest_first_with_their_kind() -> None:
    mark = Gazetteer(
        {
            "device": [("lamp", "a"), ("desk lamp", "b")],
            "light": [("desk lamp", "b")],
            "switch": [("lamp", "a")],
            "area": [("office", "o"), ("home office", "p")],
        }
    )
    marks = mark(["turn", "on", "the", "desk", "lamp", "in", "the", "home", "office", "to", "twenty"])

    def has(place: int) -> set[str]:
        return {feature for feature, is_set in zip(FEATURES, marks[place], strict=True) if is_set}

    assert has(3) == {"name-begins", "light"}
    assert has(4) == {"name-goes-on", "light"}
    assert (has(7), has(8)) == ({"area-begins"}, {"area-goes-on"})
    assert has(10) == {"number"}
    assert not has(0)
    assert Gazetteer({})([]).shape == (0, len(FEATURES))


def test_words_are_cut_into_the_longest_pieces() -> None:
    pieces = WordPieces(["[PAD]", "[UNK]", "lamp", "light", "##s", "##ing", "'", "don", "t"])
    ids = pieces(["lights", "lamp", "lighting", "don't", "zzz", "lights" * 50])
    assert ids.shape == (6, MOST_PIECES)
    assert ids[0].tolist()[:3] == [3, 4, PAD]
    assert ids[3].tolist()[:4] == [7, 6, 8, PAD]
    assert ids[4].tolist()[:2] == [UNKNOWN, PAD]
    assert pieces([]).shape == (0, MOST_PIECES)
    assert ids.dtype == np.int32


def test_a_label_says_what_it_stands_for() -> None:
    name = label_name("set_volume", {"volume": 0.0, "kind": "media"})
    assert name == "set_volume volume=0.0"
    assert parse_label(name).slots == {"volume": 0.0}
    assert parse_label("turn_on").intent == "turn_on"


def test_what_words_mean_is_read_off_the_lists() -> None:
    document = """
intents:
  dim: {data: [{sentences: ["dim to {0..100:level} percent", "dim to {deep:level}", "go {way}"]}]}
lists:
  deep: {values: [{in: "(half|halfway)", out: 50.0}]}
  way: {values: [{in: "(up|higher)", out: up}, {in: down, out: down}]}
"""
    known, ranges = known_values(commands.parse(document, "x"))
    assert known["level"] == {"half": 50.0, "halfway": 50.0}
    assert known["way"] == {"up": "up", "higher": "up", "down": "down"}
    assert ranges == {"level": (0.0, 100.0)}


@pytest.mark.parametrize("text", ["[]", "areas: {}", "areas: {}\nthings: {boat: {}}"])
def test_names_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"names\.yaml"):
        load_names(tmp_path / "names.yaml")
