"""Plain JSON of any scheduler: what it becomes, and what an error tells."""

import json
from dataclasses import replace

import pytest

from placement.agent.feeds.translation import IgnoredReason, Translation
from placement.agent.registry.errors import RegistryUnreachableError
from placement.agent.starts.catalogue import starts
from placement.agent.starts.images import HUB, Image, parse_image
from placement.agent.starts.machines import MACHINES_MAX
from placement.agent.starts.settings import StartSettings
from placement.core.errors import InputError
from placement.core.event import (
    CacheKind,
    MachinesCounted,
    MachineStarted,
    MachineStopped,
    Name,
    StartCause,
    StartsRequested,
)
from placement.core.oci import Digest, Platform, Repository, Tag
from placement.core.topology import Region

SETTINGS = StartSettings(region=Region("iad"), publisher=Name("agent/iad"))
DIGEST = Digest(f"sha256:{'d' * 64}")
WEB = "registry.example.com/acme/web"
STARTED = {"machine_id": "m-1", "image": f"{WEB}:v1", "time": "2026-08-01T10:00:00Z"}


async def find(repository: Repository, tag: Tag) -> Digest | None:
    """Only v1 of acme/web is known; the registry of acme/down does not answer."""
    if repository == "acme/down":
        message = "down"
        raise RegistryUnreachableError(message)
    return DIGEST if (repository, tag) == ("acme/web", "v1") else None


async def told(document: object, settings: StartSettings = SETTINGS) -> Translation:
    """What a posted *document* means."""
    return await starts(settings, find)["machines"](json.dumps(document).encode(), {})


async def test_start_has_all_that_a_scheduler_may_know() -> None:
    """Every field of the fact can be said."""
    more = {
        "request_time": "2026-08-01T09:59:00Z",
        "image_wait": "53.5s",
        "transferred_bytes": 5,
        "source_region": "syd",
        "platform": "linux/arm64/v8",
        "cache": "remote",
        "cause": "deploy",
        "region": "fra",
    }

    named = replace(SETTINGS, regions={"fra": Region("fra")})
    (event,) = (await told({"started": {**STARTED, **more}}, named)).events

    assert (event.region, event.publisher) == ("fra", "agent/iad")
    assert event.fact == MachineStarted(
        digest=DIGEST,
        repository=Repository("acme/web"),
        machine_id=event.fact.machine_id,  # type: ignore[union-attr]  # of any fact
        tag=Tag("v1"),
        platform=Platform("linux", "arm64", "v8"),
        request_time_ns=event.fact.request_time_ns,  # type: ignore[union-attr]  # of any fact
        image_wait_ns=event.fact.image_wait_ns,  # type: ignore[union-attr]  # of any fact
        source_region=Region("syd"),
        transferred_bytes=5,
        cache=CacheKind.REMOTE,
        cause=StartCause.DEPLOY,
    )
    assert isinstance(event.fact, MachineStarted)
    assert event.fact.image_wait_ns == 53_500_000_000


async def test_one_body_holds_many_of_every_kind() -> None:
    """A scheduler without a stream posts what it has."""
    machines = [
        {"machine_id": "m-1", "image": f"{WEB}:v1"},
        {"machine_id": "m-2", "image": f"{WEB}:v1"},
        {"machine_id": "m-3", "image": f"{WEB}:unknown"},
    ]
    document = {
        "started": [STARTED, {**STARTED, "machine_id": "m-2"}],
        "stopped": {"machine_id": "m-0", "time": "2026-08-01T10:00:00Z"},
        "counted": {
            "scan_time": "2026-08-01T10:00:00Z",
            "complete": True,
            "machines": machines,
        },
        "requested": {
            "image": f"{WEB}:v2",
            "regions": ["syd", "fra"],
            "count": 3,
            "request_id": "r",
        },
    }

    translation = await told(document)

    facts = [event.fact for event in translation.events]
    kinds = [
        MachineStarted,
        MachineStarted,
        MachineStopped,
        MachinesCounted,
        StartsRequested,
    ]
    assert [type(fact) for fact in facts] == kinds
    counted, requested = facts[3:]
    assert isinstance(counted, MachinesCounted)
    assert [group.machine_ids for group in counted.groups] == [("m-1", "m-2")]
    assert isinstance(requested, StartsRequested)
    assert (requested.reference, requested.regions) == ("v2", ("syd", "fra"))


async def test_tag_that_nobody_knows_makes_no_event() -> None:
    """Demand for an unknown digest is demand for nothing; the registry may be down."""
    for image in (f"{WEB}:v9", "registry.example.com/acme/down:v1"):
        translation = await told({"started": {**STARTED, "image": image}})
        assert [one.reason for one in translation.ignored] == [
            IgnoredReason.TAG_UNKNOWN
        ]


async def test_image_of_another_registry_is_ignored() -> None:
    """Where registries are configured, only their images count."""
    settings = replace(SETTINGS, registries=("registry.example.com",))

    ours = await told({"started": STARTED}, settings)
    hub = await told({"started": {**STARTED, "image": f"nginx@{DIGEST}"}}, settings)

    assert len(ours.events) == 1
    assert [one.reason for one in hub.ignored] == [IgnoredReason.OTHER_REGISTRY]


@pytest.mark.parametrize(
    ("document", "field", "remedy"),
    [
        ({}, "body", "give one of started"),
        ([], "body", "JSON object"),
        ({"begun": {}}, "body.begun", "is it started"),
        ({"started": {**STARTED, "imge": "x"}}, "started.imge", "is it image"),
        (
            {"started": {**STARTED, "time": None}},
            "started.time",
            "give when it started",
        ),
        ({"started": [{**STARTED, "image": "A/B"}]}, "started[0].image", "lower-case"),
        ({"started": {**STARTED, "image_wait": "soon"}}, "started.image_wait", "53.5s"),
        ({"started": {**STARTED, "cache": "moon"}}, "started.cache", "host, region"),
        (
            {"started": {**STARTED, "platform": "arm"}},
            "started.platform",
            "linux/amd64",
        ),
        ({"started": {**STARTED, "region": "A B"}}, "started.region", "iad"),
        ({"started": {**STARTED, "region": "fra"}}, "started.region", "this one is"),
        (
            {
                "stopped": {
                    "machine_id": "m",
                    "time": "2026-08-01T10:00:00Z",
                    "region": "syd",
                }
            },
            "stopped.region",
            "agent.starts.regions",
        ),
        (
            {"stopped": {"time": "2026-08-01T10:00:00Z"}},
            "stopped.machine_id",
            "printable",
        ),
        ({"counted": {"machines": []}}, "counted.scan_time", "before the machines"),
        ({"requested": {"image": "a/b"}}, "requested.request_id", "printable"),
        (
            {"requested": {"image": "a/b", "request_id": "r", "regions": "syd"}},
            "requested.regions",
            "list of regions",
        ),
    ],
)
async def test_error_names_field_value_and_remedy(
    document: object, field: str, remedy: str
) -> None:
    """Whoever writes the JSON can mend it from the answer alone."""
    (fault,) = (await told(document)).malformed

    assert fault.field == field
    assert remedy in fault.remedy


async def test_page_of_a_count_has_a_limit() -> None:
    """More is given in several pages, of which the last alone is complete."""
    machines = [
        {"machine_id": f"m-{n}", "image": f"{WEB}:v1"} for n in range(MACHINES_MAX + 1)
    ]
    count = {"scan_time": "2026-08-01T10:00:00Z", "machines": machines}

    (fault,) = (await told({"counted": count})).malformed

    assert fault.field == "counted.machines"


async def test_repeated_post_is_the_same_events() -> None:
    """A sender repeats what was not answered; its own event ids count, where given."""
    first, again = await told({"started": STARTED}), await told({"started": STARTED})
    named = await told({"started": {**STARTED, "event_id": "mine-1"}})

    assert first == again
    assert [event.event_id for event in named.events] == ["mine-1"]


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("nginx", Image(HUB, Repository("library/nginx"), Tag("latest"))),
        ("a/b:1", Image(HUB, Repository("a/b"), Tag("1"))),
        ("docker.io/nginx:1", Image(HUB, Repository("library/nginx"), Tag("1"))),
        ("localhost/a", Image("localhost", Repository("a"), Tag("latest"))),
        ("r.io:5000/a/b", Image("r.io:5000", Repository("a/b"), Tag("latest"))),
        (f"r.io/a@{DIGEST}", Image("r.io", Repository("a"), None, DIGEST)),
        (f"r.io/a:v1@{DIGEST}", Image("r.io", Repository("a"), Tag("v1"), DIGEST)),
    ],
)
def test_image_is_read_as_a_runtime_reads_it(text: str, image: Image) -> None:
    """Docker Hub's short names, ports, tags and digests."""
    assert parse_image(text) == image


def test_what_is_no_image_is_refused_by_name() -> None:
    """The error names the field that the caller gave."""
    for text in ("", "A", "a:b:c", "a@sha256:1", "x" * 2_000):
        with pytest.raises(InputError):
            parse_image(text, "started.image")
