"""Replicas compare their states at the same messages: one that errs is found and named.

The fold is a function of the log. A replica whose state differs all the same has a bug,
another version, or a machine that errs; nobody else would ever notice. So at each point
of ``points`` a replica hashes a share of its state and tells the others, outside of the
log: it must not influence what it is about. Who differs from a majority is wrong; where
there is none, as between two, folding the log anew tells.

Whoever may speak there may do so by any name, so a majority is one of honest services.
But what others say takes no room from what this one looked at, nor one name from all.
"""

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import structlog

from placement.core.errors import InputError
from placement.core.fold import FOLD_VERSION
from placement.core.share import Share
from placement.core.state import State
from placement.ports import Clock, LogUnavailableError, Peers
from placement.runtime.slices import in_slices
from placement.wire.fingerprints import Report, decode_report, encode_report

POINTS_KEPT: Final = 64
SERVICES_KEPT: Final = 64
"""Of each point: no more are compared, however many report. And of those that speak of
points which this service has not come to, no more are listened to."""
EARLY_KEPT: Final = 16
"""What one service may say of such points."""
UNTOLD_MAX: Final = 16
INTERVALS_OLD_MAX: Final = 2
"""A log that is caught up with has points that nobody else looks at any more."""
RETRY_SECONDS: Final = 1.0

Point = tuple[int, str, int]

log_events = structlog.get_logger(__name__)


class Verdict(IntEnum):
    """Which of two replicas errs, as far as a majority can tell."""

    UNDECIDED = 1
    THIS_SERVICE = 2
    OTHER_SERVICE = 3


@dataclass(frozen=True, slots=True)
class Divergence:
    """Two replicas folded the same messages to different states."""

    sequence: int
    fingerprint: str
    other_service: str
    other_fingerprint: str
    verdict: Verdict


def point_of(report: Report) -> Point:
    """Return what *report* is about: equal for those that may be compared."""
    return report.sequence, report.message_hash, report.fold_version


class EarlyWords:
    """What others said of points that this service has not come to: a little of each.

    Of more services than are listened to, those go first which never said anything
    that could be compared: a name costs nothing.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._words: OrderedDict[str, OrderedDict[Point, str]] = OrderedDict()
        self._met: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """Return how many words are kept."""
        return sum(map(len, self._words.values()))

    def met(self, service: str) -> None:
        """Hear that *service* was compared with."""
        self._met[service] = None
        self._met.move_to_end(service)
        if len(self._met) > SERVICES_KEPT:
            self._met.popitem(last=False)

    def keep(self, report: Report) -> None:
        """Keep *report*, unless its service said something else there before."""
        words = self._words.setdefault(report.service, OrderedDict())
        self._words.move_to_end(report.service)
        words.setdefault(point_of(report), report.fingerprint)
        if len(words) > EARLY_KEPT:
            words.popitem(last=False)
        if len(self._words) > SERVICES_KEPT:
            strangers = (name for name in self._words if name not in self._met)
            del self._words[next(strangers, next(iter(self._words)))]

    def taken(self, point: Point) -> dict[str, str]:
        """Return who said what of *point*, and forget it."""
        found = {
            name: words.pop(point)
            for name, words in self._words.items()
            if point in words
        }
        for name in found:
            if not self._words[name]:
                del self._words[name]
        return found


class Witness:
    """Looks at the state of this service, and hears what others say of theirs."""

    def __init__(
        self, service: str, peers: Peers, clock: Clock, interval_seconds: float
    ) -> None:
        """Report as *service* to *peers*, once in an interval of the log's time."""
        self.service = service
        self.interval_ns = round(interval_seconds * 1e9)
        self.divergence: Divergence | None = None
        """The newest one since the start; it does not go away by itself."""
        self.counts: Counter[str] = Counter(compared=0, divergent=0)
        """How often another replica was compared with, and how often it differed."""
        self.shares = 0
        """How many shares of the state were hashed."""
        self._peers = peers
        self._clock = clock
        self._points: OrderedDict[Point, dict[str, str]] = OrderedDict()
        """What all say of the points that this service looked at, and of no others."""
        self._early = EarlyWords()
        self._untold: asyncio.Queue[Report] = asyncio.Queue(UNTOLD_MAX)

    async def run(self) -> None:
        """Tell others and hear them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._tell())

    async def look(self, state: State, interval: int) -> None:
        """Hash the share of *state* that is due at the end of *interval*.

        The state must not change before this returns; others are let in meanwhile.
        """
        age_ns = self._clock() - state.store_time_ns
        if age_ns > INTERVALS_OLD_MAX * self.interval_ns or not state.sequence:
            return
        share = Share(state, interval)
        try:
            await in_slices(share.steps())
        except Exception:
            log_events.exception("share_failed", sequence=state.sequence)
            return  # comparing is no reason to stop folding
        self.shares += 1
        sequence, message_hash = state.sequence, state.message_hash.hex()
        report = Report(
            self.service, sequence, message_hash, FOLD_VERSION, share.fingerprint
        )
        self._looked(report)
        if not self._untold.full():
            self._untold.put_nowait(report)

    async def heard(self, body: bytes) -> None:
        """Take what another replica says, or anybody who may speak there."""
        try:
            report = decode_report(body)
        except InputError as error:
            log_events.debug("report_malformed", reason=str(error))
            return
        if report.service == self.service:
            return
        said = self._points.get(point_of(report))
        if said is None:
            self._early.keep(report)
        elif report.service not in said and len(said) < SERVICES_KEPT:
            said[report.service] = report.fingerprint
            self._compare(report.sequence, said, [report.service])

    def _looked(self, report: Report) -> None:
        """Keep what this service saw, and compare it with what others said before."""
        point = point_of(report)
        if point in self._points:
            return
        others = self._early.taken(point)
        said = self._points[point] = {self.service: report.fingerprint} | others
        if len(self._points) > POINTS_KEPT:
            self._points.popitem(last=False)
        self._compare(report.sequence, said, list(others))

    def _compare(self, sequence: int, said: dict[str, str], others: list[str]) -> None:
        """Compare what *others*, who are new among those who *said*, did, with ours."""
        ours = said[self.service]
        for name in others:
            self._early.met(name)
            self.counts["compared"] += 1
            if said[name] != ours:
                self.counts["divergent"] += 1
        self._judge(sequence, ours, said)

    def _judge(self, sequence: int, ours: str, said: dict[str, str]) -> None:
        """Say of *sequence* whether anybody differs from us, and who of us errs."""
        differing = [name for name, theirs in said.items() if theirs != ours]
        if not differing:
            return
        other, votes = min(differing), Counter(said.values())
        verdict = Verdict.UNDECIDED
        if 2 * votes[ours] > len(said):
            verdict = Verdict.OTHER_SERVICE
        elif any(2 * count > len(said) for count in votes.values()):
            verdict = Verdict.THIS_SERVICE
        found = Divergence(sequence, ours, other, said[other], verdict)
        if found != self.divergence:
            self.divergence = found
            log_events.error(
                "state_diverged",
                sequence=sequence,
                fingerprint=ours,
                other_service=other,
                other_fingerprint=said[other],
                wrong=verdict.name.lower(),
                remedy="docs/cluster.md says how to tell which one errs, and what then",
            )

    async def _listen(self) -> None:
        while True:
            try:
                await self._peers.listen(self.heard)
            except LogUnavailableError as error:
                log_events.debug("peers_unreachable", reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _tell(self) -> None:
        """Tell what waits; what cannot be told now, nobody would compare later."""
        while True:
            report = await self._untold.get()
            try:
                await self._peers.tell(encode_report(report))
            except LogUnavailableError as error:
                log_events.debug("peers_unreachable", reason=str(error))
