"""The commands that answer in seconds, against the real service."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from placement.cli.main import main
from placement.client import PlacementClient
from tests.builders import ATTESTATION, INDEX, LAYER, MANIFEST, digest
from tests.real_service import DEADLINE_SECONDS, RealService, running

Json = dict[str, Any]

REPOSITORY = "acme/web"
IMAGE = "acme/web:v1"
BASE_BYTES, AMD64_BYTES, ARM64_BYTES = 60_000_000, 20_000_000, 30_000_000
CATALOGUE = """
home = "iad"
[aliases]
south = ["scl", "gru"]
[regions.iad]
latitude = 38.94
longitude = -77.46
[regions.fra]
area = "eu"
latitude = 50.03
longitude = 8.57
[regions.lhr]
area = "eu"
latitude = 51.47
longitude = -0.45
[regions.gru]
latitude = -23.43
longitude = -46.47
[regions.scl]
latitude = -33.39
longitude = -70.79
stores = false
"""


def content(name: str, size_bytes: int, media_type: str = LAYER) -> Json:
    """Return a descriptor."""
    return {
        "media_type": media_type,
        "digest": digest(name),
        "size_bytes": size_bytes,
    }


def pushed(
    region: str, what: Json, references: tuple[Json, ...] = (), tag: str = ""
) -> Json:
    """Return a push of *what* in *region*."""
    fact: Json = {"content": what, "repository": REPOSITORY, "tag": tag}
    fact["references"] = list(references)
    return {"region": region, "content_pushed": fact}


BASE = content("base", BASE_BYTES)
PLATFORMS = {
    "amd64": (content("m-amd64", 1_000, MANIFEST), content("l-amd64", AMD64_BYTES)),
    "arm64": (content("m-arm64", 1_000, MANIFEST), content("l-arm64", ARM64_BYTES)),
}


def image(region: str, *architectures: str) -> list[Json]:
    """Return the pushes of an index of two platforms, of which some are there."""
    events = [pushed(region, BASE)]
    for architecture in architectures:
        manifest, layer = PLATFORMS[architecture]
        events += [pushed(region, layer), pushed(region, manifest, (BASE, layer))]
    children = [
        {**manifest, "platform": {"os": "linux", "architecture": architecture}}
        for architecture, (manifest, _) in PLATFORMS.items()
    ]
    attestation = content("attestation", 900, MANIFEST)
    unknown = {"os": ATTESTATION.os, "architecture": ATTESTATION.architecture}
    children.append({**attestation, "platform": unknown})
    index = content("index", 800, INDEX)
    return [*events, pushed(region, index, tuple(children), "v1")]


def transfer(number: int, source: str = "iad", target: str = "fra") -> Json:
    """Return a transfer that was timed."""
    fact = {
        "source_region": source,
        "transferred_bytes": 10_000_000 * number,
        "transfer_duration": f"{0.2 + 0.5 * number:.3f}s",
        "outcome": "completed",
    }
    return {
        "region": target,
        "event_id": f"transfer-{source}-{target}-{number}",
        "transfer_measured": fact,
    }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    """A service with an image in iad, half of it in fra, and a measured route."""
    directory = tmp_path_factory.mktemp("service")
    with running(with_catalogue(directory)) as found:
        events = [*image("iad", "amd64", "arm64"), *image("fra", "amd64")]
        publish(found, *events, *(transfer(number) for number in range(1, 7)))
        yield found


def with_catalogue(directory: Path) -> RealService:
    """Return a service with five regions, one of them without storage."""
    catalogue = directory / "regions.toml"
    catalogue.write_text(CATALOGUE)
    settings = {"PLACEMENT_REGIONS_FILE": str(catalogue)}
    return RealService(directory / "service", settings=settings)


def run(service: RealService, *arguments: str, text: str | None = None) -> Result:
    """Return what a command says and answers; a bug in it is raised."""
    command = ("--server", service.target, *arguments)
    return CliRunner().invoke(main, command, input=text, catch_exceptions=False)


def ask(service: RealService, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Return a command's answer, decoded."""
    result = run(service, "-o", "json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def publish(service: RealService, *events: Json) -> None:
    """Store *events*, and return when they are folded."""
    text = "\n".join(map(json.dumps, events))
    result = run(service, "-o", "json", "publish", "-", text=text)
    assert result.exit_code == 0, result.output
    token = json.loads(result.stdout)["token"]

    async def settled() -> None:
        async with PlacementClient(service.target, timeout_s=10.0) as client:
            await client.list_routes(token=token, fail=True)

    asyncio.run(settled())


def test_estimate_differs_by_platform_and_counts_a_shared_layer_once(
    service: RealService,
) -> None:
    """In fra only amd64 is whole; the base layer is there for both."""
    amd64, arm64 = (
        ask(service, "estimate", IMAGE, "--in", "fra", "--platform", platform)
        for platform in ("linux/amd64", "linux/arm64")
    )

    assert amd64["estimates"][0]["missing_bytes"] == 0
    assert arm64["estimates"][0]["missing_bytes"] == ARM64_BYTES + 1_000
    assert arm64["estimates"][0]["images"][0]["source_region"] == "iad"


def test_estimate_is_a_table_best_first(service: RealService) -> None:
    """Areas, aliases and codes; how it is learned, through what, and why."""
    answer = ask(service, "estimate", IMAGE, "--in", "eu,scl")
    table = run(service, "estimate", IMAGE, "--in", "eu,scl").output

    found = [one["region"] for one in answer["estimates"]]
    lines = table.splitlines()
    rows = {line.split()[0]: line for line in lines if line[:4].strip() in found}
    assert list(rows) == found
    assert set(found) == {"fra", "lhr", "scl"}
    assert "6 transfers" in rows["fra"]
    assert "distance" in rows["scl"]
    assert rows["scl"].split()[1] == "gru"
    assert "come from iad" in table
    assert "answered at sequence" in table


def test_estimate_takes_sidecars_and_a_limit(service: RealService) -> None:
    """Several images of one machine, each content once."""
    sidecar = f"{REPOSITORY}@{PLATFORMS['amd64'][0]['digest']}"

    answer = ask(service, "estimate", IMAGE, sidecar, "--in", "lhr", "--count", "3")
    few = ask(service, "estimate", IMAGE, "--limit", "2", "--request-id", "r1")

    (found,) = answer["estimates"]
    assert len(found["images"]) == 2
    layers = BASE_BYTES + AMD64_BYTES + ARM64_BYTES
    assert layers <= found["missing_bytes"] < layers + 10_000
    assert len(few["estimates"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("estimate", IMAGE, "--in", "mars"), "one of: eu, south", 2),
        (("estimate", IMAGE, "--platform", "arm64"), "linux/amd64", 2),
        (("estimate", IMAGE, "--platform", "linux/s390x"), "it has linux/amd64", 1),
        (("estimate", "acme/web:v9"), "MANIFEST_UNKNOWN", 1),
        (("explain", "acme/web:v9", "--region", "fra"), "MANIFEST_UNKNOWN", 1),
        (("explain", IMAGE, "--region", "mars"), "status --regions", 1),
        (("plan-pull", IMAGE, "--region", "mars"), "status --regions", 1),
        (("routes", "--from", "mars"), "status --regions", 1),
        (("push-targets", REPOSITORY, "--from", "mars"), "status --regions", 1),
        (("wait", IMAGE, "--in", "mars"), "CANDIDATES_INVALID", 2),
        (("wait", IMAGE, "--in", "fra", "--platform", "a/b"), "PLATFORM_UNKNOWN", 1),
    ],
)
def test_what_cannot_be_answered_is_told(
    service: RealService, arguments: tuple[str, ...], said: str, code: int
) -> None:
    """In one message with its reason, and at once."""
    result = run(service, *arguments)

    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""


def test_routes_are_a_matrix_with_samples(service: RealService) -> None:
    """Only what was observed, unless all is asked for."""
    answer = ask(service, "routes")
    matrix = run(service, "routes").output
    every = run(service, "routes", "--all").output

    (route,) = answer["routes"]
    assert (route["source_region"], route["target_region"]) == ("iad", "fra")
    assert route["transfer_count"] == 6
    head, row = (line.split() for line in matrix.splitlines()[1:3])
    assert head == ["fra"]
    assert row[0] == "iad"
    assert row[2] == "(6)"
    assert 4.0 < float(row[1]) < 6.5
    assert every.splitlines()[1].split() == ["fra", "gru", "iad", "lhr", "scl"]
    assert "no transfer was observed" in run(service, "routes", "--to", "lhr").output


def test_routes_are_a_list_with_their_fit(service: RealService) -> None:
    """Start-up, rate, seconds, transfers and how the estimates did."""
    said = run(service, "routes", "--list", "--from", "iad", "--to", "fra").output

    row = next(line.split() for line in said.splitlines() if line.startswith("iad"))
    assert row[:2] == ["iad", "fra"]
    assert float(row[4]) == pytest.approx(20.0, rel=0.2)
    assert row[9:] == ["6", "-", "-", "-"]


def test_explanation_is_numbered(service: RealService) -> None:
    """From the reference to the wait, with the numbers of each step."""
    answer = ask(service, "explain", IMAGE, "--region", "scl")
    said = run(service, "explain", IMAGE, "--region", "scl").output

    names = [step["name"] for step in answer["steps"]]
    assert names[:3] == ["reference", "storage", "missing"]
    assert names[-1] == "wait"
    assert f"{len(names)}. wait" in said.replace("  ", " ")
    assert "scl is served by gru" in said
    assert "MB/s" in said


def test_pull_is_planned_by_content(service: RealService) -> None:
    """Each content with its best source, and the seconds of all."""
    answer = ask(
        service, "plan-pull", IMAGE, "--region", "fra", "--platform", "linux/arm64"
    )
    said = run(service, "plan-pull", IMAGE, "--region", "fra").output

    places = {plan["content"]["digest"]: plan for plan in answer["contents"]}
    assert places[BASE["digest"]]["present"]
    missing = places[PLATFORMS["arm64"][1]["digest"]]
    assert missing["sources"][0]["region"] == "iad"
    assert answer["missing_bytes"] == ARM64_BYTES + 1_000
    assert "it is there" in said
    assert "missing 30.0 MB" in said
    assert "when no source works: iad" in said


def test_push_targets_weigh_where_the_app_runs(service: RealService) -> None:
    """From a region or coordinates, for a size or that of the largest image."""
    answer = ask(service, "push-targets", REPOSITORY, "--from", "lhr", "--size", "1GB")
    near = ask(service, "push-targets", REPOSITORY, "--from", "-33.4,-70.8")
    said = run(service, "push-targets", REPOSITORY, "--from", "lhr").output

    assert answer["size_bytes"] == 10**9
    assert answer["targets"][0]["region"] == "lhr"
    assert near["targets"][0]["region"] == "gru"
    assert "110.0 MB pushed from lhr" in said


def test_show_tells_when_an_image_arrives(service: RealService) -> None:
    """Ready where one platform is whole; elsewhere how long a copy takes."""
    publish(service, pushed("gru", BASE))

    said = run(service, "show", IMAGE).output

    rows = {line.split()[0]: line for line in said.splitlines() if line}
    assert "ready" in rows["iad"]
    assert "now" in rows["iad"]
    assert "unwanted" in rows["gru"]
    assert rows["gru"].split()[-2] == "iad"


def test_wait_ends_at_once_when_ready(service: RealService) -> None:
    """Exit code 0, and a line for each region."""
    result = run(service, "wait", IMAGE, "--in", "iad", "--timeout", "5s")

    assert result.exit_code == 0
    assert result.stdout.split()[2:] == ["iad", "ready"]


def test_wait_times_out_with_code_3(service: RealService) -> None:
    """What never comes is told on standard error, and once on standard output."""
    limits = ("--timeout", "300ms", "--interval", "50ms")

    result = run(service, "wait", IMAGE, "--in", "iad,scl", *limits)
    unknown = run(service, "wait", "acme/web:v9", "--in", "iad", *limits)

    assert (result.exit_code, unknown.exit_code) == (3, 3)
    assert "is not ready in scl after 300ms" in result.stderr
    assert "scl (stored in gru)  unwanted" in result.stdout
    assert "from iad" in result.stdout
    assert len(result.stdout.splitlines()) == 2
    assert "acme/web:v9: not announced" in unknown.stdout
    assert "acme/web:v9 is not ready after 300ms" in unknown.stderr


def test_wait_sees_an_image_come(tmp_path: Path) -> None:
    """From nobody knows it, over under way, to ready; each change is a line."""
    with running(with_catalogue(tmp_path)) as service:
        command = [sys.executable, "-m", "placement", "wait", IMAGE, "--in", "lhr"]
        flags = ["--timeout", "60s", "--interval", "50ms", "-o", "json"]
        waiting = subprocess.Popen(
            [*command, *flags, "--server", service.target],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            states = [told(waiting)["state"]]
            publish(service, *image("iad", "amd64", "arm64"))
            states.append(told(waiting)["state"])
            fact = {"content": BASE, "repository": REPOSITORY, "source_region": "iad"}
            publish(service, {"region": "lhr", "content_announced": fact})
            states.append(told(waiting)["state"])
            publish(service, *image("lhr", "amd64", "arm64"))
            rest, _ = waiting.communicate(timeout=DEADLINE_SECONDS)
        finally:
            waiting.kill()

    assert waiting.returncode == 0
    assert states == ["not announced", "unwanted", "under way"]
    last = json.loads(rest.splitlines()[-1])
    assert (last["region"], last["state"], last["missing_bytes"]) == ("lhr", "ready", 0)


def told(process: subprocess.Popen[str]) -> Json:
    """Return the next line that a command prints, decoded."""
    assert process.stdout is not None
    line: Json = json.loads(process.stdout.readline())
    return line


def test_wait_outlives_a_restart_of_the_service(tmp_path: Path) -> None:
    """A service that answered once may be away for a while; one that never did not."""
    with running(with_catalogue(tmp_path)) as service:
        command = [sys.executable, "-m", "placement", "wait", IMAGE, "--in", "iad"]
        flags = ["--timeout", "60s", "--interval", "50ms", "-o", "json"]
        waiting = subprocess.Popen(
            [*command, *flags, "--server", service.target],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            states = [told(waiting)["state"]]
            service.stop()
            states.append(told(waiting)["state"])
            service.start()
            service.wait_until_serving()
            publish(service, *image("iad", "amd64", "arm64"))
            rest, _ = waiting.communicate(timeout=DEADLINE_SECONDS)
        finally:
            waiting.kill()

    never = run(service, "wait", IMAGE, "--in", "iad", "--timeout", "1s")
    assert states == ["not announced", "no answer"]
    assert waiting.returncode == 0
    assert json.loads(rest.splitlines()[-1])["state"] == "ready"
    assert never.exit_code == 4
