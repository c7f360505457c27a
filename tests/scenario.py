"""Scenarios: stories that an operator can read, told to the fold and asked of it.

A file opens with a comment. Then come blocks: lines that tell or ask, ``----``, and
what the questions answer. Each line is stored a second after the one before it;
``late=2h`` says that it happened two hours before that, ``id=x`` names the event, and
``wait 2d`` lets time pass, and ``catalogue`` takes the shipped regions instead of the
tests' six. Words that tell are in ``scenario_words``, those about decisions in
``scenario_deciding``; those that ask are here.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from placement.core.candidates import parse_candidates
from placement.core.copies import tagged_images
from placement.core.event import Event, Identifier, TimeNs
from placement.core.fold import fold
from placement.core.forecast import Forecaster
from placement.core.graph import standing
from placement.core.images import Selection, select_image
from placement.core.network import Network
from placement.core.oci import Platform, Repository
from placement.core.planning import plan
from placement.core.policy import DEFAULT
from placement.core.ranking import Question, fallback_source, rank_sources
from placement.core.starts import estimate_starts
from placement.core.state import State
from placement.core.topology import Region
from tests.builders import SECOND_NS, START_NS, TOPOLOGY, event, message
from tests.scenario_deciding import (
    NOTHING,
    copies_under_way,
    copy_begins,
    copy_ends,
    decided,
    decision_line,
    shipped_catalogue,
)
from tests.scenario_words import WORDS, Names, Options, parse_span_ns

FOLDER: Final = Path(__file__).parent / "scenarios"
RULE: Final = "----"
SOURCES_MAX: Final = 5


class Story:
    """One scenario as far as it is told."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self.state = State()
        self.names = Names()
        self.now_ns = START_NS
        self.topology = TOPOLOGY

    def say(self, line: str) -> list[str]:
        """Tell or ask one line; return what is answered."""
        word, *rest = line.split()
        words = [part for part in rest if "=" not in part]
        options = dict(part.split("=", 1) for part in rest if "=" in part)
        self.now_ns += SECOND_NS
        if word == "wait":
            self.now_ns += parse_span_ns(words[0])
            return []
        if word == "catalogue":
            self.topology = shipped_catalogue()
            return []
        if word in COPYING:
            for fact in COPYING[word](self.state, self.names, words):
                self._stored([event(Region(words[0]), fact)])
            return []
        if word in QUESTIONS:
            return QUESTIONS[word](self, words)
        self.tell(word, words, options)
        return []

    def tell(self, word: str, words: Sequence[str], options: Options) -> None:
        """Fold what a line says, as a message of its own."""
        region, *about = words
        if word == "region":
            about = [region, *about]
        fact = WORDS[word](self.names, self.now_ns, about, options)
        told: Event = event(Region(region), fact)
        if "late" in options:
            happened_ns = self.now_ns - parse_span_ns(options["late"])
            told = replace(told, occur_time_ns=TimeNs(happened_ns))
        if "id" in options:
            told = replace(told, event_id=Identifier(options["id"]))
        self._stored([told])

    def _stored(self, events: Sequence[Event]) -> None:
        sequence = self.state.sequence + 1
        fold(self.state, message(sequence, *events, store_time_ns=self.now_ns))

    def network(self) -> Network:
        """Return what a question is asked of, now."""
        return Network(self.state, self.topology, self.now_ns)

    def sources(self, words: Sequence[str]) -> list[str]:
        """``sources region repository name``: from where to pull, best first."""
        region, repository, name = words
        asked = Question(Repository(repository), Region(region), SOURCES_MAX)
        found = self.names.digest(name)
        ranking = rank_sources(self.network(), asked, found)
        lines = [
            f"{source.region}  {source.duration.p50_ns / 1e9:.2f} s"
            for source in ranking.sources
        ]
        lines.extend(f"{at}  mount from {owner}" for at, owner in ranking.mounts)
        home = fallback_source(self.network(), asked, found).region
        return [*lines, f"{home}  fallback"]

    def estimate(self, words: Sequence[str]) -> list[str]:
        """``estimate regions repository name[@platform] ...``: where a start is best.

        Several names are several images of one machine.
        """
        expression, repository, *images = words
        chosen = []
        for image in images:
            name, _, platform = image.partition("@")
            wanted = Platform(*platform.split("/")) if platform else None
            digest = self.names.digest(name)
            selection = Selection(Repository(repository), digest, wanted)
            chosen.append(select_image(self.state, selection))
        candidates = parse_candidates(self.topology, expression)
        lines = []
        for one in estimate_starts(self.network(), chosen, candidates, ""):
            waits = "unknown"
            if one.wait is not None:
                p50, p90 = one.wait.p50_ns / 1e9, one.wait.p90_ns / 1e9
                waits = f"{p50:.2f} s  (p90 {p90:.2f} s)"
            lines.append(f"{one.region}  {waits}  {one.reason}")
        return lines

    def where(self, words: Sequence[str]) -> list[str]:
        """``where repository name``: the replicas, and whether the image is whole."""
        repository, name = Repository(words[0]), self.names.digest(words[1])
        placement = self.state.find_placement(repository, name)
        owner = self.state.find_repository(repository)
        lines = []
        for replica in self.state.replicas_of(placement):
            region = self.state.region_row(replica.region)
            whole = standing(self.state, owner, self.state.find_digest(name), region)
            lacks = f"  lacks {whole.missing_bytes} B" if whole.missing_bytes else ""
            runs = "" if whole.complete else "  cannot run"
            lines.append(f"{replica.region}  {replica.phase.name.lower()}{lacks}{runs}")
        return lines or ["nowhere"]

    def tags(self, words: Sequence[str]) -> list[str]:
        """``tags repository``: where each tag points, by whom, and how long ago."""
        owner = self.state.find_repository(Repository(words[0]))
        return [
            f"{tag} -> {self.names.name(pointer.digest)}  by {pointer.region}, "
            f"{(self.now_ns - pointer.time_ns) // SECOND_NS} s ago"
            for tag, pointer in self.state.tags_in(owner)
        ] or ["none"]

    def uses(self, words: Sequence[str]) -> list[str]:
        """``uses repository name``: pulls, starts and running machines by region."""
        placement = self.state.find_placement(
            Repository(words[0]), self.names.digest(words[1])
        )
        lines = []
        for key, row in self.state.uses.rows():
            if int.from_bytes(key[:4], "little") == placement:
                region = list(self.state.regions.rows())[
                    int.from_bytes(key[4:], "little")
                ][0].decode()
                pulls, starts, running, _ = self.state.uses.values(row)
                lines.append(
                    f"{region}  pulls {pulls}  starts {starts}  running {running}"
                )
        return sorted(lines) or ["none"]

    def plan(self, words: Sequence[str]) -> list[str]:
        """``plan``: what is to be copied where, best value first, and why."""
        assert not words
        owners = [row for _, row in sorted(self.state.repositories.rows())]
        images = filter(None, tagged_images(self.state, owners))
        return [
            f"{copy.image.repository} {self.names.name(copy.image.digest)}  "
            f"{copy.source} -> {copy.target}  {copy.transfer_bytes} B  "
            f"saves {copy.saved_ns / 1e9:.2f} s  ({copy.explanation})"
            for copy in plan(self.network(), images, Forecaster(self.state, DEFAULT))
        ] or ["nothing"]

    def decide(self, words: Sequence[str]) -> list[str]:
        """``decide``: what a planner decides now; its decisions are stored."""
        assert not words
        events = decided(self.state, self.topology, self.now_ns)
        if events:
            self._stored(events)
        return [decision_line(one, self.names) for one in events] or [NOTHING]

    def copies(self, words: Sequence[str]) -> list[str]:
        """``copies``: what is on its way, and how long it should still take."""
        assert not words
        return copies_under_way(self.state, self.names, self.now_ns) or [NOTHING]

    def counters(self, words: Sequence[str]) -> list[str]:
        """``counters``: what was folded, known already, or set aside and why."""
        assert not words
        counts = [
            f"{name} {self.state.count(name)}"
            for name in ("folded", "duplicate", "set_aside")
        ]
        aside = [
            "message {}: {}".format(*key.decode().split("\0")[::2])
            for key, _ in self.state.set_aside.rows()
        ]
        return ["  ".join(counts), *sorted(aside)]


QUESTIONS: Final[dict[str, Callable[[Story, Sequence[str]], list[str]]]] = {
    "sources": Story.sources,
    "estimate": Story.estimate,
    "where": Story.where,
    "tags": Story.tags,
    "uses": Story.uses,
    "plan": Story.plan,
    "counters": Story.counters,
    "copies": Story.copies,
    "decide": Story.decide,
}
COPYING: Final = {"begin": copy_begins, "finish": copy_ends}
"""How a copy that was decided goes on."""


def told(text: str) -> str:
    """Return the scenario *text* with the answers that are given now.

    An answer is everything from a rule to the next empty line.
    """
    story = Story()
    lines: list[str] = []
    answers: list[str] = []
    reading_answer = False
    for line in text.splitlines():
        if line == RULE:
            lines.extend([RULE, *answers])
            answers, reading_answer = [], True
        elif not line.strip():
            lines.append("")
            reading_answer = False
        elif not reading_answer:
            lines.append(line)
            if not line.startswith("#"):
                answers.extend(story.say(line))
    assert not answers, f"a question has no {RULE} after it"
    return "\n".join(lines).rstrip() + "\n"
