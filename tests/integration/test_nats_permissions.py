"""Who may do what in NATS: docs/nats.md, tried row by row on real servers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from placement.nats_authority.credentials import Proof
from tests.nats_users import VERSIONS, Guarded, logged_in, running

DOCUMENT = Path(__file__).parents[2] / "docs" / "nats.md"
COLUMNS = {
    "agent of syd": "agent-syd",
    "agent of scl": "agent-scl",
    "service": "service",
    "analyst": "analyst",
    "operator": "operator",
}


@pytest.fixture(scope="module", params=VERSIONS)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """A server that knows its users by their passwords."""
    directory = tmp_path_factory.mktemp("guarded")
    with running(Guarded(request.param, directory)) as found:
        yield found


def table(verb: str) -> dict[str, dict[str, bool]]:
    """Return a table of the document: whether a user may, by subject and by user."""
    _, _, rest = DOCUMENT.read_text().partition(f"| to {verb} |")
    header, _, *lines = rest.split("\n\n", 1)[0].splitlines()
    names = [COLUMNS[cell.strip()] for cell in header.strip("|").split("|")]
    found = {}
    for line in lines:
        subject, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        assert set(cells) <= {"yes", "no"}, line
        said = [cell == "yes" for cell in cells]
        found[subject.strip("`")] = dict(zip(names, said, strict=True))
    return found


@pytest.mark.parametrize("name", COLUMNS.values())
async def test_each_user_may_do_what_the_document_says(
    guarded: Guarded, name: str
) -> None:
    """Every row of both tables: the server permits it, or denies it and says so."""
    async with logged_in(guarded.settings(name)) as user:
        publishes = {one: await user.publish(one) for one in table("publish")}
        subscribes = {one: await user.subscribe(one) for one in table("subscribe")}

    assert publishes == {one: may[name] for one, may in table("publish").items()}
    assert subscribes == {one: may[name] for one, may in table("subscribe").items()}
    assert len(publishes) > 40
    assert len(subscribes) > 10


async def test_registry_publishes_to_its_own_subject_and_hears_nothing(
    guarded: Guarded,
) -> None:
    """A zot of Sydney reaches the agent of Sydney, and nobody and nothing else."""
    async with logged_in(guarded.settings("zot-syd")) as zot:
        said = [
            await zot.publish(subject)
            for subject in ("zot.syd.events", "zot.ams.events", "placement.events.v1.x")
        ]
        heard = [
            await zot.subscribe(one) for one in ("zot.syd.events", "_INBOX.x", ">")
        ]
    async with logged_in(guarded.settings("agent-syd")) as agent:
        hears = [await agent.subscribe(f"zot.{one}.events") for one in ("syd", "ams")]

    assert said == [True, False, False]
    assert heard == [False, False, False]
    assert hears == [True, False]


async def test_denials_are_told_by_credential_in_the_servers_log(
    guarded: Guarded,
) -> None:
    """Who watches that log learns which credential was used for what it may not do."""
    async with logged_in(guarded.settings("agent-lhr")) as agent:
        await agent.publish("placement.events.v1.ams.content_pulled")

    [line] = [
        line
        for line in guarded.server.output().splitlines()
        if "Publish Violation" in line and "ams.content_pulled" in line
    ]
    assert re.search(r'user "?agent-lhr"?|user:agent-lhr', line, re.IGNORECASE), line


@pytest.mark.parametrize("version", VERSIONS)
async def test_key_does_as_well_as_a_password(version: str, tmp_path: Path) -> None:
    """The server holds no secret at all then; each user's rights are the same."""
    with running(Guarded(version, tmp_path, Proof.NKEY)) as guarded:
        async with logged_in(guarded.settings("agent-syd")) as agent:
            own = await agent.publish("placement.events.v1.syd.batch")
            others = await agent.publish("placement.events.v1.ams.batch")

    assert (own, others) == (True, False)
