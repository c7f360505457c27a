"""The rules of the Distribution feed, one by one; captures are in the file beside."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.agent.feeds.distribution import RequestLog, translate
from placement.agent.feeds.request_log import RequestRecord
from placement.agent.feeds.translation import (
    FeedSettings,
    Ignored,
    IgnoredReason,
    Translation,
)
from placement.core.event import (
    ClientKind,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    DurationNs,
    Event,
    Fact,
    Identifier,
    Name,
    TagMoved,
    TimeNs,
)
from placement.core.oci import Descriptor, Digest, Platform, Repository, Tag
from placement.core.topology import Region
from placement.wire.events import decode_event, encode_event

IAD = Region("iad")
FEED = FeedSettings(region=IAD, publisher=Name("agent/iad"))
WEB = Repository("acme/web")
ID = Identifier("n-1")
BLOB = Digest(f"sha256:{'b' * 64}")
MANIFEST = Digest(f"sha256:{'e' * 64}")
BLOB_TYPE = "application/octet-stream"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
RUNTIME, OWN = "containerd/1.6.20", "placement-replicator/0.1"
METHODS = {"pull": "GET", "push": "PUT", "mount": "POST", "delete": "DELETE"}


def notification(
    action: str,
    target: Mapping[str, object],
    method: str | None = None,
    agent: str = RUNTIME,
) -> dict[str, object]:
    """One notification about *target* in acme/web."""
    asked = {"id": "r-1", "addr": "10.60.2.1:1234", "useragent": agent}
    asked["method"] = METHODS.get(action, "") if method is None else method
    return {
        "id": ID,
        "timestamp": "2026-11-23T15:42:17Z",
        "action": action,
        "target": {"repository": WEB, **target},
        "request": asked,
    }


def blob(**fields: object) -> dict[str, object]:
    """The target of a notification about a blob, with other *fields*."""
    return {"mediaType": BLOB_TYPE, "digest": BLOB, "size": 1000, **fields}


def answered(status: int, written_bytes: int) -> RequestLog:
    """The request log: the request took a second."""
    took = DurationNs(10**9)
    return {"r-1": RequestRecord("r-1", "GET", status, written_bytes, took)}


def translated(
    *items: object, feed: FeedSettings = FEED, log: RequestLog | None = None
) -> Translation:
    """What an envelope of *items* means."""
    return translate({"events": list(items)}, feed, log)


def fact(translation: Translation) -> Fact:
    """The only fact of *translation*."""
    assert not translation.ignored + translation.malformed
    (event,) = translation.events
    return event.fact


def test_event_carries_the_configured_region_and_the_registry_s_own_id() -> None:
    """Region and publisher come from the configuration, id and time from the sender."""
    gone = ContentEvicted(WEB, whole_repository=True)
    time_ns = TimeNs(1_795_448_537 * 10**9)

    (event,) = translated(notification("delete", {})).events

    assert event == Event(ID, IAD, gone, time_ns, FEED.publisher)


def test_tagged_push_is_one_event_that_sets_the_tag() -> None:
    """No TagMoved beside it: the fold moves the tag of a push."""
    target = blob(mediaType=MANIFEST_TYPE, digest=MANIFEST, size=9, tag="v1")
    layer = {"digest": BLOB, "platform": {"os": "linux", "architecture": "arm64"}}
    subject = {"digest": BLOB, "size": 5}
    more = {"references": [layer], "subject": subject}

    pushed = fact(translated(notification("push", target | more)))

    assert pushed == ContentPushed(
        content=Descriptor(MANIFEST, MANIFEST_TYPE, 9),
        repository=WEB,
        tag=Tag("v1"),
        references=(Descriptor(BLOB, platform=Platform("linux", "arm64")),),
        subject_digest=BLOB,
    )


def test_mount_is_a_push_that_names_where_the_bytes_were() -> None:
    """A mount stores content without moving any."""
    mounted = fact(translated(notification("mount", blob(fromRepository="acme/base"))))

    assert isinstance(mounted, ContentPushed)
    assert mounted.mounted_from_repository == "acme/base"


def test_pull_without_a_request_log_has_no_figures() -> None:
    """The notification's size is the content's, not what was sent."""
    pulled = fact(translated(notification("pull", blob(tag="v1"))))

    assert pulled == ContentPulled(
        BLOB,
        WEB,
        tag=Tag("v1"),
        client_kind=ClientKind.RUNTIME,
        media_type=Name(BLOB_TYPE),
        size_bytes=1000,
    )


@pytest.mark.parametrize(
    ("status", "written", "transferred_bytes", "timed"),
    [
        pytest.param(200, 1000, 1000, True, id="whole"),
        pytest.param(206, 300, 300, False, id="range"),
        pytest.param(200, 400, 400, False, id="client hung up"),
        pytest.param(307, 80, 0, False, id="redirect to the storage"),
    ],
)
def test_request_log_says_what_moved(
    status: int, written: int, transferred_bytes: int, *, timed: bool
) -> None:
    """Each is a use; only a whole transfer says how long a pull takes."""
    item = notification("pull", blob())

    pulled = fact(translated(item, log=answered(status, written)))

    assert isinstance(pulled, ContentPulled)
    assert pulled.transferred_bytes == transferred_bytes
    assert pulled.pull_duration_ns == (10**9 if timed else None)


@pytest.mark.parametrize(
    ("item", "log", "reason"),
    [
        (notification("pull", blob(), "HEAD"), {}, IgnoredReason.HEAD_IS_NO_USE),
        (notification("pull", blob(), ""), {}, IgnoredReason.METHOD_UNKNOWN),
        (notification("pull", blob()), answered(304, 0), IgnoredReason.NOT_MODIFIED),
        (notification("pull", blob()), answered(503, 9), IgnoredReason.FAILED),
        (notification("pull", blob(), agent=OWN), {}, IgnoredReason.OWN_COPY),
        (notification("signed", blob()), {}, IgnoredReason.ACTION_UNKNOWN),
    ],
)
def test_what_is_no_use_is_ignored_with_its_reason(
    item: dict[str, object], log: RequestLog, reason: IgnoredReason
) -> None:
    """Nothing of it reaches the log, so it can never become demand."""
    expected = Translation(ignored=(Ignored(ID, reason),))

    assert translated(item, log=log) == expected


def test_own_push_is_an_arrival() -> None:
    """What our replicator writes is a copy, and the tag that it sets is no news."""
    arrived = fact(translated(notification("push", blob(tag="v1"), agent=OWN)))

    assert arrived == ContentReplicated((Descriptor(BLOB, BLOB_TYPE, 1000),), WEB)


@pytest.mark.parametrize(
    ("agent", "log", "kinds"),
    [
        (RUNTIME, {}, [ContentPulled, ContentReplicated]),
        (RUNTIME, answered(200, 10), [ContentPulled]),
        (OWN, {}, [ContentReplicated]),
    ],
)
def test_pull_from_a_pull_through_cache_is_an_arrival_too(
    agent: str, log: RequestLog, kinds: list[type]
) -> None:
    """A cache tells of no push; what it has served whole, it has."""
    feed = replace(FEED, proxy=True)
    item = notification("pull", blob(), agent=agent)

    events = translated(item, feed=feed, log=log).events

    assert [type(event.fact) for event in events] == kinds
    assert [event.event_id for event in events] == ["n-1", "n-1.1"][: len(kinds)]


@pytest.mark.parametrize("absent", [{}, {"mediaType": "", "digest": "", "size": 0}])
def test_delete_says_what_left(absent: dict[str, object]) -> None:
    """A digest, else a tag, else the repository; Distribution 3 writes empty fields."""
    deletes = [absent | {"digest": BLOB}, absent | {"tag": "v1"}, absent]

    translation = translated(*(notification("delete", target) for target in deletes))

    assert [event.fact for event in translation.events] == [
        ContentEvicted(WEB, digests=(BLOB,)),
        TagMoved(WEB, Tag("v1")),
        ContentEvicted(WEB, whole_repository=True),
    ]


PUSH = notification("push", blob())


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ("no object", "notification"),
        (PUSH | {"id": "a b"}, "id"),
        (PUSH | {"timestamp": "now"}, "timestamp"),
        (PUSH | {"target": []}, "target"),
        (notification("push", blob(digest="sha256:ab")), "target.digest"),
        (notification("push", blob(size=-1)), "target.size"),
        (notification("push", blob(size=True)), "target.size"),
        (notification("push", blob(size=2**50 + 1)), "target.size"),
        (notification("push", blob(tag="-v1")), "target.tag"),
        (notification("push", blob(mediaType="a\n")), "target.mediaType"),
        (notification("push", blob(repository="A")), "target.repository"),
        (notification("push", blob(references=[{}])), "target.references[0].digest"),
        (notification("push", blob(references=[{}] * 1025)), "target.references"),
    ],
)
def test_malformed_notification_names_its_field_and_stops_no_other(
    item: object, field: str
) -> None:
    """The good one behind it is translated all the same."""
    translation = translated(item, PUSH)

    (fault,) = translation.malformed
    assert (fault.index, fault.field) == (0, field)
    assert fault.remedy
    assert len(translation.events) == 1


@pytest.mark.parametrize("envelope", [None, [], "x", {}, {"events": {}}])
def test_what_is_no_envelope_is_one_malformed_envelope(envelope: object) -> None:
    """Without events there is no index to name."""
    (fault,) = translate(envelope, FEED).malformed

    assert fault.index is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=9,
)
FIELDS = [*PUSH, *blob(tag="", references=[], fromRepository="", platform={})]


@given(st.sampled_from(list(METHODS)), st.sampled_from(FIELDS), JSON)
def test_any_json_is_accounted_for(action: str, field: str, value: object) -> None:
    """Whatever a field holds: an event, ignored or malformed; never an exception.

    And every event is one that a reader of the log takes.
    """
    target = notification(action, blob() | {field: value})
    items = [target, notification(action, blob()) | {field: value}, value]

    translation = translated(*items)

    parts = (translation.events, translation.ignored, translation.malformed)
    assert sum(map(len, parts)) == len(items)
    assert all(decode_event(encode_event(it)) == it for it in translation.events)


def test_deep_json_is_malformed_and_shown_short() -> None:
    """What the parser could read is never printed whole, nor recursed into."""
    deep = json.loads("[" * 900 + "]" * 900)

    (fault,) = translated(notification("push", blob(digest=deep))).malformed

    assert fault.value == "'a list'"
