"""What should be copied where: the copies that a policy wants now, with reasons.

A pure function of state, catalogue, policy and time. It decides nothing: a decision is
a fact of its own.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence

from placement.core.break_even import wanted_by_bets
from placement.core.copies import Candidate, Image, by_value, tagged_images
from placement.core.forecast import Forecaster
from placement.core.lookup import known_repository, resolve
from placement.core.network import Network
from placement.core.oci import Digest, Repository, Tag
from placement.core.policy import SET_60D
from placement.core.residency import ANYWHERE, Residency
from placement.core.state import State
from placement.core.static_rule import wanted_by_members
from placement.core.tag_steps import tags_to


def plan(
    network: Network,
    images: Iterable[Image],
    forecaster: Forecaster,
    residency: Residency = ANYWHERE,
) -> list[Candidate]:
    """Return the copies of *images* that the forecaster's policy wants, best first.

    None goes where *residency* does not permit it. Value is what a copy is expected to
    save for each byte that it may waste; ties go by repository, digest and target, so
    the order is total.
    """
    static = forecaster.policy.rule == SET_60D
    found: list[Candidate] = []
    for image in images:
        if static:
            found += wanted_by_members(network, image, residency)
        else:
            found += wanted_by_bets(network, forecaster, image, residency)
    return sorted(found, key=by_value)


def planning(
    network: Network,
    images: Iterator[Image | None],
    forecaster: Forecaster,
    residency: Residency,
    most: int,
) -> Generator[None, None, tuple[list[Candidate], int]]:
    """Return the plan of the first *most* images, and how many more there were.

    Let others run at each step; None among *images* is one, and no image.
    """
    found: list[Candidate] = []
    count = 0
    for image in images:
        if image is not None:
            count += 1
            if count <= most:
                found += plan(network, [image], forecaster, residency)
        yield
    return sorted(found, key=by_value), max(0, count - most)


def images_of(
    state: State, repository: Repository | None, reference: Digest | Tag | None
) -> Iterator[Image | None]:
    """Return the images to consider: one, those of a repository's tags, or all.

    None among them: a step is done after which others may run. Raises
    NameUnknownError, ManifestUnknownError or ContentUnknownError.
    """
    if repository is None:
        return tagged_images(state, (row for _, row in state.named_repositories()))
    owner = known_repository(state, repository)
    if reference is None:
        return tagged_images(state, [owner])
    digest = resolve(state, repository, reference).content.digest
    return _one_image(state, repository, digest)


def _one_image(
    state: State, repository: Repository, digest: Digest
) -> Iterator[Image | None]:
    owner, row = state.find_repository(repository), state.find_digest(digest)
    tags = yield from tags_to(state, owner, row)
    yield Image(repository, digest, tags)


def within_limits(
    candidates: Sequence[Candidate], count_max: int, bytes_max: int | None
) -> list[Candidate]:
    """Return what the limits allow: the best first, each that still fits."""
    chosen: list[Candidate] = []
    left_bytes = bytes_max
    for candidate in candidates:
        if len(chosen) == count_max:
            break
        if left_bytes is not None:
            if candidate.transfer_bytes > left_bytes:
                continue
            left_bytes -= candidate.transfer_bytes
        chosen.append(candidate)
    return chosen
