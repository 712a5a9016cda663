"""A command file is read whole, or refused with the place of what is wrong."""

from pathlib import Path

import pytest

from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands


def intents(sentence: str, more: str = "") -> str:
    return f"intents:\n  a:\n    data:\n      - sentences: ['{sentence}']\n{more}"


def complaint(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        compile_commands(commands.parse(text, "F"))
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (intents("play {nope}"), "F: intents.a.data[0]: 'play {nope}': there is no list {nope}"),
        (intents("<nope>"), "F: intents.a.data[0]: '<nope>': there is no rule <nope>"),
        (intents("<r>", "expansion_rules: {r: 'x <s>', s: '[<r>]'}"), "<r> contains itself"),
        (intents("{l}", "lists: {l: {values: ['x {l}']}}"), "{l} contains itself"),
        (intents("turn (on"), "F: intents.a.data[0]: 'turn (on' is not a sentence template"),
        (intents("turn on]"), "is not a sentence template"),
        (intents("turn {x"), "is not a sentence template"),
        (intents("turn <x"), "is not a sentence template"),
        (intents("turn > x"), "is not a sentence template"),
        (intents(" "), "expected a sentence template, found nothing"),
        (intents("灯 on"), "F: intents.a.data[0]: '灯 on': '灯' cannot be spoken"),
        ("intents: {a: {data: [{sentences: [on]}]}}", "F: intents.a.data[0]: expected a sentence template, found True"),
        (intents("{l}", "lists: {l: {values: [yes]}}"), "F: lists.l: expected a sentence template, found True"),
        (intents("{l}", "lists: {l: {values: [{in: x, out: off}]}}"), "F: lists.l: expected a word or a number"),
        (intents("x", "lists: {on: {values: [x]}}"), "F: lists: expected a name, found True"),
        (intents("{l}", "lists: {l: {wildcard: true}}"), "F: lists.l: expected `values` or `range`, found wildcard"),
        (intents("{l}", "lists: {l: {vales: [x]}}"), "F: lists.l: expected `values` or `range`, found vales"),
        (intents("{l}", "lists: {l: {values: [[x]]}}"), "F: lists.l: expected a sentence template"),
        ("intents: {a: {data: [{sentenses: [x]}]}}", "did you mean sentences?"),
        ("intents: {a: {data: [{sentences: [x], slot: {b: c}}]}}", "did you mean slots?"),
        ("intents: {a: {data: [{sentences: [x], requires_context: {b: c}}]}}", "requires_context is not supported"),
        ("intents: {a: {data: [{sentences: [x], slots: [1]}]}}", "F: intents.a.data[0]: slots: expected a mapping"),
        ("intents: {a: {data: [{sentences: abc}]}}", "F: intents.a.data[0].sentences: expected a list, found str"),
        ("intent: {}", "F: there is no `intents`; is it intent?"),
        ("", "F: expected a mapping, found NoneType"),
        ("intents: {a: [", "F: not YAML"),
        ("intents:\n  a: {data: []}\n  a: {data: []}\n", "'a' stands here twice"),
        ("x: &x {a: 1}\nintents: {<<: *x}", "'<<' is not supported"),
        ("intents: !!python/object/apply:os.system [x]", "F: not YAML"),
        ("intents: !!int x", "F: not YAML"),
        ("intents: !!timestamp x", "F: not YAML"),
        ("intents: " + "[" * 3000, "F: not YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, expected: str) -> None:
    assert expected in complaint(text)


@pytest.mark.parametrize(
    "body",
    [
        "{from: 3, to: 1}",
        "{from: 0, to: 1, step: 0}",
        "{from: 0, to: 1, step: 0.0001}",
        "{from: 0, to: 900000}",
        "{from: 0, to: .inf}",
        "{from: .nan, to: 1}",
        "{from: 0, to: 1000000, step: 1000}",
        "{from: yes, to: 2}",
        "{to: 2}",
        "{from: 0, to: 1, fractions: thirds}",
        "{from: 0, to: 1, multiplier: .nan}",
    ],
)
def test_a_range_that_cannot_be_spoken_is_refused(body: str) -> None:
    assert "F: lists.l.range" in complaint(intents("{l}", f"lists: {{l: {{range: {body}}}}}"))


def test_aliases_that_multiply_are_refused() -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert "more than 200000 entries" in complaint(f"a0: &a0 [x]\n{levels}{intents('x')}")


def test_what_hassil_has_beside_sentences_does_no_harm() -> None:
    text = "language: en\nskip_words: [uh]\nlists:\nintents: {a: {data: [{sentences: [x], response: y}]}}"
    assert [template.intent for template in commands.parse(text, "F").templates] == ["a"]


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"# caf\xe9\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (2 << 20))
    for name, message in {".": "Is a dir", "none": "No such", "latin.yaml": "UTF-8", "large.yaml": "larger"}.items():
        with pytest.raises(SettingsError, match=message) as caught:
            commands.load(tmp_path / name)
        assert caught.value.remedy


def test_own_lists_and_rules_win_over_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(intents("paint it {color}", "lists: {color: {values: [puce]}}"))
    automaton = compile_commands(commands.load(tmp_path / "own.yaml"))
    assert automaton.parse(["paint", "it", "puce"])
    assert not automaton.parse(["paint", "it", "red"])


def test_names_may_have_any_letters() -> None:
    base = commands.parse(intents("on {light}"), "F")
    for name in ("a (b|c) {d} <e>", "x;y", "\\", "", "  ", "[lamp]"):
        automaton = compile_commands(base.with_names({"light": [(name, 1.0), ("lamp", 2.0)]}))
        assert automaton.parse(["on", "lamp"])
