import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeagent.act.dialects.templates import LONGEST_OUTPUT, LONGEST_TEMPLATE, compile_template
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError


@pytest.mark.parametrize(
    ("source", "payload", "text"),
    [
        ("{{ value_json.state }}", '{"state": "ON"}', "ON"),
        ("{{ value_json['state'] }}", '{"state": "ON"}', "ON"),
        ("{{value_json.ENERGY.Power | round(1)}}", '{"ENERGY": {"Power": 12.345}}', "12.3"),
        ("{{ value | float / 10 }}", "215", "21.5"),
        ("{{ value | int(0) + 1 }}", "junk", "1"),
        ("{{ 'open' if value_json.contact == false else 'closed' }}", '{"contact": false}', "open"),
        ("{% if value == '1' %}ON{% elif value == '0' %}OFF{% else %}None{% endif %}", "0", "OFF"),
        ("{{ value_json.a | default('none') | upper }}", "{}", "NONE"),
        ("{{ value_json.x is defined }}", "{}", "False"),
        ("{{ value.split(',')[1] | trim }}", "1, 2", "2"),
        ("{{ {'0': 'off', '1': 'heat'}[value] }}", "1", "heat"),
        ("{{ value | replace(',', '.') | float }}", "21,5", "21.5"),
        ("{{ (value | from_json).a | to_json }}", '{"a": [1]}', "[1]"),
        ("{{ iif(value == 'x', 'yes', 'no') }}", "x", "yes"),
        ("{{ (value | float * 9 / 5 + 32) | round }}", "100", "212"),
    ],
)
def test_the_templates_that_real_devices_announce_give_what_home_assistant_gives(
    source: str, payload: str, text: str
) -> None:
    assert compile_template(source).read(payload.encode()) == text


def test_a_value_that_a_partial_update_lacks_is_nothing_and_no_fault() -> None:
    assert compile_template("{{ value_json.brightness }}").read(b'{"state": "ON"}') is None
    assert compile_template("{{ value_json.brightness * 2 }}").read(b'{"state": "ON"}') is None
    assert compile_template("{{ value_json.x | is_defined }}").read(b"{}") is None


@pytest.mark.parametrize(
    "source",
    [
        "{% for x in value_json %}{{ x }}{% endfor %}",
        "{% macro m() %}{% endmacro %}",
        "{% import 'x' as y %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% set x = 1 %}",
        "{% block a %}{% endblock %}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ range(10000000) | list }}",
        "{{ 'a' | center(100000000) }}",
        "{{ '%0100000000d' | format(1) }}",
        "{{ value.format(1) }}",
        "{{ value.zfill(1000000000) }}",
        "{{ value.__class__.__mro__ }}",
        "{{ value['__class__']() }}",
        "{{ self }}{{ _x }}",
        "{{ cycler('a') }}",
        "{{ lipsum(100) }}",
        "{{ dict(a=1) }}",
        "{{ namespace() }}",
        "{{ value | map('upper') | join }}",
        "{{ value | attr('upper') }}",
        "{{ value | default(*value_json) }}",
        "{{ states('light.x') }}",
        "{{ unclosed",
        "{{ " + "(" * 1500 + "1" + ")" * 1500 + " }}",
        "{{ " + "not " * 900 + "1 }}",
        "{{ value" + ".a" * 900 + " }}",
        "{{ " + " ~ ".join(["value"] * 20) + " }}",
        "x" * (LONGEST_TEMPLATE + 1),
    ],
)
def test_a_template_that_could_grow_or_reach_out_is_refused_when_it_is_announced(source: str) -> None:
    with pytest.raises(PayloadError):
        compile_template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ value * 10 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ value | replace('a', value) }}",
        "{{ [1] + [2] }}",
        "{{ 999999999 * 999999999 * 999999999 }}",
        "{{ 1 / 0 }}",
        "{{ value_json.a }}",
        "{{ value }}" * 400,
        "{{ value | float }}",
        "{{ value['__class__'].x }}",
        "{{ 1 < value }}",
    ],
)
def test_a_template_that_goes_wrong_later_fails_with_a_reason_or_tells_nothing(source: str) -> None:
    try:
        text = compile_template(source).read(b"a" * 5000)
    except PayloadError:
        return
    assert text is None


def test_the_output_is_bounded() -> None:
    with pytest.raises(PayloadError, match="more than"):
        compile_template("{{ value }}").read(b"x" * (LONGEST_OUTPUT + 1))


def test_a_payload_that_is_not_text_or_too_long_is_refused() -> None:
    for payload in (b"\xff\xfe", b"x" * 70_000):
        with pytest.raises(PayloadError):
            compile_template("{{ value }}").read(payload)


def test_a_value_cannot_become_template_syntax() -> None:
    assert compile_template("{{ value }}").render(value="{{ 7 * 7 }}") == "{{ 7 * 7 }}"


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="{}%()[]|.,'~+-*/ ifelsndvaou_js019<=", max_size=60))
def test_whatever_is_announced_as_a_template_ends_in_text_nothing_or_a_discovery_error(source: str) -> None:
    try:
        text = compile_template("{{ " + source + " }}").read(b'{"a": 1}')
    except PayloadError:
        return
    assert text is None or len(text) <= LONGEST_OUTPUT


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[" * 60_000,
        b'{"a":' * 60 + b"1" + b"}" * 60,
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b"[Infinity]",
        b"1e999",
        b"1" * 5000,
        b"\xff",
        b"1" * 65_537,
        b"{" + b",".join(b'"a":1' for _ in range(10_000)) + b"}",
    ],
)
def test_doubtful_json_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError):
        parse(payload, largest=65_536)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_json_or_a_discovery_error(payload: bytes) -> None:
    with contextlib.suppress(PayloadError):
        parse(payload, largest=65_536)


def test_text_is_not_replaced_into_more_than_a_payload() -> None:
    with pytest.raises(PayloadError, match="text too long"):
        compile_template("{{ value | replace('a', value) | length }}").read(b"a" * 60_000)
