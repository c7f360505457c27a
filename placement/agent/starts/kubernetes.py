"""Pods and their kubelets' events become starts and stops of machines. Pure.

A container's status tells its image's digest and when it began; the kubelet's event
"Pulled" tells how long it waited for the image. They come by two streams, in any order:
a start waits a little for its pull. A machine is a container of a pod.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from placement.agent.feeds.cloud_events import hashed_id
from placement.agent.feeds.fields import fields_of
from placement.agent.feeds.times import SECOND_NS
from placement.agent.feeds.translation import Ignored, IgnoredReason, Malformed
from placement.agent.starts.kubelet import Pull, parse_pulled
from placement.agent.starts.memory import Memory
from placement.agent.starts.pods import Container, machine_id_of, pod_of
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Found, Sighting, joined
from placement.core.errors import InputError
from placement.core.event import (
    Event,
    Identifier,
    MachineStopped,
    StartCause,
    TimeNs,
)
from placement.core.topology import Region

PULL_TOLD_NS: Final = 10 * SECOND_NS
"""How long a start waits for the kubelet to tell of its pull."""
AGE_NS_MAX: Final = 3_600 * SECOND_NS
"""A run that began longer ago is no news: it was told before we came, or is counted."""
MACHINES_MAX: Final = 65_536
PULLS_MAX: Final = 16_384
WAITING_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class _Run:
    """The last run of a machine that was told."""

    run_id: str
    running: bool
    stopped_ns: int = 0
    told: bool = True
    """Whether its image is one that counts."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A start that waits for its pull until *due_ns*."""

    sighting: Sighting
    due_ns: int


@dataclass(frozen=True, slots=True)
class _At:
    """What is the same for all containers of a pod."""

    region: Region
    created_ns: TimeNs | None
    now_ns: int


class Pods:
    """What was told of pods, as far as the next word about them needs it."""

    def __init__(self, settings: StartSettings, nodes: Mapping[str, str]) -> None:
        """Read *nodes*, the region's name by node, which may grow meanwhile."""
        self._settings = settings
        self._nodes = nodes
        self._runs: Memory[Identifier, _Run] = Memory(MACHINES_MAX)
        self._pulls: Memory[Identifier, Pull] = Memory(PULLS_MAX)
        self._pods: Memory[str, tuple[Identifier, ...]] = Memory(MACHINES_MAX)
        self._waiting: Memory[Identifier, _Waiting] = Memory(WAITING_MAX)

    def event(self, document: object) -> Found:
        """Return the start that the pull in a v1 Event completes, if one waited."""
        try:
            fields = fields_of(document)
            about = fields.inner("involvedObject")
            if fields.text("reason") != "Pulled" or about.text("kind") != "Pod":
                return Found()
            pull = parse_pulled(fields.text("message"))
            name = _container_name(about.text("fieldPath"))
            machine_id = machine_id_of(about.text("uid"), name)
        except InputError as error:
            return _malformed(error)
        if pull is None:
            return Found()
        waiting = self._waiting.pop(machine_id)
        if waiting is None:
            self._pulls.put(machine_id, pull)
            return Found()
        return Found((_pulled(waiting.sighting, pull),))

    def pod(self, document: object, now_ns: int, *, deleted: bool = False) -> Found:
        """Return what is new in a v1 Pod: starts that are whole, and stops.

        *deleted*: the pod is gone, so that all that still ran in it has stopped.
        """
        try:
            pod = pod_of(fields_of(document))
            region = self._settings.region_of(self._nodes.get(pod.node, ""))
        except InputError as error:
            return _malformed(error)
        if region is None:
            reason = IgnoredReason.OTHER_REGION
            ignored = [Ignored(one.machine_id, reason) for one in pod.containers]
            return Found(ignored=tuple(ignored))
        at = _At(region, pod.created_ns, now_ns)
        found = [self._told(container, at) for container in pod.containers]
        if deleted:
            found += [self._stopped(container, at) for container in pod.containers]
            known = self._pods.pop(pod.uid) or ()
            found += [self._vanished(machine_id, at) for machine_id in known]
        elif pod.containers:
            ids = tuple(container.machine_id for container in pod.containers)
            self._pods.put(pod.uid, ids)
        return joined(found)

    def due(self, now_ns: int) -> Found:
        """Return the starts that waited long enough: nobody told of their pull."""
        late = [one for one in self._waiting.values() if one.due_ns <= now_ns]
        for one in late:
            self._waiting.pop(one.sighting.machine_id)
        return Found(tuple(one.sighting for one in late))

    def _told(self, container: Container, at: _At) -> Found:
        run = self._runs.get(container.machine_id)
        if run is not None and run.run_id == container.run_id:
            return Found() if container.running else self._stopped(container, at)
        begun = self._begun(container, run, at)
        if container.running:
            return begun
        return joined([begun, self._stopped(container, at)])

    def _begun(self, container: Container, before: _Run | None, at: _At) -> Found:
        """Return a run's start; nothing if it waits for its pull, or is no news."""
        stopped_ns = before.stopped_ns if before else 0
        started_ns = container.started_ns
        news = started_ns is not None and started_ns >= at.now_ns - AGE_NS_MAX
        running = container.running or news
        image = container.image
        told = image is not None and self._settings.minds(image)
        run = _Run(container.run_id, running, stopped_ns, told)
        self._runs.put(container.machine_id, run)
        if started_ns is None or not news:
            return Found()
        event_id = hashed_id("pod-start", container.machine_id, container.run_id)
        if image is None:
            return Found(ignored=(Ignored(event_id, IgnoredReason.IMAGE_UNKNOWN),))
        again = container.restart_count > 0
        sighting = Sighting(
            event_id=event_id,
            machine_id=container.machine_id,
            region=at.region,
            image=image,
            # Times are of whole seconds: a restart comes after the stop before it.
            time_ns=TimeNs(max(started_ns, stopped_ns + 1)),
            request_time_ns=None if again else at.created_ns,
            cause=StartCause.RESTART if again else StartCause.UNSPECIFIED,
        )
        earlier = self._waiting.pop(container.machine_id)  # a run that ended unseen
        pull = self._pulls.pop(container.machine_id)
        if pull is not None:
            released = (earlier.sighting,) if earlier else ()
            return Found((*released, _pulled(sighting, pull)))
        waiting = _Waiting(sighting, at.now_ns + PULL_TOLD_NS)
        pushed_out = self._waiting.put(container.machine_id, waiting)
        return Found(tuple(one.sighting for one in (earlier, pushed_out) if one))

    def _stopped(self, container: Container, at: _At) -> Found:
        """Return the stop of a run that was running, after its start if that waited."""
        image = container.image
        fact = MachineStopped(
            container.machine_id,
            image.digest if image else None,
            image.repository if image else None,
        )
        return self._ended(fact, container.ended_ns, at)

    def _vanished(self, machine_id: Identifier, at: _At) -> Found:
        """Return the stop of a machine that its pod no longer names."""
        return self._ended(MachineStopped(machine_id), None, at)

    def _ended(self, fact: MachineStopped, ended_ns: TimeNs | None, at: _At) -> Found:
        run = self._runs.get(fact.machine_id)
        if run is None or not run.running:
            return Found()
        waiting = self._waiting.pop(fact.machine_id)
        released = (waiting.sighting,) if waiting else ()
        time_ns = ended_ns or TimeNs(at.now_ns)
        ended = _Run(run.run_id, running=False, stopped_ns=time_ns)
        self._runs.put(fact.machine_id, ended)
        if not run.told:
            return Found(released)
        event_id = hashed_id("pod-stop", fact.machine_id, run.run_id)
        event = Event(event_id, at.region, fact, time_ns, self._settings.publisher)
        return Found(released, (event,))


def _pulled(sighting: Sighting, pull: Pull) -> Sighting:
    """Return *sighting* with how the machine came by its image."""
    return replace(sighting, image_wait_ns=pull.wait_ns, cache=pull.cache)


def _container_name(field_path: str) -> str:
    """Return ``web`` of ``spec.containers{web}``; empty for any other path."""
    return field_path.partition("{")[2].removesuffix("}")


def _malformed(error: InputError) -> Found:
    return Found(malformed=(Malformed.of(None, error),))
