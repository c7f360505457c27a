"""The header WWW-Authenticate, as registries send it with a 401.

Source: RFC 9110, section 11.6.1; distribution/distribution, spec/auth/token.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

CHALLENGE_LENGTH_MAX: Final = 4096

_PARAMETER: Final = re.compile(
    r'([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"([^"]*)"|([^\s,"]+))'
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asks for; *scheme* in lower case: ``basic`` or ``bearer``."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Return what can be understood of the *headers*, one challenge in each."""
    found: list[Challenge] = []
    for header in headers:
        scheme, _, rest = header[:CHALLENGE_LENGTH_MAX].strip().partition(" ")
        if not scheme:
            continue
        said = {
            name.lower(): quoted or plain
            for name, quoted, plain in _PARAMETER.findall(rest)
        }
        found.append(
            Challenge(
                scheme.lower(),
                said.get("realm", ""),
                said.get("service", ""),
                said.get("scope", ""),
            )
        )
    return tuple(found)
