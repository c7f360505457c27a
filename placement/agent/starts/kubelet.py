"""What a kubelet says of pulling an image, in the words of all its versions.

1.19 and before told no duration; 1.20 told one; 1.27 told it without and with waiting
for other pulls; 1.31 adds the size. Durations are Go's. Source: kubernetes/kubernetes,
``pkg/kubelet/images/image_manager.go``.
"""

import re
from dataclasses import dataclass
from typing import Final

from placement.agent.feeds.times import parse_go_duration_ns
from placement.core.event import CacheKind, DurationNs

MESSAGE_LENGTH_MAX: Final = 4_096

_PULLED: Final = re.compile(
    r'Successfully pulled image "(?P<image>[^"]*)"'
    r"(?: in (?P<pull>[0-9hmsnu.\u00b5\u03bc]+))?"
    r"(?: \((?P<wait>[0-9hmsnu.\u00b5\u03bc]+) including waiting\))?"
)
_PRESENT: Final = re.compile(
    r'Container image "(?P<image>[^"]*)" already present on machine'
)


@dataclass(frozen=True, slots=True)
class Pull:
    """How a container came by its image."""

    image: str
    wait_ns: DurationNs | None
    """Waiting for other pulls included, where the kubelet tells it."""
    cache: CacheKind
    """HOST where the image was there; where it came from else, nobody says."""


def parse_pulled(message: str) -> Pull | None:
    """Return what the message of a Pulled event says; None for other messages."""
    if len(message) > MESSAGE_LENGTH_MAX:
        return None
    match = _PRESENT.search(message)
    if match:
        return Pull(match["image"], DurationNs(0), CacheKind.HOST)
    match = _PULLED.search(message)
    if match is None:
        return None
    said = match["wait"] or match["pull"]
    wait_ns = parse_go_duration_ns(said) if said else None
    return Pull(match["image"], wait_ns, CacheKind.UNSPECIFIED)
