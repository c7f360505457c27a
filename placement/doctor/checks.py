"""The table of checks: to add one, write what looks, and name it here."""

from typing import Final

from placement.doctor import (
    broker,
    certificates,
    clocks,
    configuration,
    disk,
    registry,
    service,
    spool,
)
from placement.doctor.examination import Check

SERVICE_CHECKS: Final = (
    Check("configuration", configuration.configuration),
    Check("catalogue", configuration.catalogue),
    Check("data directory", disk.data_directory),
    Check("checkpoint", disk.checkpoint),
    Check("broker", broker.broker),
    Check("stream", broker.stream),
    Check("permissions", broker.permissions),
    Check("clocks", clocks.clocks),
    Check("certificates", certificates.certificates),
    Check("service", service.service),
    Check("quarantine", service.quarantine),
    Check("pages", service.pages),
)
"""What a machine with a service has."""

_LOG: Final = (
    Check("broker", broker.broker),
    Check("stream", broker.stream),
    Check("permissions", broker.permissions),
)
AGENT_CHECKS: Final = (
    Check("configuration", configuration.configuration),
    Check("catalogue", configuration.catalogue),
    Check("state directory", disk.agent_directory),
    Check("certificates", certificates.certificates),
    Check("clocks", clocks.clocks),
    Check("service", service.service),
    Check("agent door", spool.door),
    Check("spool", spool.spool),
    Check("feeds", spool.feeds),
    Check("registry", registry.registry),
    Check("inventory", registry.inventory),
    Check("router", registry.router),
)
"""What a machine with an agent has."""


def agent_checks(*, speaks_nats: bool) -> tuple[Check, ...]:
    """Return the checks of an agent, with the log's where it *speaks_nats* itself."""
    return (*AGENT_CHECKS, *_LOG) if speaks_nats else AGENT_CHECKS
