"""The demonstration's second half: copies that are decided before anybody waits."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import aclosing
from hashlib import sha256
from typing import Any, Final

from rich.text import Text

from placement.cli import estimate, explain_start, replications, report
from placement.cli.documents import Reading
from placement.cli.output import Answer
from placement.cli.publish import Report, publish_all
from placement.cli.stage import Stage
from placement.cli.translating import Translator
from placement.client import PlacementClient
from placement.wire.json import plain

DECIDED_SECONDS_MAX: Final = 10.0
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
SEED: Final = "seed/app"
LAYERS: Final = (400_000_000, 300_000_000, 200_000_000, 100_000_000)
"""One gigabyte, as in the story that this project comes from."""
NEW: Final = "brand/new"
NEW_LAYER_BYTES: Final = 300_000_000

Line = dict[str, Any]


async def show_copies(stage: Stage, client: PlacementClient) -> None:
    """Show what is decided, carried out by a replicator that is played here."""
    await _seed(stage, client)
    await _brand_new(stage, client)


async def _seed(stage: Stage, client: PlacementClient) -> None:
    """Let a 1 GB image be pushed in ams, and a machine start in lax."""
    stage.scene(
        "The 53-second start, before",
        "A 1 GB image was pushed in ams, and a machine is to start in lax. The network "
        "is known from what machines reported before: on the platform that this "
        "project comes from, 1 GB took 53.55 s from ams to lax, and 0.33 s where it "
        "was stored.",
        f"placement estimate {SEED}:v1 --in lax,ams",
    )
    await _tell(stage, client, [*_reported("lax", "ams"), *_reported("lax", "lax")])
    told = [_blob("ams", SEED, n, size) for n, size in enumerate(LAYERS)]
    await _tell(stage, client, [*told, _manifest("ams", SEED, LAYERS)])
    before = await _estimated(stage, client)
    stage.scene(
        "The 53-second start, after",
        "The scheduler says where it will start, as it does for every release. The "
        "copy is decided at once; a replicator carries it out (played here: the "
        "reports are real events, the bytes are not).",
        'placement publish \'{"region": "lax", "starts_requested": …}\'',
        f"placement replications --repository {SEED}",
        f"placement estimate {SEED}:v1 --in lax,ams",
    )
    began = time.monotonic()
    await _tell(stage, client, [_request("lax", SEED)])
    copy = await _decided(client, "lax", SEED)
    took = time.monotonic() - began
    stage.show(replications.tables(await _listed(client, SEED)))
    stage.show([Text(f"decided {1_000 * took:.0f} ms after the scheduler said so")])
    await _carry_out(stage, client, copy, LAYERS)
    after = await _estimated(stage, client)
    words = f"a machine in lax: {before:.1f} s before, {after:.2f} s after"
    stage.show([Text(words, style="bold green")])


async def _brand_new(stage: Stage, client: PlacementClient) -> None:
    """Let an app that nobody has ever seen be built in dfw and deployed to syd."""
    stage.scene(
        "A brand-new app, built in dfw, deployed to syd",
        "Nothing can be learned of it. But its scheduler knows, and its first layer is "
        "announced while the rest is still being pushed: so the copy is on its way "
        "before the image is complete.",
        f"placement replications --repository {NEW}",
        "placement explain-start new-1",
    )
    await _tell(stage, client, [_request("syd", NEW)])
    began = time.monotonic()
    await _tell(stage, client, [_blob("dfw", NEW, 0, NEW_LAYER_BYTES)])
    layer = await _decided(client, "syd", NEW)
    took = 1_000 * (time.monotonic() - began)
    sizes = (NEW_LAYER_BYTES,)
    await _tell(stage, client, [_manifest("dfw", NEW, sizes)])
    rest = await _decided(client, "syd", NEW, other_than=layer)
    stage.show(replications.tables(await _listed(client, NEW)))
    said = (
        f"its layer was decided {took:.0f} ms after it was stored, before there was a "
        f"manifest; what was left to move then: {rest['transfer_bytes']:,} bytes"
    )
    stage.show([Text(said, style="bold green")])
    await _carry_out(stage, client, layer, sizes)
    await _carry_out(stage, client, rest, ())
    started = _fact(
        "syd",
        "machine_started",
        repository=NEW,
        digest=_digest(NEW, "manifest"),
        machine_id="new-1",
        image_wait="0.33s",
        cache="region",
    )
    await _tell(stage, client, [started])
    stage.show(explain_start.tables(plain(await client.explain_start("new-1"))))
    stage.scene(
        "What copies came to",
        "Measured against those withheld by lot, once there are enough of them.",
        "placement report",
    )
    stage.show(report.tables(plain(await client.get_report())))


# What is told, as a registry, a scheduler and a replicator would.


def _digest(repository: str, part: str) -> str:
    return f"sha256:{sha256(f'{repository} {part}'.encode()).hexdigest()}"


def _fact(region: str, fact: str, **fields: Any) -> Line:  # noqa: ANN401 - JSON
    return {"region": region, fact: fields}


def _layer(repository: str, number: int, size: int) -> Line:
    digest = _digest(repository, f"layer {number}")
    return {"media_type": LAYER, "digest": digest, "size_bytes": size}


def _blob(region: str, repository: str, number: int, size: int) -> Line:
    content = _layer(repository, number, size)
    return _fact(region, "content_pushed", content=content, repository=repository)


def _image(repository: str) -> Line:
    digest = _digest(repository, "manifest")
    return {"media_type": MANIFEST, "digest": digest, "size_bytes": 4_000}


def _manifest(region: str, repository: str, sizes: tuple[int, ...]) -> Line:
    return _fact(
        region,
        "content_pushed",
        content=_image(repository),
        repository=repository,
        tag="v1",
        references=[_layer(repository, n, size) for n, size in enumerate(sizes)],
    )


def _reported(region: str, source: str) -> Iterator[Line]:
    """Yield what machines of other apps reported: 1 GB each, as measured."""
    wait, cache = ("0.33s", "region") if source == region else ("53.55s", "remote")
    for number in range(3):
        repository = f"seed/other-{source}-{number}"
        yield _fact(
            region,
            "machine_started",
            repository=repository,
            digest=_digest(repository, "manifest"),
            machine_id=f"other-{region}-{source}-{number}",
            image_wait=wait,
            cache=cache,
            source_region=source,
            transferred_bytes=sum(LAYERS),
        )


def _request(region: str, repository: str) -> Line:
    return _fact(
        region,
        "starts_requested",
        repository=repository,
        reference="v1",
        regions=[region],
    )


async def _tell(stage: Stage, client: PlacementClient, told: list[Line]) -> None:
    """Publish events, and wait until they are folded."""
    file = stage.directory / "told.jsonl"
    file.write_text("\n".join(map(json.dumps, told)), "utf-8")
    said, translator = Report(), Translator()
    with Reading([str(file)]) as reading:
        await publish_all(client, translator.events_of(reading.documents()), said)
    await anext(client.list_replications(page_size=1, token=said.token), None)


async def _carry_out(
    stage: Stage, client: PlacementClient, copy: Answer, sizes: tuple[int, ...]
) -> None:
    """Report a copy as begun, arrived and done, as a replicator does."""
    repository, target = copy["repository"], copy["target_region"]
    subject = {
        "replication_id": copy["replication_id"],
        "repository": repository,
        "digest": copy["digest"],
        "target_region": target,
    }
    contents = [_layer(repository, n, size) for n, size in enumerate(sizes)]
    if copy["digest"] == _digest(repository, "manifest"):
        contents = [_image(repository), *contents]
    arrived = {"repository": repository, "source_region": copy["source_region"]}
    moved = {"transferred_bytes": copy["transfer_bytes"], "attempt": 1}
    told = [
        _fact(target, "replication_started", subject=subject, attempt=1),
        _fact(target, "content_replicated", contents=contents, **arrived),
        _fact(target, "replication_completed", subject=subject, **moved),
    ]
    await _tell(stage, client, told)


async def _decided(
    client: PlacementClient,
    region: str,
    repository: str,
    other_than: Answer | None = None,
) -> Answer:
    """Return the copy of a repository that *region* is told to make, once it is."""
    known = "" if other_than is None else other_than["replication_id"]
    items = client.watch_replications(region)
    async with asyncio.timeout(DECIDED_SECONDS_MAX), aclosing(items):
        async for item in items:
            copy: Answer = plain(item).get("copy", {})
            own_id = copy.get("replication_id")
            if copy.get("repository") == repository and own_id != known:
                return copy
    raise AssertionError(repository)


async def _listed(client: PlacementClient, repository: str) -> Answer:
    return await replications.listed(client, {"repository": repository}, 10)


async def _estimated(stage: Stage, client: PlacementClient) -> float:
    """Show what a machine would wait, and return the seconds in lax."""
    answer = await estimate.estimated(client, [(SEED, "v1", "")], "lax,ams")
    stage.show(estimate.tables(answer))
    return next(_seconds(each) for each in _of(answer, "lax"))


def _of(answer: Answer, region: str) -> Iterator[Answer]:
    return (each for each in answer["estimates"] if each["region"] == region)


def _seconds(found: Answer) -> float:
    return float(str(found["expected_wait"]["p50"]).removesuffix("s"))
