"""docs/asyncapi.yaml: the event log as AsyncAPI describes one, from the code's own words.

``python -m tests.asyncapi_page`` writes it anew: channels from the table of subjects,
messages from the protos with their comments, the stream from what the service makes.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from placement.adapters.jetstream.log import message_headers
from placement.adapters.jetstream.settings import STREAM, JetStreamSettings
from placement.adapters.jetstream.stream import wanted
from placement.api.authority.table import FACTS
from placement.wire.events import (
    BATCH,
    BATCH_EVENTS_MAX,
    DECISIONS_PREFIX,
    EVENTS_PREFIX,
    FACT_NAMES,
    subject_of,
)

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "asyncapi.yaml"
SCHEMA: Final = (
    ROOT / ".venv/npm/node_modules/@asyncapi/specs/schemas" / "3.0.0-without-$id.json"
)
REGION: Final = "{region}"
HEADER: Final = (
    "# Written by `python -m tests.asyncapi_page`; edit the protos instead.\n"
)
WELL_KNOWN: Final = {
    ".google.protobuf.Timestamp": {
        "type": "string",
        "format": "date-time",
        "description": "RFC 3339, in UTC.",
    },
    ".google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?\d+(\.\d{1,9})?s$",
        "description": "Seconds with their unit, such as 1.500s.",
    },
}
_F: Final = FieldDescriptorProto
SCALARS: Final[dict[int, dict[str, Any]]] = {
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_DOUBLE: {"type": "number"},
    _F.TYPE_INT32: {"type": "integer"},
    _F.TYPE_INT64: {"type": ["integer", "string"], "format": "int64"},
}
HEADER_WORDS: Final = {
    "Nats-Msg-Id": "The message's id: within the duplicate window it is stored once.",
    "Nats-Expected-Stream": "The stream that is to store it, and no other.",
    "ce-specversion": "CloudEvents, in its binary mode.",
    "ce-id": "The same as Nats-Msg-Id.",
    "ce-source": "Who stored it.",
    "ce-type": "The subject without its region.",
}


def _protos() -> FileDescriptorSet:
    """Return events.proto with its comments."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "events.binpb"
        google = files("grpc_tools") / "_proto"
        command = [sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", f"-I{google}"]
        command += ["--include_source_info", f"--descriptor_set_out={out}"]
        subprocess.run([*command, "placement/v1/events.proto"], cwd=ROOT, check=True)
        return FileDescriptorSet.FromString(out.read_bytes())


class _Schemas:
    """JSON schemas of protobuf's own mapping to JSON, by message."""

    def __init__(self, proto: FileDescriptorProto) -> None:
        self._comments = {
            tuple(at.path): " ".join(at.leading_comments.split())
            for at in proto.source_code_info.location
        }
        self._enums = {
            f".{proto.package}.{each.name}": self._enum(each, (5, number))
            for number, each in enumerate(proto.enum_type)
        }
        self.found = {
            each.name: self._message(each, (4, number))
            for number, each in enumerate(proto.message_type)
        }

    def _said(self, path: tuple[int, ...]) -> dict[str, str]:
        said = self._comments.get(path, "")
        return {"description": said} if said else {}

    def _enum(self, enum: EnumDescriptorProto, path: tuple[int, ...]) -> dict[str, Any]:
        names = [value.name for value in enum.value]
        return {"type": "string", "enum": names, **self._said(path)}

    def _message(
        self, message: DescriptorProto, path: tuple[int, ...]
    ) -> dict[str, Any]:
        properties = {
            field.name: self._field(field, (*path, 2, number))
            for number, field in enumerate(message.field)
        }
        return {"type": "object", **self._said(path), "properties": properties}

    def _field(
        self, field: FieldDescriptorProto, path: tuple[int, ...]
    ) -> dict[str, Any]:
        if field.type == _F.TYPE_ENUM:
            shape = dict(self._enums[field.type_name])
        elif field.type != _F.TYPE_MESSAGE:
            shape = dict(SCALARS[field.type])
        elif field.type_name in WELL_KNOWN:
            shape = dict(WELL_KNOWN[field.type_name])
        else:
            name = field.type_name.rpartition(".")[2]
            shape = {"$ref": f"#/components/schemas/{name}"}
        said = self._said(path)
        if field.label == _F.LABEL_REPEATED:
            return {"type": "array", **said, "items": shape}
        # Beside a reference nothing else may stand.
        return {"allOf": [shape], **said} if "$ref" in shape else shape | said


def document() -> dict[str, Any]:
    """Return the whole document."""
    [proto] = _protos().file
    schemas = _Schemas(proto).found
    event = schemas["Event"]
    event["required"] = ["event_id", "region"]
    common = {k: v for k, v in event["properties"].items() if k not in FACT_NAMES}
    event["description"] += " Exactly one of the facts is set."
    schemas["EventBatch"]["properties"]["events"]["maxItems"] = BATCH_EVENTS_MAX
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "The event log of placement",
            "version": "1",
            "description": (
                "What happened to container images in every region, as facts in one "
                "JetStream stream. Bodies are protobuf (protos/placement/v1/"
                "events.proto); the schemas here are protobuf's own mapping to JSON, in "
                "which `placement tail -o json` prints them. docs/analytics.md says how "
                "to read it durably."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/protobuf",
        "servers": {
            "log": {
                "host": "127.0.0.1:4222",
                "protocol": "nats",
                "description": "Your NATS server, or the one that the service brings.",
            }
        },
        "channels": dict(_channels()),
        "operations": dict(_operations()),
        "components": {
            "messages": dict(_messages(common)),
            "messageTraits": {"stored": {"headers": _headers()}},
            "schemas": schemas,
        },
        "x-jetstream": {
            "stream": wanted(JetStreamSettings(("127.0.0.1:4222",))),
            "consumer": {
                "ack_policy": "none",
                "deliver_policy": "by_start_sequence",
                "replay_policy": "instant",
                "note": (
                    "Keep the stream's creation time and the last sequence yourself, "
                    "and begin after it: docs/examples/durable_consumer.py."
                ),
            },
        },
    }


def _every() -> Iterator[tuple[str, str, str]]:
    """Yield each channel's name, subject and message."""
    for fact in FACT_NAMES:
        yield fact, subject_of(REGION, fact), fact
    yield "events_batch", subject_of(REGION, BATCH), BATCH
    yield "decisions_batch", subject_of(REGION, BATCH, deciding=True), BATCH


def _channels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, subject, message in _every():
        yield (
            name,
            {
                "address": subject,
                "messages": {message: {"$ref": f"#/components/messages/{message}"}},
                "parameters": {
                    "region": {
                        "description": "The region's code, as in every event of it.",
                        "examples": ["iad", "syd"],
                    }
                },
                "x-jetstream": {"stream": STREAM},
            },
        )


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, subject, message in _every():
        channel = {"$ref": f"#/channels/{name}"}
        messages = [{"$ref": f"#/channels/{name}/messages/{message}"}]
        common = {"channel": channel, "messages": messages, "bindings": {"nats": {}}}
        yield f"read_{name}", {"action": "receive", **common}
        if subject.startswith(EVENTS_PREFIX):
            may = sorted(FACTS[message]) if message in FACTS else []
            who = f" Published by: {', '.join(may)}." if may else ""
            said = f"Tell what happened.{who}"
            yield f"tell_{name}", {"action": "send", "description": said, **common}
        else:
            assert subject.startswith(DECISIONS_PREFIX), "there are no other subjects"


def _messages(common: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    trait = [{"$ref": "#/components/messageTraits/stored"}]
    for fact in FACT_NAMES:
        word = "".join(part.title() for part in fact.split("_"))
        shown = {"$ref": f"#/components/schemas/{word}"}
        yield (
            fact,
            {
                "name": fact,
                "title": word,
                "contentType": "application/protobuf",
                "traits": trait,
                "payload": {
                    "type": "object",
                    "description": "An Event with this fact.",
                    "required": ["event_id", "region", fact],
                    "properties": {**common, fact: shown},
                },
            },
        )
    yield (
        BATCH,
        {
            "name": BATCH,
            "title": "EventBatch",
            "contentType": "application/protobuf",
            "traits": trait,
            "payload": {"$ref": "#/components/schemas/EventBatch"},
        },
    )


def _headers() -> dict[str, Any]:
    """Return the headers that every stored message has."""
    shown = message_headers(STREAM, subject_of("iad", "content_pushed"), "an-id")
    fixed = {"Nats-Expected-Stream", "ce-specversion", "ce-source"}
    properties = {}
    for name, value in shown.items():
        said: dict[str, Any] = {"type": "string", "description": HEADER_WORDS[name]}
        if name in fixed:
            said["const"] = value
        properties[name] = said
    return {"type": "object", "properties": properties}


class _Dumper(yaml.SafeDumper):
    """No anchors: whoever reads it need not look elsewhere."""

    def ignore_aliases(self, data: object) -> bool:
        """Repeat what stands there twice."""
        del data
        return True


def written(told: dict[str, Any]) -> str:
    """Return the text of the page that says what is *told*."""
    text: str = yaml.dump(
        told, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )
    return HEADER + text


if __name__ == "__main__":
    PAGE.write_text(written(document()))
