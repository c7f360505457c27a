"""What feeds and schedulers say, folded: demand once, our own copies none."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from placement.agent.feeds import harbor, zot
from placement.agent.feeds.translation import FeedSettings
from placement.agent.starts.counting import Machine, MachineCounter
from placement.agent.starts.kubernetes import Pods
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import resolved
from placement.agent.starts.telling import Teller
from placement.core.event import Event, Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State
from placement.core.topology import Region
from tests.builders import SECOND_NS, START_NS, fold_in, folded
from tests.kubernetes_objects import DIGEST, container, pod, pulled

IAD = Region("iad")
WEB = Repository("acme/web")
SETTINGS = StartSettings(region=IAD, publisher=Name("agent/iad"))
OWN = "robot$placement"
FEED = FeedSettings(region=IAD, publisher=Name("agent/iad"), own_accounts=(OWN,))


def nobody(_repository: Repository, _tag: Tag) -> Digest | None:
    """No tag is known."""
    return None


async def find(_repository: Repository, _tag: Tag) -> Digest | None:
    """No tag is known."""
    return None


def use(state: State) -> tuple[int, ...]:
    """Pulls, starts and running machines of the image in iad."""
    placement = state.find_placement(WEB, Digest(DIGEST))
    key = placement.to_bytes(4, "little")
    key += state.region_row(IAD).to_bytes(4, "little")
    return state.uses.values(state.uses.find(key))[:3]


def holds(state: State) -> bool:
    """Whether iad holds the image."""
    placement = state.find_placement(WEB, Digest(DIGEST))
    return state.holds(placement, state.region_row(IAD))


async def test_pod_is_one_start_however_often_it_is_told_and_a_count_heals_it() -> None:
    """Two agents and a restart tell the same; a lost stop is found by the count."""
    began = datetime.fromtimestamp(START_NS // SECOND_NS, UTC).isoformat()
    events: list[Event] = []
    for _ in range(2):
        pods = Pods(SETTINGS, {})
        pods.event(pulled('Successfully pulled image "x" in 9s'))
        for _ in range(2):
            found = pods.pod(pod(container(started=began)), START_NS)
            events += resolved(found, nobody, SETTINGS).events
    state = folded(*events)
    before = use(state)

    async def none() -> AsyncIterator[Machine]:
        machines: list[Machine] = []
        for machine in machines:
            yield machine

    async def report(counted: Sequence[Event]) -> None:
        fold_in(state, *counted)

    teller = Teller(SETTINGS, report, find, lambda: 0.5)
    await MachineCounter([none], teller, lambda: START_NS + 9 * SECOND_NS, 1.0).count()

    assert before == (0, 1, 1)
    assert use(state) == (0, 1, 0)


def test_our_own_copies_through_harbor_and_zot_are_no_demand() -> None:
    """What our replicator reads and writes is presence alone; a use is one."""

    def webhook(kind: str, operator: str) -> dict[str, object]:
        resources = [{"digest": DIGEST, "tag": "v1"}]
        data = {"resources": resources, "repository": {"repo_full_name": WEB}}
        return {"type": kind, "operator": operator, "event_data": data}

    wrote = harbor.translate(webhook("PUSH_ARTIFACT", OWN), FEED)
    read = harbor.translate(webhook("PULL_ARTIFACT", OWN), FEED)
    copied = zot.translate(
        {
            "id": "z-1",
            "type": "zotregistry.image.updated",
            "data": {
                "name": WEB,
                "reference": "v1",
                "digest": DIGEST,
                "request": {"useragent": "placement-replicator/1"},
            },
        },
        FEED,
    )
    used = harbor.translate(webhook("PULL_ARTIFACT", "ci"), FEED)

    state = folded(*wrote.events, *read.events, *copied.events, *used.events)

    assert holds(state)
    assert use(state) == (1, 0, 0)
    assert state.tag(WEB, Tag("v1")) is None
