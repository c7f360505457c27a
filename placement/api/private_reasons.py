"""Reasons whose errors are for an operator's eyes: of our own parts, not of callers.

A caller is told the cause that is written here, and nothing of the error's own words.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import grpc

from placement.api.reason import Reason

INTERNAL: Final = "INTERNAL"

_Code = grpc.StatusCode


def _own(
    code: grpc.StatusCode, cause: str, action: str, delay_ms: int | None
) -> Reason:
    return Reason(code, cause, action, delay_ms, private=True)


PRIVATE: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "LOG_UNAVAILABLE": _own(
            _Code.UNAVAILABLE,
            "the log cannot be reached",
            "repeat the same request; events that it stored are answered DUPLICATE",
            1_000,
        ),
        "LOG_FULL": _own(
            _Code.RESOURCE_EXHAUSTED,
            "the log refuses new messages because it is full",
            "let an operator give the log more room, then repeat the same request",
            30_000,
        ),
        "LOG_MOVED": _own(
            _Code.UNAVAILABLE,
            "another decision or order was stored while this one was made",
            "repeat the same request: it is decided again by what the log holds now",
            100,
        ),
        "LOG_REPLACED": _own(
            _Code.FAILED_PRECONDITION,
            "the log is not the one that the service's state was folded from",
            "let an operator look at the service's log",
            None,
        ),
        "LOG_CONFIGURATION": _own(
            _Code.FAILED_PRECONDITION,
            "the log is not set up as the service needs it",
            "let an operator look at the service's log",
            None,
        ),
        "CHECKPOINT_DAMAGED": _own(
            _Code.INTERNAL,
            "the service's checkpoint does not match its own hashes",
            "let an operator look at the service's log",
            None,
        ),
        "CHECKPOINT_UNWRITABLE": _own(
            _Code.INTERNAL,
            "the service's checkpoint cannot be written",
            "let an operator look at the service's log",
            None,
        ),
        "CONFIG_INVALID": _own(
            _Code.FAILED_PRECONDITION,
            "a key of the configuration has a value that cannot be",
            "correct the keys that the error names",
            None,
        ),
        "SERVICE_FAILED": _own(
            _Code.FAILED_PRECONDITION,
            "the service that a demo started for itself did not come up",
            "read the log file that the error names",
            None,
        ),
        "SCHEDULER_UNAVAILABLE": _own(
            _Code.UNAVAILABLE,
            "a scheduler's API did not do what an agent asked of it",
            "look at the scheduler; the agent goes on asking by itself",
            1_000,
        ),
        "SPOOL_FULL": _own(
            _Code.RESOURCE_EXHAUSTED,
            "an agent's spool holds as much as it may, and refuses more",
            "look why the agent does not reach the log, or give its spool more room",
            30_000,
        ),
        "SPOOL_UNWRITABLE": _own(
            _Code.INTERNAL,
            "an agent's spool cannot be written",
            "give the agent's disk room, or set agent.state_dir elsewhere",
            None,
        ),
        "REGISTRY_FAILED": _own(
            _Code.UNAVAILABLE,
            "a registry did not do what an agent asked of it",
            "read the address and the answer that the error names",
            5_000,
        ),
        "REGISTRY_UNREACHABLE": _own(
            _Code.UNAVAILABLE,
            "a registry gave an agent no answer",
            "let the registry and the way to it be looked at; the agent tries again",
            5_000,
        ),
        "REGISTRY_REFUSED": _own(
            _Code.FAILED_PRECONDITION,
            "a registry refused an agent's credentials, or what it asked",
            "correct the agent's user, password or token for that registry",
            None,
        ),
        "REGISTRY_LACKS": _own(
            _Code.NOT_FOUND,
            "a registry does not have what an agent asked it for",
            "nothing: it is copied from elsewhere, or has been removed",
            None,
        ),
        "CONTENT_DAMAGED": _own(
            _Code.UNAVAILABLE,
            "bytes that came from a registry are not those of their digest",
            "let that registry's storage be looked at; nothing of them was stored",
            5_000,
        ),
        "COPY_FAILED": _own(
            _Code.UNAVAILABLE,
            "a copy into an agent's region failed",
            "read in the error whose fault it was; pull from another region meanwhile",
            5_000,
        ),
        "SERVICE_UNREACHABLE": _own(
            _Code.UNAVAILABLE,
            "an agent's door cannot reach the service, which alone can answer this",
            "repeat the call; RankSources and EstimateStarts by digest go on meanwhile",
            1_000,
        ),
        INTERNAL: _own(
            _Code.INTERNAL,
            "the service failed in a way that nobody expected",
            "report the error id of the metadata to the operator",
            None,
        ),
    }
)
"""Of the service, and of the agents beside registries."""
