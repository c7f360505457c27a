"""Events of a small world for the console's tests: pushes, starts, copies under way."""

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final

LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
SIZES: Final = (42_000_000, 18_000_000, 3_500_000)

Line = dict[str, Any]


def digest_of(repository: str, part: str) -> str:
    """Return the digest that a part of a repository has here."""
    return f"sha256:{sha256(f'{repository} {part}'.encode()).hexdigest()}"


def fact(region: str, name: str, **fields: object) -> Line:
    """Return an event of *region*, as ``placement publish`` reads it."""
    told: Line = {"region": region, name: fields}
    told["event_id"] = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return told


def layer(repository: str, number: int, size: int, tag: str = "v1") -> Line:
    """Return the descriptor of a layer; the first one is that of every version."""
    version = f" {tag}" if number and tag != "v1" else ""
    digest = digest_of(repository, f"layer {number}{version}")
    return {"media_type": LAYER, "digest": digest, "size_bytes": size}


def push(
    region: str, repository: str, tag: str = "v1", sizes: Sequence[int] = SIZES
) -> Iterator[Line]:
    """Yield the push of an image: its layers, and the manifest with its tag."""
    layers = [layer(repository, number, size, tag) for number, size in enumerate(sizes)]
    for content in layers:
        yield fact(region, "content_pushed", content=content, repository=repository)
    yield fact(
        region,
        "content_pushed",
        content=image(repository, tag),
        repository=repository,
        tag=tag,
        references=layers,
    )


def image(repository: str, tag: str = "v1") -> Line:
    """Return the descriptor of a manifest."""
    digest = digest_of(repository, f"manifest {tag}")
    return {"media_type": MANIFEST, "digest": digest, "size_bytes": 1_600}


def start(
    region: str, repository: str, machine: str, wait_s: float, tag: str = "v1"
) -> Line:
    """Return the start of a machine that waited so long; a second is not local."""
    cache = "CACHE_KIND_REGION" if wait_s < 1 else "CACHE_KIND_REMOTE"
    return fact(
        region,
        "machine_started",
        repository=repository,
        digest=digest_of(repository, f"manifest {tag}"),
        machine_id=machine,
        image_wait=f"{wait_s}s",
        cache=cache,
    )


def starts_requested(
    region: str, repository: str, regions: Iterable[str], tag: str = "v1"
) -> Line:
    """Return a scheduler's word that an app is about to start in some regions."""
    return fact(
        region,
        "starts_requested",
        repository=repository,
        reference=tag,
        regions=list(regions),
    )


def begun(copy: Any) -> Line:  # noqa: ANN401 - a Decision of the service's contract
    """Return a replicator's word that it has begun to carry out a decision."""
    return fact(
        copy.target_region, "replication_started", subject=_subject(copy), attempt=1
    )


def done(copy: Any, contents: Sequence[Line]) -> Iterator[Line]:  # noqa: ANN401
    """Yield what a replicator says when the contents of a decision have arrived."""
    yield begun(copy)
    yield fact(
        copy.target_region,
        "content_replicated",
        contents=list(contents),
        repository=copy.repository,
        source_region=copy.source_region,
    )
    yield fact(
        copy.target_region,
        "replication_completed",
        subject=_subject(copy),
        transferred_bytes=copy.transfer_bytes,
        attempt=1,
    )


def _subject(copy: Any) -> Line:  # noqa: ANN401
    return {
        "replication_id": copy.replication_id,
        "repository": copy.repository,
        "digest": copy.digest,
        "target_region": copy.target_region,
    }
