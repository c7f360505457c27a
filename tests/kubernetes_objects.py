"""Pods and Events as the API server writes them."""

from typing import Any

UID = "b13de30b-257d-4d59-a58e-62fbb692dcb5"
DIGEST = f"sha256:{'d' * 64}"
IMAGE = "registry.example.com/acme/web:v1"
Document = dict[str, Any]


def container(  # noqa: PLR0913 - each is one field of a status
    name: str = "web",
    *,
    run: int = 1,
    started: str | None = "2026-08-01T10:00:10Z",
    ended: str | None = None,
    image_id: str = f"registry.example.com/acme/web@{DIGEST}",
    restarts: int = 0,
) -> Document:
    """A container's status: running, or terminated."""
    run_id = f"containerd://{name}-{run}"
    state: Document = {"running": {"startedAt": started}}
    if started is None:
        state = {"waiting": {"reason": "ContainerCreating"}}
    if ended is not None:
        ending = {"startedAt": started, "finishedAt": ended, "containerID": run_id}
        state = {"terminated": {"exitCode": 0, **ending}}
    return {
        "name": name,
        "image": IMAGE,
        "imageID": image_id if started else "",
        "containerID": run_id if started else "",
        "restartCount": restarts,
        "state": state,
        "lastState": {},
    }


def pod(
    *containers: Document, uid: str = UID, node: str = "n1", version: str = "1"
) -> Document:
    """A pod whose containers all were asked for as IMAGE."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "uid": uid,
            "name": f"web-{uid[:4]}",
            "namespace": "default",
            "creationTimestamp": "2026-08-01T10:00:00Z",
            "resourceVersion": version,
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": one["name"], "image": IMAGE} for one in containers],
        },
        "status": {"phase": "Running", "containerStatuses": list(containers)},
    }


def pulled(
    message: str, name: str = "web", uid: str = UID, version: str = "1"
) -> Document:
    """The kubelet's Pulled event about one container."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"web.{version}", "resourceVersion": version},
        "reason": "Pulled",
        "message": message,
        "type": "Normal",
        "count": 1,
        "source": {"component": "kubelet", "host": "n1"},
        "involvedObject": {
            "kind": "Pod",
            "namespace": "default",
            "name": "web",
            "uid": uid,
            "fieldPath": f"spec.containers{{{name}}}",
        },
    }
