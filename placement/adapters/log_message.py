"""What a message of the log may be, whichever adapter stores it."""

from placement.core.errors import LimitInvalidError

MESSAGE_BYTES_MAX = 1 << 20
"""A stored message with its headers; also the broker's default ``max_payload``."""

HEADER_BYTES_MAX = 4 << 10
"""What an adapter keeps of that for its own headers."""

BODY_BYTES_MAX = MESSAGE_BYTES_MAX - HEADER_BYTES_MAX


def matches(pattern: str, subject: str) -> bool:
    """Say whether *subject* is one of *pattern*.

    In it ``*`` stands for any one token, and a last ``>`` for one or more.
    """
    wanted, found = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(found) <= len(wanted):
            return False
        found = found[: len(wanted)]
    pairs = zip(wanted, found, strict=False)
    return len(wanted) == len(found) and all(w in {"*", f} for w, f in pairs)


def check_body(body: bytes) -> None:
    """Raise LimitInvalidError unless *body* fits into a message."""
    if len(body) > BODY_BYTES_MAX:
        field, size = "body", f"{len(body)} bytes"
        remedy = f"at most {BODY_BYTES_MAX} bytes; publish it as several batches"
        raise LimitInvalidError(field, size, remedy)
