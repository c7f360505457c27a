"""Which digest a tag has: asked for, but never waited for long."""

import asyncio

import pytest

from placement.agent import finding as finding_module
from placement.agent.finding import Finder
from placement.core.oci import Digest, Repository, Tag
from placement.ports import LogUnavailableError
from tests.builders import LATEST, WEB, A


class Registry:
    """Answers, fails or hangs; counts how often it was asked."""

    def __init__(self) -> None:
        """Answer at first."""
        self.asked = 0
        self.failure: Exception | None = None
        self.hangs = False

    async def ask(self, repository: Repository, tag: Tag) -> Digest | None:
        """Return the digest of acme/web:latest."""
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return A if (repository, tag) == (WEB, LATEST) else None


async def test_tag_is_asked_for_each_time() -> None:
    """It may have moved since; one that is not there is None."""
    registry = Registry()
    find = Finder(registry.ask, lambda: 0.0)

    assert await find(WEB, LATEST) == A
    assert await find(WEB, Tag("v1")) is None
    assert await find(WEB, LATEST) == A
    assert registry.asked == 3


@pytest.mark.parametrize("hangs", [True, False])
async def test_registry_that_does_not_answer_rests_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
    hangs: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Five hundred starts must not wait two seconds each."""
    monkeypatch.setattr(finding_module, "ANSWER_SECONDS_MAX", 0.01)
    now_s = [100.0]
    registry = Registry()
    registry.hangs = hangs
    registry.failure = LogUnavailableError("gone")
    find = Finder(registry.ask, lambda: now_s[0])

    for _ in range(500):
        assert await find(WEB, LATEST) is None
    asked = registry.asked
    registry.hangs, registry.failure = False, None
    now_s[0] += finding_module.REST_SECONDS

    assert asked == 1
    assert await find(WEB, LATEST) == A
