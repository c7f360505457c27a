"""Plain look-ups: references, placements, and replicas in a stated order."""

import pytest

from placement.core.arrival import Arrival, Expectation
from placement.core.errors import (
    ContentUnknownError,
    ManifestUnknownError,
    NameUnknownError,
)
from placement.core.estimate import Duration
from placement.core.lookup import (
    RegionDemand,
    RegionStanding,
    list_replicas,
    placement_of,
    resolve,
)
from placement.core.network import Network
from placement.core.oci import Descriptor, Repository, Tag
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region
from tests.builders import (
    AMD64,
    AMS,
    API,
    ATTESTATION,
    FRA,
    IAD,
    INDEX,
    LATEST,
    LAYER,
    MANIFEST,
    SECOND_NS,
    START_NS,
    TOPOLOGY,
    WEB,
    A,
    B,
    descriptor,
    evicted,
    folded,
    pulled,
    pushed,
    started,
    tagged,
)
from tests.steps import taken


def test_tag_resolves_to_what_it_points_to_now() -> None:
    """With the region that set it and when: a stale tag would start the wrong thing."""
    state = folded(pushed("a", AMS, tag=LATEST), pushed("b", IAD, tag=LATEST))

    found = resolve(state, WEB, LATEST)

    assert found.content == Descriptor(B, LAYER, 10_000_000)
    assert found.pointer is not None
    assert (found.pointer.region, found.pointer.time_ns, found.pointer.sequence) == (
        IAD,
        START_NS + 2 * SECOND_NS,
        2,
    )


def test_digest_resolves_to_itself() -> None:
    """If anybody announced it in the repository."""
    state = folded(pushed("a", AMS))

    assert resolve(state, WEB, A).content.digest == A
    assert resolve(state, WEB, A).pointer is None


@pytest.mark.parametrize(
    ("repository", "reference", "error"),
    [
        (WEB, B, ContentUnknownError),
        (API, A, ContentUnknownError),
        (WEB, LATEST, ManifestUnknownError),
        (API, LATEST, ManifestUnknownError),
    ],
)
def test_unknown_reference_says_what_is_unknown(
    repository: Repository, reference: Tag, error: type[Exception]
) -> None:
    """By the codes of the distribution specification, for repository and content."""
    state = folded(pushed("a", AMS))

    with pytest.raises(error):
        resolve(state, repository, reference)


def test_placement_says_where_an_image_is_and_who_uses_it() -> None:
    """Everything about one image on one page."""
    state = folded(
        pushed(
            "a",
            AMS,
            size_bytes=1,
            media_type=INDEX,
            tag=LATEST,
            references=[
                descriptor("b", 10, MANIFEST, AMD64),
                descriptor("c", 100, MANIFEST, ATTESTATION),
            ],
        ),
        pushed("b", AMS, size_bytes=10, media_type=MANIFEST),
        pushed("b", FRA, size_bytes=10, media_type=MANIFEST),
        pulled("a", FRA),
        started("a", IAD),
    )

    network = Network(state, TOPOLOGY, START_NS)
    found = taken(placement_of(network, WEB, LATEST))

    assert (found.organization, found.app) == ("acme", "acme/web")
    assert (found.image_size_bytes, found.platforms) == (111, (AMD64,))
    assert found.tags == (LATEST,)
    created_ns = START_NS + SECOND_NS
    from_ams = network.route(AMS, FRA).duration(1)
    assert found.regions == (
        RegionStanding(
            AMS,
            ReplicaPhase.COMPLETE,
            complete=True,
            missing_bytes=100,
            mountable_bytes=0,
            create_time_ns=created_ns,
            expectation=Expectation(Arrival.READY, Duration(0, 0), None),
        ),
        RegionStanding(
            FRA,
            ReplicaPhase.ABSENT,
            complete=False,
            missing_bytes=101,
            mountable_bytes=0,
            create_time_ns=0,
            expectation=Expectation(Arrival.UNWANTED, from_ams, AMS),
        ),
    )
    assert found.demands == (
        RegionDemand(FRA, 1, 0, 0, START_NS + 4 * SECOND_NS, 0.0),
        RegionDemand(IAD, 0, 1, 1, START_NS + 5 * SECOND_NS, 1.0),
    )


def listed(
    state: State,
    repository: Repository | None = None,
    region: Region | None = None,
    after: tuple[str, str, str] = ("", "", ""),
) -> list[tuple[str, str, str]]:
    """Return the replicas as repository, letter of the digest, region."""
    return [
        (replica.repository, replica.digest[7], replica.record.region)
        for replica in list_replicas(state, repository, region, after)
    ]


STATE = folded(
    pushed("b", AMS, WEB),
    pushed("a", FRA, WEB),
    pushed("a", AMS, WEB),
    pushed("c", AMS, WEB),
    evicted("c", AMS, WEB),
    pushed("a", AMS, API),
    tagged("latest", "d", AMS),
)


def test_replicas_are_listed_by_repository_digest_and_region() -> None:
    """In that order, without those that are gone."""
    assert listed(STATE) == [
        ("acme/api", "a", "ams"),
        ("acme/web", "a", "ams"),
        ("acme/web", "a", "fra"),
        ("acme/web", "b", "ams"),
    ]


def test_list_can_be_of_one_repository_or_region() -> None:
    """Or both."""
    assert listed(STATE, WEB, FRA) == [("acme/web", "a", "fra")]
    assert listed(STATE, API) == [("acme/api", "a", "ams")]
    assert listed(STATE, region=Region("syd")) == []


def test_list_goes_on_after_any_replica() -> None:
    """A page begins where the last one ended, whether or not that is still there."""
    every = list_replicas(STATE, None, None, ("", "", ""))
    keys = [replica.key for replica in every]

    rests = [len(listed(STATE, after=key)) for key in keys]

    assert rests == [3, 2, 1, 0]
    assert listed(STATE, after=("acme/web", "", ""))[0] == ("acme/web", "a", "ams")


def test_list_of_an_unknown_repository_is_an_error() -> None:
    """A misspelt name must not look like an empty repository."""
    with pytest.raises(NameUnknownError):
        listed(STATE, Repository("acme/wep"))
