"""Protobuf from JSON and to JSON, for people and scripts.

The mapping is protobuf's own, with two conveniences on the way in: an enum's value may
lack its prefix (``"cache": "host"``), and every error names the field. On the way out
64-bit numbers are numbers.
"""

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any, Final, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message as ProtoMessage

from placement.core.errors import InputError

Plain = dict[str, Any]
"""A JSON object."""

TIMESTAMP: Final = "google.protobuf.Timestamp"
DURATION: Final = "google.protobuf.Duration"
FIELDS_NAMED_MAX: Final = 12
"""An error that names more fields than this helps nobody."""
_TEXTUAL: Final = {
    TIMESTAMP: "give an RFC 3339 time such as 2026-11-23T15:40:00Z",
    DURATION: 'give seconds with their unit, such as "1.5s"',
}
_NOT_FINITE: Final = {inf: "Infinity", -inf: "-Infinity"}
"""Numbers that JSON has no digits for, as protobuf's mapping names them."""
_SCALARS: Final = {
    FieldDescriptor.CPPTYPE_STRING: "give a text",
    FieldDescriptor.CPPTYPE_BOOL: "give true or false",
    FieldDescriptor.CPPTYPE_DOUBLE: "give a number",
    FieldDescriptor.CPPTYPE_INT32: "give a whole number",
    FieldDescriptor.CPPTYPE_INT64: "give a whole number",
}


def fill(message: ProtoMessage, value: object) -> None:
    """Write a decoded JSON *value* into *message*; raises InputError, naming the field.

    A field's name may be as in the proto or in camelCase.
    """
    if not isinstance(value, Mapping):
        raise InputError("request", kind(value), "give a JSON object")
    _fill(message, value, "")


def plain(message: ProtoMessage, *, defaults: bool = True) -> Plain:
    """Return *message* as a JSON object, in the order of its fields.

    *defaults*: also fields that are empty, except messages that are absent.
    """
    found: Plain = {}
    for field in _fields(message).values():
        value = getattr(message, field.name)
        if field.is_repeated:
            if value or defaults:
                parts = [_plain_value(field, part, defaults=defaults) for part in value]
                found[field.name] = parts
        elif message.HasField(field.name) if field.has_presence else value or defaults:
            found[field.name] = _plain_value(field, value, defaults=defaults)
    return found


def _plain_value(
    field: FieldDescriptor,
    value: Any,  # noqa: ANN401 - any field's value
    *,
    defaults: bool,
) -> object:
    if field.message_type is not None:
        if field.message_type.full_name in _TEXTUAL:
            return value.ToJsonString()
        return plain(value, defaults=defaults)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and not isfinite(value):
        return _NOT_FINITE.get(value, "NaN")
    return value


def _fill(message: ProtoMessage, values: Mapping[str, Any], where: str) -> None:
    """Write JSON *values* into *message*; raises InputError, naming the field."""
    fields = _fields(message)
    for key, value in values.items():
        name = f"{where}.{key}" if where else str(key)
        field = fields.get(snake(str(key)))
        if field is None:
            name = name.encode(errors="backslashreplace").decode()
            raise InputError(name, kind(value), _no_such_field(str(key), fields))
        if value is None:
            continue
        if field.is_repeated:
            if not isinstance(value, list):
                raise InputError(name, kind(value), "give a list")
            for index, part in enumerate(value):
                _put(message, field, part, f"{name}[{index}]")
        else:
            _put(message, field, value, name)


def _put(message: ProtoMessage, field: FieldDescriptor, value: Any, name: str) -> None:  # noqa: ANN401
    """Write one JSON *value*, or one of a repeated field's, into *field*."""
    inner = field.message_type
    if inner is not None and inner.full_name not in _TEXTUAL:
        if not isinstance(value, Mapping):
            raise InputError(name, kind(value), "give a JSON object")
        part = getattr(message, field.name)
        target = part.add() if field.is_repeated else part
        target.SetInParent()
        _fill(target, value, name)
        return
    if isinstance(value, str) and not _is_unicode(value):
        raise InputError(name, value, "give whole characters of Unicode")
    leaf = _whole_name(field, value)
    parsed = type(message)()  # ParseDict empties a repeated field before it fills it
    try:
        ParseDict({field.name: [leaf] if field.is_repeated else leaf}, parsed)
    except (ParseError, OverflowError):  # of a whole number beyond any double
        raise InputError(name, kind(value), _remedy(field)) from None
    message.MergeFrom(parsed)


def _is_unicode(text: str) -> bool:
    """Say whether *text* holds no half of a character, on which protobuf crashes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole_name(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401
    """Return an enum's *value* with its prefix, and any other value as it is."""
    if field.enum_type is None or not isinstance(value, str):
        return value
    zero = field.enum_type.values_by_number[0].name
    whole = zero.removesuffix("UNSPECIFIED") + value.upper()
    return whole if whole in field.enum_type.values_by_name else value


def _fields(message: ProtoMessage) -> dict[str, FieldDescriptor]:
    fields = cast("Sequence[FieldDescriptor]", message.DESCRIPTOR.fields)
    return {field.name: field for field in fields}


def _no_such_field(key: str, fields: Collection[str]) -> str:
    near = get_close_matches(snake(key), fields, n=1)
    if not near and len(fields) <= FIELDS_NAMED_MAX:
        near = list(fields)
    remedy = f"is it {', '.join(near)}?" if near else "events.proto has them all"
    return f"no such field; {remedy}"


def _remedy(field: FieldDescriptor) -> str:
    if field.enum_type is not None:
        return f"give one of {', '.join(field.enum_type.values_by_name)}"
    if field.message_type is not None:
        return _TEXTUAL[field.message_type.full_name]
    return _SCALARS[field.cpp_type]


def snake(key: str) -> str:
    """Return a field's name of protobuf's JSON mapping, camelCase, as in the proto."""
    return "".join(f"_{part.lower()}" if part.isupper() else part for part in key)


def kind(value: object) -> object:
    """Return *value*, or what it is if it holds others: those may be large."""
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else value
