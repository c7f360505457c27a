"""Requests for a preview of copies, parsed once: by which policy, and how many."""

from dataclasses import dataclass

from placement.core.deciding.ruling import Ruling, parse_ruling
from placement.core.errors import InputError, LimitInvalidError
from placement.core.oci import (
    Digest,
    Repository,
    Tag,
    parse_reference,
    parse_repository,
)
from placement.core.policy import Policy, named_policy
from placement.core.topology import Region, parse_region
from placement.v1 import replication_service_pb2 as pb
from placement.wire.fields import DOCUMENT_LENGTH_MAX
from placement.wire.requests import (
    REPLICATION_COUNT_DEFAULT,
    REPLICATION_COUNT_MAX,
    Consistency,
    bounded,
    decode_freshness,
)


@dataclass(frozen=True, slots=True)
class PreviewQuery:
    """Which copies to consider; None: all, or no limit."""

    repository: Repository | None
    reference: Digest | Tag | None
    target_region: Region | None
    policy: Policy | None
    """The numbers that were asked for by name; None: those of the ruling."""
    ruling: Ruling | None
    """The document that was given; None: the one in force."""
    transfer_bytes_max: int | None
    replication_count_max: int
    consistency: Consistency


def decode_preview(request: pb.PreviewReplicationsRequest) -> PreviewQuery:
    """Return what is to be previewed; raises InputError."""
    if request.reference and not request.repository:
        remedy = "name the repository that the reference belongs to"
        raise InputError("repository", request.repository, remedy)
    target, count = request.target_region, request.max_replication_count
    transfer_bytes = bounded(request.max_transfer_bytes, "max_transfer_bytes", None)
    return PreviewQuery(
        parse_repository(request.repository) if request.repository else None,
        parse_reference(request.reference) if request.reference else None,
        parse_region(target, "target_region") if target else None,
        named_policy(request.policy) if request.policy else None,
        _given_ruling(request),
        transfer_bytes or None,
        bounded(count, "max_replication_count", REPLICATION_COUNT_MAX)
        or REPLICATION_COUNT_DEFAULT,
        decode_freshness(request),
    )


def _given_ruling(
    request: pb.PreviewReplicationsRequest,
) -> Ruling | None:
    """Return the policy of the request's content; None where there is none.

    Raises PolicyInvalidError, LimitInvalidError, and InputError beside a name.
    """
    text = request.policy_content
    if not text:
        return None
    if request.policy:
        remedy = "give a policy's name or its content, not both"
        raise InputError("policy_content", text, remedy)
    if len(text) > DOCUMENT_LENGTH_MAX:
        remedy = f"give at most {DOCUMENT_LENGTH_MAX} characters"
        raise LimitInvalidError("policy_content", f"{len(text)} characters", remedy)
    return parse_ruling(text, "policy_content")
