"""Why the answers about one image and region are what they are, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass

from placement.core.event import Factor
from placement.core.facts.values import factors_of
from placement.core.fetch import Fetch, plan_fetch
from placement.core.images import SelectedImage
from placement.core.lookup import resolve
from placement.core.network import Network
from placement.core.oci import is_digest
from placement.core.ranking import Question, fallback_source, rank_sources
from placement.core.topology import Region

SOURCES_EXPLAINED = 32


@dataclass(frozen=True, slots=True)
class Step:
    """One step from the facts to an answer."""

    name: str
    text: str
    factors: tuple[Factor, ...] = ()


def explain(network: Network, image: SelectedImage, region: Region) -> list[Step]:
    """Return what is settled on the way from the reference to the expected wait.

    *region* is in the catalogue.
    """
    fetch = plan_fetch(network, [(image.owner, image.contents)], region)
    return [
        _reference(network, image),
        _storage(network, fetch, region),
        _missing(fetch),
        *_sources(network, image, region),
        *_routes(network, fetch, region),
        _wait(fetch, region),
    ]


def _reference(network: Network, image: SelectedImage) -> Step:
    selection = image.selection
    if is_digest(selection.reference):
        return Step("reference", f"{selection.reference} is a digest: it names itself")
    found = resolve(network.state, selection.repository, selection.reference)
    assert found.pointer is not None, "a tag was resolved when the image was selected"
    age_s = max(0, network.now_ns - found.pointer.time_ns) / 1e9
    text = (
        f"tag {selection.reference} points to {image.digest}, set in "
        f"{found.pointer.region} by message {found.pointer.sequence}"
    )
    return Step("reference", text, factors(age_seconds=age_s))


def _storage(network: Network, fetch: Fetch, region: Region) -> Step:
    order = ", ".join(network.topology.serving_order(region)[:3])
    state = network.region_state(fetch.storage).name.lower()
    text = f"{region} is served by {fetch.storage} ({state}); its order begins {order}"
    return Step("storage", text)


def _missing(fetch: Fetch) -> Step:
    lacking = sum(content.moves for content in fetch.contents)
    text = (
        f"{fetch.storage} lacks {lacking} of {len(fetch.contents)} contents"
        if lacking
        else f"{fetch.storage} has, or can mount, all {len(fetch.contents)} contents"
    )
    return Step(
        "missing",
        text,
        factors(
            total_bytes=fetch.total_bytes,
            missing_bytes=fetch.missing_bytes,
            mountable_bytes=fetch.mountable_bytes,
        ),
    )


def _sources(network: Network, image: SelectedImage, region: Region) -> Iterator[Step]:
    question = Question(image.selection.repository, region, SOURCES_EXPLAINED)
    ranking = rank_sources(network, question, image.digest)
    for rank, source in enumerate(ranking.sources, 1):
        seconds = source.duration.p50_ns / 1e9
        text = f"source {rank}: {source.region}, {seconds:.2f} s for all of it"
        yield Step("sources", text, factors_of(source.factors))
    home = fallback_source(network, question, image.digest)
    known = "it is not known to hold it" if not home.phase else home.phase.name.lower()
    yield Step("fallback", f"{home.region} is the home of every fallback; {known}")


def _routes(network: Network, fetch: Fetch, region: Region) -> Iterator[Step]:
    pairs = [(fetch.storage, region)]
    if fetch.main_source is not None:
        pairs.insert(0, (fetch.main_source, fetch.storage))
    for source, target in pairs:
        route = network.route(source, target)
        learned = (
            f"learned from {route.sample_count} transfers"
            if route.sample_count
            else "known by distance alone"
        )
        yield Step(
            "route",
            f"{source} -> {target} is {learned}",
            factors(
                start_up_seconds=route.start_up_ns / 1e9,
                bytes_per_second=1 / route.seconds_per_byte,
                sample_count=route.sample_count,
                effective_sample_count=route.effective_samples,
            ),
        )


def _wait(fetch: Fetch, region: Region) -> Step:
    if fetch.duration is None:
        return Step(
            "wait", "nobody is known to hold all of it: no wait can be expected"
        )
    p50, p90 = fetch.duration.p50_ns / 1e9, fetch.duration.p90_ns / 1e9
    text = f"a machine in {region} would wait {p50:.2f} s (nine of ten: {p90:.2f} s)"
    return Step("wait", text, factors(p50_seconds=p50, p90_seconds=p90))


def factors(**named: float) -> tuple[Factor, ...]:
    """Return *named* numbers as factors, in their order."""
    return factors_of(named)
