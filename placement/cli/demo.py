"""``placement demo``: the main job, on a real service of its own."""

import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import rich_click as click
from rich.text import Text

import placement
from placement import stores
from placement.cli import output, replications, show, sources
from placement.cli.demo_copies import DECIDED_SECONDS_MAX, show_copies
from placement.cli.demo_service import (
    LOOK_SECONDS,
    RunningService,
    running_service,
)
from placement.cli.documents import Reading
from placement.cli.output import Answer
from placement.cli.publish import Report, lines, publish_all
from placement.cli.stage import Stage
from placement.cli.status import informed
from placement.cli.translating import Prepared, Translator, rebased
from placement.client import PlacementClient
from placement.config import Config
from placement.core.event import ContentPushed
from placement.core.oci import Repository, Tag, parse_digest
from placement.core.topology import Region
from placement.runtime.replay import replay
from placement.telemetry.logs import configure_logs

NOTIFICATIONS: Final = Path(placement.__file__).parent / "data" / "notifications"
REGISTRIES: Final = {"a": Region("iad"), "b": Region("fra"), "c": Region("ams")}
"""Where the captured registries stand in this story."""
APP: Final = Repository("team/app")
MULTI: Final = Repository("team/multi")
VERSION: Final = Tag("v1")
LAYER: Final = "sha256:83695e86d2cdc2d2e2add2124d51494990f9b2118f35cb43aeadc28cf2a29290"
"""The largest layer of APP."""
STARTS: Final = (
    (APP, "syd", 5, "2.8s", "iad"),
    (APP, "nrt", 3, "1.9s", "iad"),
    (APP, "lhr", 4, "0.4s", "fra"),
    (MULTI, "syd", 2, "3.1s", "fra"),
    (MULTI, "sin", 1, "2.6s", "fra"),
)
"""Repository, start region, machines, how long each waited, from where it pulled."""


@click.command()
def demo() -> None:
    """Show the main job on a service of its own.

    It starts the real service in a temporary directory, publishes captured registry
    notifications and machine starts, asks its questions, and leaves nothing behind.
    """
    began = time.monotonic()
    screen = output.console()
    configure_logs(level="warning")
    with tempfile.TemporaryDirectory(prefix="placement-demo-") as directory:
        try:
            asyncio.run(_run(Stage(screen, Path(directory))))
        except asyncio.CancelledError:  # by a signal
            raise KeyboardInterrupt from None
    took = time.monotonic() - began
    screen.print(
        f"\nDone in {took:.1f} s: the service has ended, its directory is gone, and "
        "nothing keeps running.",
        style="bold",
    )
    screen.print(
        "Against a service of your own, `placement serve`, the commands above work as "
        "they stand."
    )


async def _run(stage: Stage) -> None:
    task = asyncio.current_task()
    assert task is not None, "a coroutine that runs is in a task"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    stage.scene(
        "The service",
        "One process with its own NATS JetStream broker, in a temporary directory.",
        "placement serve",
    )
    began = time.monotonic()
    async with running_service(stage.directory) as service:
        took = time.monotonic() - began
        where = f"process {service.process_id} serves on {service.target}"
        stage.show([f"{where} after {took:.1f} s"])
        async with PlacementClient(service.target, timeout_s=10.0) as client:
            await _publish(stage, client)
            await _ask(stage, client)
            await show_copies(stage, client)
            await _compare(stage, client, service)


async def _publish(stage: Stage, client: PlacementClient) -> None:
    """Publish what registries and schedulers would, and wait until it is folded."""
    stage.scene(
        "What happened: registries",
        "Notifications that real CNCF Distribution registries posted, as they are: "
        "pushes, pulls, mounts, a delete. Their times are moved to now.",
        "placement publish --rebase-to-now --region-map a=iad,b=fra,c=ams "
        "placement/data/notifications/*.json",
    )
    translator = Translator(region_map=REGISTRIES)
    files = sorted(map(str, NOTIFICATIONS.glob("*.json")))
    with Reading(files) as reading:
        found = list(translator.events_of(reading.documents()))
    pushed = [item for item in found if isinstance(item, Prepared)]
    report = Report()
    await publish_all(client, iter(rebased(pushed, time.time_ns())), report)
    stage.show(lines(report.plain(translator.ignored)))
    stage.scene(
        "What happened: machines",
        "Starts of the same images in other regions, as a scheduler would report them.",
        "placement publish starts.jsonl",
    )
    starts = stage.directory / "starts.jsonl"
    starts.write_text("\n".join(_starts(_digests(pushed))), "utf-8")
    report, translator = Report(), Translator()
    with Reading([str(starts)]) as reading:
        await publish_all(client, translator.events_of(reading.documents()), report)
    example = starts.read_text("utf-8").splitlines()[0]
    stage.show([Text(f"a line of it: {example}", style="dim")])
    stage.show(lines(report.plain(translator.ignored)))
    await client.resolve_reference(APP, VERSION, token=report.token)


def _digests(pushed: Iterable[Prepared]) -> dict[Repository, str]:
    """Return the image of VERSION in each repository."""
    return {
        item.event.fact.repository: item.event.fact.content.digest
        for item in pushed
        if isinstance(item.event.fact, ContentPushed) and item.event.fact.tag == VERSION
    }


def _starts(digests: dict[Repository, str]) -> Iterator[str]:
    for repository, region, machines, wait, source in STARTS:
        for number in range(machines):
            fact = {
                "repository": repository,
                "digest": digests[repository],
                "tag": VERSION,
                "machine_id": f"{repository}-{region}-{number}",
                "image_wait": wait,
                "cache": "remote",
                "source_region": source,
            }
            yield json.dumps({"region": region, "machine_started": fact})


async def _ask(stage: Stage, client: PlacementClient) -> None:
    """Ask the questions that the service is for."""
    stage.scene(
        "Where the images are",
        "By region: what is there, what is missing, and who uses it.",
        f"placement show {APP}:{VERSION}",
    )
    stage.show(show.tables(await show.placement_of(client, APP, VERSION)))
    stage.scene(
        "The other image",
        "An index of two platforms, pushed in fra only.",
        f"placement show {MULTI}:{VERSION}",
    )
    stage.show(show.tables(await show.placement_of(client, MULTI, VERSION)))
    for region, sentence in (
        ("syd", "Best first, with the seconds that a pull is expected to take."),
        ("lhr", "The same image from another place: another order."),
    ):
        stage.scene(
            f"From where to pull in {region}",
            sentence,
            f"placement sources {APP}:{VERSION} --region {region}",
        )
        stage.show(sources.tables(await _ranked(client, region)))
    stage.scene(
        "What was decided, and why",
        "Each start that had to wait for a far region was a reason to decide on a "
        "copy. Whoever carries copies out is told by WatchReplications.",
        f"placement replications --repository {MULTI}",
    )
    stage.show(replications.tables(await decided(client)))
    await _elsewhere(stage, client)


async def decided(client: PlacementClient) -> Answer:
    """Return the decisions about MULTI, once there are any."""
    async with asyncio.timeout(DECIDED_SECONDS_MAX):
        while True:
            answer = await replications.listed(client, {"repository": MULTI}, 10)
            if answer["replications"]:
                return answer
            await asyncio.sleep(LOOK_SECONDS)


async def _ranked(client: PlacementClient, region: str) -> Answer:
    return await sources.ranked(client, APP, VERSION, Region(region), 3)


async def _elsewhere(stage: Stage, client: PlacementClient) -> None:
    layer = parse_digest(LAYER)
    name = Repository("team/new")
    stage.scene(
        "What nobody announced",
        "A layer of one repository is no source for another, but it can be mounted; "
        "and the home region is always named, so that a lost notification breaks no "
        "pull.",
        f"placement sources {name}@{layer} --region iad",
    )
    stage.show(
        sources.tables(await sources.ranked(client, name, layer, Region("iad"), 3))
    )


async def _compare(
    stage: Stage, client: PlacementClient, service: RunningService
) -> None:
    """Fold the log a second time, beside the service, and compare."""
    stage.scene(
        "The state is a function of the log",
        "Folding the log again gives the same fingerprint, on any machine.",
        "placement status --fingerprint",
        "placement replay",
    )
    info = await informed(client, fingerprint=True)
    config = Config(data_dir=service.data_dir)
    async with stores.open_log(config, may_start=False) as log:
        replayed = await replay(log)
    basis = info["basis"]
    rows = [
        ("service", str(basis["sequence"]), info["fingerprint"]),
        ("replay", str(replayed.sequence), replayed.fingerprint),
    ]
    stage.show([output.table(("", "sequence>", "fingerprint"), rows)])
    same = info["fingerprint"] == replayed.fingerprint
    stage.show([Text("the same" if same else "NOT the same", style="bold")])
