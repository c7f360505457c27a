"""Follows a Kubernetes cluster: its pods, and their kubelets' events, for ever.

List, then watch from the list's version; resume from the last version that was told,
and list again when the server no longer keeps it (410). Source: Kubernetes API
concepts, "Efficient detection of changes".
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import structlog

from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.starts.counting import Machine
from placement.agent.starts.kubernetes import Pods
from placement.agent.starts.pods import pod_of
from placement.agent.starts.streams import (
    AbsentError,
    Api,
    Backoff,
    GoneError,
    SchedulerError,
)
from placement.agent.starts.telling import Teller
from placement.core.errors import InputError

PAGE_COUNT: Final = 250
PAGES_MAX: Final = 4_000
"""A million pods."""
WATCH_SECONDS: Final = 240
"""After which the server ends a watch, so that a dead connection is not for ever."""
SILENT_SECONDS_MAX: Final = WATCH_SECONDS + 60.0
DUE_SECONDS: Final = 1.0
NODES_MAX: Final = 65_536
PODS: Final = "/api/v1/pods"
EVENTS: Final = "/api/v1/events"
NODES: Final = "/api/v1/nodes"
PULLED: Final = "involvedObject.kind=Pod,reason=Pulled"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Watch:
    """What is followed: where, which, and whether what is there already is news."""

    path: str
    selector: str
    lists: bool


class KubernetesReader:
    """Tells of every container that starts or stops in one cluster."""

    def __init__(self, api: Api, teller: Teller, now_ns: Callable[[], int]) -> None:
        """Read by *api* and tell *teller*."""
        self._api = api
        self._teller = teller
        self._now_ns = now_ns
        self._nodes: dict[str, str] = {}
        self._pods = Pods(teller.settings, self._nodes)

    async def run(self) -> None:
        """Follow until cancelled; what fails is tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(_Watch(EVENTS, PULLED, lists=False)))
            group.create_task(self._follow(_Watch(PODS, "", lists=True)))
            group.create_task(self._release())

    async def machines(self) -> AsyncIterator[Machine]:
        """Yield every container that runs now; raises SchedulerError."""
        if self._teller.settings.region_label:
            async for document in self._listed(NODES, {}):
                self._learned(document)
        async for document in self._listed(PODS, {}):
            try:
                pod = pod_of(fields_of(document))
                await self._learn(pod.node)
                name = self._nodes.get(pod.node, "")
                region = self._teller.settings.region_of(name)
            except InputError:
                continue
            for container in pod.containers:
                if container.running and container.image and region is not None:
                    yield Machine(container.machine_id, region, container.image)

    async def _follow(self, watch: _Watch) -> None:
        backoff = Backoff(self._teller.chance)
        version = ""
        while True:
            try:
                version = version or await self._first(watch)
                async with aclosing(self._watched(watch, version)) as changes:
                    async for kind, document in changes:
                        await self._change(watch, kind, document)
                        version = _version(document) or version
                        backoff.reset()
            except GoneError:
                version = ""
                log.info("watch_begun_anew", path=watch.path)
            except SchedulerError as error:
                log.warning("watch_broken", path=watch.path, error=str(error))
            await backoff.wait()

    async def _first(self, watch: _Watch) -> str:
        """Return the version from which to watch; tell of what is there already."""
        if watch.lists:
            told: dict[str, str] = {}
            async for document in self._listed(watch.path, told):
                await self._change(watch, "ADDED", document)
            return told.get("version", "")
        params: dict[str, str | int] = {"fieldSelector": watch.selector, "limit": 1}
        listed, _ = await self._api.get(watch.path, params)
        return _version(listed)

    async def _listed(self, path: str, told: dict[str, str]) -> AsyncIterator[Any]:
        """Yield all items of a list, page by page; put its version into *told*."""
        token = ""
        for _ in range(PAGES_MAX):
            params: dict[str, str | int] = {"limit": PAGE_COUNT}
            if token:
                params["continue"] = token
            listed, _headers = await self._api.get(path, params)
            try:
                fields = fields_of(listed, path)
                items = listed.get("items") or []
                told["version"] = _version(listed)
                token = fields.inner("metadata").text("continue")
            except InputError as error:
                message = f"{path} is no list"
                raise SchedulerError(message, path=path) from error
            for item in items if isinstance(items, list) else []:
                yield item
            if not token:
                return
        message = f"{path} has more than {PAGES_MAX} pages"
        raise SchedulerError(message, path=path)

    async def _watched(
        self, watch: _Watch, version: str
    ) -> AsyncGenerator[tuple[str, Any], None]:
        """Yield the changes since *version*; raises GoneError and SchedulerError."""
        params: dict[str, str | int] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
            "resourceVersion": version,
        }
        if watch.selector:
            params["fieldSelector"] = watch.selector
        lines = self._api.lines(watch.path, params, SILENT_SECONDS_MAX)
        async with aclosing(lines) as documents:
            async for document in documents:
                if not isinstance(document, Mapping):
                    continue
                kind, changed = str(document.get("type")), document.get("object")
                if kind == "ERROR":
                    raise _error(watch.path, changed)
                yield kind, changed

    async def _change(self, watch: _Watch, kind: str, document: Any) -> None:  # noqa: ANN401 - any JSON
        if kind not in {"ADDED", "MODIFIED", "DELETED"}:
            return
        if not watch.lists:
            await self._teller.tell(self._pods.event(document))
            return
        await self._learn(_node(document))
        deleted = kind == "DELETED"
        found = self._pods.pod(document, self._now_ns(), deleted=deleted)
        await self._teller.tell(found)

    async def _release(self) -> None:
        """Tell of the starts whose pulls nobody told."""
        while True:
            await asyncio.sleep(DUE_SECONDS)
            await self._teller.tell(self._pods.due(self._now_ns()))

    async def _learn(self, node: str) -> None:
        """Know the region of *node*, if there is a label that tells it."""
        label = self._teller.settings.region_label
        if not label or not node or node in self._nodes:
            return
        try:
            document, _ = await self._api.get(f"{NODES}/{quote(node, safe='')}")
        except AbsentError:  # gone, as its pod soon is
            document = {"metadata": {"name": node}}
        self._learned(document)

    def _learned(self, document: object) -> None:
        try:
            metadata = fields_of(document).inner("metadata")
            name = metadata.text("name")
            label = self._teller.settings.region_label
            region = metadata.inner("labels").text(label)
        except InputError:
            return
        if len(self._nodes) >= NODES_MAX:
            self._nodes.clear()
        self._nodes[name] = region


def _version(document: object) -> str:
    """Return an object's or a list's version; empty when it has none."""
    try:
        return fields_of(document).inner("metadata").text("resourceVersion")
    except InputError:
        return ""


def _node(document: object) -> str:
    """Return the node of a pod; empty when it has none yet."""
    try:
        return fields_of(document).inner("spec").text("nodeName")
    except InputError:
        return ""


def _error(path: str, status: object) -> SchedulerError:
    """Return what an ERROR in a watch stands for: a v1 Status with a code."""
    fields = status if isinstance(status, Mapping) else {}
    said = Fields(fields)
    code = said.values.get("code")
    kind = GoneError if code == 410 else SchedulerError  # noqa: PLR2004 - HTTP
    message = f"{path} told {code} {said.values.get('message')}"
    return kind(message, path=path)
