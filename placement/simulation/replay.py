"""A past through the real fold and the real rule, for several policies at once.

What is learned does not depend on what is copied, so the log is folded once. What each
policy has copied differs, and is kept beside the state; a far pull fills its region
whatever the policy. All that happens at one instant is folded before anything is
decided, and a policy decides where trials were opened: at a push, and at first starts.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from placement.core.betting import CopyCosts, open_trials, wagers
from placement.core.event import RecordedMessage, ReplicationTrigger
from placement.core.fingerprint import fingerprint
from placement.core.fold import fold
from placement.core.forecast import Forecaster, Trial
from placement.core.policy import Policy, forecasts_alike
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.tables.outcomes import Trigger
from placement.core.tables.table import Row
from placement.core.topology import Region
from placement.core.upcoming import upcoming_trials
from placement.simulation.calibration import Prediction
from placement.simulation.ledger import Copy
from placement.simulation.past import Part, Version
from placement.simulation.world import World

Instants = Iterable[tuple[int, list[RecordedMessage]]]
"""The messages of a log, one moment at a time, in the order of time."""
_DECIDED_AT = frozenset({ReplicationTrigger.PUSH, ReplicationTrigger.START})
_Asked = tuple[Row, Row, int]
"""Version, start region, trigger."""


@dataclass(slots=True)
class Played:
    """What one policy decided, and what it foretold of trials that have ended."""

    copies: list[Copy] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)


class _Player:
    """One policy, with what it has copied so far."""

    def __init__(self, world: World, forecaster: Forecaster, played: Played) -> None:
        self._world = world
        self._forecaster = forecaster
        self._played = played
        self._held: set[tuple[Part, Region]] = set()

    def filled(self, version: Version, target: Region) -> None:
        """Take note that a start has pulled the whole version through *target*."""
        self._held.update((part, target) for part in version.parts)

    def decide(self, version: Version, trials: list[Trial], time_ns: int) -> None:
        """Copy *version* where that pays now."""
        state = self._forecaster.state

        def costs(start: Row) -> CopyCosts | None:
            region = state.region_at(start)
            return self._costs(version, region, time_ns)

        for wager in wagers(self._forecaster, trials, costs):
            target = self._world.storage[state.region_at(wager.trial.region)]
            if wager.pays and self._missing(version, target, time_ns):
                self.filled(version, target)
                self._played.copies.append(Copy(version, target, time_ns))

    def _costs(self, version: Version, start: Region, time_ns: int) -> CopyCosts | None:
        target = self._world.storage.get(start)
        if target is None:
            return None
        missing = self._missing(version, target, time_ns)
        if not missing:
            return None
        seconds = self._world.rules.transfer_s(version.home, target, missing)
        return CopyCosts(missing, seconds)

    def _missing(self, version: Version, target: Region, time_ns: int) -> int:
        sizes = self._world.past.part_bytes
        return sum(
            sizes[part]
            for part in version.parts
            if (part, target) not in self._held
            and not self._world.is_native(part, target, time_ns)
        )


class _Forecasts:
    """What policies that forecast alike foretold of open trials."""

    def __init__(self, forecaster: Forecaster, players: list[Played]) -> None:
        self._forecaster = forecaster
        self._players = players
        self._open: dict[_Asked, tuple[int, float, StartClass]] = {}

    def asked(self, version: Row, trials: list[Trial], time_ns: int) -> None:
        """Keep the chance of each trial until it ends."""
        for trial in trials:
            key = (version, trial.region, trial.trigger)
            kept = (time_ns, self._forecaster.chance(trial), trial.known)
            self._open.setdefault(key, kept)

    def ended(self, key: _Asked, *, hit: bool) -> None:
        """Score what was foretold of a trial."""
        kept = self._open.pop(key, None)
        if kept is None:
            return
        time_ns, chance, known = kept
        trigger = "push" if key[2] == Trigger.PUSH else "start"
        said = Prediction(time_ns, chance, hit, known.name.lower(), trigger)
        for player in self._players:
            player.predictions.append(said)


class Replay:
    """A past, replayed for several policies; *played* fills as it goes on."""

    def __init__(self, world: World, policies: Mapping[str, Policy]) -> None:
        """Begin before the first instant."""
        self.played = {name: Played() for name in policies}
        self._world = world
        self._state = State()
        self._state.indexes.trials.ended = []
        self._starts = deque(world.first_starts)
        self._uploads = deque(_uploads(world))
        self._players: list[_Player] = []
        self._forecasts: list[_Forecasts] = []
        alike: dict[Policy, list[str]] = {}
        for name, policy in policies.items():
            alike.setdefault(forecasts_alike(policy), []).append(name)
        for policy, names in alike.items():
            shared = Forecaster(self._state, policy)
            asked = _Forecasts(shared, [self.played[name] for name in names])
            self._forecasts.append(asked)
            for name in names:
                forecaster = shared.betting_by(policies[name])
                player = _Player(world, forecaster, self.played[name])
                self._players.append(player)

    def run(self, instants: Instants) -> Iterator[int]:
        """Fold *instants*, decide after each, and yield its time in nanoseconds."""
        for time_ns, messages in instants:
            for message in messages:
                fold(self._state, message)
            self._score()
            self._fill(time_ns)
            self._decide_early(time_ns)
            self._decide(time_ns)
            yield time_ns

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the state, which no policy changes."""
        return fingerprint(self._state)

    def _score(self) -> None:
        ended = self._state.indexes.trials.ended or []
        for version, region, trigger, hit in ended:
            for forecast in self._forecasts:
                forecast.ended((version, region, trigger), hit=hit)
        ended.clear()

    def _fill(self, time_ns: int) -> None:
        while self._starts and self._starts[0].time_ns <= time_ns:
            start = self._starts.popleft()
            for player in self._players:
                player.filled(start.version, self._world.storage[start.region])

    def _decide_early(self, time_ns: int) -> None:
        """Decide on versions whose layers arrive before their manifest."""
        while self._uploads and self._uploads[0].layers_time_ns <= time_ns:
            version = self._uploads.popleft()
            trials = upcoming_trials(self._state, version.repository, time_ns)
            for player in self._players:
                player.decide(version, trials, time_ns)

    def _decide(self, time_ns: int) -> None:
        taken = self._state.indexes.agenda.take()
        due = (each.placement for each in taken if each.trigger in _DECIDED_AT)
        for row in dict.fromkeys(due):
            version = self._world.versions.get(self._state.placement_at(row))
            if version is None:
                continue
            trials = open_trials(self._state, row)
            for forecast in self._forecasts:
                forecast.asked(row, trials, time_ns)
            for player in self._players:
                player.decide(version, trials, time_ns)


def _uploads(world: World) -> list[Version]:
    """Return the versions whose layers come before their manifest, by time."""
    early = (v for v in world.past.versions if v.layers_time_ns < v.push_time_ns)
    return sorted(early, key=attrgetter("layers_time_ns"))
