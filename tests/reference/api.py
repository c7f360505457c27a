"""docs/reference/api.md and facts.md: the protos with their comments."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from tests.reference.markdown import made_by, prose, table
from tools.protogen import ROOT, descriptor_image

PACKAGE: Final = ".placement.v1."
FACTS: Final = "events.proto"
FIELD_HEAD: Final = ("field", "type", "no.", "meaning")
VALUE_HEAD: Final = ("value", "no.", "meaning")
SERVICE, MESSAGE, ENUM = 6, 4, 5
"""Where the parts of a file stand in it: numbers of descriptor.proto."""
METHOD, FIELD, NESTED, NESTED_ENUM, VALUE = 2, 2, 3, 4, 2
"""The same of the parts of a service, a message and an enum."""
WORDS: Final = re.compile(r"^TYPE_")

Place = tuple[int, ...]
"""Of a part in a file, as source_code_info gives it."""


@cache
def files() -> tuple[FileDescriptorProto, ...]:
    """Return our protos, comments included, services first."""
    with tempfile.TemporaryDirectory(prefix="placement-reference-") as folder:
        image = Path(folder) / "image.binpb"
        descriptor_image(ROOT, image)
        found = FileDescriptorSet.FromString(image.read_bytes())
    ours = [each for each in found.file if each.package == PACKAGE.strip(".")]
    return tuple(sorted(ours, key=lambda each: (not each.service, each.name)))


def api_page() -> str:
    """Return the page of the services and what they take and answer."""
    services = [each for each in files() if not each.name.endswith(FACTS)]
    return "\n".join(_api_lines(services))


def facts_page() -> str:
    """Return the page of what the log holds."""
    [facts] = [each for each in files() if each.name.endswith(FACTS)]
    return "\n".join(_facts_lines(Commented(facts)))


@dataclass(frozen=True)
class Commented:
    """One file, and what its comments say of each part."""

    file: FileDescriptorProto

    def said(self, path: Place) -> str:
        """Return the comment before the part at *path*, a paragraph a line."""
        for place in self.file.source_code_info.location:
            if tuple(place.path) == path:
                text = place.leading_comments or place.trailing_comments
                parts = re.split(r"\n\s*\n", text)
                return "\n\n".join(" ".join(part.split()) for part in parts).strip()
        return ""

    @property
    def page(self) -> str:
        """The page that tells of it."""
        return "facts.md" if self.file.name.endswith(FACTS) else "api.md"


def _api_lines(services: Sequence[FileDescriptorProto]) -> Iterator[str]:
    yield "# API"
    yield ""
    yield from made_by("protos/placement/v1")
    yield "Every method, with what it takes and answers. Errors that are named here"
    yield "are in [errors.md](errors.md), with what to do for each; events are in"
    yield "[facts.md](facts.md). `docs/asking.md` says which call answers what."
    yield ""
    for file in services:
        told = Commented(file)
        for index, service in enumerate(file.service):
            yield from _service(told, service, (SERVICE, index))
        if not file.service:
            yield "## Common to all"
            yield ""
        yield from _parts(told)


def _facts_lines(told: Commented) -> Iterator[str]:
    yield "# Facts"
    yield ""
    yield from made_by("protos/placement/v1/events.proto")
    yield "What the log holds. `docs/events.md` says how events are sent, and how they"
    yield "are written in JSON."
    yield ""
    yield "## Events and what is in them"
    yield ""
    yield from _parts(told)


def _service(
    told: Commented, service: ServiceDescriptorProto, path: Place
) -> Iterator[str]:
    yield f"## {service.name}"
    yield ""
    yield prose(told.said(path))
    yield ""
    for index, method in enumerate(service.method):
        yield f"### {service.name}.{method.name}"
        yield ""
        yield _signature(told, method)
        yield ""
        yield prose(told.said((*path, METHOD, index)))
        yield ""


def _signature(told: Commented, method: MethodDescriptorProto) -> str:
    stream = "a stream of " if method.server_streaming else ""
    takes, gives = (
        _link(told, each) for each in (method.input_type, method.output_type)
    )
    return f"Takes {takes}, answers {stream}{gives}."


def _parts(told: Commented) -> Iterator[str]:
    for index, message in enumerate(told.file.message_type):
        yield from _message(told, message, message.name, (MESSAGE, index))
    for index, enum in enumerate(told.file.enum_type):
        yield from _enum(told, enum, enum.name, (ENUM, index))


def _message(
    told: Commented, message: DescriptorProto, name: str, path: Place
) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield prose(told.said(path))
    yield ""
    if message.field:
        yield from table(
            FIELD_HEAD,
            (
                _field(told, message, each, told.said((*path, FIELD, index)))
                for index, each in enumerate(message.field)
            ),
        )
    for index, inner in enumerate(message.nested_type):
        if not inner.options.map_entry:
            below = (*path, NESTED, index)
            yield from _message(told, inner, f"{name}.{inner.name}", below)
    for index, enum in enumerate(message.enum_type):
        yield from _enum(told, enum, f"{name}.{enum.name}", (*path, NESTED_ENUM, index))


def _field(
    told: Commented, message: DescriptorProto, field: FieldDescriptorProto, said: str
) -> tuple[str, ...]:
    entries = {
        f"{PACKAGE}{message.name}.{each.name}": each
        for each in message.nested_type
        if each.options.map_entry
    }
    kind = _kind(told, field)
    if (entry := entries.get(field.type_name)) is not None:
        key, value = (_kind(told, each) for each in entry.field)
        kind = f"map of {key} to {value}"
    elif field.label == FieldDescriptorProto.LABEL_REPEATED:
        kind = f"repeated {kind}"
    if field.HasField("oneof_index") and not field.proto3_optional:
        kind += f", one of *{message.oneof_decl[field.oneof_index].name}*"
    if field.proto3_optional:
        kind = f"optional {kind}"
    return f"`{field.name}`", kind, str(field.number), prose(said)


def _kind(told: Commented, field: FieldDescriptorProto) -> str:
    if field.type_name:
        return _link(told, field.type_name)
    return WORDS.sub("", FieldDescriptorProto.Type.Name(field.type)).lower()


def _link(told: Commented, type_name: str) -> str:
    name = type_name.removeprefix(PACKAGE)
    if name == type_name:
        return type_name.removeprefix(".google.protobuf.")
    page = _page_of(name.partition(".")[0])
    anchor = name.replace(".", "").lower()
    return f"[{name}]({'' if page == told.page else page}#{anchor})"


@cache
def _page_of(name: str) -> str:
    for file in files():
        names = {each.name for each in file.message_type}
        if name in names | {each.name for each in file.enum_type}:
            return Commented(file).page
    raise LookupError(name)


def _enum(
    told: Commented, enum: EnumDescriptorProto, name: str, path: Place
) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield prose(told.said(path))
    yield ""
    yield from table(
        VALUE_HEAD,
        (
            (
                f"`{each.name}`",
                str(each.number),
                prose(told.said((*path, VALUE, index))),
            )
            for index, each in enumerate(enum.value)
        ),
    )
