"""A back-test: pasts replayed under policies, and scored beside the baselines."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from placement.core.deciding.keep import Keep
from placement.core.errors import InputError
from placement.core.event import Event, Recorded, RecordedMessage
from placement.core.policy import SET_60D, Policy
from placement.core.topology import Region, Topology
from placement.simulation.assumptions import Assumptions
from placement.simulation.baselines import BASELINES
from placement.simulation.ledger import Sources, all_waits, settle
from placement.simulation.past import Past, past_of
from placement.simulation.replay import Instants, Replay
from placement.simulation.retention import Retention, retention
from placement.simulation.rules import rules_of
from placement.simulation.score_from import ScoreFrom
from placement.simulation.scores import (
    KAPPA,
    AllStarts,
    PolicyScore,
    Scorer,
    all_starts,
)
from placement.simulation.synthesis import Synthesis
from placement.simulation.trace import Trace
from placement.simulation.world import World

MEGABYTE: Final = 1e6
FRONTIER_MB_S: Final = (10, 20, 40, 80, 160, 320, 640, 1280)
"""The kappas, in MB/s, at which the frontier of a policy is drawn."""
PROGRESS_EVERY: Final = 256
PULL_THROUGH: Final = "pull_through"
EVERY: Final = ""
"""In place of a subject's name."""

OnProgress = Callable[[float], None]
"""Called with how much is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is replayed: a past, and its log one moment at a time."""

    name: str
    past: Past
    instants: Callable[[], Instants]


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all subjects of a back-test."""

    assumptions: Assumptions
    topology: Topology
    policies: Mapping[str, Policy]
    score_from: Mapping[str, ScoreFrom] = field(default_factory=dict)
    """By subject, or of EVERY one; else as the assumptions declare, or the default."""
    down: tuple[Region, ...] = ()
    sources: Sources = Sources.HOME
    frontier_of: str = ""
    """The policy whose frontier over kappa is wanted; empty: none."""
    with_all_starts: bool = False
    """Whether repeated starts are looked at as well."""
    keeps: Mapping[str, Keep] = field(default_factory=dict)
    """What regions keep under each policy; else the default."""
    with_rollbacks: bool = True
    """Whether roll-backs and stored bytes are looked at as well."""


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One policy at another kappa, in MB per saved second."""

    kappa_mb_s: float
    score: PolicyScore


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one subject came to, under each policy and over kappa."""

    name: str
    scores: Mapping[str, PolicyScore]
    frontier: tuple[FrontierPoint, ...]
    fingerprint: str
    stands_in_for_starts: str
    all_starts: Mapping[str, AllStarts]
    """By policy, where they were wanted."""
    rollbacks: Mapping[str, Retention] = field(default_factory=dict)
    """By policy, where they were wanted."""


def subject_of_trace(  # noqa: PLR0913 - a trace and what it leaves open
    name: str,
    trace: Trace,
    assumptions: Assumptions,
    topology: Topology,
    *,
    home: Region | None = None,
    upload_s: float = 0.0,
) -> Subject:
    """Return a trace as a past and a log; raises InputError for unknown regions.

    Layers are pushed *upload_s* before their manifest, and copies may follow them.
    """
    regions = assumptions.map_regions(name, trace.regions(), topology, home)
    past = past_of(trace, regions, assumptions, upload_s=upload_s)
    synthesis = Synthesis(trace, regions, assumptions, upload_s=upload_s)
    return Subject(name, past, lambda: messages_of(synthesis.instants()))


def subject_of_log(
    name: str, past: Past, messages: Sequence[RecordedMessage]
) -> Subject:
    """Return a log of real events; each of its messages is a moment of its own."""
    return Subject(name, past, lambda: ((m.store_time_ns, [m]) for m in messages))


def messages_of(instants: Iterable[tuple[int, Sequence[Event]]]) -> Instants:
    """Yield each moment's events as one message that a log might hold."""
    for sequence, (time_ns, events) in enumerate(instants, 1):
        items = tuple(
            Recorded(sequence, position, time_ns, time_ns, event)
            for position, event in enumerate(events)
        )
        yield time_ns, [RecordedMessage(sequence, time_ns, b"", items)]


def run(setting: Setting, subject: Subject, on_progress: OnProgress) -> Outcome:
    """Return what every policy and baseline comes to on *subject*."""
    rules = rules_of(setting.assumptions, setting.topology, setting.down)
    world = World(subject.past, rules, _score_from(setting, subject))
    betting = {
        name: policy
        for name, policy in setting.policies.items()
        if policy.rule != SET_60D
    }
    swept = _swept(setting)
    replayed = Replay(world, {**betting, **swept})
    _play(replayed, subject, on_progress)
    kappa = regret_kappa(setting.policies)
    scorer = Scorer(world, sources=setting.sources, kappa=kappa)
    scores = scorer.baselines()
    for name in setting.policies:
        if name in betting:
            played = replayed.played[name]
            scores[name] = scorer.score(played.copies, played.predictions)
        else:
            scores[name] = scores[SET_60D]
    frontier = tuple(
        FrontierPoint(
            policy.kappa_bytes_per_second / MEGABYTE,
            scorer.score(replayed.played[name].copies),
        )
        for name, policy in swept.items()
    )
    on_progress(1.0)
    return Outcome(
        subject.name,
        scores,
        frontier,
        replayed.fingerprint,
        subject.past.stands_in_for_starts,
        _all_starts(setting, world, replayed),
        _rollbacks(setting, world, replayed),
    )


def _score_from(setting: Setting, subject: Subject) -> ScoreFrom:
    """Return from when on *subject* is scored: as was said, declared, or usual."""
    said = setting.score_from.get(subject.name, setting.score_from.get(EVERY))
    if said is not None:
        _, last_ns = subject.past.span_ns()
        if said.time_ns(*subject.past.span_ns()) > last_ns:
            remedy = f"{subject.name} ends before: give an earlier date, or a fraction"
            raise InputError("score-from", said.told, remedy)
        return said
    declared = setting.assumptions.score_from.get(subject.name, ScoreFrom())
    first_ns, last_ns = subject.past.span_ns()
    within = first_ns < declared.time_ns(first_ns, last_ns) < last_ns
    return declared if within else ScoreFrom()


def _all_starts(
    setting: Setting, world: World, replayed: Replay
) -> dict[str, AllStarts]:
    if not setting.with_all_starts:
        return {}
    copies = {name: list(baseline(world)) for name, baseline in BASELINES.items()}
    copies |= {
        name: replayed.played[name].copies
        for name in setting.policies
        if name in replayed.played
    }
    return {
        name: all_starts(all_waits(world, settle(world, decided, setting.sources)))
        for name, decided in copies.items()
    }


def _rollbacks(
    setting: Setting, world: World, replayed: Replay
) -> dict[str, Retention]:
    """Return what the policies keep, and a cache that keeps by the first one's rule."""
    if not setting.with_rollbacks:
        return {}
    found: dict[str, Retention] = {}
    for name in setting.policies:
        keep = setting.keeps.get(name, Keep())
        if not found:
            found[PULL_THROUGH] = retention(world, (), keep)
        if name in replayed.played:
            found[name] = retention(world, replayed.played[name].copies, keep)
    return found


def _play(replayed: Replay, subject: Subject, on_progress: OnProgress) -> None:
    first_ns, last_ns = subject.past.span_ns()
    for number, time_ns in enumerate(replayed.run(subject.instants())):
        if number % PROGRESS_EVERY == 0:
            on_progress((time_ns - first_ns) / max(1, last_ns - first_ns))


def _swept(setting: Setting) -> dict[str, Policy]:
    policy = setting.policies.get(setting.frontier_of)
    if policy is None or policy.rule == SET_60D:
        return {}
    return {
        f"{policy.name} at {kappa} MB/s": replace(
            policy, kappa_bytes_per_second=kappa * MEGABYTE
        )
        for kappa in FRONTIER_MB_S
    }


def regret_kappa(policies: Mapping[str, Policy]) -> float:
    """Return what a second is worth in regrets: as the first policy has it."""
    betting = (policy.kappa_bytes_per_second for policy in policies.values())
    return next(betting, KAPPA)
