"""Images made of seeded random bytes and put into a real registry by our own client."""

import hashlib
import json
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from placement.agent.registry.client import Registry
from placement.agent.registry.manifests import Manifest, parse_manifest
from placement.core.oci import Descriptor, Digest, Repository

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
WEB: Final = Repository("acme/web")
CHUNK_BYTES: Final = 65_536


async def push_blob(
    registry: Registry, repository: Repository, body: bytes, media_type: str = LAYER
) -> Descriptor:
    """Put *body* into a repository."""
    digest = Digest(f"sha256:{hashlib.sha256(body).hexdigest()}")
    blob = Descriptor(digest, media_type, len(body))
    if await registry.find_blob(repository, digest) is None:
        address = await registry.begin_upload(repository)
        await registry.finish_upload(repository, address, blob, chunks_of(body))
    return blob


async def push_image(
    registry: Registry,
    layer_sizes: Sequence[int],
    repository: Repository = WEB,
    seed: int = 1,
) -> Manifest:
    """Put an image of random layers into a repository, without a tag."""
    chance = random.Random(seed)
    layers = [
        await push_blob(registry, repository, chance.randbytes(size))
        for size in layer_sizes
    ]
    config = {"architecture": "amd64", "os": "linux", "seed": seed}
    described = await push_blob(
        registry, repository, json.dumps(config).encode(), CONFIG
    )
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": as_json(described),
        "layers": [as_json(layer) for layer in layers],
    }
    return await push_manifest(registry, repository, document)


async def push_index(
    registry: Registry, children: Sequence[Manifest], repository: Repository = WEB
) -> Manifest:
    """Put an index of *children* into a repository, one for each architecture."""
    names = ("amd64", "arm64", "riscv64")
    listed = [
        as_json(child.descriptor) | {"platform": {"os": "linux", "architecture": name}}
        for child, name in zip(children, names, strict=False)
    ]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
    return await push_manifest(registry, repository, document)


async def push_manifest(
    registry: Registry, repository: Repository, document: dict[str, Any]
) -> Manifest:
    """Put a manifest into a repository, in bytes that nobody else would write."""
    body = json.dumps(document, indent=3).encode()
    manifest = parse_manifest(body, document["mediaType"])
    await registry.put_manifest(repository, manifest.descriptor.digest, manifest)
    return manifest


def as_json(content: Descriptor) -> dict[str, Any]:
    """Return a descriptor as manifests hold it."""
    return {
        "mediaType": content.media_type,
        "digest": content.digest,
        "size": content.size_bytes,
    }


async def chunks_of(body: bytes) -> AsyncIterator[bytes]:
    """Yield *body* in pieces."""
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]


async def read_blob(
    registry: Registry, repository: Repository, digest: Digest
) -> bytes:
    """Return a blob's bytes."""
    async with registry.open_blob(repository, digest) as opened:
        return b"".join([chunk async for chunk in opened.chunks])
