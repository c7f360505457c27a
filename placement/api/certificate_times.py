"""Until when certificates hold, read from their PEM files.

The standard library tells that of a peer's certificate only, so the few bytes that lead
to the date are walked here: RFC 5280, section 4.1.
"""

import re
import ssl
from calendar import timegm
from collections.abc import Iterator
from time import strptime
from typing import Final

_PEM: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_LONG: Final = 0x80
_VALIDITY: Final = 3
"""Its place in a certificate, behind serial number, algorithm and issuer."""
_CENTURY: Final = 50
"""Two-digit years from here on are of the last century."""


def expiry_seconds(pem: bytes) -> int | None:
    """Return when the first of a file's certificates runs out, in Unix seconds.

    None where there is no certificate that can be read.
    """
    found = _PEM.findall(pem.decode("latin-1"))
    try:
        times = [_not_after(ssl.PEM_cert_to_DER_cert(text)) for text in found]
    except (ValueError, IndexError, StopIteration):  # what only looks like one
        return None
    return min(times, default=None)


def _not_after(der: bytes) -> int:
    [(_, certificate)] = _parts(der)
    _, signed = next(_parts(certificate))
    fields = [part for part in _parts(signed) if part[0] != _VERSION]
    _, (kind, time) = _parts(fields[_VALIDITY][1])
    text = time.decode("ascii")
    if kind == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _CENTURY else "20") + text
    elif kind != _GENERALIZED_TIME:
        raise ValueError(kind)
    return timegm(strptime(text, "%Y%m%d%H%M%SZ"))


def _parts(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of the values that *body* consists of."""
    at = 0
    while at < len(body):
        tag, length, at = body[at], body[at + 1], at + 2
        if length & _LONG:
            size = length & ~_LONG
            length, at = int.from_bytes(body[at : at + size], "big"), at + size
        yield tag, body[at : at + length]
        at += length
