"""The page of an image: where it is, why, who uses it, and what was decided."""

from dataclasses import dataclass, replace
from typing import Final

from placement.console.asked import Asked, address
from placement.console.decided import DecisionRow, rows_about
from placement.console.decision import EvidenceModel, evidence_model
from placement.console.decisions import Choice, decisions_link
from placement.console.moment import AS_OF, Moment, When, moment
from placement.console.page import Page
from placement.console.repository import repository_page
from placement.console.site import READ_DEADLINE_S, Site
from placement.console.whereabouts import Whereabouts, whereabouts_of
from placement.console.why import Why, why_of
from placement.core.decisions import find_decision
from placement.core.errors import InputError, PlatformUnknownError
from placement.core.images import Selection, select_image
from placement.core.lookup import RegionDemand
from placement.core.oci import (
    TAG_LENGTH_MAX,
    Digest,
    Repository,
    Tag,
    parse_platform,
    parse_reference,
    parse_repository,
)
from placement.core.topology import Region, parse_region
from placement.runtime.evidence import evidence_of

REFERENCE_LENGTH_MAX: Final = TAG_LENGTH_MAX + len("sha512:")
TAGS_SHOWN_MAX: Final = 24
EVIDENCE_SHOWN_MAX: Final = 3
"""Decisions whose evidence is read from the log for one page."""


@dataclass(frozen=True, slots=True)
class RegionDecision:
    """A decision about the image and the region that is asked about."""

    row: DecisionRow
    evidence: EvidenceModel | None
    """None for all but the newest: the decision's own page has it."""


@dataclass(frozen=True, slots=True)
class ImageModel:
    """All that is printed of an image; *why* is of the region that was chosen."""

    where: Whereabouts
    tags: tuple[Tag, ...]
    omitted_tags: int
    demands: tuple[RegionDemand, ...]
    decisions: tuple[DecisionRow, ...]
    regions: tuple[Choice, ...]
    region: str
    platform: str
    why: Why | None
    why_decisions: tuple[RegionDecision, ...]
    problem: InputError | None
    when: When
    estimate_link: str
    decisions_link: str
    repository_link: str


@dataclass(frozen=True, slots=True)
class ImageQuestion:
    """What is asked about an image."""

    repository: Repository
    reference: Digest | Tag
    region: str
    platform: str


async def image(site: Site, asked: Asked) -> Page:
    """Return the page of ``/images/{repository}?reference=``; without one, its tags."""
    repository = parse_repository(asked.parts["repository"])
    text = asked.text("reference", length_max=REFERENCE_LENGTH_MAX)
    async with moment(site, asked) as now:
        if not text:
            return repository_page(now, asked, repository)
        question = ImageQuestion(
            repository,
            parse_reference(text),
            asked.text("region"),
            asked.text("platform"),
        )
        model = image_model(now, question)
        if model.why is not None:
            model = await _with_evidence(site, now, model)
    status = 200 if model.problem is None else 400
    title = f"{repository}{'@' if ':' in text else ':'}{text}"
    live = not asked.query.get(AS_OF)
    return Page("image.html", title, {"model": model}, status=status, live=live)


def image_model(now: Moment, question: ImageQuestion) -> ImageModel:
    """Return all that is printed of an image, but for evidence from the log.

    Raises NameUnknownError, ManifestUnknownError or ContentUnknownError.
    """
    where = whereabouts_of(now.network, question.repository, question.reference)
    record = where.record
    placement = now.state.find_placement(record.repository, record.content.digest)
    why, problem = None, None
    chosen: tuple[RegionDecision, ...] = ()
    try:
        why = _why(now, question)
    except InputError as error:
        problem = error
    if why is not None:
        rows = rows_about(now, placement, why.storage)
        chosen = tuple(RegionDecision(row, None) for row in rows)
    shown = address("/estimate", {"image": _named(question), AS_OF: now.as_of})
    return ImageModel(
        where,
        record.tags[:TAGS_SHOWN_MAX],
        max(0, len(record.tags) - TAGS_SHOWN_MAX),
        record.demands,
        tuple(rows_about(now, placement, None)),
        tuple(
            Choice(code, f"{code} \N{EN DASH} {now.topology.regions[code].name}")
            for code in sorted(now.topology.regions)
        ),
        question.region,
        question.platform,
        why,
        chosen,
        problem,
        now.when,
        shown,
        decisions_link(record.repository),
        address(f"/images/{record.repository}", {AS_OF: now.as_of}),
    )


def _named(question: ImageQuestion) -> str:
    separator = "@" if ":" in question.reference else ":"
    return f"{question.repository}{separator}{question.reference}"


def _why(now: Moment, question: ImageQuestion) -> Why | None:
    """Return why, for the region that was chosen; None: none was."""
    if not question.region:
        return None
    region = _known(now, question.region)
    platform = parse_platform(question.platform)
    selection = Selection(question.repository, question.reference, platform)
    try:
        selected = select_image(now.state, selection)
    except PlatformUnknownError as error:
        said = str(error).partition("; ")[2] or "leave it out"
        raise InputError("platform", question.platform, said) from None
    return why_of(now, selected, region)


def _known(now: Moment, text: str) -> Region:
    region = parse_region(text)
    if region not in now.topology.regions:
        raise InputError("region", text, "choose a region of the catalogue")
    return region


async def _with_evidence(site: Site, now: Moment, model: ImageModel) -> ImageModel:
    """Return the model with what its newest decisions rested on, read from the log."""
    found = list(model.why_decisions)
    for place, decided in enumerate(found[:EVIDENCE_SHOWN_MAX]):
        record = find_decision(now.state, decided.row.replication_id)
        if record is not None:
            evidence = await evidence_of(
                site.stored, site.view, record, READ_DEADLINE_S
            )
            found[place] = RegionDecision(decided.row, evidence_model(evidence))
    return replace(model, why_decisions=tuple(found))
