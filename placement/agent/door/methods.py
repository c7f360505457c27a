"""Every method of the API by its name alone, as the HTTP door's addresses have it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from google.protobuf.message_factory import GetMessageClass

from placement.wire.service_answers import SERVICES


class JsonMethod(NamedTuple):
    """One method: where it is, and its messages."""

    path: str
    request: Any
    response: Any
    streams: bool


METHODS: Final[Mapping[str, JsonMethod]] = MappingProxyType(
    {
        method.name: JsonMethod(
            f"/{service.full_name}/{method.name}",
            GetMessageClass(method.input_type),
            GetMessageClass(method.output_type),
            method.server_streaming or method.client_streaming,
        )
        for service in SERVICES
        for method in service.methods
    }
)
"""No two services have a method of the same name."""
