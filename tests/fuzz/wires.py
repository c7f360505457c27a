"""Protobuf's own bytes taken apart and put together wrongly."""

from collections.abc import Sequence
from random import Random

Part = tuple[int, int, int | bytes]
"""A field's number, its wire type and its value."""

VARINT, FIXED64, BYTES, GROUP, END, FIXED32 = range(6)
DEPTH_MAX = 4
NUMBERS = (0, 1, 2**7, 2**31 - 1, 2**32, 2**50 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
TEXTS = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",  # a lone surrogate
    b"a" * 300,
    b"sha256:" + b"0" * 64,
    b"sha256:" + b"Z" * 64,
    b"../../etc/passwd",
    "\u202eacme/web\u0130".encode(),
    b"http://169.254.169.254/latest",
    b"ams",
)


def varint(number: int) -> bytes:
    """Return *number*, at least 0, as protobuf writes it."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def overlong(number: int) -> bytes:
    """Return *number* in ten bytes, whatever it is, or in eleven: one too many."""
    found = bytearray(varint(number))
    found[-1] |= 0x80
    return bytes(found) + b"\x80" * (9 - len(found)) + b"\x00"


def taken_apart(body: bytes) -> list[Part] | None:
    """Return the fields of *body*; None where it is no message."""
    parts: list[Part] = []
    at = 0
    while at < len(body):
        key, at = _number(body, at)
        number, kind = key >> 3, key & 7
        if at < 0 or not number:
            return None
        if kind == VARINT:
            value, at = _number(body, at)
            if at < 0:
                return None
            parts.append((number, kind, value))
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(kind, -1)
        if kind == BYTES:
            length, at = _number(body, at)
        if at < 0 or length < 0 or at + length > len(body):
            return None
        parts.append((number, kind, body[at : at + length]))
        at += length
    return parts


def put_together(parts: Sequence[Part]) -> bytes:
    """Return *parts* as bytes, even those whose value is not of their wire type."""
    return b"".join(map(_written, parts))


def spoiled_message(chance: Random, body: bytes, depth: int = DEPTH_MAX) -> bytes:
    """Return *body* with something wrong in one field, often of a message within."""
    parts = taken_apart(body)
    if not parts:
        return body + chance.choice(TEXTS)
    at = chance.randrange(len(parts))
    number, kind, value = parts[at]
    inner = depth > 0 and isinstance(value, bytes) and len(value) > 2
    if inner and chance.random() < 0.6:
        assert isinstance(value, bytes)
        parts[at] = (number, kind, spoiled_message(chance, value, depth - 1))
        return put_together(parts)
    return _struck(chance, parts, at)


def _struck(chance: Random, parts: list[Part], at: int) -> bytes:  # noqa: C901 - one of each
    number, kind, value = parts[at]
    match chance.randrange(11):
        case 0:
            del parts[at]
        case 1:
            parts.insert(chance.randrange(len(parts) + 1), parts[at])
        case 2:
            parts[at] = (number, chance.randrange(8), value)
        case 3:
            parts[at] = (chance.randrange(1, 2**29), kind, value)
        case 4:
            parts[at] = (number, VARINT, chance.choice(NUMBERS))
        case 5:
            parts[at] = (number, BYTES, chance.choice(TEXTS))
        case 6:
            return put_together(parts[:at]) + overlong(number << 3 | kind) + b"\x01"
        case 7:
            lies = varint(number << 3 | BYTES) + varint(chance.choice(NUMBERS))
            return put_together(parts[:at]) + lies + put_together(parts[at:])
        case 8:
            others = [part for part in parts if part[0] != number]
            parts = others + [part for part in parts if part[0] == number]
        case 9:
            parts += [parts[at]] * chance.choice((2, 9, 40))
        case _:
            parts += [(chance.randrange(1, 40), VARINT, chance.choice(NUMBERS))]
    return put_together(parts)


def deep(number: int, depth: int, *, groups: bool = False) -> bytes:
    """Return field *number* within itself, so many times."""
    if groups:
        return varint(number << 3 | GROUP) * depth
    body = b""
    for _ in range(depth):
        body = varint(number << 3 | BYTES) + varint(len(body)) + body
    return body


def crowded(number: int, count: int, value: bytes = b"") -> bytes:
    """Return field *number* with *value*, so many times."""
    return (varint(number << 3 | BYTES) + varint(len(value)) + value) * count


def _written(part: Part) -> bytes:
    number, kind, value = part
    key = varint(number << 3 | kind)
    if isinstance(value, int):
        return key + varint(value)
    if kind == BYTES:
        return key + varint(len(value)) + value
    return key + value


def _number(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(body) and shift < 70:
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
    return 0, -1
