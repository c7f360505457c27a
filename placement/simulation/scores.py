"""Scores: what the figures of a back-test mean, and the one place that works them out.

Waits are those of first starts from the scored moment on; bytes are those of versions
that were pushed from then on. Every share is a fraction of 1.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Final

from placement.simulation.baselines import BASELINES, Baseline, everywhere, never
from placement.simulation.calibration import (
    Calibration,
    Prediction,
    calibration,
    calibration_by,
)
from placement.simulation.clairvoyant import clairvoyant
from placement.simulation.ledger import Copy, Ledger, Sources, Wait, settle
from placement.simulation.world import World

KAPPA: Final = 80e6
"""Bytes that one second of a start's wait is worth, in regrets, unless stated."""
POLICIES: Final[Mapping[str, Baseline]] = {**BASELINES, "clairvoyant": clairvoyant}
"""The built-in policies by name."""
NEVER_PREDICTED: Final = "never_predicted"
PREDICTED_LATE: Final = "predicted_late"
NEW_REGION: Final = "new_region"


@dataclass(frozen=True, slots=True)
class Miss:
    """First starts of one class that did not find their image.

    *wait_s* is what they waited longer than with it, *regret_bytes* what that is worth
    beyond what the clairvoyant's waits of the same starts are.
    """

    count: int
    wait_s: float
    regret_bytes: float


@dataclass(frozen=True, slots=True)
class PolicyScore:
    """One policy on one trace; what cannot be said is None.

    *waits_s* are all waits, ascending. *regret_bytes* is what waits and bytes came to
    beyond the clairvoyant's, a second being worth kappa bytes.
    """

    waits_s: tuple[float, ...]
    local_share: float
    saved: float
    """Of the seconds that first starts wait without any copy: 1 is all of them."""
    benefit: float | None
    """``saved`` as a share of the clairvoyant's."""
    bytes_moved_ratio: float | None
    """Bytes moved as a share of full replication's, starts' own pulls included."""
    waste: float | None
    """Bytes copied that no start there needed, as a share of those moved and needed."""
    waste_vs_everywhere: float | None
    saved_s: float
    wasted_bytes: int
    regret_bytes: float
    misses: Mapping[str, Miss]
    calibration: Calibration | None
    by_membership: Mapping[str, Calibration]
    by_trigger: Mapping[str, Calibration]

    @property
    def first_starts(self) -> int:
        """How many first starts were scored."""
        return len(self.waits_s)

    def wait_s(self, share: float) -> float:
        """Return the wait that *share*, 0 <= share < 1, of first starts stay below."""
        return quantile(self.waits_s, share)


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the value that *share* of all are below; 0 where there are none."""
    return ascending[int(share * len(ascending))] if ascending else 0.0


class Scorer:
    """Scores policies on one world, against never, everywhere and the clairvoyant."""

    def __init__(
        self, world: World, *, sources: Sources = Sources.HOME, kappa: float = KAPPA
    ) -> None:
        """Keep what every score needs; the references are settled when first asked."""
        self.world = world
        self._sources = sources
        self._kappa = kappa
        self._ledgers: dict[Baseline, Ledger] = {}

    def score(
        self, copies: Iterable[Copy], predictions: Iterable[Prediction] | None = None
    ) -> PolicyScore:
        """Return what *copies*, and the *predictions* behind them, are worth."""
        return self.score_of(settle(self.world, copies, self._sources), predictions)

    def score_of(
        self, ledger: Ledger, predictions: Iterable[Prediction] | None = None
    ) -> PolicyScore:
        """Return the score of a policy whose *ledger* is settled already."""
        waits = self._scored(ledger)
        seconds = _seconds(waits)
        moved, wasted = self._bytes(ledger)
        _, most = self._bytes(self._settled(everywhere))
        best_moved, _ = self._bytes(self._settled(clairvoyant))
        worst = _seconds(self._scored(self._settled(never)))
        best = _seconds(self._scored(self._settled(clairvoyant)))
        resolved = [
            one for one in predictions or () if one.time_ns >= self.world.score_from_ns
        ]
        saved = _share(worst - seconds, worst, 0.0)
        best_saved = _share(worst - best, worst, 0.0)
        return PolicyScore(
            waits_s=tuple(sorted(one.wait_s for one in waits)),
            local_share=_share(sum(one.local for one in waits), len(waits), 0.0),
            saved=saved,
            benefit=_ratio(saved, best_saved),
            bytes_moved_ratio=_ratio(moved, self._full_bytes),
            waste=_ratio(wasted, moved - wasted),
            waste_vs_everywhere=_ratio(wasted, most),
            saved_s=worst - seconds,
            wasted_bytes=wasted,
            regret_bytes=(seconds - best) * self._kappa + moved - best_moved,
            misses=self._misses(waits),
            calibration=calibration(resolved),
            by_membership=calibration_by(resolved, lambda one: one.membership),
            by_trigger=calibration_by(resolved, lambda one: one.trigger),
        )

    def baselines(self) -> dict[str, PolicyScore]:
        """Return the scores of the built-in policies, by name."""
        return {
            name: self.score_of(self._settled(policy))
            for name, policy in POLICIES.items()
        }

    def _settled(self, policy: Baseline) -> Ledger:
        """Return the ledger of a built-in *policy*, settled once."""
        if policy not in self._ledgers:
            ledger = settle(self.world, policy(self.world), self._sources)
            self._ledgers[policy] = ledger
        return self._ledgers[policy]

    @cached_property
    def _full_bytes(self) -> int:
        return self.world.full_bytes()

    def _scored(self, ledger: Ledger) -> list[Wait]:
        first_ns = self.world.score_from_ns
        return [one for one in ledger.waits if one.start.time_ns >= first_ns]

    def _bytes(self, ledger: Ledger) -> tuple[int, int]:
        """Return the bytes moved, and of these the bytes wasted."""
        first_ns = self.world.score_from_ns
        scored = [x for x in ledger.movements if x.version.push_time_ns >= first_ns]
        moved = sum(one.moved_bytes for one in scored)
        return moved, sum(one.wasted_bytes for one in scored)

    def _misses(self, waits: list[Wait]) -> dict[str, Miss]:
        """Return what did not find its image, by why; each class, even if empty."""
        names = (NEVER_PREDICTED, PREDICTED_LATE, NEW_REGION)
        groups: dict[str, list[tuple[Wait, Wait]]] = {name: [] for name in names}
        bests = self._scored(self._settled(clairvoyant))
        for one, best in zip(waits, bests, strict=True):
            if not one.local:
                groups[self._class(one)].append((one, best))
        return {
            name: Miss(
                len(group),
                sum(one.wait_s - one.near_s for one, _ in group),
                sum(one.wait_s - best.wait_s for one, best in group) * self._kappa,
            )
            for name, group in groups.items()
        }

    def _class(self, wait: Wait) -> str:
        if wait.copied_time_ns is not None:
            return PREDICTED_LATE
        start = wait.start
        target = self.world.storage[start.region]
        live = self.world.is_live(target, start.version.push_time_ns)
        return NEVER_PREDICTED if live else NEW_REGION


@dataclass(frozen=True, slots=True)
class AllStarts:
    """The waits of all starts that are scored, repeated ones too."""

    waits_s: tuple[float, ...]
    local_share: float

    @property
    def waited_s(self) -> float:
        """All waits together."""
        return sum(self.waits_s)


def all_starts(waits: Iterable[Wait]) -> AllStarts:
    """Return the distribution of *waits*, as ``ledger.all_waits`` yields them."""
    found = list(waits)
    local_share = _share(sum(one.local for one in found), len(found), 0.0)
    return AllStarts(tuple(sorted(one.wait_s for one in found)), local_share)


@dataclass(frozen=True, slots=True)
class MacroScore:
    """One policy over several traces, each of which counts the same."""

    benefit: float | None
    worst_benefit: float | None
    waste_vs_everywhere: float | None
    bytes_moved_ratio: float | None


def macro_scores(
    traces: Mapping[str, Mapping[str, PolicyScore]],
) -> dict[str, MacroScore]:
    """Return each policy's means over *traces*, of what each trace can say."""
    policies: defaultdict[str, list[PolicyScore]] = defaultdict(list)
    for scores in traces.values():
        for policy, score in scores.items():
            policies[policy].append(score)
    return {policy: _macro(scores) for policy, scores in policies.items()}


def _macro(scores: Sequence[PolicyScore]) -> MacroScore:
    benefits = [one.benefit for one in scores if one.benefit is not None]
    return MacroScore(
        _mean(benefits),
        min(benefits, default=None),
        _mean([one.waste_vs_everywhere for one in scores]),
        _mean([one.bytes_moved_ratio for one in scores]),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _seconds(waits: Iterable[Wait]) -> float:
    """Return what starts waited longer than with their image where they are."""
    return sum(one.wait_s - one.near_s for one in waits)


def _share(part: float, whole: float, default: float) -> float:
    return part / whole if whole else default


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
