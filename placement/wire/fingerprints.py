"""What replicas tell each other of their states, as JSON outside the log."""

import json
from dataclasses import asdict, dataclass
from typing import Final

from placement.core.errors import InputError

REPORT_BYTES_MAX: Final = 2_048
_TEXT_MAX: Final = 255
_NUMBER_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Report:
    """The fingerprint of one share of one replica's state at one message."""

    service: str
    """Who says so."""
    sequence: int
    """The last message folded."""
    message_hash: str
    """Of that message, in hexadecimal: whoever folded another one has another log."""
    fold_version: int
    fingerprint: str


def encode_report(report: Report) -> bytes:
    """Return *report* as it is sent."""
    return json.dumps(asdict(report)).encode()


def decode_report(body: bytes) -> Report:
    """Return what *body* says; raises InputError for anything but a report."""
    remedy = "send what another service of this version sends"
    if len(body) > REPORT_BYTES_MAX:
        raise InputError("report", f"{len(body)} bytes", remedy)
    try:
        found = json.loads(body)
        texts = [found[name] for name in ("service", "message_hash", "fingerprint")]
        numbers = [found[name] for name in ("sequence", "fold_version")]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError("report", body[:_TEXT_MAX], remedy) from None
    if not (
        all(isinstance(text, str) and 0 < len(text) <= _TEXT_MAX for text in texts)
        and all(type(one) is int and 0 < one <= _NUMBER_MAX for one in numbers)
    ):
        raise InputError("report", body[:_TEXT_MAX], remedy)
    service, message_hash, fingerprint = texts
    sequence, fold_version = numbers
    return Report(service, sequence, message_hash, fold_version, fingerprint)
