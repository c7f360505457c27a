"""The page of one decision: what it was, what it rested on, and what came of it."""

from dataclasses import dataclass
from typing import Final

from placement.api.refusals import ReplicationUnknownError
from placement.console.asked import Asked, address
from placement.console.decided import DecisionRow, local_ns, row_of
from placement.console.decisions import SECTION, decisions_link
from placement.console.moment import Moment, present
from placement.console.page import Page
from placement.console.site import READ_DEADLINE_S, Site
from placement.console.telling import Figure, figures
from placement.core.assignments import unsafe_removal
from placement.core.decisions import DecisionRecord, find_decision
from placement.core.errors import InputError
from placement.core.following import Progress, decision_progress
from placement.core.payoff import Judge
from placement.runtime.evidence import Evidence, evidence_of
from placement.wire.fields import parse_identifier

ID_FIELD: Final = "replication_id"


@dataclass(frozen=True, slots=True)
class EvidenceModel:
    """What a decision rested on; *unavailable* says why that cannot be read."""

    explanation: str
    figures: tuple[Figure, ...]
    request_id: str
    unavailable: str


@dataclass(frozen=True, slots=True)
class DecisionModel:
    """One decision, all of it; nanoseconds, bytes, shares of one."""

    row: DecisionRow
    record: DecisionRecord
    evidence: EvidenceModel
    progress: Progress
    share: float | None
    """How much of what is to move has moved; None: nothing is to."""
    unsafe: str
    probability: float | None
    image_link: str
    why_link: str
    others_link: str


async def decision(site: Site, asked: Asked) -> Page:
    """Return the page of ``/decisions/{replication_id}``."""
    try:
        name = parse_identifier(asked.parts[ID_FIELD], ID_FIELD)
    except InputError:
        raise ReplicationUnknownError(asked.parts[ID_FIELD]) from None
    record = find_decision(site.state, name)
    if record is None:
        raise ReplicationUnknownError(name)
    found = await evidence_of(site.stored, site.view, record, READ_DEADLINE_S)
    # It may have gone on while its evidence was read.
    model = decision_model(
        present(site), find_decision(site.state, name) or record, found
    )
    kind = "Removal" if record.removal else "Copy"
    title = f"{kind} {record.replication_id}"
    return Page("decision.html", title, {"model": model}, section=SECTION)


def decision_model(
    now: Moment, record: DecisionRecord, evidence: Evidence | str
) -> DecisionModel:
    """Return all that is printed of a decision."""
    judged = Judge(now.state, now.now_ns).judged(record)
    progress = decision_progress(now.network, record)
    unsafe = ""
    if record.removal and record.open:
        unsafe = unsafe_removal(now.network, record)
    share = None
    if progress.transfer_bytes:
        share = min(1.0, progress.transferred_bytes / progress.transfer_bytes)
    start = record.start_regions[0] if record.start_regions else record.target
    image = f"/images/{judged.repository}"
    return DecisionModel(
        row_of(judged, local_ns(now), now.now_ns),
        record,
        evidence_model(evidence),
        progress,
        share,
        unsafe,
        record.probability_millionths / 1e6 or None,
        address(image, {"reference": judged.digest}),
        address(image, {"reference": judged.digest, "region": start}) + "#why",
        decisions_link(judged.repository),
    )


def evidence_model(evidence: Evidence | str) -> EvidenceModel:
    """Return what a decision rested on, or why that cannot be said."""
    if isinstance(evidence, str):
        return EvidenceModel("", (), "", evidence)
    found = figures(evidence.factors)
    return EvidenceModel(evidence.explanation, found, evidence.request_id, "")
