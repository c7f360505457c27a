"""The programs of docs/examples as modules, and what they answer over real HTTP."""

import asyncio
import importlib.util
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx
import uvicorn

from tests.ports import free_port

EXAMPLES: Final = Path(__file__).parents[1] / "docs" / "examples"


def example(name: str) -> ModuleType:
    """Return the program *name* of docs/examples, imported and not run."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the test."""

    def install_signal_handlers(self) -> None:
        """Install none."""


@asynccontextmanager
async def over_http(application: Any) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ANN401 - ASGI
    """Serve *application* on loopback, and give a client of it."""
    port = free_port()
    settings = uvicorn.Config(application, port=port, log_level=logging.CRITICAL)
    server = _Quiet(settings)
    serving = asyncio.create_task(server._serve())  # noqa: SLF001 - without its signals
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        await serving


def extender_args(
    images: list[str], nodes: dict[str, str | None], padding: int = 0
) -> bytes:
    """Return ExtenderArgs as kube-scheduler sends them: nodes whole, regions as labels.

    The outer names are Go's, since those structs have no tags; the inner ones are the
    API's. *padding* makes each node as large as real ones are.
    """
    label = "topology.kubernetes.io/region"
    containers = [
        {"name": f"c{number}", "image": image, "resources": {}}
        for number, image in enumerate(images)
    ]
    items = [
        {
            "metadata": {
                "name": name,
                "uid": f"uid-{name}",
                "labels": {"kubernetes.io/hostname": name}
                | ({label: region} if region else {}),
                "annotations": {"padding": padding * "x"},
            },
            "spec": {"podCIDR": "10.0.0.0/24"},
            "status": {"allocatable": {"cpu": "8", "pods": "110"}},
        }
        for name, region in nodes.items()
    ]
    pod = {
        "metadata": {"name": "web-1", "namespace": "default", "uid": "u-1"},
        "spec": {"containers": containers, "schedulerName": "default-scheduler"},
        "status": {"phase": "Pending"},
    }
    told = {"Pod": pod, "Nodes": {"metadata": {}, "items": items}, "NodeNames": None}
    return json.dumps(told).encode()
