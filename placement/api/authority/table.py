"""The one table of who may call what, and who may tell of what.

What does not stand here is denied. docs/authority.md shows it, and a test compares.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from placement.api.authority.identity import TENANT, Identity, Role

_N, _W, _A = Role.NODE, Role.WEBHOOK, Role.AGENT
_S, _Y, _P, _O = Role.SCHEDULER, Role.ANALYST, Role.SERVICE, Role.OPERATOR

EVERYBODY: Final = frozenset(Role)
_ASKERS: Final = EVERYBODY - {_W, _P}
_PLANNERS: Final = frozenset({_S, _Y, _O})
_TENANTS: Final = TENANT
_NO_TENANT: Final[frozenset[Role]] = frozenset()

Allowed = tuple[frozenset[Role], frozenset[Role]]
"""Which roles may call a method, and which roles of a tenant."""

_OPERATORS: Final[Allowed] = (frozenset({_O}), _NO_TENANT)
_ANYBODY: Final[Allowed] = (EVERYBODY, _TENANTS)
_QUESTION: Final[Allowed] = (_ASKERS, _TENANTS)
_DECISIONS: Final[Allowed] = (_PLANNERS, _TENANTS)

_PLACEMENT: Final[Mapping[str, Allowed]] = {
    "RankSources": _QUESTION,
    "BatchRankSources": _QUESTION,
    "BatchRankSourcesPacked": _QUESTION,
    "ResolveReference": _QUESTION,
    "GetPlacement": _QUESTION,
    "PlanPull": _QUESTION,
    "EstimateStarts": _QUESTION,
    "RankPushTargets": _QUESTION,
    "ListRoutes": _QUESTION,
    "ExplainAnswer": _QUESTION,
    "ListReplicas": _QUESTION,
    "WatchPlacements": _QUESTION,
    "GetServiceInfo": _ANYBODY,
}
_REPLICATION: Final[Mapping[str, Allowed]] = {
    "PreviewReplications": _DECISIONS,
    "RequestReplication": (frozenset({_S, _O}), frozenset({_S})),
    "CancelReplication": (frozenset({_S, _O}), frozenset({_S})),
    "WatchReplication": _DECISIONS,
    "WatchReplications": (frozenset({_A, _O}), _NO_TENANT),
    "ListReplications": _DECISIONS,
    "GetReplication": (_PLANNERS | {_A}, _TENANTS),
    "ExplainStart": _DECISIONS,
}
_OPERATIONS: Final[Mapping[str, Allowed]] = {
    "SetRegionState": _OPERATORS,
    "PauseReplication": _OPERATORS,
    "ResumeReplication": _OPERATORS,
    "PinContent": _OPERATORS,
    "UnpinContent": _OPERATORS,
    "SetPolicy": _OPERATORS,
    "ListOrders": (frozenset({_Y, _O}), _NO_TENANT),
    "StreamCheckpoint": (frozenset({_P, _O}), _NO_TENANT),
}
_SERVICES: Final[Mapping[str, Mapping[str, Allowed]]] = {
    "placement.v1.PlacementService": _PLACEMENT,
    "placement.v1.ReplicationService": _REPLICATION,
    "placement.v1.ReportService": {
        "GetReport": (frozenset({_Y, _O}), frozenset({_Y})),
    },
    "placement.v1.EventService": {
        "PublishEvents": (frozenset({_W, _A, _S, _O}), _NO_TENANT),
    },
    "placement.v1.OperationsService": _OPERATIONS,
    "grpc.health.v1.Health": {"Check": _ANYBODY, "Watch": _ANYBODY},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": _OPERATORS},
}
METHODS: Final[Mapping[str, Allowed]] = MappingProxyType(
    {
        f"/{service}/{method}": allowed
        for service, methods in _SERVICES.items()
        for method, allowed in methods.items()
    }
)
"""Who may call each method, by the name under which it travels."""

_FEEDS: Final = frozenset({_W, _A, _O})
_STARTERS: Final = _FEEDS | {_S}
_REGISTRIES: Final = frozenset({_A, _O})
FACTS: Final[Mapping[str, frozenset[Role]]] = MappingProxyType(
    {
        "content_pushed": _FEEDS,
        "content_pulled": _FEEDS,
        "content_evicted": _FEEDS,
        "tag_moved": _FEEDS,
        "starts_requested": _STARTERS,
        "machine_started": _STARTERS,
        "machine_stopped": _STARTERS,
        "machines_counted": _STARTERS,
        "ownership_declared": _STARTERS,
        "app_withdrawn": _STARTERS,
        "inventory_taken": _REGISTRIES,
        "transfer_measured": _REGISTRIES,
        "content_announced": _REGISTRIES,
        "content_replicated": _REGISTRIES,
        "replication_started": _REGISTRIES,
        "replication_completed": _REGISTRIES,
        "replication_failed": _REGISTRIES,
    }
)
"""Who may publish each fact with PublishEvents, by its name in the event.

Requests, orders and decisions are no facts that a client tells: each has a call of its
own, or is the service's.
"""

REPORTS: Final = frozenset(
    {"replication_started", "replication_completed", "replication_failed"}
)
"""Of those, what tells how far a decision has come: it names its target region."""


STARTS: Final = "starts_requested"
"""What names the regions where an app is about to start."""


def may_call(identity: Identity, method: str) -> bool:
    """Say whether *identity* may call *method*."""
    roles, tenant_roles = METHODS.get(method, (_NO_TENANT, _NO_TENANT))
    if identity.organization is not None:
        return identity.role in tenant_roles
    return identity.role in roles
