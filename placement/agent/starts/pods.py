"""What a pod's status says of its containers. Pure.

``imageID`` holds the digest that was pulled, as ``repository@sha256:...`` (before 1.24
with ``docker-pullable://`` before it). One without ``@`` is the id of a configuration,
not a digest of an image: such a container is known by its tag. Source: Kubernetes API
reference, ``PodStatus``; CRI, ``ImageStatus``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from placement.agent.feeds.cloud_events import hashed_id
from placement.agent.feeds.fields import Fields
from placement.agent.feeds.times import parse_timestamp_ns
from placement.agent.starts.images import Image, parse_image
from placement.core.errors import InputError
from placement.core.event import Identifier, TimeNs
from placement.core.oci import Digest, parse_digest
from placement.wire.fields import IDENTIFIER, parse_identifier

STATUSES: Final = (
    "containerStatuses",
    "initContainerStatuses",
    "ephemeralContainerStatuses",
)
SPECS: Final = ("containers", "initContainers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod: for us a machine."""

    machine_id: Identifier
    pod_uid: str
    name: str
    run_id: str
    """The runtime's id of this run; a restart has another."""
    image: Image | None
    """None where the pod does not tell it in words that can be read."""
    running: bool
    restart_count: int
    started_ns: TimeNs | None
    ended_ns: TimeNs | None


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, as far as its containers need it."""

    uid: str
    node: str
    created_ns: TimeNs | None
    containers: tuple[Container, ...]


def pod_of(fields: Fields) -> Pod:
    """Return what a v1 Pod says; raises InputError."""
    metadata, spec = fields.inner("metadata"), fields.inner("spec")
    uid = metadata.text("uid")
    if not uid:
        raise InputError(metadata.where("uid"), "", "give a whole v1 Pod")
    images = {
        item.text("name"): item.text("image")
        for key in SPECS
        for item in spec.items(key)
    }
    status = fields.inner("status")
    containers = [
        found
        for key in STATUSES
        for item in status.items(key)
        for found in _containers(item, uid, images)
    ]
    created_ns = _time(metadata, "creationTimestamp")
    return Pod(uid, spec.text("nodeName"), created_ns, tuple(containers))


def machine_id_of(uid: str, name: str) -> Identifier:
    """Return what a container is called in the log: unique, the same over restarts."""
    text = f"{uid}/{name}"
    whole = IDENTIFIER.fullmatch(text)
    return parse_identifier(text, "uid") if whole else hashed_id("container", uid, name)


def _containers(item: Fields, uid: str, images: dict[str, str]) -> Iterator[Container]:
    """Yield the run that a status tells of, if it has begun."""
    name = item.text("name")
    state = item.inner("state")
    last = item.inner("lastState").inner("terminated")
    running, ended = state.inner("running"), state.inner("terminated")
    run = running if running.values else ended
    run_id = ended.text("containerID") or item.text("containerID")
    if not run.values and last.values:  # it waits for its next run
        run, ended, run_id = last, last, last.text("containerID")
    if not run.values or not run_id:
        return
    yield Container(
        machine_id=machine_id_of(uid, name),
        pod_uid=uid,
        name=name,
        run_id=run_id,
        image=_image(images.get(name) or item.text("image"), item.text("imageID")),
        running=bool(running.values),
        restart_count=item.count("restartCount"),
        started_ns=_time(run, "startedAt"),
        ended_ns=_time(ended, "finishedAt"),
    )


def _image(text: str, image_id: str) -> Image | None:
    """Return what was asked for, with the digest that was pulled."""
    try:
        image = parse_image(text)
    except InputError:
        return None
    digest = _digest(image_id)
    return replace(image, digest=digest) if digest else image


def _digest(image_id: str) -> Digest | None:
    _, at, digest = image_id.rpartition("@")
    try:
        return parse_digest(digest) if at else None
    except InputError:
        return None


def _time(fields: Fields, key: str) -> TimeNs | None:
    text = fields.text(key)
    return parse_timestamp_ns(text, fields.where(key)) if text else None
