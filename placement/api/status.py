"""What errors become: a gRPC status by their reason, with all that a caller may know.

Every one carries a ``google.rpc.ErrorInfo`` with its reason, and the remedy in its
metadata.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from placement.api.private_reasons import INTERNAL
from placement.api.reason import Reason
from placement.api.reasons import REASONS
from placement.core.errors import InputError, PlacementError

DOMAIN: Final = "placement.v1"


def status_of(error: PlacementError) -> grpc.Status:
    """Return *error* as a rich status; one that has no row is answered as INTERNAL."""
    name = error.reason if error.reason in REASONS else INTERNAL
    reason = REASONS[name]
    metadata = {"remedy": reason.action}
    if not reason.private:
        metadata |= error.metadata
    message = reason.cause if reason.private else str(error)
    if error.retry_delay_ms is not None:
        reason = replace(reason, retry_delay_ms=error.retry_delay_ms)
    status = _status(name, reason, message, metadata)
    if isinstance(error, InputError):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.remedy, reason=name
        )
        details = error_details_pb2.BadRequest(field_violations=[violation])
        status.details.add().Pack(details)
    return rpc_status.to_status(status)


def crash_status(error_id: str) -> grpc.Status:
    """Return what a caller learns of a bug: only the id under which it was logged."""
    reason = REASONS[INTERNAL]
    metadata = {"error_id": error_id, "remedy": reason.action}
    return rpc_status.to_status(_status(INTERNAL, reason, reason.cause, metadata))


def _status(
    name: str, reason: Reason, message: str, metadata: Mapping[str, str]
) -> status_pb2.Status:
    status = status_pb2.Status(code=reason.code.value[0], message=message)
    info = error_details_pb2.ErrorInfo(reason=name, domain=DOMAIN, metadata=metadata)
    status.details.add().Pack(info)
    if reason.retry_delay_ms is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(reason.retry_delay_ms)
        status.details.add().Pack(retry)
    return status
