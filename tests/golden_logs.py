"""Logs as files: the bytes of every message, and what they fold to, for ever.

``python -m tests.golden_logs NAME`` writes a new one beside the old ones, which are
never changed. A file holds a JSON document a line: first what the log folds to, then
its messages.
"""

import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from itertools import count
from pathlib import Path
from random import Random
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from placement.core import event as ev
from placement.core.event import Event, Fact
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION, fold
from placement.core.oci import Descriptor, Digest, Platform, Repository, Tag
from placement.core.state import State
from placement.core.topology import Region
from placement.ports import Message
from placement.wire.events import batched, decode_message, encode_message, subject_of
from tests.builders import (
    AMD64,
    AMS,
    ARM64,
    ATTESTATION,
    FRA,
    HOUR_NS,
    IAD,
    INDEX,
    LAYER,
    MANIFEST,
    SECOND_NS,
    START_NS,
    SYD,
    digest,
)

FOLDER: Final = Path(__file__).parent / "golden" / "logs"
COUNTERS: Final = ("folded", "duplicate", "set_aside", "late")
ROUNDS: Final = 12
RELEASES: Final = 240
DECISIONS: Final = 200
SECOND: Final = ev.DurationNs(SECOND_NS)
CAUSES: Final = list(ev.FailureCause)
DIGESTS: Final = [digest(name) for name in "abcdef"]
TYPES: Final = [LAYER, LAYER, LAYER, MANIFEST, MANIFEST, INDEX]


@dataclass(frozen=True)
class Folded:
    """What a log folds to."""

    fold_version: int
    sequence: int
    fingerprint: str
    counters: dict[str, int]


def folded_messages(messages: Iterable[Message]) -> State:
    """Return the state that the bytes of *messages* fold to."""
    state = State()
    for message in messages:
        fold(state, decode_message(message))
    return state


def summary(state: State) -> Folded:
    """Return what tells *state* from any other."""
    counters = {name: state.count(name) for name in COUNTERS}
    return Folded(FOLD_VERSION, state.sequence, fingerprint(state), counters)


def read_log(path: Path) -> tuple[Folded, list[Message]]:
    """Return what a file's log once folded to, and its messages."""
    first, *rest = (json.loads(line) for line in path.read_text().splitlines())
    messages = [
        Message(
            line["sequence"],
            line["store_time_ns"],
            line["subject"],
            b64decode(line["body"]),
        )
        for line in rest
    ]
    return Folded(**first), messages


def write_log(path: Path, messages: Sequence[Message]) -> None:
    """Write *messages* and what they fold to now."""
    lines = [json.dumps(asdict(summary(folded_messages(messages))))]
    for message in messages:
        body = b64encode(message.body).decode()
        lines.append(json.dumps(message._asdict() | {"body": body}))
    path.write_text("\n".join(lines) + "\n")


# One deterministic log with every fact, every field, and what is set aside.


class Filler:
    """Fills the fields of facts by their annotations, from short lists in turn."""

    def __init__(self, seed: int) -> None:
        """Choose by *seed*."""
        self.random = Random(seed)
        choices: dict[Any, Sequence[Any]] = {
            Digest: DIGESTS,
            Repository: [Repository("acme/web"), Repository("acme/api")],
            Tag: [Tag("latest"), Tag("v1.0")],
            Region: [AMS, FRA, IAD, SYD],
            Platform: [AMD64, ARM64, ATTESTATION],
            ev.Identifier: [ev.Identifier(f"id-{n}") for n in range(6)],
            ev.Name: [ev.Name(text) for text in ("", "", "acme", "é")],
            ev.Text: [ev.Text(text) for text in ("", "two\nlines")],
            ev.Document: [ev.Document("margin = 1.2\n")],
            ev.TimeNs: [START_NS + n * HOUR_NS for n in range(-3, 30)],
            ev.DurationNs: [n * SECOND_NS // 2 for n in range(5)],
            int: [0, 1, 2, 3, 50, 2**40],
            float: [0.0, 0.5, -1e300, 3.25],
            bool: [False, True],
            NoneType: [None],
        }
        self.choices = choices

    def value(self, hint: Any) -> Any:  # noqa: ANN401 - any annotation
        """Return a value for a field of that annotation."""
        if hint is Descriptor:
            return self.descriptor()
        if hint in self.choices:
            return self.random.choice(self.choices[hint])
        if get_origin(hint) in {Union, UnionType}:
            return self.value(self.random.choice(get_args(hint)))
        if get_origin(hint) is tuple:
            length = self.random.choice((0, 1, 1, 2, 3))
            return tuple(self.value(get_args(hint)[0]) for _ in range(length))
        if issubclass(hint, IntEnum):
            return self.random.choice(list(hint))
        return self.record(hint)

    def record(self, hint: type) -> Any:  # noqa: ANN401 - any domain class
        """Return a domain class with all of its fields filled."""
        hints = get_type_hints(hint)
        return hint(**{name: self.value(part) for name, part in hints.items()})

    def descriptor(self) -> Descriptor:
        """Return a descriptor that, one time in thirty, contradicts the others."""
        number = self.random.randrange(len(DIGESTS))
        size = 999 if self.random.random() < 1 / 30 else 1000 + number
        platform = self.random.choice([None, AMD64, ARM64])
        return Descriptor(DIGESTS[number], TYPES[number], size, platform)

    def fact(self, kind: type) -> Any:  # noqa: ANN401 - any fact
        """Return a fact; what is quarantined is in no log, so that all is folded."""
        made = self.value(kind)
        if isinstance(made, ev.EventQuarantined):
            return replace(made, sequence=2**40)
        return made

    def event(self, number: int, fact: type) -> Event:
        """Return an event of *fact*, the *number*-th of its log."""
        age_ns = self.random.choice([None, None, 0, 90 * SECOND_NS, 30 * HOUR_NS])
        happened = None if age_ns is None else START_NS + number * SECOND_NS - age_ns
        return Event(
            ev.Identifier(f"golden-{number}"),
            self.value(Region),
            self.fact(fact),
            None if happened is None else ev.TimeNs(happened),
            self.value(ev.Name),
            self.value(ev.Name),
            self.value(ev.Name),
        )


def every_fact(rounds: int = ROUNDS, seed: int = 20261123) -> list[Event]:
    """Return events of all facts, again and again, the same ones for one *seed*."""
    filler = Filler(seed)
    kinds = [fact for _ in range(rounds) for fact in get_args(Fact)]
    return [filler.event(number, fact) for number, fact in enumerate(kinds)]


def every_fact_log(seed: int = 20261123) -> list[Message]:
    """Return a log of all facts: single, in batches, repeated, late, and unreadable.

    Then come versions, week after week, so that much is learned of them, and decisions
    that are carried out, fail, and are held against the starts that follow.
    """
    found = list(_messages(Random(seed), every_fact(seed=seed)))
    random, last = Random(seed), found[-1]
    stored_ns = last.store_time_ns
    told = [*_releases(random), *_decisions(random)]
    for number, event in enumerate(told, last.sequence + 1):
        subject, body, _ = encode_message([event])
        stored_ns += random.choice((SECOND_NS, HOUR_NS, 9 * HOUR_NS, 40 * HOUR_NS))
        found.append(Message(number, stored_ns, subject, body))
    return found


def _releases(random: Random) -> Iterator[Event]:
    """Yield pushes of ever newer versions, and starts of those that are not old."""
    repositories = [Repository("acme/shop"), Repository("acme/till")]
    for number in range(RELEASES):
        repository = random.choice(repositories)
        content = Descriptor(digest(f"{repository}-{number // 6}"), MANIFEST, 1000)
        tag = random.choice((f"v{number}", f"{number}.0-rc1", f"main-{number:07x}a"))
        machine = ev.Identifier(f"machine-{number}")
        started = ev.MachineStarted(content.digest, repository, machine)
        told: tuple[Fact, ...] = (
            ev.ContentPushed(content, repository, Tag(tag)),
            started,
            started,
            ev.AppWithdrawn(repository),
        )
        fact = random.choices(told, (6, 6, 6, 1))[0]
        name = ev.Identifier(f"release-{number}")
        yield Event(name, random.choice((AMS, FRA, IAD, SYD)), fact)


def _decisions(random: Random) -> Iterator[Event]:
    """Yield decisions about few images, how each went on, and starts after them."""
    shop, target = Repository("acme/shop"), FRA
    for number in range(DECISIONS):
        image = digest(f"{shop}-{random.randrange(RELEASES // 6)}")
        name = ev.Identifier(f"copy-{number}")
        subject = ev.ReplicationSubject(name, shop, image, target)
        starts, newer = (FRA, SYD)[: random.choice((1, 2))], 2**41 + number
        planned = ev.ReplicationPlanned(
            subject, AMS, 1000, trigger_sequence=newer, start_regions=starts
        )
        withheld = ev.ReplicationWithheld(
            subject,
            1000,
            trigger_sequence=newer,
            start_regions=starts,
            cause=random.choice(list(ev.WithholdReason)),
        )
        removal = ev.EvictionPlanned(
            name, shop, image, target, ev.Text("unused for long"), start_regions=starts
        )
        begun = ev.ReplicationStarted(subject, attempt=1)
        ends: tuple[tuple[Fact, ...], ...] = (
            (planned,),
            (planned, begun),
            (planned, begun, ev.ReplicationCompleted(subject, 1000, SECOND)),
            (
                planned,
                begun,
                ev.ReplicationFailed(subject, cause=random.choice(CAUSES)),
            ),
            (planned, ev.ReplicationExpired(subject)),
            (planned, ev.ReplicationCancelled(subject)),
            (withheld,),
            (withheld, planned),
            (removal,),
            (removal, ev.EvictionCancelled(name, target)),
            (removal, ev.ContentEvicted(shop, (image,), eviction_id=name)),
        )
        started = ev.MachineStarted(
            image,
            shop,
            ev.Identifier(f"judged-{number % 40}"),
            image_wait_ns=random.choice((None, SECOND)),
            cache=ev.CacheKind.REMOTE,
        )
        told: tuple[Fact, ...] = (*random.choice(ends), started, started)
        for step, fact in enumerate(told):
            yield Event(ev.Identifier(f"decision-{number}-{step}"), FRA, fact)


def _messages(random: Random, told: list[Event]) -> Iterator[Message]:
    sequences = count(1)
    bodies: list[tuple[str, bytes]] = []
    begin = 0
    while begin < len(told):
        end = begin + random.choice((1, 1, 2, 7))
        for batch in batched(told[begin:end]):
            subject, body, _ = encode_message(batch)
            bodies.append((subject, body))
        if random.random() < 1 / 8:
            bodies.append(random.choice(bodies))
        if random.random() < 1 / 8:
            subject, body = random.choice(bodies)
            bodies.append(random.choice(_spoiled(subject, body)))
        begin = end
    for (subject, body), sequence in zip(bodies, sequences, strict=False):
        step_ns = random.choice((SECOND_NS, SECOND_NS, HOUR_NS // 6))
        yield Message(sequence, START_NS + sequence * step_ns, subject, body)


def _spoiled(subject: str, body: bytes) -> list[tuple[str, bytes]]:
    return [
        (subject, body[: len(body) // 2]),
        (subject_of("lhr", "batch"), body),
        ("placement.other.v1.ams.content_pushed", body),
        (subject_of("ams", "batch"), b""),
        (subject_of("ams", "tick_passed"), b"\xff\xff\xff"),
    ]


if __name__ == "__main__":
    write_log(FOLDER / f"{sys.argv[1]}.jsonl", every_fact_log())
