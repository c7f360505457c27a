"""Why the answers about an image and a region are what they are, and why no copy is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from placement.console.moment import Moment
from placement.console.telling import (
    BAD,
    BUSY,
    GOOD,
    OFF,
    WAITS,
    Figure,
    Mark,
    telling_figures,
)
from placement.console.words import nanoseconds, seconds, share, size
from placement.core.break_even import CLASSES_SAID
from placement.core.deciding.evaluation import (
    EvaluatedBet,
    Evaluation,
    Verdict,
    evaluate,
)
from placement.core.event import RegionState
from placement.core.explain import SOURCES_EXPLAINED, explain
from placement.core.images import SelectedImage
from placement.core.ranking import Question, Source, rank_and_fall_back
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region

LEVELS: Final = {
    "presumed": "presumed",
    "pool": "all organizations",
    "organization": "the organization",
    "app": "the app",
    "app_trigger": "the app, after this sign",
}


@dataclass(frozen=True, slots=True)
class RankedSource:
    """A region to pull from, and what that is expected to take; nanoseconds."""

    rank: int
    region: Region
    p50_ns: int
    p90_ns: int
    held: str
    learned: str
    condition: str


@dataclass(frozen=True, slots=True)
class ExplainedStep:
    """One step from the facts to the answer."""

    name: str
    text: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class BetRow:
    """A bet on a start in a region: its chance beside the one at which it pays.

    *levels* says from what the chance comes, from the general to the particular.
    """

    region: Region
    known: str
    probability: float
    break_even: float
    saved_bytes: float
    stake_bytes: float
    levels: tuple[Figure, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Planning:
    """What a planner would decide now, in one sentence, and the bets behind it."""

    mark: Mark
    sentence: str
    policy: str
    bets: tuple[BetRow, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """All that explains the answers about one image and region."""

    region: Region
    name: str
    storage: Region
    sources: tuple[RankedSource, ...]
    fallback: Region
    fallback_p50_ns: int
    fallback_holds: bool
    steps: tuple[ExplainedStep, ...]
    planning: Planning


def why_of(now: Moment, image: SelectedImage, region: Region) -> Why:
    """Return why; *region* is in the catalogue."""
    network = now.network
    repository = image.selection.repository
    question = Question(repository, region, SOURCES_EXPLAINED)
    answer = rank_and_fall_back(network, question, image.digest)
    placement = network.state.find_placement(repository, image.digest)
    evaluation = evaluate(now.desk(), placement, region)
    fallback = answer.fallback
    return Why(
        region,
        network.topology.regions[region].name,
        network.storage(region),
        tuple(
            _source(now, rank, source)
            for rank, source in enumerate(answer.ranking.sources, 1)
        ),
        fallback.region,
        fallback.duration.p50_ns,
        fallback.phase >= ReplicaPhase.COMPLETE,
        tuple(
            ExplainedStep(step.name, step.text, telling_figures(step.factors))
            for step in explain(network, image, region)
        ),
        planning_of(evaluation, now),
    )


def _source(now: Moment, rank: int, source: Source) -> RankedSource:
    samples = int(source.factors["sample_count"])
    condition = now.network.region_state(source.region)
    return RankedSource(
        rank,
        source.region,
        source.duration.p50_ns,
        source.duration.p90_ns,
        _held(source),
        f"{samples} transfer{'s' * (samples != 1)}" if samples else "distance alone",
        "" if condition is RegionState.ACTIVE else condition.name.lower(),
    )


def _held(source: Source) -> str:
    if source.factors["complete"]:
        return "all of it"
    return f"lacks {size(source.factors['missing_at_source_bytes'])}"


def planning_of(evaluation: Evaluation, now: Moment) -> Planning:
    """Return what would be decided, for people."""
    return Planning(
        _MARKS[evaluation.verdict],
        _sentence(evaluation, now),
        evaluation.policy,
        tuple(_bet(bet) for bet in evaluation.bets),
    )


def _bet(bet: EvaluatedBet) -> BetRow:
    if bet.waits_for is not None:
        mark = Mark(WAITS, f"waits for a start in {bet.waits_for}")
    elif bet.pays:
        mark = Mark(GOOD, "pays")
    else:
        mark = Mark(OFF, "does not pay")
    return BetRow(
        bet.region,
        CLASSES_SAID[bet.known],
        bet.probability,
        bet.break_even,
        bet.gain_bytes,
        bet.stake_bytes,
        tuple(
            Figure(
                LEVELS[level.name],
                f"{share(level.probability)}"
                + f" ({level.outcomes.hits:.3g} of {level.outcomes.total:.3g})"
                * bool(level.outcomes.total),
            )
            for level in bet.levels
        ),
        mark,
    )


_MARKS: Final = {
    Verdict.THERE: Mark(GOOD, "nothing to copy"),
    Verdict.MOUNTABLE: Mark(GOOD, "nothing to copy"),
    Verdict.COMING: Mark(BUSY, "decided"),
    Verdict.FORBIDDEN: Mark(OFF, "forbidden"),
    Verdict.SERVED_ELSEWHERE: Mark(OFF, "forbidden"),
    Verdict.NO_SOURCE: Mark(BAD, "no source"),
    Verdict.UNFORETOLD: Mark(OFF, "not copied"),
    Verdict.TOO_UNLIKELY: Mark(OFF, "not copied"),
    Verdict.WAITS_FOR_SIGN: Mark(WAITS, "waits"),
    Verdict.SETTLED: Mark(OFF, "not copied"),
    Verdict.POLICY_UNREADABLE: Mark(BAD, "held up"),
    Verdict.PAUSED: Mark(WAITS, "held up"),
    Verdict.OUT_OF_USE: Mark(WAITS, "held up"),
    Verdict.TRIED_LATELY: Mark(WAITS, "held up"),
    Verdict.CONTROL_GROUP: Mark(WAITS, "withheld"),
    Verdict.OBSERVED: Mark(WAITS, "withheld"),
    Verdict.OVER_BUDGET: Mark(WAITS, "held up"),
    Verdict.WOULD_COPY: Mark(GOOD, "copied"),
}


def _sentence(found: Evaluation, now: Moment) -> str:
    """Return in a sentence why it would be copied, or would not."""
    target = found.target
    fixed = {
        Verdict.THERE: f"All of it is in {target}.",
        Verdict.MOUNTABLE: f"What {target} lacks is in another repository there, and "
        "can be mounted without moving a byte.",
        Verdict.COMING: f"A copy into {target} is decided and not yet done with.",
        Verdict.FORBIDDEN: "The policy's residency rules permit no region that could "
        "serve these starts.",
        Verdict.SERVED_ELSEWHERE: f"The policy's residency rules do not permit it in "
        f"{target}; a permitted region further away would be copied to instead.",
        Verdict.NO_SOURCE: f"No region from which it could be copied into {target} "
        "is known to hold it and in use.",
        Verdict.UNFORETOLD: "Nothing foretells a start there: no forecast is open, "
        "nobody asked for one, and nothing ran there within a week.",
        Verdict.POLICY_UNREADABLE: "It would be copied, but a policy was ordered that "
        "this version cannot read, and what it forbids is not known.",
        Verdict.PAUSED: f"It would be copied, but new copies into {target} are paused.",
        Verdict.OUT_OF_USE: f"It would be copied, but {target} is out of use.",
        Verdict.TRIED_LATELY: "It would be copied, but the last try is too short ago.",
        Verdict.CONTROL_GROUP: "It would be copied, but the lot puts it into the "
        "control group, by which is measured what copies save.",
        Verdict.OBSERVED: "It would be copied, but the policy only observes.",
        Verdict.OVER_BUDGET: f"It would be copied, but a budget is spent: "
        f"{found.budget}.",
    }
    return fixed.get(found.verdict) or _weighed(found, found.bets, now)


def _weighed(found: Evaluation, bets: Sequence[EvaluatedBet], now: Moment) -> str:
    """Return the sentence of a verdict that rests on numbers."""
    if found.verdict is Verdict.SETTLED and found.last is not None:
        age = seconds((now.now_ns - found.last.time_ns) / 1e9)
        status = found.last.status.name.lower()
        return f"It was decided {age} ago, and is {status}: that holds still."
    if found.verdict is Verdict.WAITS_FOR_SIGN:
        awaited = next(bet for bet in bets if bet.waits_for is not None)
        return (
            f"A first start in {awaited.waits_for} would be a surer sign, and would "
            "still leave time enough for the copy."
        )
    if found.verdict is Verdict.TOO_UNLIKELY:
        best = bets[0]
        return (
            f"A start in {best.region} is {share(best.probability)} likely "
            f"({CLASSES_SAID[best.known]}); below {share(best.break_even)} a copy "
            f"does not pay, since it may waste {size(best.stake_bytes)}."
        )
    assert found.want is not None, "what would be copied is wanted"
    candidate = found.want.candidate
    takes = nanoseconds(candidate.duration.p50_ns)
    return (
        f"It would be copied from {candidate.source} now, in about {takes}: "
        f"{candidate.explanation}."
    )
