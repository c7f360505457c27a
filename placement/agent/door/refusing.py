"""Why there is no answer, as HTTP and JSON say it: the same reasons as over gRPC."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import grpc

from placement.api.private_reasons import INTERNAL
from placement.api.reasons import REASONS
from placement.client.errors import call_error
from placement.core.errors import PlacementError

_Code = grpc.StatusCode
HTTP_STATUSES: Final[Mapping[grpc.StatusCode, int]] = MappingProxyType(
    {
        _Code.INVALID_ARGUMENT: 400,
        _Code.FAILED_PRECONDITION: 400,
        _Code.OUT_OF_RANGE: 400,
        _Code.UNAUTHENTICATED: 401,
        _Code.PERMISSION_DENIED: 403,
        _Code.NOT_FOUND: 404,
        _Code.ALREADY_EXISTS: 409,
        _Code.ABORTED: 409,
        _Code.RESOURCE_EXHAUSTED: 429,
        _Code.CANCELLED: 499,
        _Code.UNIMPLEMENTED: 501,
        _Code.UNAVAILABLE: 503,
        _Code.DEADLINE_EXCEEDED: 504,
    }
)
"""As google.rpc.Code names them; any other is 500."""


class Refused(NamedTuple):
    """An HTTP status, and the body beside it."""

    http_status: int
    body: dict[str, Any]


def refused(error: PlacementError | grpc.aio.AioRpcError | str) -> Refused:
    """Return what a caller learns of *error*; a text is the id of a bug in the log."""
    if isinstance(error, str):
        row = REASONS[INTERNAL]
        body = {"reason": INTERNAL, "message": row.cause, "remedy": row.action}
        return Refused(500, body | {"field": "", "error_id": error})
    if isinstance(error, grpc.aio.AioRpcError):
        said = call_error(error)
        found = {"reason": said.reason, "message": said.message}
        return _refused(said.code, found, said.metadata)
    row = REASONS[error.reason]
    message = row.cause if row.private else str(error)
    metadata = {"remedy": row.action} | ({} if row.private else error.metadata)
    found = {"reason": error.reason, "message": message}
    return _refused(row.code, found, metadata)


def _refused(
    code: grpc.StatusCode, found: dict[str, Any], metadata: Mapping[str, str]
) -> Refused:
    body = found | {name: metadata.get(name, "") for name in ("field", "remedy")}
    return Refused(HTTP_STATUSES.get(code, 500), body)
