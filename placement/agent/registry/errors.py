"""What can go wrong at a registry, told apart by what to do about it."""

from placement.core.errors import PlacementError


class RegistryError(PlacementError):
    """A registry did not do what it was asked."""

    reason = "REGISTRY_FAILED"
    retryable = True
    """Whether the same request may succeed later."""
    retry_after_s = 0.0
    """How long the registry asks to be left alone; 0: it does not say."""


class RegistryUnreachableError(RegistryError):
    """No answer came: refused, hung up, or out of time."""

    reason = "REGISTRY_UNREACHABLE"


class RegistryRefusedError(RegistryError):
    """The registry wants other credentials (401, 403), or forbids what was asked."""

    reason = "REGISTRY_REFUSED"
    retryable = False


class NotThereError(RegistryError):
    """The registry does not have it, or does not say that it has (404)."""

    reason = "REGISTRY_LACKS"
    retryable = False


class ContentDamagedError(RegistryError):
    """The bytes are not those of the digest: nothing of them may be kept."""

    reason = "CONTENT_DAMAGED"
