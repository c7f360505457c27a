"""What the simulated registries may hold: real bytes under real digests, and few."""

import json
from collections.abc import Sequence
from typing import Final

from placement.agent.registry.manifests import Manifest, digest_of, parse_manifest
from placement.core.oci import Descriptor, Digest
from tests.builders import INDEX, LAYER, MANIFEST

LAYER_BYTES: Final = 8_000
CHUNK_BYTES: Final = 3_000
"""Bodies are read in pieces of so many bytes: a copy may end between any two."""


def _layer(name: str) -> bytes:
    return (name * LAYER_BYTES).encode()[: LAYER_BYTES - ord(name)]


def _described(body: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(body), "size": len(body)}


def _manifest(layers: str) -> Manifest:
    listed = [_described(BODIES[digest_of(_layer(one))], LAYER) for one in layers]
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": listed}
    return parse_manifest(json.dumps(document).encode(), MANIFEST)


def _index(images: Sequence[str]) -> Manifest:
    listed = [
        _described(IMAGES[one].body, MANIFEST)
        | {"platform": {"os": "linux", "architecture": architecture}}
        for one, architecture in zip(images, ("amd64", "arm64"), strict=False)
    ]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
    return parse_manifest(json.dumps(document).encode(), INDEX)


BODIES: Final[dict[Digest, bytes]] = {
    digest_of(_layer(name)): _layer(name) for name in "abcd"
}
"""Of all layers."""
IMAGES: Final[dict[str, Manifest]] = {
    "1": _manifest("ab"),
    "2": _manifest("b"),
    "3": _manifest("cd"),
}
IMAGES["4"] = _index("13")
BY_DIGEST: Final[dict[Digest, Manifest]] = {
    image.descriptor.digest: image for image in IMAGES.values()
}
DIGESTS: Final[list[Digest]] = list(BY_DIGEST)
"""Of all images, in order."""


def parts_of(image: Manifest) -> tuple[list[Manifest], list[Descriptor]]:
    """Return the manifests and the layers that *image* needs, itself last."""
    manifests: list[Manifest] = []
    layers: dict[Digest, Descriptor] = {}
    for reference in image.references:
        child = BY_DIGEST.get(reference.digest)
        if child is None:
            layers[reference.digest] = reference
        else:
            more, below = parts_of(child)
            manifests += more
            layers |= {one.digest: one for one in below}
    return [*manifests, image], list(layers.values())
