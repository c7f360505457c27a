"""The keys of ``[limits]``: how much is let in when more comes than can be answered."""

from typing import Annotated, Final

from placement.config.values import Section, said

COUNT_MAX: Final = 10**12


class LimitsConfig(Section):
    """Limits of the service; see docs/overload.md."""

    queue_ms: Annotated[
        float,
        said(
            "milliseconds that calls may wait for their turn before some are sent away,"
            " 0 to 10,000; 0: none ever is",
            ge=0,
            le=10_000,
        ),
    ] = 5.0
    retry_ms: Annotated[
        float,
        said(
            "milliseconds after which those come back at the soonest, 10 to 60,000",
            ge=10,
            le=60_000,
        ),
    ] = 250.0
    caller_weight_per_second: Annotated[
        float,
        said(
            "calls of one caller each second, weighed as docs/overload.md says;"
            " 0: no limit",
            ge=0,
            le=COUNT_MAX,
        ),
    ] = 0.0
    identity_weight_per_second: Annotated[
        float,
        said(
            "the same of all callers whose certificates name the same;"
            " 0: 16 times what one caller may",
            ge=0,
            le=COUNT_MAX,
        ),
    ] = 0.0
    tenant_weight_per_second: Annotated[
        float,
        said(
            "the same of all callers of one tenant together; 0: no limit",
            ge=0,
            le=COUNT_MAX,
        ),
    ] = 0.0
    watches: Annotated[
        int, said("watches that may be open, 1 to 100,000", ge=1, le=100_000)
    ] = 256
    caller_watches: Annotated[
        int, said("the same of one caller; 0: no limit", ge=0, le=100_000)
    ] = 64
    identity_watches: Annotated[
        int,
        said(
            "the same of all callers whose certificates name the same; 0: half of all",
            ge=0,
            le=100_000,
        ),
    ] = 0
    tenant_watches: Annotated[
        int, said("the same of one tenant; 0: no limit", ge=0, le=100_000)
    ] = 64
    snapshots: Annotated[
        int, said("snapshots that are told at once, 1 to 1,000", ge=1, le=1_000)
    ] = 8
    caller_new_contents_per_second: Annotated[
        float,
        said(
            "contents that nobody announced before, in events that one caller"
            " publishes; 0: no limit",
            ge=0,
            le=COUNT_MAX,
        ),
    ] = 0.0
    new_contents_burst: Annotated[
        float,
        said(
            "so many of them at once; 0: two seconds' worth",
            ge=0,
            le=COUNT_MAX,
        ),
    ] = 0.0
    contents_max: Annotated[
        int,
        said(
            "contents; with so many known no caller publishes new ones; 0: no limit",
            ge=0,
            le=COUNT_MAX,
        ),
    ] = 0
