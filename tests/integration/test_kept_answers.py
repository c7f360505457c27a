"""Answers that are kept: the same as computed anew, until what they rest on changes."""

from dataclasses import replace
from typing import Any

import pytest

from placement.api import kept_answers
from placement.api.kept_answers import BODY_KEPT_MAX, KeptAnswers
from placement.api.reading import Reader
from placement.api.server import RANK_SOURCES
from placement.core.event import (
    DurationNs,
    Operation,
    RegionChanged,
    RegionState,
    TimeNs,
    TransferMeasured,
)
from placement.core.ways import AGED_EVERY_NS
from placement.v1 import placement_service_pb2 as pb
from placement.wire.fields import nanoseconds
from tests.builders import AMS, FRA, IAD, SECOND_NS, WEB, A, event, evicted, pushed
from tests.serving import Service, serving

ASKED = pb.RankSourcesRequest(repository=WEB, digest=A, region=AMS)
FRESH = pb.RankSourcesRequest(repository=WEB, digest=A, region=AMS)
FRESH.consistency.fail = True
"""Asks for the same, by way of all that is checked and computed."""


async def test_answer_that_is_kept_is_the_one_that_is_computed() -> None:
    """With each fact that may change it, and with each minute; the basis is today's."""
    down = RegionChanged(FRA, RegionState.DOWN)
    slow = TransferMeasured(FRA, 50_000_000, DurationNs(90 * SECOND_NS))
    async with serving() as service:
        for change in (
            pushed("a", FRA),
            pushed("a", IAD),
            event(AMS, slow),
            event(IAD, down),
            evicted("a", IAD),
        ):
            await service.stage.happen(change)
            for later_ns in (1, SECOND_NS, AGED_EVERY_NS, 40 * AGED_EVERY_NS):
                service.stage.now_ns += later_ns
                await service.stage.fold_all()
                await assert_alike(service)


async def test_region_is_back_when_its_order_expires() -> None:
    """Though nothing is folded at that moment."""
    async with serving() as service:
        until_ns = service.stage.now_ns + 30 * SECOND_NS
        order = replace(Operation(), expire_time_ns=TimeNs(until_ns))
        down = RegionChanged(FRA, RegionState.DOWN, order)
        await service.stage.happen(pushed("a", FRA), event(IAD, down))
        before = await service.placement.RankSources(ASKED)

        service.stage.now_ns = until_ns
        await service.stage.fold_all()
        after = await service.placement.RankSources(ASKED)

        assert (len(before.sources), len(after.sources)) == (0, 1)


async def test_basis_is_of_no_time_before_what_it_goes_with() -> None:
    """An answer of a new minute never says a time of the minute before."""
    async with serving() as service:
        await service.stage.happen(pushed("a", FRA))
        minute_ns = -service.stage.now_ns % AGED_EVERY_NS
        service.stage.now_ns += minute_ns + AGED_EVERY_NS - 2_000_000
        await service.stage.fold_all()
        for _ in range(2):
            await service.placement.RankSources(ASKED)

        service.stage.now_ns += 3_000_000
        answers = [await service.placement.RankSources(ASKED) for _ in range(2)]

        told = {nanoseconds(answer.basis.answer_time) for answer in answers}
        assert told == {service.stage.now_ns}


async def test_only_so_many_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further questions are answered all the same."""
    monkeypatch.setattr(kept_answers, "ANSWERS_KEPT", 2)
    async with serving() as service:
        await service.stage.happen(pushed("a", FRA))
        for most in (1, 2, 3, 1, 2, 3):
            asked = pb.RankSourcesRequest(max_source_count=most)
            asked.MergeFrom(ASKED)

            answer = await service.placement.RankSources(asked)

            assert [source.region for source in answer.sources] == [FRA]


def padded(size: int, number: int) -> bytes:
    """Return a question with so many bytes in a field that nobody knows."""
    field_1000, length = b"\xc2\x3e", bytearray()
    rest = size
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    length.append(rest)
    padding = number.to_bytes(8, "big").ljust(size, b"\0")
    return ASKED.SerializeToString() + field_1000 + length + padding


class Sizes(dict[bytes, bytes]):
    """What is kept, and the most bytes that it ever was."""

    most = 0

    def __setitem__(self, key: bytes, value: bytes) -> None:
        """Keep one more."""
        super().__setitem__(key, value)
        held = sum(len(body) + len(answer) for body, answer in self.items())
        self.most = max(self.most, held)


async def test_requests_that_are_padded_fill_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither long ones nor many short ones; each is answered all the same."""
    kept: list[KeptAnswers] = []
    begin = KeptAnswers.__init__

    def noted(answers: KeptAnswers, reader: Reader) -> None:
        begin(answers, reader)
        kept.append(answers)

    monkeypatch.setattr(KeptAnswers, "__init__", noted)
    monkeypatch.setattr(kept_answers, "BYTES_KEPT_MAX", 20_000)
    async with serving() as service:
        sizes = Sizes()
        kept[0]._answers = sizes  # noqa: SLF001 - it shows them to nobody
        await service.stage.happen(pushed("a", FRA))
        ask: Any = service.channel.unary_unary(RANK_SOURCES)
        expected = (await service.placement.RankSources(ASKED)).sources
        for size in (1_000_000, 3_000, 1_500):
            for number in range(40):
                answer = await ask(padded(size, number))

                found = pb.RankSourcesResponse.FromString(answer)
                assert found.sources == expected

        assert 10_000 < sizes.most <= 20_000
        assert max(map(len, sizes)) <= BODY_KEPT_MAX


async def assert_alike(service: Service) -> None:
    """Ask twice, so that the second answer is a kept one, and compare it."""
    await service.placement.RankSources(ASKED)
    kept = await service.placement.RankSources(ASKED)
    computed = await service.placement.RankSources(FRESH)

    assert nanoseconds(kept.basis.answer_time) == service.stage.now_ns
    assert kept == computed
