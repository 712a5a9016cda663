"""The bytes of a Sparkplug B payload to frozen nouns, and back.

Rules (A27, A44):
- a payload is measured before it is read, and its metrics, names, texts and properties are bounded;
- what a value means needs the datatype of the birth, which later messages may leave out: `value_of` puts both together;
- a signed number is in two's complement: of its own width, as some write it, or of the field's, as others do;
- a value of an unknown datatype, one in the wrong field, out of its type's range, NaN or infinite is a PayloadError;
- data sets, templates, files, bytes, arrays and UUIDs are passed over: nothing that is spoken of has such a value.

Format: the Eclipse Sparkplug specification 3.0, chapter 6; compiled from `sparkplug_b.proto`.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from google.protobuf.message import DecodeError, EncodeError

from edgeagent.act.dialects import sparkplug_b_pb2 as wire
from edgeagent.act.dialects.schema import printable
from edgeagent.errors import PayloadError

LARGEST_PAYLOAD_BYTES = 256 << 10
"""A birth of two thousand metrics with names and properties is about half of this."""
MOST_METRICS = 2_000
"""Metrics in one payload."""
LONGEST_NAME = 256
"""Characters of a metric's name, with its folders."""
LONGEST_TEXT = 1_024
"""Characters of a text; what is longer is a document."""
MOST_PROPERTIES = 64
"""Properties of one metric."""
GOOD = 192
"""The property Quality of a value that holds; 0 is bad and 500 stale (6.4.9)."""

Scalar = bool | int | float | str
NO_PROPERTIES: Mapping[str, Scalar] = MappingProxyType({})


class Datatype(IntEnum):
    """The datatypes whose values are read."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14

    @property
    def is_integer(self) -> bool:
        """Tell whether it is a whole number."""
        return self <= Datatype.UINT64

    @property
    def is_number(self) -> bool:
        """Tell whether it is a number; a date is none."""
        return self <= Datatype.DOUBLE

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the greatest value of a number; a Float's are those of 32 bits."""
        match self:
            case Datatype.FLOAT:
                return -_FLOAT_MOST, _FLOAT_MOST
            case Datatype.INT8 | Datatype.INT16 | Datatype.INT32 | Datatype.INT64:
                half = 1 << (_BITS[self] - 1)
                return -half, half - 1
            case Datatype.UINT8 | Datatype.UINT16 | Datatype.UINT32 | Datatype.UINT64 | Datatype.DATETIME:
                return 0, (1 << _BITS[self]) - 1
            case _:
                return -math.inf, math.inf


_FLOAT_MOST = 3.4028234663852886e38
_BITS = {1: 8, 2: 16, 3: 32, 4: 64, 5: 8, 6: 16, 7: 32, 8: 64, 13: 64}
_OF_PROPERTY = {bool: Datatype.BOOLEAN, int: Datatype.INT32, float: Datatype.DOUBLE, str: Datatype.STRING}
_WIDE = frozenset({Datatype.INT64, Datatype.UINT64, Datatype.DATETIME})
"""Written as `long_value`; the others as `int_value`. Read in either, since some write UInt32 as `long_value`."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it stands in a payload. `raw` is its value in the field `held`; None where there is none."""

    name: str | None = None
    alias: int | None = None
    datatype: int | None = None
    held: str = ""
    raw: Scalar | None = None
    is_null: bool = False
    is_historical: bool = False
    timestamp_ms: int | None = None
    properties: Mapping[str, Scalar] = field(default_factory=lambda: NO_PROPERTIES)

    @property
    def is_good(self) -> bool:
        """Tell whether the value holds now: there, of good quality, and not of the past."""
        return not self.is_null and not self.is_historical and self.properties.get("Quality", GOOD) == GOOD


@dataclass(frozen=True, slots=True)
class Payload:
    """The metrics of a message; the time in milliseconds since 1970, the number in the node's sequence."""

    metrics: tuple[Metric, ...] = ()
    timestamp_ms: int | None = None
    seq: int | None = None


def decode(payload: bytes) -> Payload:
    """Read a payload. Raise PayloadError, saying what is wrong."""
    if len(payload) > LARGEST_PAYLOAD_BYTES:
        raise PayloadError(f"{len(payload)} bytes, expected at most {LARGEST_PAYLOAD_BYTES}")
    try:
        read = wire.Payload.FromString(payload)
    except (DecodeError, ValueError) as error:  # ValueError: text that is not UTF-8
        raise PayloadError(f"no Sparkplug B payload: {error!s:.80}") from error
    if len(read.metrics) > MOST_METRICS:
        raise PayloadError(f"{len(read.metrics)} metrics, expected at most {MOST_METRICS}")
    return Payload(
        tuple(_metric(one) for one in read.metrics),
        read.timestamp if read.HasField("timestamp") else None,
        read.seq if read.HasField("seq") else None,
    )


def encode(payload: Payload) -> bytes:
    """Write a payload. Raise PayloadError if a metric's value does not fit its field."""
    written = wire.Payload()
    try:
        if payload.timestamp_ms is not None:
            written.timestamp = payload.timestamp_ms
        if payload.seq is not None:
            written.seq = payload.seq
        for metric in payload.metrics:
            _write(metric, written.metrics.add())
        return written.SerializeToString()
    except (TypeError, ValueError, AttributeError, EncodeError) as error:
        raise PayloadError(f"cannot be written: {error!s:.80}") from error


def datatype_of(number: int | None) -> Datatype:
    """Return the datatype of that number. Raise PayloadError if it is none that is read."""
    try:
        return Datatype(number or 0)
    except ValueError:
        raise PayloadError(f"datatype {number}: expected one of 1 to 14") from None


def value_of(metric: Metric, datatype: Datatype) -> Scalar | None:
    """Return the value of a metric, None where it is null. Raise PayloadError if it is none of the datatype."""
    if metric.is_null or metric.raw is None:
        return None
    if metric.datatype not in {None, 0, datatype}:
        raise PayloadError(f"datatype {metric.datatype}: expected {datatype.value} as in the birth")
    return _scalar(metric.held, metric.raw, datatype)


def metric_of(datatype: Datatype, value: Scalar, *, name: str | None = None, alias: int | None = None) -> Metric:
    """Make a metric that has a value. Raise PayloadError if the value is none of the datatype."""
    return Metric(name, alias, datatype, *_raw(datatype, value))


def as_float(value: float) -> float:
    """Return what is left of a number in 32 bits. Raise PayloadError if it does not fit."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except (OverflowError, struct.error) as error:
        raise PayloadError(f"{value:g} does not fit a Float") from error


def _scalar(held: str, raw: Scalar, datatype: Datatype) -> Scalar:
    """Return the value; booleans are looked at first, for to Python they are numbers."""
    match datatype, held:
        case Datatype.BOOLEAN, "boolean_value":
            return bool(raw)
        case Datatype.STRING | Datatype.TEXT, "string_value":
            if len(text := str(raw)) > LONGEST_TEXT:
                raise PayloadError(f"expected a text of at most {LONGEST_TEXT} characters")
            return text
        case Datatype.FLOAT | Datatype.DOUBLE, "float_value" | "double_value":
            if not math.isfinite(number := float(raw)):
                raise PayloadError(f"expected a finite number, found {number}")
            return number
        case _, "int_value" | "long_value" if datatype in _BITS:
            return _whole(int(raw), datatype)
    raise PayloadError(f"{datatype.name}: expected another field than {held}")


def _whole(raw: int, datatype: Datatype) -> int:
    least, most = datatype.bounds
    for bits in (0, _BITS[datatype], 32, 64):
        number = raw - (1 << bits) if bits else raw
        if least <= number <= most and (number < 0) == (bits > 0):
            return number
    raise PayloadError(f"{raw} is no {datatype.name}")


def _raw(datatype: Datatype, value: Scalar) -> tuple[str, Scalar]:
    match datatype:
        case Datatype.BOOLEAN if isinstance(value, bool):
            return "boolean_value", value
        case Datatype.STRING | Datatype.TEXT if isinstance(value, str) and len(value) <= LONGEST_TEXT:
            return "string_value", value
        case Datatype.FLOAT | Datatype.DOUBLE if not isinstance(value, bool | str) and math.isfinite(value):
            is_short = datatype is Datatype.FLOAT
            return ("float_value", as_float(float(value))) if is_short else ("double_value", float(value))
        case _ if datatype in _BITS and isinstance(value, int) and not isinstance(value, bool):
            least, most = datatype.bounds
            if least <= value <= most:
                bits, held = (64, "long_value") if datatype in _WIDE else (32, "int_value")
                return held, value % (1 << bits)
    raise PayloadError(f"{value!r:.40} is no {datatype.name}")


def _metric(read: wire.Payload.Metric) -> Metric:
    held = read.WhichOneof("value") or ""
    return Metric(
        _text(read.name, LONGEST_NAME, "name") or None,
        read.alias if read.HasField("alias") else None,
        read.datatype if read.HasField("datatype") else None,
        held,
        _plain(held, getattr(read, held)) if held else None,
        read.is_null,
        read.is_historical,
        read.timestamp if read.HasField("timestamp") else None,
        _properties(read.properties) if read.HasField("properties") else NO_PROPERTIES,
    )


def _plain(held: str, raw: object) -> Scalar | None:
    """Return a value as it stands; nothing of what is composed."""
    if held == "string_value":
        # What a text says is judged where it is used: many births have texts that nobody speaks of.
        return raw[: LONGEST_TEXT + 1] if isinstance(raw, str) else None
    return raw if isinstance(raw, bool | int | float) else None


def _properties(read: wire.Payload.PropertySet) -> Mapping[str, Scalar]:
    if len(read.keys) != len(read.values):
        raise PayloadError(f"{len(read.keys)} properties with {len(read.values)} values")
    if len(read.keys) > MOST_PROPERTIES:
        raise PayloadError(f"{len(read.keys)} properties, expected at most {MOST_PROPERTIES}")
    found: dict[str, Scalar] = {}
    for key, value in zip(read.keys, read.values, strict=True):
        held = value.WhichOneof("value") or ""
        raw = None if value.is_null or not held else _plain(held, getattr(value, held))
        if raw is not None:
            try:
                found[_text(key, LONGEST_NAME, "property")] = _scalar(held, raw, datatype_of(value.type))
            except PayloadError:
                continue  # a property that makes no sense says nothing; the metric stands
    return MappingProxyType(found)


def _text(text: str, longest: int, what: str) -> str:
    if not isinstance(text, str) or len(text) > longest:
        raise PayloadError(f"{what}: expected a text of at most {longest} characters")
    try:
        return printable(text)
    except ValueError as error:
        raise PayloadError(f"{what}: {error}") from error


def _write(metric: Metric, written: wire.Payload.Metric) -> None:
    for name in ("name", "alias", "datatype"):
        if (value := getattr(metric, name)) is not None:
            setattr(written, name, value)
    if metric.timestamp_ms is not None:
        written.timestamp = metric.timestamp_ms
    if metric.is_historical:
        written.is_historical = True
    if metric.raw is None or metric.is_null:
        written.is_null = True
    else:
        setattr(written, metric.held, metric.raw)
    if metric.properties:
        _write_properties(metric.properties, written.properties)


def _write_properties(properties: Mapping[str, Scalar], written: wire.Payload.PropertySet) -> None:
    for key, value in properties.items():
        datatype = _OF_PROPERTY[type(value)]
        held, raw = _raw(datatype, value)
        written.keys.append(key)
        one = written.values.add()
        one.type = datatype
        setattr(one, held, raw)
