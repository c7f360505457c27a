"""What a command says and answers when it cannot do its work."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from placement.core.errors import InputError, PlacementError

OK: Final = 0
FAILED: Final = 1
INVALID: Final = 2
TIMED_OUT: Final = 3
UNAVAILABLE: Final = 4
UNFLUSHED: Final = 70
BLOCKED: Final = 71
UNFOLDABLE: Final = 72
INTERRUPTED: Final = 130

EXITS: Final[Mapping[int, str]] = MappingProxyType(
    {
        OK: "done",
        FAILED: "failed, or the answer is no",
        INVALID: "wrong usage or input",
        TIMED_OUT: "timed out",
        UNAVAILABLE: "service or log out of reach",
        UNFLUSHED: "of what runs on: the disk failed to flush; start it again",
        BLOCKED: "of what runs on: its loop stood still; start it again",
        UNFOLDABLE: "of `serve`: a message cannot be folded; start it again",
        INTERRUPTED: "interrupted by Ctrl-C",
    }
)
"""Every exit code with its meaning. They never change: scripts decide by them."""

EXIT_CODES: Final = "; ".join(f"{code} {EXITS[code]}" for code in range(5)) + "."

EXIT_OF_STATUS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "CANCELLED": FAILED,
        "UNKNOWN": FAILED,
        "INVALID_ARGUMENT": INVALID,
        "DEADLINE_EXCEEDED": TIMED_OUT,
        "NOT_FOUND": FAILED,
        "ALREADY_EXISTS": FAILED,
        "PERMISSION_DENIED": FAILED,
        "RESOURCE_EXHAUSTED": FAILED,
        "FAILED_PRECONDITION": FAILED,
        "ABORTED": FAILED,
        "OUT_OF_RANGE": INVALID,
        "UNIMPLEMENTED": FAILED,
        "INTERNAL": FAILED,
        "UNAVAILABLE": UNAVAILABLE,
        "DATA_LOSS": FAILED,
        "UNAUTHENTICATED": FAILED,
    }
)
"""What a command ends with when its call failed, by the call's gRPC status."""

_REMEDIES: Final = {
    "UNAVAILABLE": "start it with `placement serve`, or name it with --server",
    "DEADLINE_EXCEEDED": "give it more with --timeout SECONDS",
    "REGION_UNKNOWN": "`placement status --regions` lists it",
}
"""In the words of the command line, for reasons whose own remedy is a program's."""


def failure(error: PlacementError) -> tuple[str, int]:
    """Return what to tell the user of *error*, and the exit code."""
    status = getattr(getattr(error, "code", None), "name", "")
    if status:
        return _call_message(error, status), EXIT_OF_STATUS[status]
    code = getattr(error, "exit_code", FAILED)  # of what ends a service
    if isinstance(error, InputError) or error.reason == "CONFIG_INVALID":
        code = INVALID
    elif error.reason == "LOG_UNAVAILABLE":
        code = UNAVAILABLE
    return f"error: {error}  [{error.reason}]", code


def _call_message(error: PlacementError, status: str) -> str:
    """Return what a failed call says, and its remedy unless it says that already."""
    said = str(error)
    if error.reason == "UNAVAILABLE":
        said = "no service answers there"
    elif error.reason == "DEADLINE_EXCEEDED":
        said = "the service did not answer in time"
    elif error.reason == "REGION_UNKNOWN":
        said = said.partition(";")[0]
    remedy = _REMEDIES.get(error.reason) or error.metadata.get("remedy", "")
    tail = f": {remedy}" if remedy and remedy not in said else ""
    return f"error: {said}{tail}  [{error.reason or status}]"
