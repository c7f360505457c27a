"""Protobuf requests of any shape: fields filled by chance, with sense and without."""

from collections.abc import Mapping
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.builders import START_NS

DEPTH_MAX = 5
NUMBERS = (0, 0, 1, 1, 2, 3, 10, 511, 1_025, 2**31 - 1, -1, -(2**31))
LONG_NUMBERS = (*NUMBERS, 2**50, 2**62, 2**63 - 1, -(2**63), START_NS // 10**9)
FLOATS = (0.0, 1.0, -1.0, 52.3, 90.1, 1e300, -1e300, float("nan"), float("inf"))
DIGEST = f"sha256:{'a' * 64}"
TEXTS = (
    *("", "", "ams", "fra", "iad", "zzz", "any", "eu", "ams,fra", "AMS", "a.b"),
    *("acme/web", "acme/web", "acme", "ACME/web", "../etc", "a" * 300, "acme//web"),
    *(DIGEST, DIGEST, f"sha512:{'b' * 128}", "sha256:aa", "md5:00", "v1", "latest"),
    *("linux", "amd64", "r-1", "alice", "x" * 5_000, "\x00", "\u202e", "é"),
    *("v1.memory-1.3", "v1.memory-1.99999", "w1.memory-1.1.1", "v1..", "v1.é.1"),
    *('name = "mine"', "[x", "half_life_hours = nan", "residency = 1"),
    *("http://169.254.169.254/", "a\nb", "*", "%", "-"),
)
SENSIBLE: Mapping[str, tuple[Any, ...]] = {
    "repository": ("acme/web",),
    "repository_prefixes": ("acme", "acme/web"),
    "digest": (DIGEST,),
    "digests": (DIGEST,),
    "reference": (DIGEST, "v1"),
    "tag": ("v1", ""),
    "region": ("ams", "fra"),
    "regions": ("ams", "fra"),
    "target_region": ("iad", "syd"),
    "source_region": ("ams",),
    "candidates": ("any", "ams,fra"),
    "platform": ("linux/amd64",),
    "os": ("linux",),
    "architecture": ("amd64",),
    "request_id": ("r-1", "r-2", "r-3"),
    "event_id": tuple(f"e-{number}" for number in range(50)),
    "actor": ("alice",),
    "reason": ("because", ""),
    "page_token": ("",),
    "resume_token": ("",),
    "token": ("", "v1.memory-1.1"),
    "policy": ("", "default", 'name = "mine"'),
    "publisher": ("agent/ams",),
    "organization": ("acme",),
    "app": ("web",),
    "variant": ("",),
    "media_type": ("application/vnd.oci.image.manifest.v1+json",),
    "page_size": (0, 10),
    "count": (0, 3),
    "size_bytes": (10_000_000,),
    "seconds": (0, 60, START_NS // 10**9),
    "nanos": (0, 1),
    "sha256_digests": (b"\xaa" * 32, b"\xaa" * 64),
    "state": (1, 2),
}
"""What fields of these names usually hold."""
SENSE = 0.85
RARE = "as_of"
"""Mostly refused: what it names is seldom there."""
ODD: Mapping[int, tuple[Any, ...]] = {
    FieldDescriptor.CPPTYPE_STRING: TEXTS,
    FieldDescriptor.CPPTYPE_BOOL: (False, True),
    FieldDescriptor.CPPTYPE_DOUBLE: FLOATS,
    FieldDescriptor.CPPTYPE_FLOAT: FLOATS,
    FieldDescriptor.CPPTYPE_ENUM: (0, 1, 2, 3, 4, 99),
    FieldDescriptor.CPPTYPE_INT32: NUMBERS,
    FieldDescriptor.CPPTYPE_INT64: LONG_NUMBERS,
    FieldDescriptor.CPPTYPE_UINT32: tuple(map(abs, NUMBERS)),
    FieldDescriptor.CPPTYPE_UINT64: tuple(map(abs, LONG_NUMBERS)),
}
KINDS: Mapping[int, type] = {
    FieldDescriptor.TYPE_STRING: str,
    FieldDescriptor.TYPE_BYTES: bytes,
    FieldDescriptor.TYPE_DOUBLE: float,
    FieldDescriptor.TYPE_BOOL: bool,
}
BODIES = (b"", b"\x00", b"\x01" * 32, b"\xff" * 32, b"\x00" * 8, b"\x01" * 31)


def filled(chance: Random, kind: Any, depth: int = DEPTH_MAX) -> Any:  # noqa: ANN401 - any message
    """Return a message of *kind* with some of its fields."""
    message = kind()
    for field in message.DESCRIPTOR.fields:
        likely = 0.02 if field.name == RARE else 0.7
        if chance.random() < likely:
            _fill(chance, message, field, depth)
    return message


def _fill(chance: Random, message: Message, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None:
        if depth:
            _fill_inner(chance, message, field, depth)
        return
    if field.is_repeated:
        count = chance.choice((0, 1, 2, 3, 9))
        found = [_scalar(chance, field) for _ in range(count)]
        getattr(message, field.name).extend(found)
    else:
        setattr(message, field.name, _scalar(chance, field))


def _fill_inner(
    chance: Random, message: Message, field: FieldDescriptor, depth: int
) -> None:
    inner = getattr(message, field.name)
    if not field.is_repeated:
        inner.SetInParent()
        inner.MergeFrom(filled(chance, type(inner), depth - 1))
        return
    for _ in range(chance.choice((0, 1, 2))):
        added = inner.add()
        added.MergeFrom(filled(chance, type(added), depth - 1))


def _scalar(chance: Random, field: FieldDescriptor) -> Any:  # noqa: ANN401 - any scalar
    if field.name in SENSIBLE and chance.random() < SENSE:
        found = chance.choice(SENSIBLE[field.name])
        if type(found) is KINDS.get(field.type, int):
            return found
    if field.type == field.TYPE_BYTES:
        return chance.choice(BODIES)
    return chance.choice(ODD[field.cpp_type])
