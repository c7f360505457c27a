"""A story for pictures: four apps are released again and again, some copies by lot not.

What machines wait is played; all else is what the real service decides and counts.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import grpc

from placement.v1 import operations_service_pb2 as operations
from placement.v1 import operations_service_pb2_grpc as operations_grpc
from placement.v1 import replication_service_pb2 as replications
from tests.console_browser import WAIT_SECONDS_MAX, ConsoleService
from tests.console_world import (
    SIZES,
    Line,
    begun,
    done,
    image,
    layer,
    push,
    start,
    starts_requested,
)

APPS: Final = {
    "acme/web": ("ams", ("syd", "lax", "gru")),
    "acme/api": ("iad", ("nrt", "lhr", "jnb")),
    "globex/worker": ("fra", ("sin", "dfw", "bom")),
    "initech/reports": ("sin", ("fra", "sjc", "syd")),
}
VERSIONS: Final = 12
LOT: Final = 'name = "default"\nholdout_fraction = 0.25\n'
POLL_SECONDS: Final = 0.05
THERE_S: Final = 0.33
FAR_S: Final = (17.4, 31.2, 24.9)
OPEN: Final = (
    replications.REPLICATION_STATUS_PLANNED,
    replications.REPLICATION_STATUS_STARTED,
)


def tell_story(console: ConsoleService) -> None:
    """Let all of it happen, and leave the last release under way."""
    rule(console, LOT)
    for repository, (home, regions) in APPS.items():
        console.publish(push(home, repository, "v1", sizes_of(repository)))
        console.publish(first_starts(repository, regions, "v1"))
    for number in range(2, VERSIONS + 1):
        for repository in APPS:
            release(console, repository, f"v{number}")
    for repository in APPS:
        for number in range(1, VERSIONS + 1):
            carry_out(console, repository, f"v{number}")
    for repository, (home, regions) in list(APPS.items())[:3]:
        tag = f"v{VERSIONS + 1}"
        console.publish(push(home, repository, tag, sizes_of(repository)))
        copies = planned(console, repository, tag, len(regions))
        asked = starts_requested("arn", repository, ["arn"], tag)
        console.publish([*map(begun, copies[:1]), asked])


def release(console: ConsoleService, repository: str, tag: str) -> None:
    """Release a version of an app: it is pushed, copied where decided, and started."""
    home, regions = APPS[repository]
    console.publish(push(home, repository, tag, sizes_of(repository)))
    planned(console, repository, tag, len(regions))
    targets = carry_out(console, repository, tag)
    console.publish(
        start(
            region,
            repository,
            f"{repository}-{tag}-{region}",
            THERE_S if region in targets else FAR_S[number % len(FAR_S)],
            tag,
        )
        for number, region in enumerate(regions)
    )


def carry_out(console: ConsoleService, repository: str, tag: str) -> set[str]:
    """Play a replicator that makes all open copies of a version; returns where to."""
    copies = planned(console, repository, tag, 0)
    for copy in copies:
        console.publish(done(copy, contents_of(repository, tag)))
    return {copy.target_region for copy in copies}


def planned(
    console: ConsoleService, repository: str, tag: str, count: int
) -> list[replications.ReplicationDecision]:
    """Return the open copies of a version, once *count* decisions are about it."""
    digest = image(repository, tag)["digest"]
    ends = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < ends:
        listed = console.decisions(repository=repository)
        about = [copy for copy in listed if copy.digest == digest]
        if len(about) >= count:
            return [copy for copy in about if copy.status in OPEN]
        time.sleep(POLL_SECONDS)
    raise AssertionError(repository, tag, listed)


def first_starts(repository: str, regions: Sequence[str], tag: str) -> Iterator[Line]:
    """Yield the starts in regions in which nothing is yet."""
    for number, region in enumerate(regions):
        machine = f"{repository}-{tag}-{region}"
        yield start(region, repository, machine, FAR_S[number % len(FAR_S)], tag)


def sizes_of(repository: str) -> Sequence[int]:
    """Return how many bytes the layers of an app have."""
    times = 1 + len(repository) % 4
    return [size * times for size in SIZES]


def contents_of(repository: str, tag: str) -> list[Line]:
    """Return the descriptors of an image and its layers."""
    layers = [
        layer(repository, number, size, tag)
        for number, size in enumerate(sizes_of(repository))
    ]
    return [image(repository, tag), *layers]


def rule(console: ConsoleService, policy: str) -> None:
    """Put a policy in force."""
    request = operations.SetPolicyRequest(content=policy)
    request.operation.actor = request.operation.reason = "a picture"
    request.operation.request_id = "picture"
    with grpc.insecure_channel(console.target) as channel:
        stub: Any = operations_grpc.OperationsServiceStub(channel)
        stub.SetPolicy(request, timeout=WAIT_SECONDS_MAX)
