"""A Kubernetes scheduler extender: nodes of regions where images are near score higher.

It answers `/prioritize` from a local replica, within a deadline. Whatever goes wrong it
has no opinion, an empty list, and the scheduler decides as it would without it.

python docs/examples/kubernetes_extender.py --registry registry.example.com
"""

import argparse
import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from placement.client import LocalPlacements, PlacementError

REGION = "topology.kubernetes.io/region"
SCORE_MAX = 10  # MaxExtenderPriority of kube-scheduler
NEAR_S = 1.0  # differences far below this do not matter to anybody
DEADLINE_S = 0.08  # of the 100 ms that the scheduler is told to wait
BODY_BYTES_MAX = 32 * 1024 * 1024
AGAIN_S = 5.0

NOT_OF_A_SCHEDULER = (AttributeError, KeyError, RecursionError, TypeError, ValueError)

Scores = list[dict[str, str | int]]


class Extender:
    """Scores nodes by the seconds that a pod's images would take to be there."""

    def __init__(self, registry: str, regions: Mapping[str, str]) -> None:
        """Know images of *registry*; *regions* are ours by the label's value."""
        self.local: LocalPlacements | None = None
        self._registry, self._regions = registry, regions

    async def prioritize(self, request: Request) -> JSONResponse:
        """Answer ExtenderArgs with a HostPriorityList; empty is no opinion."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                size = int(request.headers.get("content-length", BODY_BYTES_MAX + 1))
                if self.local is None or size > BODY_BYTES_MAX:
                    return JSONResponse([])
                asked = await asyncio.to_thread(json.loads, await request.body())
            return JSONResponse(self._scores(self.local, asked))
        except (TimeoutError, PlacementError, *NOT_OF_A_SCHEDULER):
            return JSONResponse([])

    def _scores(self, local: LocalPlacements, asked: Any) -> Scores:  # noqa: ANN401 - JSON
        """Return the score of each node; raises what a strange body leads to."""
        found = [node["metadata"] for node in asked["Nodes"]["items"]]
        region_of = {node["name"]: self._region(node) for node in found}
        spec = asked["Pod"]["spec"]
        containers = [*spec.get("initContainers", []), *spec["containers"]]
        images = list(self._images(one["image"] for one in containers))
        asked_of = sorted({*region_of.values()} & {*local.topology.regions})
        if not images or not asked_of:
            return []
        estimates = local.estimate(images, ",".join(asked_of), accept_stale=True)
        waits = {one.region: one.wait.p50_ns / 1e9 for one in estimates if one.wait}
        least_s = min(waits.values(), default=0.0) + NEAR_S
        score = {
            region: round(SCORE_MAX * least_s / (wait_s + NEAR_S))
            for region, wait_s in waits.items()
        }
        return [
            {"Host": name, "Score": score.get(region, 0)}  # type: ignore[call-overload]  # it is a text
            for name, region in region_of.items()
        ]

    def _region(self, node: Mapping[str, Any]) -> str:
        label = str(node.get("labels", {}).get(REGION, ""))
        return self._regions.get(label, label)

    def _images(self, names: Iterable[str]) -> Iterable[tuple[str, str, str]]:
        """Yield those of our registry: repository, digest or tag, any platform."""
        for name in dict.fromkeys(names):
            host, _, path = name.partition("/")
            tagged, at, digest = path.partition("@")
            repository, _, tag = tagged.partition(":")
            if host == self._registry:
                yield repository, digest if at else tag or "latest", ""

    async def keep(self, server: str) -> None:
        """Have a replica as soon as there is a service, and until cancelled."""
        while True:
            try:
                async with await LocalPlacements.start(server) as self.local:
                    await asyncio.Event().wait()
            except (PlacementError, TimeoutError):
                await asyncio.sleep(AGAIN_S)


async def main(said: argparse.Namespace) -> None:
    """Answer the scheduler until told to stop."""
    regions = dict(pair.split("=", 1) for pair in said.map)
    extender = Extender(said.registry, regions)
    route = Route("/prioritize", extender.prioritize, methods=["POST"])
    host, _, port = said.listen.rpartition(":")
    settings = uvicorn.Config(Starlette(routes=[route]), host, int(port))
    keeping = asyncio.create_task(extender.keep(said.server))
    await uvicorn.Server(settings).serve()
    keeping.cancel()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--server", default="127.0.0.1:7450", help="the service")
    options.add_argument("--registry", required=True, help="its host, as images say")
    options.add_argument("--map", nargs="*", default=[], metavar="LABEL=REGION")
    options.add_argument("--listen", default="127.0.0.1:8888", help="HOST:PORT")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(options.parse_args()))
