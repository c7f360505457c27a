"""A back-test: pasts replayed under policies, and scored beside the baselines."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from placement.core.event import Event, Recorded, RecordedMessage
from placement.core.policy import SET_60D, Policy
from placement.core.topology import Region, Topology
from placement.simulation.assumptions import Assumptions
from placement.simulation.baselines import BASELINES
from placement.simulation.clairvoyant import clairvoyant
from placement.simulation.ledger import Sources
from placement.simulation.past import Past, past_of
from placement.simulation.replay import Instants, Replay
from placement.simulation.rules import rules_of
from placement.simulation.score_from import ScoreFrom
from placement.simulation.scores import KAPPA, PolicyScore, Scorer
from placement.simulation.synthesis import Synthesis
from placement.simulation.trace import Trace
from placement.simulation.world import World

CLAIRVOYANT: Final = "clairvoyant"
MEGABYTE: Final = 1e6
FRONTIER_MB_S: Final = (10, 20, 40, 80, 160, 320, 640, 1280)
"""The kappas, in MB/s, at which the frontier of a policy is drawn."""
PROGRESS_EVERY: Final = 256

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
    """By subject; the rest is scored from the default on."""
    down: tuple[Region, ...] = ()
    sources: Sources = Sources.HOME
    frontier_of: str = ""
    """The policy whose frontier over kappa is wanted; empty: none."""


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
    score_from = setting.score_from.get(subject.name, ScoreFrom())
    world = World(subject.past, rules, score_from)
    betting = {
        name: policy
        for name, policy in setting.policies.items()
        if policy.rule != SET_60D
    }
    swept = _swept(setting)
    replayed = Replay(world, {**betting, **swept})
    _play(replayed, subject, on_progress)
    kappa = _regret_kappa(setting.policies)
    scorer = Scorer(world, sources=setting.sources, kappa=kappa)
    scores = {
        name: scorer.score(baseline(world)) for name, baseline in BASELINES.items()
    }
    scores[CLAIRVOYANT] = scorer.score(clairvoyant(world))
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
    fingerprint, stand_in = replayed.fingerprint, subject.past.stands_in_for_starts
    return Outcome(subject.name, scores, frontier, fingerprint, stand_in)


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


def _regret_kappa(policies: Mapping[str, Policy]) -> float:
    """Return what a second is worth in regrets: as the first policy has it."""
    betting = (policy.kappa_bytes_per_second for policy in policies.values())
    return next(betting, KAPPA)
