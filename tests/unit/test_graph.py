"""An image as a graph: what it needs, what a region has of it, what can be mounted."""

from placement.core.graph import (
    CONTENTS_MAX,
    ImageStanding,
    contents,
    is_attestation,
    mountable,
    mounts,
    pull_bytes,
    standing,
    to_move,
    variants,
)
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from tests.builders import (
    AMD64,
    AMS,
    API,
    ARM64,
    ATTESTATION,
    FRA,
    INDEX,
    MANIFEST,
    SYD,
    WEB,
    A,
    B,
    C,
    descriptor,
    digest,
    folded,
    pushed,
)

# An index of two platforms and an attestation, which share one layer:
#   a (10) -> b (20, amd64) -> layers 1 (100), 2 (200)
#          -> c (30, arm64) -> layers 1 (100), 3 (400)
#          -> d (40, attestation)
INDEX_OF_TWO = pushed(
    "a",
    AMS,
    size_bytes=10,
    media_type=INDEX,
    references=[
        descriptor("b", 20, MANIFEST, AMD64),
        descriptor("c", 30, MANIFEST, ARM64),
        descriptor("d", 40, MANIFEST, ATTESTATION),
    ],
)
FOR_AMD = pushed(
    "b", AMS, size_bytes=20, references=[descriptor("1", 100), descriptor("2", 200)]
)
FOR_ARM = pushed(
    "c", AMS, size_bytes=30, references=[descriptor("1", 100), descriptor("3", 400)]
)
LAYERS = [
    pushed(name, AMS, size_bytes=size)
    for name, size in (("1", 100), ("2", 200), ("3", 400))
]


def names(state: State, rows: list[Row]) -> list[str]:
    """Return the letters that the digests of *rows* stand for."""
    return [state.digest_at(row)[7] for row in rows]


def rows_in(
    state: State, region: Region, repository: Repository = WEB, content: Digest = A
) -> tuple[Row, Row, Row]:
    """Return the rows of a repository, a content and a region."""
    return (
        state.find_repository(repository),
        state.find_digest(content),
        state.regions.find(region.encode()),
    )


def test_image_consists_of_all_that_it_refers_to() -> None:
    """Each content once, however often it is referred to, level by level."""
    state = folded(INDEX_OF_TWO, FOR_AMD, FOR_ARM)

    assert names(state, contents(state, state.find_digest(A))) == list("abcd123")


def test_machine_pulls_one_platform() -> None:
    """The index, one manifest and its layers; an attestation runs nowhere."""
    state = folded(INDEX_OF_TWO, FOR_AMD, FOR_ARM)

    found = variants(state, state.find_digest(A))

    assert [(str(platform), names(state, rows)) for platform, rows in found] == [
        ("linux/amd64", list("ab12")),
        ("linux/arm64/v8", list("ac13")),
    ]
    assert pull_bytes(state, state.find_digest(A)) == 10 + 30 + 100 + 400


def test_manifest_is_one_variant() -> None:
    """Of no platform that anybody has told."""
    state = folded(FOR_AMD)

    [(platform, rows)] = variants(state, state.find_digest(B))

    assert (platform, names(state, rows)) == (None, list("b12"))


def test_index_of_nothing_but_attestations_is_itself() -> None:
    """There is always something to pull."""
    state = folded(
        pushed(
            "a",
            AMS,
            size_bytes=10,
            media_type=INDEX,
            references=[descriptor("d", 40, MANIFEST, ATTESTATION)],
        )
    )

    [(_, rows)] = variants(state, state.find_digest(A))

    assert names(state, rows) == ["a"]
    assert is_attestation(ATTESTATION)
    assert not is_attestation(None)


def test_circle_of_references_ends() -> None:
    """Nobody can build one by digest; somebody may claim one."""
    state = folded(
        pushed("a", AMS, references=[descriptor("b", media_type=MANIFEST)]),
        pushed("b", AMS, references=[descriptor("a", media_type=MANIFEST)]),
    )

    assert names(state, contents(state, state.find_digest(A))) == ["a", "b"]


def test_graph_is_followed_four_levels_down() -> None:
    """What is deeper is left out."""
    chain = [
        pushed(name, AMS, references=[descriptor(child, media_type=MANIFEST)])
        for name, child in zip("abcdef", "bcdef0", strict=True)
    ]

    state = folded(*chain)

    assert names(state, contents(state, state.find_digest(A))) == list("abcde")


def test_image_of_too_many_contents_is_cut_off() -> None:
    """No graph can hold up an answer."""
    manifests = [descriptor(f"m{n}", 1, MANIFEST) for n in range(5)]
    layers = [[descriptor(f"l{n}-{i}", 1) for i in range(1024)] for n in range(5)]
    told = [pushed("a", AMS, references=manifests, media_type=INDEX)]
    told.extend(
        pushed(f"m{n}", AMS, size_bytes=1, references=layers[n]) for n in range(5)
    )

    state = folded(*told)

    assert len(contents(state, state.find_digest(A))) == CONTENTS_MAX == 4096


def test_region_is_complete_per_platform() -> None:
    """All of one platform is enough to serve it; what lacks is counted over all."""
    state = folded(INDEX_OF_TWO, FOR_AMD, FOR_ARM, *LAYERS[:2])

    found = standing(state, *rows_in(state, AMS))

    assert found == ImageStanding(
        complete=True,
        present_bytes=10 + 20 + 30 + 100 + 200,
        missing_bytes=40 + 400,
        mountable_bytes=0,
    )


def test_region_without_a_layer_is_not_complete() -> None:
    """The manifest alone starts nothing."""
    state = folded(INDEX_OF_TWO, FOR_AMD, FOR_ARM, LAYERS[0])

    assert standing(state, *rows_in(state, AMS)).complete is False


def test_region_that_nobody_spoke_of_lacks_everything() -> None:
    """It is in the catalogue and never was in the log."""
    state = folded(FOR_AMD, *LAYERS[:2])
    repository, content, sydney = rows_in(state, SYD, content=B)

    assert sydney == ABSENT
    assert names(state, to_move(state, repository, content, sydney)) == list("b12")
    assert standing(state, repository, content, sydney).missing_bytes == 320
    assert mounts(state, repository, content, sydney) == []


def test_blob_of_another_repository_is_mountable() -> None:
    """Its bytes are in the region already, and need not be moved."""
    state = folded(
        FOR_AMD,
        *LAYERS[:2],
        pushed("1", FRA, API, size_bytes=100),
    )
    repository, content, frankfurt = rows_in(state, FRA, content=B)
    layer = state.find_digest(digest("1"))

    assert names(state, to_move(state, repository, content, frankfurt)) == list("b2")
    assert standing(state, repository, content, frankfurt).mountable_bytes == 100
    assert mounts(state, repository, layer, frankfurt) == [state.find_repository(API)]


def test_manifest_is_not_mountable() -> None:
    """Registries mount blobs; manifests and indexes are pushed anew."""
    state = folded(
        pushed("a", AMS, WEB, media_type=MANIFEST),
        pushed("a", AMS, API, media_type=MANIFEST),
        pushed("c", AMS, WEB),
    )

    assert not mountable(state, *rows_in(state, AMS))
    assert not mountable(state, *rows_in(state, AMS, content=C))
