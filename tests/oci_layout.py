"""A small image as an OCI layout on disk: seeded layers that any client can push."""

import gzip
import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def write_image(
    root: Path, tag: str, layer_sizes: tuple[int, ...], seed: int, level: int = 1
) -> str:
    """Write an image of random layers under *root*; returns its manifest's digest.

    Layers are compressed at gzip's *level*: 0 is fast, and random bytes get no smaller.
    """
    chance = random.Random(seed)
    layers, diff_ids = [], []
    for position, size in enumerate(layer_sizes):
        plain = _tar(f"layer-{position}", chance.randbytes(size))
        diff_ids.append(f"sha256:{hashlib.sha256(plain).hexdigest()}")
        layers.append(_blob(root, LAYER, gzip.compress(plain, level, mtime=0)))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _blob(root, CONFIG, json.dumps(config).encode()),
        "layers": layers,
    }
    described = _blob(root, MANIFEST, json.dumps(manifest).encode())
    named = {**described, "annotations": {"org.opencontainers.image.ref.name": tag}}
    index = {"schemaVersion": 2, "manifests": [named]}
    (root / "index.json").write_text(json.dumps(index))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(described["digest"])


def _tar(name: str, body: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def _blob(root: Path, media_type: str, body: bytes) -> dict[str, object]:
    digest = hashlib.sha256(body).hexdigest()
    folder = root / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(body)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(body)}
