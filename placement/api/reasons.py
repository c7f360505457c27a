"""Every reason that an error may carry: its gRPC status, its cause, and the remedy.

The table is the documentation, and docs/reference/errors.md is made from it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import grpc

from placement.api.private_reasons import PRIVATE
from placement.api.reason import Reason

_Code = grpc.StatusCode


def _input(cause: str, action: str) -> Reason:
    return Reason(_Code.INVALID_ARGUMENT, cause, action)


def _denied(cause: str, action: str) -> Reason:
    return Reason(_Code.PERMISSION_DENIED, cause, action)


def _absent(cause: str, action: str) -> Reason:
    return Reason(_Code.NOT_FOUND, cause, action)


REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    dict(PRIVATE)
    | {
        "INPUT_INVALID": _input(
            "the request, or one of its fields, cannot be understood",
            "correct the field that the error names",
        ),
        "DIGEST_INVALID": _input(
            "not a whole digest of a known algorithm",
            "give sha256: or sha512: and all of its lower-case hexadecimal digits",
        ),
        "NAME_INVALID": _input(
            "not a repository name of the OCI distribution specification",
            "give lower-case path components such as acme/web",
        ),
        "TAG_INVALID": _input(
            "not a tag of the OCI distribution specification",
            "give at most 128 of A-Z a-z 0-9 . _ -",
        ),
        "REGION_INVALID": _input(
            "not a well-formed region code, or not that of the subject",
            "give a code of the catalogue; GetServiceInfo lists them",
        ),
        "TEXT_INVALID": _input(
            "a text is empty, too long, or holds characters that it must not",
            "correct the field that the error names",
        ),
        "NUMBER_INVALID": _input(
            "a number is outside its range", "give a number that the error allows"
        ),
        "TIME_INVALID": _input(
            "a time or duration is outside its range, or too far in the future",
            "correct the field, or the publisher's clock",
        ),
        "LIMIT_INVALID": _input(
            "more, or fewer, than a limit allows",
            "split the request; GetServiceInfo lists the limits",
        ),
        "TOKEN_INVALID": _input(
            "not a consistency token of this service",
            "pass a token as PublishEvents or a Basis gave it",
        ),
        "PAGE_TOKEN_INVALID": _input(
            "the page token is of another filter or epoch, or was changed",
            "begin again without a token",
        ),
        "POLICY_INVALID": _input(
            "a policy has an unknown key or a value outside its limits",
            "correct the key that the error names",
        ),
        "POLICY_UNKNOWN": _input(
            "not the name of a policy", "leave the policy out, or give one that exists"
        ),
        "CANDIDATES_INVALID": _input(
            "a region expression names nothing of the catalogue",
            "give region codes, areas or aliases with commas between, or any",
        ),
        "FACT_UNKNOWN": _input(
            "an event without a fact, or with one that this version does not know",
            "set one fact; for a newer one, upgrade the service first",
        ),
        "TLS_OUTDATED": Reason(
            _Code.UNAUTHENTICATED,
            "the connection is of an older version of TLS than 1.3",
            "use a client that speaks TLS 1.3",
        ),
        "IDENTITY_UNKNOWN": Reason(
            _Code.UNAUTHENTICATED,
            "the client's certificate is good, and names no role of the trust domain",
            "use a certificate with one of the names that docs/authority.md lists",
        ),
        "METHOD_FORBIDDEN": _denied(
            "the caller's role may not call the method",
            "use the certificate of a role that docs/authority.md lets call it",
        ),
        "FACT_FORBIDDEN": _denied(
            "the caller's role may not tell of such a fact; nothing was stored",
            "publish only the facts that docs/authority.md lets the role tell of",
        ),
        "REGION_FORBIDDEN": _denied(
            "the caller is of one region, and spoke of another; nothing was stored",
            "speak only of the region that the certificate names",
        ),
        "BLOB_UNKNOWN": _absent(
            "nobody announced the content in the repository",
            "check the digest and the repository; ask the registry itself",
        ),
        "MANIFEST_UNKNOWN": _absent(
            "the repository has no such tag",
            "check the tag; if it was just set, pass the token of its event",
        ),
        "PLATFORM_UNKNOWN": _absent(
            "the image has no such platform",
            "give one of the platforms that the error lists, or none",
        ),
        "NAME_UNKNOWN": _absent(
            "no event ever named the repository", "check the repository's name"
        ),
        "REGION_UNKNOWN": _absent(
            "the region is not in the catalogue", "GetServiceInfo lists the catalogue"
        ),
        "MACHINE_UNKNOWN": _absent(
            "no start of the machine is remembered",
            "check the machine's id; if it just started, pass the token of its event",
        ),
        "REPLICATION_UNKNOWN": _absent(
            "no decision of that id is remembered",
            "check the id; ListReplications lists decisions",
        ),
        "REPLICATION_CLOSED": Reason(
            _Code.FAILED_PRECONDITION,
            "the decision is done with, or was never to be carried out",
            "GetReplication tells how it ended",
        ),
        "REQUEST_UNKNOWN": _absent(
            "no request of that id is remembered",
            "check the id; if it was just made, pass the token of its answer",
        ),
        "REQUEST_CONFLICT": Reason(
            _Code.ALREADY_EXISTS,
            "the request's id was used for another request",
            "choose a new request_id for what is asked now",
        ),
        "RESIDENCY_FORBIDDEN": Reason(
            _Code.FAILED_PRECONDITION,
            "the policy in force keeps the repository out of the region",
            "choose a region that the error lists, or have the policy changed",
        ),
        "BUDGET_EXHAUSTED": Reason(
            _Code.RESOURCE_EXHAUSTED,
            "a budget of the policy in force is spent",
            "repeat the same request after the delay, or let an operator raise it",
            60_000,
        ),
        "AS_OF_UNSUPPORTED": Reason(
            _Code.UNIMPLEMENTED,
            "who was asked cannot answer about the past, or was told not to",
            "leave as_of out, or ask a service with past.states_max of 1 or more",
        ),
        "AS_OF_AHEAD": Reason(
            _Code.OUT_OF_RANGE,
            "the point of as_of is after all that is folded, or has not come yet",
            "ask for an earlier point, or without as_of",
        ),
        "AS_OF_GONE": Reason(
            _Code.OUT_OF_RANGE,
            "the point of as_of is before the log's epoch, or what is left of it",
            "ask for the earliest point that the error names, or a later one",
        ),
        "AS_OF_LIMIT": Reason(
            _Code.FAILED_PRECONDITION,
            "more messages would have to be folded than past.messages_max allows",
            "have it raised, ask for an earlier point, or use placement replay --to",
        ),
        "AS_OF_FOLDING": Reason(
            _Code.UNAVAILABLE,
            "the state of that point is still being folded when the deadline comes",
            "ask again: the fold goes on; or give the call more time",
            1_000,
        ),
        "AS_OF_BUSY": Reason(
            _Code.RESOURCE_EXHAUSTED,
            "as many states of the past are waited for as may be",
            "ask again after the delay, or for a point that others ask for",
            5_000,
        ),
        "WATCH_LIMIT": Reason(
            _Code.RESOURCE_EXHAUSTED,
            "the service has as many watchers as it takes",
            "watch another replica of the service, or come again later",
            5_000,
        ),
        "WATCH_LAGGED": Reason(
            _Code.ABORTED,
            "the watcher read nothing for ten seconds",
            "read on while working, and watch again with the resume_token",
        ),
        "CHECKPOINT_UNSHARED": Reason(
            _Code.FAILED_PRECONDITION,
            "the service has no whole state to give away, or no room for a copy of it",
            "ask another replica of the service, or this one when it is LIVE",
        ),
        "CHECKPOINT_BUSY": Reason(
            _Code.RESOURCE_EXHAUSTED,
            "as many read the checkpoint as may, or this reader takes nothing",
            "repeat the call after the delay, with what is there already",
            2_000,
        ),
        "CHECKPOINT_REFUSED": Reason(
            _Code.FAILED_PRECONDITION,
            "a checkpoint is of another fold version, or not what it is said to be",
            "run the same version on both sides, or let the log be folded",
        ),
        "OVERLOADED": Reason(
            _Code.RESOURCE_EXHAUSTED,
            "more calls come than the service can answer in time",
            "repeat the same call after the delay that the error gives",
            250,
        ),
        "CALLER_LIMIT": Reason(
            _Code.RESOURCE_EXHAUSTED,
            "a caller asks, or watches, more than its share",
            "ask less, in batches, or of a local replica; repeat after the delay",
            1_000,
        ),
        "CONTENT_LIMIT": Reason(
            _Code.RESOURCE_EXHAUSTED,
            "events bring more new contents than their caller may publish",
            "publish the same events again after the delay, or have the limit raised",
            1_000,
        ),
        "SNAPSHOT_LIMIT": Reason(
            _Code.RESOURCE_EXHAUSTED,
            "as many watchers are told a snapshot as the service takes at once",
            "watch again after the delay, with the resume_token if there is one",
            1_000,
        ),
        "DEADLINE_PASSED": Reason(
            _Code.DEADLINE_EXCEEDED,
            "the call came to its turn when its deadline had passed",
            "give the call more time",
        ),
        "STATE_BEHIND": Reason(
            _Code.UNAVAILABLE,
            "the freshness that was asked for was not reached within the deadline",
            "repeat the call, give it more time, or accept an answer marked STALE",
            100,
        ),
    }
)
