"""One field's way from protobuf to the domain and back, chosen by the field's type.

The domain's own parsers decide what is valid; this module only calls the right one and
says which field was at fault.
"""

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import IntEnum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from google.protobuf.message import Message as ProtoMessage

from placement.core.errors import (
    InputError,
    LimitInvalidError,
    NumberInvalidError,
    TextInvalidError,
    TimeInvalidError,
)
from placement.core.event import (
    Document,
    DurationNs,
    Identifier,
    Name,
    Text,
    TimeNs,
)
from placement.core.oci import (
    Digest,
    Platform,
    Repository,
    Tag,
    parse_digest,
    parse_reference,
    parse_repository,
    parse_tag,
)
from placement.core.topology import Region, parse_region

IDENTIFIER_LENGTH_MAX: Final = 128
NAME_LENGTH_MAX: Final = 255
TEXT_LENGTH_MAX: Final = 1_024
DOCUMENT_LENGTH_MAX: Final = 8_192
REPEATED_COUNT_MAX: Final = 1_024
TIME_NS_MAX: Final = 2**62
"""In the year 2116: far enough, and sums of two still fit 64 bits."""
DURATION_NS_MAX: Final = 366 * 86_400 * 1_000_000_000
COUNT_MAX: Final = 2**50
"""A pebibyte for one content, and sums over thousands of them still fit 64 bits."""

IDENTIFIER: Final = re.compile(r"[!-~]{1,128}")
SECOND_NS: Final = 1_000_000_000

Decoder = Callable[[Any, str], Any]
Encoder = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class FieldCodec:
    """How one field of a domain class travels."""

    attribute: str
    """In the domain: ``pull_duration_ns``."""
    name: str
    """In protobuf: ``pull_duration``."""
    decode: Decoder
    encode: Encoder
    optional: bool
    """None in the domain is absent, or empty, in protobuf."""
    required: bool
    repeated: bool
    is_message: bool


@dataclass(frozen=True, slots=True)
class ClassCodec:
    """How a domain class travels."""

    domain: type
    fields: tuple[FieldCodec, ...]

    def decode(self, proto: ProtoMessage, where: str) -> Any:  # noqa: ANN401 - any domain class
        """Return the domain value; raises InputError naming the field from *where*."""
        values = [self._field(proto, field, where) for field in self.fields]
        return self.domain(*values)

    def _field(self, proto: ProtoMessage, field: FieldCodec, where: str) -> Any:  # noqa: ANN401
        name = f"{where}.{field.name}" if where else field.name
        value = getattr(proto, field.name)
        if field.repeated:
            return decode_repeated(field, value, name)
        if field.is_message and not proto.HasField(field.name):
            if field.required:
                raise InputError(name, "", "give this field")
            return None if field.optional else field.decode(value, name)
        if field.optional and not field.is_message and value == "":
            return None
        return field.decode(value, name)

    def encode(self, value: Any, proto: ProtoMessage) -> None:  # noqa: ANN401
        """Write the domain *value* into an empty protobuf message."""
        for field in self.fields:
            part = getattr(value, field.attribute)
            if not part and (part is None or field.repeated):
                continue
            if field.repeated:
                encode_repeated(field, part, getattr(proto, field.name))
            elif field.is_message:
                field.encode((part, getattr(proto, field.name)))
            else:
                setattr(proto, field.name, part)


def decode_repeated(field: FieldCodec, values: Any, name: str) -> tuple[Any, ...]:  # noqa: ANN401
    """Return the domain values of a repeated field; raises InputError."""
    if len(values) > REPEATED_COUNT_MAX:
        remedy = f"give at most {REPEATED_COUNT_MAX}; split the rest into another event"
        raise LimitInvalidError(name, len(values), remedy)
    return tuple(
        field.decode(value, f"{name}[{position}]")
        for position, value in enumerate(values)
    )


def encode_repeated(field: FieldCodec, parts: Any, target: Any) -> None:  # noqa: ANN401
    """Append the domain values *parts* to a repeated field."""
    for part in parts:
        if field.is_message:
            field.encode((part, target.add()))
        else:
            target.append(field.encode(part))


def class_codec(domain: type) -> ClassCodec:
    """Return the codec of a domain dataclass, from its annotations."""
    hints = get_type_hints(domain)
    return ClassCodec(
        domain,
        tuple(
            _field_codec(item.name, hints[item.name], required=_required(item))
            for item in fields(domain)
        ),
    )


def _required(item: Any) -> bool:  # noqa: ANN401 - dataclasses.Field is generic
    return item.default is MISSING and item.default_factory is MISSING


def _field_codec(attribute: str, hint: Any, *, required: bool) -> FieldCodec:  # noqa: ANN401
    optional = repeated = False
    if get_origin(hint) in {Union, UnionType} and NoneType in get_args(hint):
        optional = True
        members = [part for part in get_args(hint) if part is not NoneType]
        hint = members[0]
    elif get_origin(hint) is tuple:
        repeated = True
        hint = get_args(hint)[0]
    name = attribute.removesuffix("_ns")
    decode, encode, is_message = _codec_of(hint)
    return FieldCodec(
        attribute, name, decode, encode, optional, required, repeated, is_message
    )


def _codec_of(hint: Any) -> tuple[Decoder, Encoder, bool]:  # noqa: ANN401
    if hint in _SCALARS:
        return _SCALARS[hint], _plain, False
    if hint is TimeNs:
        return decode_time, lambda pair: encode_time(*pair), True
    if hint is DurationNs:
        return decode_duration, lambda pair: encode_time(*pair), True
    if get_origin(hint) in {Union, UnionType}:
        return parse_reference, _plain, False
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return _enum_decoder(hint), int, False
    assert isinstance(hint, type), f"no codec for {hint}"
    assert is_dataclass(hint), f"no codec for {hint}"
    codec = class_codec(hint)
    return codec.decode, lambda pair: codec.encode(*pair), True


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value


def encode_time(value_ns: int, target: Any) -> None:  # noqa: ANN401
    """Write nanoseconds into an empty protobuf Timestamp or Duration."""
    target.seconds, target.nanos = divmod(value_ns, SECOND_NS)
    target.SetInParent()


def nanoseconds(value: Any) -> int:  # noqa: ANN401 - Timestamp or Duration
    """Return a protobuf Timestamp or Duration in nanoseconds."""
    return int(value.seconds) * SECOND_NS + int(value.nanos)


def decode_time(value: Any, field: str) -> TimeNs:  # noqa: ANN401
    """Return a Timestamp as nanoseconds; raises TimeInvalidError, naming *field*."""
    time_ns = nanoseconds(value)
    if not 0 < time_ns <= TIME_NS_MAX or not 0 <= value.nanos < SECOND_NS:
        raise TimeInvalidError(field, time_ns, "give a time after 1970 and before 2116")
    return TimeNs(time_ns)


def decode_duration(value: Any, field: str) -> DurationNs:  # noqa: ANN401
    """Return a Duration as nanoseconds; raises TimeInvalidError, naming *field*."""
    duration_ns = nanoseconds(value)
    if not 0 <= duration_ns <= DURATION_NS_MAX or not 0 <= value.nanos < SECOND_NS:
        raise TimeInvalidError(field, duration_ns, "give 0 to 366 days")
    return DurationNs(duration_ns)


def _enum_decoder(kind: type[IntEnum]) -> Decoder:
    known = {member.value: member for member in kind}

    def decode(value: int, field: str) -> IntEnum:
        del field  # an unknown kind is a newer publisher's: not specified, for us
        return known.get(value, known[0])

    return decode


def parse_identifier(text: str, field: str) -> Identifier:
    """Return *text* as an identifier; raises TextInvalidError, naming *field*."""
    if not IDENTIFIER.fullmatch(text):
        remedy = f"give 1 to {IDENTIFIER_LENGTH_MAX} printable ASCII characters"
        raise TextInvalidError(field, text, remedy)
    return Identifier(text)


def _text_parser(length_max: int, *, lines: bool = False) -> Decoder:
    def parse(text: str, field: str) -> str:
        printable = text.isprintable() or (
            lines and all(part.isprintable() for part in re.split(r"[\n\t]", text))
        )
        if len(text) > length_max or not printable:
            remedy = f"give at most {length_max} printable characters"
            raise TextInvalidError(field, text, remedy)
        return text

    return parse


def _decode_count(value: int, field: str) -> int:
    if not 0 <= value <= COUNT_MAX:
        raise NumberInvalidError(field, value, f"give 0 to {COUNT_MAX}")
    return value


def _decode_number(value: float, field: str) -> float:
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN
        raise NumberInvalidError(field, value, "give a finite number")
    return value


def _decode_flag(value: bool, field: str) -> bool:  # noqa: FBT001 - a decoder
    del field
    return value


parse_name: Final = _text_parser(NAME_LENGTH_MAX)
"""Return a name as it is; raises TextInvalidError, naming the field."""

_SCALARS: Final[dict[Any, Decoder]] = {
    Digest: parse_digest,
    Repository: parse_repository,
    Tag: parse_tag,
    Region: parse_region,
    Identifier: parse_identifier,
    Name: parse_name,
    Text: _text_parser(TEXT_LENGTH_MAX, lines=True),
    Document: _text_parser(DOCUMENT_LENGTH_MAX, lines=True),
    str: parse_name,
    int: _decode_count,
    float: _decode_number,
    bool: _decode_flag,
}

PLATFORM: Final = class_codec(Platform)
