"""The page of the decision log: what was decided, the newest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from placement.console.asked import Asked, address
from placement.console.decided import DecisionRow, local_ns, row_of
from placement.console.moment import Moment, present
from placement.console.page import Page
from placement.console.site import Site
from placement.console.telling import OUTCOMES, STATUSES
from placement.core.errors import InputError, NameUnknownError, RegionUnknownError
from placement.core.listing import (
    DecisionFilter,
    DecisionPage,
    PageSize,
    decision_page,
)
from placement.core.oci import REPOSITORY_LENGTH_MAX, parse_repository
from placement.core.payoff import Payoff
from placement.core.tables.cells import DecisionStatus
from placement.core.topology import Region, parse_region
from placement.runtime.slices import in_slices
from placement.wire.page_tokens import make_page_token, parse_page_token
from placement.wire.requests import DECISIONS_READ_MAX

SECTION: Final = "/decisions"
PAGE_SIZE: Final = PageSize(wanted=50, read=DECISIONS_READ_MAX)
TOKEN_LENGTH_MAX: Final = 1_024
STATUS_CHOICES: Final[Mapping[str, DecisionStatus]] = {
    status.name.lower(): status for status in DecisionStatus
}
OUTCOME_CHOICES: Final[Mapping[str, Payoff]] = {
    payoff.name.lower(): payoff for payoff in Payoff
}
KIND_CHOICES: Final[Mapping[str, bool]] = {"copy": False, "removal": True}


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a list to choose from."""

    value: str
    text: str


@dataclass(frozen=True, slots=True)
class DecisionsModel:
    """A page of decisions, what may be chosen, and where the next page is."""

    rows: tuple[DecisionRow, ...]
    next_link: str
    first_link: str
    """Where the newest are, with the same choices; empty: these are they."""
    filtered: bool
    regions: tuple[Choice, ...]
    statuses: tuple[Choice, ...]
    outcomes: tuple[Choice, ...]
    kinds: tuple[Choice, ...]
    partial: bool
    """Whether the page ended early: so many were looked at, and few were wanted."""
    problem: InputError | None = None


async def decisions(site: Site, asked: Asked) -> Page:
    """Return a page of decisions, with the choices of ``?region=`` and so on."""
    now = present(site)
    try:
        model = await _listed(now, asked)
    except InputError as problem:
        model = decisions_model(now, asked, DecisionPage((), None), "", problem)
    status = 200 if model.problem is None else 400
    live = not asked.query.get("page")
    values = {"model": model}
    return Page("decisions.html", "Decisions", values, SECTION, status, live)


async def _listed(now: Moment, asked: Asked) -> DecisionsModel:
    wanted = filter_of(asked)
    _check_named(now, wanted)
    binding = (now.basis.epoch, "console decisions", *wanted.parts)
    token = asked.text("page", length_max=TOKEN_LENGTH_MAX)
    after, *_ = parse_page_token(token, binding, "page")
    page = await in_slices(
        decision_page(now.state, wanted, after, PAGE_SIZE, now.now_ns)
    )
    following = ""
    if page.last is not None:
        following = asked.link(page=make_page_token(binding, (page.last, "", "")))
    return decisions_model(now, asked, page, following)


def _check_named(now: Moment, wanted: DecisionFilter) -> None:
    """Raise InputError, naming the field, for what nobody ever named."""
    try:
        wanted.check_named(now.state, now.topology)
    except NameUnknownError:
        remedy = "name a repository that an event named: search for a part of it"
        raise InputError("repository", wanted.repository, remedy) from None
    except RegionUnknownError:
        remedy = "choose a region of the catalogue"
        raise InputError("region", wanted.region, remedy) from None


def filter_of(asked: Asked) -> DecisionFilter:
    """Return which decisions are asked for; raises InputError naming the field."""
    region = asked.text("region")
    repository = asked.text("repository", length_max=REPOSITORY_LENGTH_MAX)
    status = asked.choice("status", tuple(STATUS_CHOICES))
    outcome = asked.choice("outcome", tuple(OUTCOME_CHOICES))
    kind = asked.choice("kind", tuple(KIND_CHOICES))
    return DecisionFilter(
        region=parse_region(region) if region else None,
        repository=parse_repository(repository) if repository else None,
        status=STATUS_CHOICES[status] if status else None,
        removal=KIND_CHOICES[kind] if kind else None,
        payoff=OUTCOME_CHOICES[outcome] if outcome else None,
    )


def decisions_model(
    now: Moment,
    asked: Asked,
    page: DecisionPage,
    next_link: str,
    problem: InputError | None = None,
) -> DecisionsModel:
    """Return what is printed of a page of decisions."""
    local = local_ns(now)
    paged = bool(asked.query.get("page"))
    chosen = ("region", "repository", "status", "outcome", "kind")
    return DecisionsModel(
        tuple(row_of(judged, local, now.now_ns) for judged in page.found),
        next_link,
        asked.link(page="") if paged else "",
        any(asked.query.get(name) for name in chosen),
        tuple(
            Choice(code, f"{code} \N{EN DASH} {now.topology.regions[code].name}")
            for code in sorted(now.topology.regions)
        ),
        tuple(Choice(n, STATUSES[each].word) for n, each in STATUS_CHOICES.items()),
        tuple(Choice(n, OUTCOMES[each].word) for n, each in OUTCOME_CHOICES.items()),
        (Choice("copy", "copies"), Choice("removal", "removals")),
        bool(next_link) and len(page.found) < PAGE_SIZE.wanted,
        problem,
    )


def decisions_link(repository: str, target: Region | None = None) -> str:
    """Return where the decisions about a repository, and a region, are listed."""
    return address(SECTION, {"repository": repository, "region": target or ""})
