"""What everybody is called in NATS: roles, inboxes, and the work queues of regions.

Codes of regions have no capitals, so no region can be called as a role is.
"""

from enum import StrEnum
from typing import Final

from placement.core.topology import Region

EVENTS: Final = "placement.events.v1"
DECISIONS: Final = "placement.decisions.v1"
FINGERPRINTS: Final = "placement.fingerprints.v1"
"""What services tell each other of their states; no stream stores it."""


class Role(StrEnum):
    """What a user is there for."""

    AGENT = "agent"
    """Stands beside one region's registry."""
    SERVICE = "service"
    """Folds the log, decides, stores what others publish through it."""
    FEED = "zot"
    """A registry that publishes to NATS what happens to it."""
    ANALYST = "analyst"
    """Reads the log."""
    OPERATOR = "operator"
    """May do everything, and repairs what nobody else may touch."""


def agent_inbox(region: Region) -> str:
    """Return the prefix of the subjects on which a region's agents are answered."""
    return f"_INBOX_{region}"


def role_inbox(role: Role) -> str:
    """Return the same of a *role* that belongs to no region."""
    return f"_INBOX_{role.upper()}"


def work_queue_name(region: Region) -> str:
    """Return the durable consumer that keeps how far a region's decisions are done."""
    return f"replicator-{region}"


def work_queue_subjects(region: Region) -> str:
    """Return the pattern of the decisions that are a region's work."""
    return f"{DECISIONS}.{region}.>"
