"""What can go wrong by the fault of an input, each with its machine-readable reason."""

from collections.abc import Sequence


class PlacementError(Exception):
    """The root of all expected failures.

    ``reason`` is from the closed list of docs/reference/errors.md: an OCI code where
    one exists.
    ``metadata`` holds the facts that a program may want to read.
    """

    reason = "UNKNOWN"
    retry_delay_ms: int | None = None
    """When the same call may succeed, where the error itself knows that."""

    def __init__(self, message: str, **metadata: str) -> None:
        """Keep *metadata* for the caller."""
        super().__init__(message)
        self.metadata = metadata


class InputError(PlacementError):
    """A field's value is not acceptable; says which, and what would be."""

    reason = "INPUT_INVALID"

    def __init__(self, field: str, value: object, remedy: str) -> None:
        """Name the *field*, show the start of its *value*, and say the *remedy*."""
        shown = clipped(value)
        super().__init__(f"{field}: {shown} is not valid: {remedy}")
        self.field = field
        self.value = shown
        self.remedy = remedy
        self.metadata = {"field": field, "value": shown, "remedy": remedy}

    def within(self, outer: str) -> "InputError":
        """Return the same error with its field named from *outer* inwards."""
        joined = f"{outer}.{self.field}" if self.field else outer
        return _restored(type(self), joined, self.value, self.remedy)

    def __reduce__(self) -> tuple[object, ...]:
        """Let another process raise it."""
        return _restored, (type(self), self.field, self.value, self.remedy)


def _restored(
    kind: type[InputError], field: str, shown: str, remedy: str
) -> InputError:
    """Return the error of *kind* whose value is *shown* as it is."""
    error = kind.__new__(kind)
    PlacementError.__init__(error, f"{field}: {shown} is not valid: {remedy}")
    error.field, error.value, error.remedy = field, shown, remedy
    error.metadata = {"field": field, "value": shown, "remedy": remedy}
    return error


class DigestInvalidError(InputError):
    """Not a whole ``algorithm:hex`` digest of a known algorithm."""

    reason = "DIGEST_INVALID"


class NameInvalidError(InputError):
    """Not a repository name of the OCI distribution specification."""

    reason = "NAME_INVALID"


class TagInvalidError(InputError):
    """Not a tag of the OCI distribution specification."""

    reason = "TAG_INVALID"


class RegionInvalidError(InputError):
    """Not a well-formed region code."""

    reason = "REGION_INVALID"


class TextInvalidError(InputError):
    """A text that is too long, empty, or holds characters that it must not."""

    reason = "TEXT_INVALID"


class NumberInvalidError(InputError):
    """A number outside its range."""

    reason = "NUMBER_INVALID"


class TimeInvalidError(InputError):
    """A moment outside the range that can be kept, or too far in the future."""

    reason = "TIME_INVALID"


class LimitInvalidError(InputError):
    """More, or fewer, than a documented limit allows."""

    reason = "LIMIT_INVALID"


class TokenInvalidError(InputError):
    """Not a consistency token of this service."""

    reason = "TOKEN_INVALID"


class PageTokenInvalidError(InputError):
    """A page token of another filter, or of a state that has moved on."""

    reason = "PAGE_TOKEN_INVALID"


class PolicyUnknownError(InputError):
    """Not the name of a policy."""

    reason = "POLICY_UNKNOWN"


class PolicyInvalidError(InputError):
    """A policy has an unknown key, or a value outside its limits."""

    reason = "POLICY_INVALID"


class CandidatesInvalidError(InputError):
    """A region expression that names nothing of the catalogue."""

    reason = "CANDIDATES_INVALID"


class FactUnknownError(InputError):
    """An event without a fact, or with one that this version does not know."""

    reason = "FACT_UNKNOWN"


class ContentUnknownError(PlacementError):
    """No region is known to hold the content in the repository."""

    reason = "BLOB_UNKNOWN"

    def __init__(self, repository: str, digest: str) -> None:
        """Keep both for the caller."""
        super().__init__(
            f"nobody announced {digest} in repository {repository}",
            repository=repository,
            digest=digest,
        )


class ManifestUnknownError(PlacementError):
    """The repository has no such tag."""

    reason = "MANIFEST_UNKNOWN"

    def __init__(self, repository: str, reference: str) -> None:
        """Keep both for the caller."""
        super().__init__(
            f"repository {repository} has no tag {reference}",
            repository=repository,
            reference=reference,
        )


class PlatformUnknownError(PlacementError):
    """The image has no such platform."""

    reason = "PLATFORM_UNKNOWN"

    def __init__(
        self, repository: str, reference: str, platform: str, offered: Sequence[str]
    ) -> None:
        """Keep all for the caller; *offered* is what there is instead."""
        there = ", ".join(offered) or "none that is known"
        super().__init__(
            f"{repository} {reference} has no platform {platform}; it has {there}",
            repository=repository,
            reference=reference,
            platform=platform,
        )


class NameUnknownError(PlacementError):
    """No event ever named the repository."""

    reason = "NAME_UNKNOWN"

    def __init__(self, repository: str) -> None:
        """Keep it for the caller."""
        super().__init__(f"no such repository: {repository}", repository=repository)


class RegionUnknownError(PlacementError):
    """The region is not in the catalogue."""

    reason = "REGION_UNKNOWN"

    def __init__(self, region: str) -> None:
        """Keep it for the caller."""
        super().__init__(
            f"region {region} is not in the catalogue; GetServiceInfo lists it",
            region=region,
        )


def region_unlisted(field: str, region: str, remedy: str) -> InputError:
    """Return the error of a *field* that names a region of no catalogue."""
    error = InputError(field, region, remedy)
    error.reason = RegionUnknownError.reason
    return error


def clipped(value: object, length: int = 80) -> str:
    """Return *value* as at most *length* printable ASCII characters."""
    try:
        shown = ascii(str(value))
    # Of a number of many thousand digits, or of what is nested too deep.
    except (ValueError, RecursionError):
        shown = f"({type(value).__name__} too long to show)"
    return shown if len(shown) <= length else shown[: length - 3] + "..."
