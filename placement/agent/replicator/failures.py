"""Why a copy failed: whose fault it was, and whether another attempt is worth it."""

from collections.abc import Iterator
from contextlib import contextmanager

from placement.agent.registry.errors import (
    ContentDamagedError,
    NotThereError,
    RegistryError,
)
from placement.core.errors import PlacementError
from placement.core.facts.values import FailureCause


class CopyFailedError(PlacementError):
    """A copy failed; *cause* is whose fault it was."""

    reason = "COPY_FAILED"

    def __init__(
        self, message: str, cause: FailureCause, *, retryable: bool = True
    ) -> None:
        """Keep what the planner is to be told."""
        super().__init__(message)
        self.cause = cause
        self.retryable = retryable


@contextmanager
def at_source() -> Iterator[None]:
    """Turn what a source's registry raises into whose fault that is."""
    try:
        yield
    except NotThereError as error:
        cause = FailureCause.CONTENT_GONE
        raise CopyFailedError(str(error), cause, retryable=False) from error
    except ContentDamagedError as error:
        cause = FailureCause.CONTENT_CORRUPT
        raise CopyFailedError(str(error), cause) from error
    except RegistryError as error:
        cause, worth = FailureCause.SOURCE, error.retryable
        raise CopyFailedError(str(error), cause, retryable=worth) from error


@contextmanager
def at_target() -> Iterator[None]:
    """Turn what our own registry raises into whose fault that is."""
    try:
        yield
    except ContentDamagedError as error:
        cause = FailureCause.CONTENT_CORRUPT
        raise CopyFailedError(str(error), cause) from error
    except RegistryError as error:
        cause, worth = FailureCause.TARGET, error.retryable
        raise CopyFailedError(str(error), cause, retryable=worth) from error
