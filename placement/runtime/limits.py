"""How much a service lets in, as its operator chose; docs/overload.md explains."""

from dataclasses import dataclass, field
from typing import Final

from placement.runtime.pressure import PressureSettings

REFUSALS: Final = (
    "deadline",
    "overloaded",
    "caller",
    "identity",
    "tenant",
    "watches",
    "contents",
)
"""Why a call is refused: the closed list of what is counted."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How much is let in; 0: without a limit."""

    pressure: PressureSettings = field(default_factory=PressureSettings)
    caller_weight_per_second: float = 0.0
    """Of one caller's calls, each weighing what its kind says."""
    identity_weight_per_second: float = 0.0
    """The same, of all callers that show one certificate; 0: some callers' shares."""
    tenant_weight_per_second: float = 0.0
    """The same, of all callers of one tenant together."""
    caller_watches: int = 64
    identity_watches: int = 128
    tenant_watches: int = 64
    caller_new_contents_per_second: float = 0.0
    """Contents that nobody announced before, in events that one caller publishes."""
    new_contents_burst: float = 0.0
    """What a caller may publish of them at once; 0: two seconds' worth."""
    contents_max: int = 0
    """With so many known no event that brings another is taken from a caller."""
