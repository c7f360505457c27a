"""Why ReplicationService refuses what it is asked for."""

from collections.abc import Iterable

from placement.core.deciding.budgets import Refusal
from placement.core.errors import PlacementError
from placement.core.event import ReplicationRequested
from placement.core.tables.cells import DecisionStatus
from placement.core.topology import Region


class RequestConflictError(PlacementError):
    """The id of a request was used for another one."""

    reason = "REQUEST_CONFLICT"

    def __init__(self, request_id: str) -> None:
        """Keep the id for the caller."""
        message = f"request_id {request_id} was used for another request"
        super().__init__(message, request_id=request_id)


class RequestUnknownError(PlacementError):
    """No request of that id is remembered."""

    reason = "REQUEST_UNKNOWN"

    def __init__(self, request_id: str) -> None:
        """Keep the id for the caller."""
        message = f"no request {request_id} is remembered"
        super().__init__(message, request_id=request_id)


class ReplicationUnknownError(PlacementError):
    """No decision of that id is remembered."""

    reason = "REPLICATION_UNKNOWN"

    def __init__(self, replication_id: str) -> None:
        """Keep the id for the caller."""
        message = f"no decision {replication_id} is remembered"
        super().__init__(message, replication_id=replication_id)


class ReplicationClosedError(PlacementError):
    """The decision is done with, or was never to be carried out."""

    reason = "REPLICATION_CLOSED"

    def __init__(self, replication_id: str, status: DecisionStatus) -> None:
        """Keep the id, and how it ended, for the caller."""
        word = status.name.lower()
        super().__init__(
            f"decision {replication_id} is {word}: nobody is to carry it out",
            replication_id=replication_id,
            status=word,
        )


class ResidencyForbiddenError(PlacementError):
    """The policy in force keeps the repository out of the region."""

    reason = "RESIDENCY_FORBIDDEN"

    def __init__(
        self, asked: ReplicationRequested, policy: str, permitted: Iterable[Region]
    ) -> None:
        """Keep what was asked, and where it may be instead, for the caller."""
        allowed = ", ".join(sorted(permitted)) or "nowhere"
        super().__init__(
            f"policy {policy} keeps {asked.repository} out of {asked.target_region}; "
            f"it may be in: {allowed}",
            repository=asked.repository,
            region=asked.target_region,
            policy=policy,
            permitted_regions=allowed,
        )


class BudgetExhaustedError(PlacementError):
    """A budget of the policy in force is spent."""

    reason = "BUDGET_EXHAUSTED"

    def __init__(self, refusal: Refusal, now_ns: int) -> None:
        """Say which budget, and keep when some of it is free again."""
        delay_ms = max(1, -(-(refusal.free_time_ns - now_ns) // 1_000_000))
        super().__init__(
            f"the budget {refusal.budget} is spent; some of it is free again in "
            f"{delay_ms / 1e3:.0f} s",
            budget=refusal.budget,
        )
        self.retry_delay_ms = delay_ms
