"""The language model of free speech has the names of this house, and leaves out what nobody here can mean."""

from edgeagent.hear.free_speech import Wordings, language_model

PHRASES = ("turn on the {light} in the {area}", "start the {machine}", "what a day")
NAMES = {"light": ["desk lamp", "porch light"], "area": ["office"], "machine": []}


def test_places_are_filled_with_the_names_one_after_the_other() -> None:
    text = language_model(Wordings((*PHRASES, PHRASES[0]), NAMES, []))
    for words in ("the desk lamp", "the porch light", "in the office", "what a day"):
        assert f"\t{words}" in text, words


def test_a_phrase_for_which_there_is_no_name_is_left_out() -> None:
    text = language_model(Wordings(PHRASES, NAMES, [("lights", "out")]))
    assert "start" not in text
    assert "{" not in text
    assert "\tlights out </s>" in text
