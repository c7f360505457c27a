"""Which image is meant: platforms that fit, the largest, equals by conversion."""

import pytest

from placement.core.errors import (
    ContentUnknownError,
    ManifestUnknownError,
    PlatformUnknownError,
)
from placement.core.event import ContentReplicated
from placement.core.images import Selection, counterparts, fits, select_image
from placement.core.oci import Digest, Platform, Tag
from tests.builders import (
    AMD64,
    AMS,
    ARM64,
    LATEST,
    MANIFEST,
    WEB,
    descriptor,
    digest,
    event,
    folded,
    pushed,
    tagged,
)
from tests.images import AMD_PARTS, PARTS, parts_pushed, selected


def names(contents: tuple[int, ...], digests: dict[int, str]) -> set[str]:
    """Return the names of rows."""
    return {digests[row] for row in contents}


def test_platform_selects_its_own_contents_and_the_shared_ones() -> None:
    """The index, one manifest and its layers; no attestation, no other platform."""
    state = folded(*parts_pushed(AMS))
    digests = {int(state.find_digest(digest(name))): name for name in PARTS}

    amd, arm = selected(state), selected(state, platform=ARM64)

    assert names(amd.contents, digests) == set(AMD_PARTS)
    assert names(arm.contents, digests) == {"base", "arm", "for-arm", "app"}


def test_without_a_platform_the_largest_is_meant() -> None:
    """Whoever does not say is told the worst case."""
    state = folded(*parts_pushed(AMS))

    assert (
        selected(state, platform=None).contents
        == selected(state, platform=ARM64).contents
    )


def test_tag_selects_what_it_points_to_now() -> None:
    """And the digest is told, so that nothing else is started later."""
    state = folded(*parts_pushed(AMS), tagged("latest", "app", AMS))

    found = select_image(state, Selection(WEB, LATEST, AMD64))

    assert found.digest == digest("app")


def test_unknown_platform_says_which_ones_there_are() -> None:
    """Attestations are not on offer."""
    state = folded(*parts_pushed(AMS))

    with pytest.raises(PlatformUnknownError) as caught:
        selected(state, platform=Platform("windows", "amd64"))

    assert str(caught.value).endswith(
        "has no platform windows/amd64; it has linux/amd64, linux/arm64/v8"
    )


@pytest.mark.parametrize(
    ("reference", "error"),
    [(digest("nobody's"), ContentUnknownError), (Tag("v9"), ManifestUnknownError)],
)
def test_unknown_reference_is_refused(
    reference: Digest | Tag, error: type[Exception]
) -> None:
    """By the codes that every other question uses."""
    state = folded(*parts_pushed(AMS))

    with pytest.raises(error):
        select_image(state, Selection(WEB, reference))


def test_plain_manifest_fits_every_platform() -> None:
    """Nobody told what it is built for, so nobody can say that it does not fit."""
    state = folded(*parts_pushed(AMS))

    found = selected(state, "for-amd", ARM64)

    assert len(found.contents) == 3


@pytest.mark.parametrize(
    ("offered", "wanted", "expected"),
    [
        (AMD64, AMD64, True),
        (AMD64, ARM64, False),
        (ARM64, Platform("linux", "arm64"), True),
        (Platform("linux", "arm64"), ARM64, False),
        (ARM64, Platform("", "arm64"), True),
        (ARM64, Platform("windows"), False),
        (None, ARM64, True),
        (AMD64, None, True),
    ],
)
def test_part_that_is_not_asked_for_fits_any(
    offered: Platform | None, wanted: Platform | None, *, expected: bool
) -> None:
    """What is asked for has to be there; what is not does not matter."""
    assert fits(offered, wanted) is expected


def test_conversion_is_another_digest_of_the_same_image() -> None:
    """A copy that changed the digest said so; the first that was told holds."""
    converted = ContentReplicated(
        (descriptor("lazy", 900, MANIFEST), descriptor("lazy-layer", 7_000)),
        WEB,
        references=(descriptor("lazy-layer", 7_000),),
        original_digest=digest("app"),
    )
    lie = ContentReplicated(
        (descriptor("lazy", 900, MANIFEST),), WEB, original_digest=digest("other")
    )
    state = folded(
        *parts_pushed(AMS),
        pushed("other", AMS),
        event(AMS, converted),
        event(AMS, lie),
    )

    found = [image.digest for image in counterparts(state, selected(state))]
    others = list(counterparts(state, selected(state, "other")))

    assert found == [digest("app"), digest("lazy")]
    assert [image.digest for image in others] == [digest("other")]


def test_conversion_for_another_platform_is_no_counterpart() -> None:
    """An arm64 machine cannot run what was converted for amd64 alone."""
    index = PARTS["app"].media_type
    only_amd = ContentReplicated(
        (descriptor("lazy-index", 900, index),),
        WEB,
        references=(descriptor("for-amd", 1_000, MANIFEST, AMD64),),
        original_digest=digest("app"),
    )
    state = folded(*parts_pushed(AMS), event(AMS, only_amd))

    amd = counterparts(state, selected(state))
    arm = counterparts(state, selected(state, platform=ARM64))

    assert (len(list(amd)), len(list(arm))) == (2, 1)
