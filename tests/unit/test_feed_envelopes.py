"""CloudEvents in every mode, our own events in them, and the traps of each registry."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from placement.agent.feeds import ecr, harbor, zot
from placement.agent.feeds.catalogue import feeds
from placement.agent.feeds.cloud_events import BATCH_COUNT_MAX
from placement.agent.feeds.translation import FeedSettings, IgnoredReason, Translation
from placement.core.event import (
    ClientKind,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    Fact,
    Name,
    TagMoved,
)
from placement.core.topology import Region

IAD = Region("iad")
FEED = FeedSettings(region=IAD, publisher=Name("agent/iad"))
DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
MOVED = {"tag_moved": {"repository": "acme/web", "tag": "v1", "digest": DIGEST}}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def told(
    kind: str, document: object, headers: dict[str, str] | None = None
) -> Translation:
    """What *document*, posted to the feed *kind*, means."""
    return feeds(FEED)[kind](json.dumps(document).encode(), headers or {})


def own(event_id: str = "e-1", **fields: object) -> dict[str, object]:
    """A CloudEvent with one of our own events."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/builds",
        "type": "placement.events.v1.tag_moved",
        "time": "2026-08-01T10:00:00Z",
        "data": MOVED,
        **fields,
    }


def facts(translation: Translation) -> list[Fact]:
    """The facts of a translation that has nothing else."""
    assert not translation.ignored + translation.malformed
    return [event.fact for event in translation.events]


def webhook(
    kind: str, *resources: dict[str, str], operator: str = "ci"
) -> dict[str, Any]:
    """Harbor's default payload about acme/web."""
    return {
        "type": kind,
        "occur_at": 1_680_501_893,
        "operator": operator,
        "event_data": {
            "resources": list(resources) or [{"digest": DIGEST, "tag": "v1"}],
            "repository": {"repo_full_name": "acme/web"},
        },
    }


def test_own_event_takes_id_and_time_from_its_envelope() -> None:
    """And its region from the configuration: an envelope has none."""
    (event,) = told("cloudevents", own(), STRUCTURED).events

    assert (event.event_id, event.region, event.publisher) == ("e-1", IAD, "agent/iad")
    assert event.occur_time_ns == 1_785_578_400 * 10**9
    assert isinstance(event.fact, TagMoved)


def test_binary_mode_and_base64_mean_the_same() -> None:
    """Attributes may be headers, in any case, percent-encoded; data may be base64."""
    headers = {
        "CE-ID": "e%2D1",
        "Ce-Source": "/b",
        "ce-type": "t",
        "ce-specversion": "1.0",
    }
    headers["ce-time"] = "2026-08-01T10:00:00Z"
    encoded = base64.b64encode(json.dumps(MOVED).encode()).decode()

    binary = told("cloudevents", MOVED, headers)
    inside = told("cloudevents", own(data=None, data_base64=encoded))

    assert binary == inside == told("cloudevents", own())


def test_event_of_another_region_is_refused_with_a_remedy() -> None:
    """Whoever may post here must not place content elsewhere."""
    (fault,) = told("cloudevents", own(data={**MOVED, "region": "syd"})).malformed

    assert fault.field == "data.region"
    assert "post it to that region's agent" in fault.remedy


def test_fault_in_an_own_event_names_its_field() -> None:
    """As ``placement publish`` does, from the envelope inwards."""
    moved = {"repository": "acme/web", "tagg": "v1"}

    (fault,) = told("cloudevents", own(data={"tag_moved": moved})).malformed

    assert fault.field == "data.tag_moved.tagg"
    assert "tag" in fault.remedy


def test_batch_is_taken_one_by_one() -> None:
    """A fault touches its own event only, and a batch has a limit."""
    translation = told("cloudevents", [own("e-1"), 7, own("e-3")])
    large = told("cloudevents", [own(f"e-{n}") for n in range(BATCH_COUNT_MAX + 5)])

    assert [event.event_id for event in translation.events] == ["e-1", "e-3"]
    assert [fault.index for fault in translation.malformed] == [1]
    assert (len(large.events), len(large.malformed)) == (BATCH_COUNT_MAX, 1)


def test_long_id_becomes_a_short_one_that_stays_the_same() -> None:
    """A CloudEvents id may be any text; ours are short and printable."""
    first, again = (told("cloudevents", own("é" * 200)) for _ in range(2))

    assert first == again
    assert first.events[0].event_id.startswith("cloudevent-")


@pytest.mark.parametrize(
    "kind", ["distribution", "harbor", "zot", "ecr", "cloudevents"]
)
def test_body_that_is_no_json_is_one_malformed_envelope(kind: str) -> None:
    """The door answers; it does not fall over."""
    translation = feeds(FEED)[kind](b"\xff{", {})

    assert [fault.field for fault in translation.malformed] == ["body"]


def test_catalogue_serves_distribution_too() -> None:
    """One table for the receiver: every feed by its name."""
    assert sorted(feeds(FEED)) == [
        "cloudevents",
        "distribution",
        "ecr",
        "harbor",
        "zot",
    ]
    assert told("distribution", {"events": []}) == Translation()


def test_harbor_tag_that_is_the_digest_is_none() -> None:
    """Harbor writes the digest for the tag where somebody pulled by digest."""
    by_digest = webhook("PULL_ARTIFACT", {"digest": DIGEST, "tag": DIGEST})
    by_tag = webhook("PULL_ARTIFACT", {"digest": DIGEST, "tag": "v1"})

    (digest,), (tag,) = facts(told("harbor", by_digest)), facts(told("harbor", by_tag))

    assert isinstance(digest, ContentPulled)
    assert isinstance(tag, ContentPulled)
    assert (digest.tag, tag.tag) == (None, "v1")
    assert (digest.size_bytes, digest.client_kind) == (0, ClientKind.UNSPECIFIED)


def test_harbor_replication_is_an_arrival_and_its_report_nothing() -> None:
    """A replicated artifact is REPLICATION twice and a push: no new version at all."""
    pushed = webhook("PUSH_ARTIFACT", operator="harbor-jobservice")
    report = {"type": "REPLICATION", "occur_at": 1, "event_data": {"replication": {}}}

    (arrived,) = facts(told("harbor", pushed))
    ignored = told("harbor", report).ignored

    assert isinstance(arrived, ContentReplicated)
    assert [item.reason for item in ignored] == [IgnoredReason.NOT_CONTENT]


def test_harbor_knows_our_own_replicator_by_its_account() -> None:
    """Harbor names no program: what the account reads is no demand."""
    feed = replace(FEED, own_accounts=("robot$placement",))
    pull = webhook("PULL_ARTIFACT", operator="robot$placement")
    push = webhook("PUSH_ARTIFACT", operator="robot$placement")

    read, wrote = harbor.translate(pull, feed), harbor.translate(push, feed)

    assert [item.reason for item in read.ignored] == [IgnoredReason.OWN_COPY]
    assert isinstance(facts(wrote)[0], ContentReplicated)


def test_harbor_notification_that_comes_again_is_the_same_event() -> None:
    """The default payload has no id: its content makes one, and its region."""
    first, again = (
        told("harbor", webhook("PUSH_ARTIFACT")),
        told("harbor", webhook("PUSH_ARTIFACT")),
    )
    elsewhere = harbor.translate(
        webhook("PUSH_ARTIFACT"), replace(FEED, region=Region("syd"))
    )

    assert first == again
    assert first.events[0].event_id != elsewhere.events[0].event_id


def test_harbor_delete_of_an_artifact_with_two_tags_takes_both() -> None:
    """Harbor lists a resource for each tag of one digest."""
    document = webhook(
        "DELETE_ARTIFACT",
        {"digest": DIGEST, "tag": "v1"},
        {"digest": DIGEST, "tag": "v2"},
    )

    evicted, *moved = facts(told("harbor", document))

    assert isinstance(evicted, ContentEvicted)
    assert evicted.digests == (DIGEST,)
    assert [fact.tag for fact in moved if isinstance(fact, TagMoved)] == ["v1", "v2"]


def test_harbor_time_is_unix_seconds_and_milliseconds_are_refused() -> None:
    """A moment in the year 55,000 is nobody's."""
    document = {**webhook("PUSH_ARTIFACT"), "occur_at": 1_680_501_893_000}

    (event,) = told("harbor", webhook("PUSH_ARTIFACT")).events
    (fault,) = told("harbor", document).malformed

    assert event.occur_time_ns == 1_680_501_893 * 10**9
    assert fault.field == "occur_at"


def updated(**data: object) -> dict[str, object]:
    """A zot update of acme/web:v1."""
    whole = {"name": "acme/web", "reference": "v1", "digest": DIGEST, **data}
    return {
        "specversion": "1.0",
        "id": "z-1",
        "type": "zotregistry.image.updated",
        "data": whole,
    }


def test_zot_manifest_gives_graph_subject_and_a_size_that_was_checked() -> None:
    """The size is the manifest's only if those are the digest's bytes."""
    layer = {"digest": OTHER, "size": 9, "mediaType": "layer"}
    manifest = json.dumps({"layers": [layer], "subject": {"digest": OTHER}})

    (pushed,) = facts(told("zot", updated(manifest=manifest)))

    assert isinstance(pushed, ContentPushed)
    assert [item.size_bytes for item in pushed.references] == [9]
    assert (pushed.subject_digest, pushed.content.size_bytes) == (OTHER, 0)


def test_zot_update_by_our_replicator_is_an_arrival() -> None:
    """Known by its User-Agent, which zot tells since 2.1.18."""
    request = {"addr": "10.0.0.1:1", "useragent": "placement-replicator/1"}

    (arrived,) = facts(told("zot", updated(request=request)))

    assert isinstance(arrived, ContentReplicated)


def test_zot_tags_of_one_image_are_one_event_each() -> None:
    """One update a tag, so that every tag is known; a digest is no tag."""
    references = ["v1", "v2", DIGEST]

    tags = [
        getattr(fact, "tag", "")
        for reference in references
        for fact in facts(told("zot", updated(reference=reference)))
    ]

    assert tags == ["v1", "v2", None]


def test_zot_delete_by_tag_removes_the_tag_alone() -> None:
    """The content may have other tags; a delete by digest removes it."""
    kinds = [
        type(fact)
        for reference in ("v1", DIGEST)
        for fact in facts(
            zot.translate(
                {**updated(reference=reference), "type": "any.prefix.image.deleted"},
                FEED,
            )
        )
    ]

    assert kinds == [TagMoved, ContentEvicted]


def test_ecr_event_of_another_region_is_ignored_where_names_are_configured() -> None:
    """One bus may carry the events of many regions."""
    detail = {
        "result": "SUCCESS",
        "action-type": "PUSH",
        "repository-name": "acme/web",
        "image-digest": DIGEST,
    }
    event = {"id": "x", "source": "aws.ecr", "detail-type": "ECR Image Action"}
    document = {**event, "region": "ap-southeast-2", "detail": detail}
    peers = {"ap-southeast-2": Region("syd"), "us-east-1": IAD}

    here = ecr.translate(
        {**document, "region": "us-east-1"}, replace(FEED, peer_regions=peers)
    )
    there = ecr.translate(document, replace(FEED, peer_regions=peers))

    assert isinstance(facts(here)[0], ContentPushed)
    assert [item.reason for item in there.ignored] == [IgnoredReason.OTHER_REGION]
