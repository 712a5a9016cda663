"""Sparkplug B payloads: bytes to nouns and back, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.dialects import sparkplug_b_pb2 as wire
from edgeagent.act.dialects.sparkplug_payload import (
    LARGEST_PAYLOAD_BYTES,
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_METRICS,
    MOST_PROPERTIES,
    Datatype,
    Metric,
    Payload,
    Scalar,
    datatype_of,
    decode,
    encode,
    metric_of,
    value_of,
)
from edgeagent.errors import PayloadError


def through(datatype: Datatype, value: Scalar) -> Scalar | None:
    """What is left of a value on the wire."""
    (metric,) = decode(encode(Payload((metric_of(datatype, value, name="it"),)))).metrics
    return value_of(metric, datatype)


def written(**fields: object) -> bytes:
    """A payload of one metric, written by somebody else."""
    payload = wire.Payload()
    metric = payload.metrics.add()
    for name, value in fields.items():
        setattr(metric, name, value)
    return payload.SerializeToString()


def test_the_datatypes_are_those_of_the_definition() -> None:
    by_name = {name.upper(): wire.DataType.Value(name) for name in wire.DataType.keys()}  # noqa: SIM118 - no mapping
    assert {one.name: one.value for one in Datatype} == {
        name: number for name, number in by_name.items() if 0 < number < 15
    }


@pytest.mark.parametrize("datatype", [one for one in Datatype if one.is_integer])
def test_whole_numbers_keep_their_ends(datatype: Datatype) -> None:
    least, most = (int(end) for end in datatype.bounds)
    assert [through(datatype, number) for number in (least, 0, most)] == [least, 0, most]
    for beyond in (least - 1, most + 1):
        with pytest.raises(PayloadError, match=datatype.name):
            metric_of(datatype, beyond)


@pytest.mark.parametrize(
    ("datatype", "field", "raw", "value"),
    [
        (Datatype.INT8, "int_value", 0xFF, -1),
        (Datatype.INT8, "int_value", 0xFFFFFFFF, -1),
        (Datatype.INT16, "int_value", 0x8000, -32768),
        (Datatype.INT32, "int_value", 0xFFFFFFFE, -2),
        (Datatype.INT32, "long_value", 0xFFFFFFFFFFFFFFFE, -2),
        (Datatype.INT64, "long_value", 0xFFFFFFFFFFFFFFFF, -1),
        (Datatype.UINT32, "long_value", 0xFFFFFFFF, 0xFFFFFFFF),
        (Datatype.DATETIME, "long_value", 1_700_000_000_000, 1_700_000_000_000),
        (Datatype.DOUBLE, "float_value", 0.5, 0.5),
    ],
)
def test_numbers_are_read_as_different_writers_write_them(
    datatype: Datatype, field: str, raw: float, value: float
) -> None:
    (metric,) = decode(written(name="it", datatype=datatype.value, **{field: raw})).metrics
    assert value_of(metric, datatype) == value


@pytest.mark.parametrize(
    ("datatype", "field", "raw"),
    [
        (Datatype.INT8, "int_value", 300),
        (Datatype.UINT8, "int_value", 0xFFFFFFFF),
        (Datatype.BOOLEAN, "int_value", 1),
        (Datatype.INT32, "boolean_value", True),
        (Datatype.STRING, "double_value", 1.0),
        (Datatype.FLOAT, "float_value", math.nan),
        (Datatype.DOUBLE, "double_value", math.inf),
        (Datatype.TEXT, "string_value", "x" * (LONGEST_TEXT + 1)),
        (Datatype.INT32, "bytes_value", b"1"),
    ],
)
def test_a_value_that_is_none_of_its_datatype_is_refused(datatype: Datatype, field: str, raw: object) -> None:
    (metric,) = decode(written(name="it", datatype=datatype.value, **{field: raw})).metrics
    if field == "bytes_value":
        assert value_of(metric, datatype) is None
    else:
        with pytest.raises(PayloadError):
            value_of(metric, datatype)


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        (Datatype.DOUBLE, math.nan),
        (Datatype.FLOAT, 1e39),
        (Datatype.BOOLEAN, 1),
        (Datatype.INT32, True),
        (Datatype.STRING, 1),
    ],
)
def test_a_value_that_is_none_of_its_datatype_is_not_written(datatype: Datatype, value: Scalar) -> None:
    with pytest.raises(PayloadError):
        metric_of(datatype, value)


@pytest.mark.parametrize("number", [None, 0, 15, 16, 19, 34, 99, 2**32 - 1])
def test_datatypes_that_are_not_read_are_refused(number: int | None) -> None:
    with pytest.raises(PayloadError, match=f"datatype {number}"):
        datatype_of(number)


def test_another_datatype_than_that_of_the_birth_is_refused() -> None:
    with pytest.raises(PayloadError, match="expected 3 as in the birth"):
        value_of(metric_of(Datatype.INT64, 5), Datatype.INT32)


def test_data_may_leave_its_datatype_out() -> None:
    (metric,) = decode(written(alias=7, int_value=5)).metrics
    assert (metric.alias, metric.datatype, value_of(metric, Datatype.INT32)) == (7, None, 5)


def test_null_and_absent_values_are_none() -> None:
    (null,) = decode(written(name="it", datatype=3, is_null=True, int_value=5)).metrics
    (absent,) = decode(written(name="it", datatype=3)).metrics
    assert value_of(null, Datatype.INT32) is None
    assert value_of(absent, Datatype.INT32) is None
    assert not null.is_good


def test_what_is_of_the_past_or_of_bad_quality_does_not_hold() -> None:
    assert metric_of(Datatype.INT32, 5).is_good
    assert not Metric(held="int_value", raw=5, is_historical=True).is_good
    assert Metric(held="int_value", raw=5, properties={"Quality": 192}).is_good
    assert not Metric(held="int_value", raw=5, properties={"Quality": 500}).is_good


def test_numbers_times_and_properties_survive_the_wire() -> None:
    properties: dict[str, Scalar] = {"engUnit": "bar", "engHigh": 6.5, "engLow": -1, "writable": True}
    metric = Metric("a/b", 2**63, Datatype.DOUBLE, "double_value", 1.25, timestamp_ms=7, properties=properties)
    payload = Payload((metric, Metric("n", is_null=True, is_historical=True)), 1_700_000_000_000, 255)
    assert decode(encode(payload)) == payload


def test_a_property_that_makes_no_sense_says_nothing() -> None:
    payload = wire.Payload()
    metric = payload.metrics.add(name="it")
    for key, kind in (("engHigh", 99), ("engLow", 3)):
        metric.properties.keys.append(key)
        metric.properties.values.add(type=kind, int_value=4)
    (read,) = decode(payload.SerializeToString()).metrics
    assert dict(read.properties) == {"engLow": 4}


def test_keys_without_values_are_refused() -> None:
    payload = wire.Payload()
    payload.metrics.add(name="it").properties.keys.append("engHigh")
    with pytest.raises(PayloadError, match="1 properties with 0 values"):
        decode(payload.SerializeToString())


def test_payloads_metrics_names_and_properties_are_bounded() -> None:
    with pytest.raises(PayloadError, match="bytes, expected at most"):
        decode(bytes(LARGEST_PAYLOAD_BYTES + 1))
    with pytest.raises(PayloadError, match=f"{MOST_METRICS + 1} metrics"):
        decode(encode(Payload((Metric(alias=1),) * (MOST_METRICS + 1))))
    with pytest.raises(PayloadError, match="name: expected"):
        decode(written(name="x" * (LONGEST_NAME + 1)))
    with pytest.raises(PayloadError, match="properties, expected at most"):
        decode(encode(Payload((Metric("it", properties={str(n): n for n in range(MOST_PROPERTIES + 1)}),))))


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\u2028"])
def test_names_with_control_characters_are_refused(name: str) -> None:
    with pytest.raises(PayloadError, match="control character"):
        decode(written(name=name))


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(PayloadError):
        decode(b"\x12\x04\x0a\x02\xff\xfe")


def test_every_truncation_is_refused_or_is_a_smaller_payload() -> None:
    metrics = tuple(metric_of(Datatype.DOUBLE, 0.5, name=f"metric {number}") for number in range(3))
    whole = encode(Payload(metrics, 1_700_000_000_000, 3))
    refused = 0
    for end in range(len(whole)):
        try:
            assert len(decode(whole[:end]).metrics) <= 3
        except PayloadError:
            refused += 1
    assert refused > len(whole) / 2


def test_templates_in_templates_without_end_are_refused() -> None:
    inner = b""
    for _ in range(200):
        inner = _field(0x12, _field(0x92, inner, more=b"\x01"))
    with pytest.raises(PayloadError):
        decode(inner)


def _field(tag: int, content: bytes, *, more: bytes = b"") -> bytes:
    length, left = b"", len(content)
    while left > 127:
        length, left = length + bytes([left & 127 | 128]), left >> 7
    return bytes([tag]) + more + length + bytes([left]) + content


def test_data_sets_and_templates_are_passed_over() -> None:
    payload = wire.Payload()
    payload.metrics.add(name="set", datatype=16).dataset_value.num_of_columns = 1
    payload.metrics.add(name="template", datatype=19).template_value.version = "1"
    payload.metrics.add(name="file", datatype=18, bytes_value=b"\0" * 100)
    assert [metric.raw for metric in decode(payload.SerializeToString()).metrics] == [None, None, None]


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_payload_or_refused(content: bytes) -> None:
    try:
        read = decode(content)
    except PayloadError:
        return
    for metric in read.metrics:
        for datatype in Datatype:
            try:
                value_of(metric, datatype)
            except PayloadError:
                continue


@given(st.sampled_from(list(Datatype)), st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=40)))
def test_what_can_be_written_is_read_as_it_was(datatype: Datatype, value: Scalar) -> None:
    try:
        metric = metric_of(datatype, value, alias=3)
        payload = encode(Payload((metric,)))
    except PayloadError:
        return
    read = value_of(decode(payload).metrics[0], datatype)
    assert read == (pytest.approx(value, rel=1e-6, abs=1e-44) if datatype is Datatype.FLOAT else value)
