"""What a reason is: the meaning of an error, and what the caller does about it."""

from dataclasses import dataclass

import grpc


@dataclass(frozen=True, slots=True)
class Reason:
    """What one reason means, and what the caller does about it."""

    code: grpc.StatusCode
    cause: str
    action: str
    retry_delay_ms: int | None = None
    """When the same call may succeed; None: it will fail again."""
    private: bool = False
    """The error's own words are for the operator's log alone: hosts, paths, sizes."""

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.retry_delay_ms is not None
