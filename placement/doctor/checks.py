"""The table of a service's checks: to add one, write what looks, and name it here."""

from typing import Final

from placement.doctor import (
    broker,
    certificates,
    clocks,
    configuration,
    disk,
    service,
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
