"""The console's pages about one thing: the figures of gRPC, bounded, and escaped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from html import escape

import pytest

from placement.console import decisions as decisions_page
from placement.console import search as search_page
from placement.console.asked import QUERY_LENGTH_MAX
from placement.console.page import Page
from placement.console.words import nanoseconds, size
from placement.core.errors import PlacementError
from placement.core.event import (
    DurationNs,
    Identifier,
    Name,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationSubject,
    ReplicationTrigger,
    ReplicationWithheld,
    Text,
    WithholdReason,
)
from placement.core.facts.values import factors_of
from placement.core.listing import PageSize
from placement.core.oci import Repository
from placement.core.state import State
from placement.ports import (
    LogConfigurationError,
    LogReplacedError,
    LogUnavailableError,
)
from placement.runtime.view import View
from placement.v1 import placement_service_pb2 as pb
from placement.v1 import replication_service_pb2 as replication_pb
from tests.builders import (
    FRA,
    IAD,
    LHR,
    SCL,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    announced,
    digest,
    event,
    folded,
    pushed,
    seconds,
    started,
)
from tests.console_stage import ConsoleStage, console_client, console_stage
from tests.deciding import LAYER_BYTES, arrived, release

HOSTILE = '<script>alert("x")</script>\'"&'
ID = Identifier("r-1")
SUBJECT = ReplicationSubject(ID, WEB, digest("v2"), SYD)
PLANNED = ReplicationPlanned(
    SUBJECT,
    IAD,
    LAYER_BYTES,
    ReplicationTrigger.PUSH,
    6,
    factors_of({"probability": 0.5, "stake_bytes": 4e8, "remote_start_seconds": 29.4}),
    start_regions=(SYD,),
    probability=0.5,
    saved_duration_ns=DurationNs(seconds(24)),
    expected_duration_ns=DurationNs(seconds(29)),
    policy=Name("default@0"),
    reason=Name("start-forecast"),
    explanation=Text("50% likely to start in syd"),
)


@pytest.fixture
async def shown() -> AsyncIterator[ConsoleStage]:
    """Two versions of an app that runs in Sydney and London, one of them on its way."""
    async with console_stage() as console:
        await console.stage.happen(
            *release("v1"),
            started("v1", SYD, machine="m-1"),
            started("v1", LHR, machine="m-2"),
            *release("v2"),
            arrived("v2", FRA),
            announced("v2-layer", LHR, held_bytes=1_000, size_bytes=LAYER_BYTES),
        )
        yield console


# Where it is, and why: as gRPC says.


async def test_image_page_has_the_figures_of_get_placement(
    shown: ConsoleStage,
) -> None:
    """Regions, bytes, seconds and users are those of the answer."""
    request = pb.GetPlacementRequest(repository=WEB, reference="v2")
    answer = (await shown.service.placement.GetPlacement(request)).placement
    page = await shown.get(f"/images/{WEB}", reference="v2")
    assert page.status == 200
    rows = {row[0]: row for row in page.table("By region")}
    assert rows.keys() == {region.region for region in answer.regions}
    for region in answer.regions:
        row = rows[region.region]
        if region.complete:
            assert row[1] == "complete"
        else:
            assert row[2].startswith(size(region.missing_bytes))
            p50, p90 = region.expected_ready.p50, region.expected_ready.p90
            assert row[3].startswith(nanoseconds(p50.ToNanoseconds()))
            assert f"p90 {nanoseconds(p90.ToNanoseconds())}" in row[3]
    users = {row[0]: row[1:4] for row in page.table("Pulls and starts")}
    for use in answer.demands:
        counts = (use.start_count, use.pull_count, use.running_count)
        assert users[use.region] == [str(count) for count in counts]
    assert size(answer.image_size_bytes) in page.text
    assert "on its way" in rows[LHR][1]


async def test_why_panel_has_the_figures_of_rank_sources_and_explain_answer(
    shown: ConsoleStage,
) -> None:
    """Sources in their order with their seconds, and every step's words."""
    page = await shown.get(f"/images/{WEB}", reference="v2", region="scl")
    rank = pb.RankSourcesRequest(repository=WEB, digest=digest("v2"), region=SCL)
    ranked = await shown.service.placement.RankSources(rank)
    rows = page.table("Sources of all of it")
    assert [row[1] for row in rows] == [source.region for source in ranked.sources]
    for row, source in zip(rows, ranked.sources, strict=True):
        expected = source.expected_duration
        assert row[2] == nanoseconds(expected.p50.ToNanoseconds())
        assert row[3] == nanoseconds(expected.p90.ToNanoseconds())
    explain = pb.ExplainAnswerRequest(repository=WEB, reference="v2", region=SCL)
    steps = (await shown.service.placement.ExplainAnswer(explain)).steps
    assert len(steps) > 5
    for step in steps:
        assert step.text in page.text


async def test_estimates_are_those_of_estimate_starts(shown: ConsoleStage) -> None:
    """The same regions in the same order, the same seconds and reasons."""
    image = pb.ImageSelector(repository=WEB, reference="v2")
    request = pb.EstimateStartsRequest(images=[image], candidates="syd,lhr,scl,fra")
    answer = await shown.service.placement.EstimateStarts(request)
    query = {"image": "acme/web:v2", "in": "syd,lhr,scl,fra"}
    page = await shown.get("/estimate", **query)
    rows = page.table("Waits for acme/web:v2")
    assert [row[0] for row in rows] == [one.region for one in answer.estimates]
    for row, one in zip(rows, answer.estimates, strict=True):
        assert row[1] == nanoseconds(one.expected_wait.p50.ToNanoseconds())
        assert row[2] == nanoseconds(one.expected_wait.p90.ToNanoseconds())
        assert one.reason in row[4]


async def test_what_if_has_the_copies_of_preview_replications(
    shown: ConsoleStage,
) -> None:
    """In force and with another document, as PreviewReplications plans both."""
    text = "kappa_bytes_per_second = 1000.0\n"
    request = replication_pb.PreviewReplicationsRequest(repository=WEB)
    now = await shown.service.replication.PreviewReplications(request)
    request.policy_content = text
    then = await shown.service.replication.PreviewReplications(request)
    page = await shown.get("/what-if", image=WEB, kappa_bytes_per_second="1000")
    [in_force, supposed] = page.table("Of 2 images")
    assert in_force[1] == str(len(now.replications)) != "0"
    assert supposed[1] == str(len(then.replications))
    moved = sum(copy.transfer_bytes for copy in now.replications)
    assert in_force[2] == size(moved)
    changes = page.table("What differs")
    wanted = {copy.explanation for copy in now.replications}
    assert {row[6] for row in changes} == wanted


async def test_what_if_changes_nothing(shown: ConsoleStage) -> None:
    """Neither log nor state, however much is supposed."""
    before = shown.stage.view.basis().sequence, shown.stage.stored
    for query in ({"down": "iad"}, {"rule": "set_60d"}, {"deny": "syd"}):
        page = await shown.get("/what-if", image="acme/web:v2", **query)
        assert page.status == 200
    assert (shown.stage.view.basis().sequence, shown.stage.stored) == before
    assert (await shown.stage.log.message(before[0] + 1)) is None


async def test_what_if_says_what_a_region_down_means_for_starts(
    shown: ConsoleStage,
) -> None:
    """From where they would come then, and what is nowhere else."""
    page = await shown.get("/what-if", image="acme/web:v2", down="iad")
    rows = {row[0]: row for row in page.table("What starts would wait")}
    assert rows.keys() == TOPOLOGY.regions.keys()
    assert (rows[SCL][1], rows[SCL][3]) == ("iad", "fra")
    assert "Of 1 image, none is whole in Ashburn, Virginia alone" in page.text
    page = await shown.get("/what-if", image="acme/web", down="iad")
    assert "1 of 2 images is whole in Ashburn, Virginia alone" in page.text


# Decisions.


async def test_a_decision_is_told_with_its_evidence_and_outcome(
    shown: ConsoleStage,
) -> None:
    """The numbers in the log, the verdict, and links to the image and back."""
    await shown.stage.happen(event(SYD, PLANNED))
    page = await shown.get("/decisions/r-1")
    assert page.status == 200
    for said in (
        "50% likely to start in syd",
        "stake 400 MB",
        "remote start 29.4 s",
        "No machine started it there yet",
        "not yet known",
        "a push, message 6",
        "none that is known",
        "start-forecast",
    ):
        assert said in page.text, said
    [why] = [link for link in page.links() if link.endswith("#why")]
    assert why.startswith(f"/images/{WEB}?reference=sha256%3A")
    image = await shown.get(why.partition("#")[0])
    assert "/decisions/r-1" in image.links()
    assert "50% likely to start in syd" in image.text
    answer = await shown.service.replication.GetReplication(
        replication_pb.GetReplicationRequest(replication_id="r-1")
    )
    assert answer.evidence.explanation in page.text


async def test_an_outcome_is_judged_as_grpc_judges_it(shown: ConsoleStage) -> None:
    """A copy that came in time, and one that was withheld."""
    done = ReplicationCompleted(SUBJECT, LAYER_BYTES, seconds(20))
    withheld = ReplicationWithheld(
        ReplicationSubject(Identifier("r-2"), WEB, digest("v2"), LHR),
        LAYER_BYTES,
        ReplicationTrigger.PUSH,
        6,
        start_regions=(LHR,),
        cause=WithholdReason.CONTROL_GROUP,
    )
    await shown.stage.happen(
        event(SYD, PLANNED),
        event(LHR, withheld),
        arrived("v2", SYD),
        event(SYD, done),
        started("v2", SYD, machine="m-8"),
        started("v2", LHR, machine="m-9"),
    )
    listed = await shown.service.replication.ListReplications(
        replication_pb.ListReplicationsRequest()
    )
    verdicts = {
        one.replication_id: replication_pb.Payoff.Name(one.outcome.payoff)
        for one in listed.replications
    }
    assert verdicts == {"r-1": "PAYOFF_PAID_OFF", "r-2": "PAYOFF_MISSED"}
    page = await shown.get("/decisions")
    rows = page.table("The newest decisions")
    assert [(row[0], row[6]) for row in rows] == [
        ("copy r-2", "missed"),
        ("copy r-1", "paid off"),
    ]
    missed = await shown.get("/decisions/r-2")
    assert "withheld by lot, to measure what copies save" in missed.text


async def test_decisions_are_filtered_and_paged(
    shown: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, by region, status, repository, kind and outcome."""
    facts = [
        replace(
            PLANNED,
            subject=ReplicationSubject(
                Identifier(f"p-{number}"), WEB, digest(f"c{number}"), target
            ),
            trigger_sequence=number + 1,
        )
        for number, target in enumerate([SYD, LHR, SYD, FRA, SYD])
    ]
    await shown.stage.happen(*(event(f.subject.target_region, f) for f in facts))
    monkeypatch.setattr(decisions_page, "PAGE_SIZE", PageSize(2, 10_000))
    seen: list[str] = []
    link = "/decisions?region=syd&status=planned&kind=copy&outcome=pending"
    while link:
        page = await shown.get(link)
        assert page.status == 200
        rows = page.table("The decisions that fit")
        seen += [row[0] for row in rows]
        following = [one for one in page.links() if "page=" in one]
        link = following[0] if "Older" in page.text else ""
    assert seen == ["copy p-4", "copy p-2", "copy p-0"]
    nothing = await shown.get("/decisions", outcome="wasted")
    assert "None that is remembered fits" in nothing.text
    other = await shown.get("/decisions", repository="acme/web", kind="removal")
    assert "None that is remembered fits" in other.text


async def test_a_page_token_of_another_filter_is_refused(shown: ConsoleStage) -> None:
    """It says so beside the field, and what to do."""
    page = await shown.get("/decisions", page="bm9uc2Vuc2U")
    assert page.status == 400
    assert "begin again without a token" in page.text
    search = await shown.get("/search", q="acme", page="bm9uc2Vuc2U")
    assert search.status == 400


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LogUnavailableError("gone"), "the log is out of reach"),
        (LogReplacedError("rewound"), "the log is not the one that"),
        (LogConfigurationError("no history"), "the log cannot be read as it is"),
    ],
)
async def test_evidence_that_cannot_be_read_says_why(
    shown: ConsoleStage, error: PlacementError, said: str
) -> None:
    """Whatever is with the log: the rest of the page is there."""
    await shown.stage.happen(event(SYD, PLANNED))

    async def gone(sequence: int) -> None:
        del sequence
        raise error

    site = replace(shown.site, stored=gone)
    page = await shown.get("/decisions/r-1")
    assert "cannot be read" not in page.text
    made = await decision_of(site)
    assert said in str(made.values["model"])


async def decision_of(site: object) -> Page:
    """The page of the decision, from a site of a test's own."""
    from placement.console.asked import Asked  # noqa: PLC0415 - here alone
    from placement.console.decision import decision  # noqa: PLC0415 - here alone

    asked = Asked("/decisions/r-1", {"replication_id": "r-1"})
    return await decision(site, asked)  # type: ignore[arg-type]  # a Site


# Searching.


async def test_search_finds_names_tags_and_digests(shown: ConsoleStage) -> None:
    """Each hit leads to its page."""
    for text in ("acme", "web:v2", digest("v2"), digest("v2")[7:15]):
        page = await shown.get("/search", q=text)
        [row] = page.table("What fits")
        assert row[0].startswith("acme/web"), text
        [link] = [one for one in page.links() if one.startswith("/images/")]
        assert (await shown.get(link)).status == 200


async def test_search_says_plainly_that_nothing_was_found(shown: ConsoleStage) -> None:
    """And why that may be."""
    page = await shown.get("/search", q="nobody/knows:v1")
    assert page.status == 200
    assert "Nothing found for nobody/knows:v1" in page.text
    assert "never have been pushed" in page.text
    assert "Look for nobody/knows alone" in page.text
    short = await shown.get("/search", q="sha256:c0ffee")
    assert short.status == 400
    assert "at least 7 hex digits" in short.text


async def test_search_is_paged(
    shown: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every name once, in order."""
    names = [f"many/app-{number:02}" for number in range(5)]
    await shown.stage.happen(*(pushed("x", IAD, Repository(name)) for name in names))
    monkeypatch.setattr(search_page, "PAGE_SIZE", 2)
    seen: list[str] = []
    link = "/search?q=many"
    while link:
        page = await shown.get(link)
        seen += [row[0] for row in page.table("What fits")]
        link = next((one for one in page.links() if "page=" in one), "")
    assert seen == names


# What is hostile, and what is wrong.


async def test_what_the_log_holds_is_escaped(shown: ConsoleStage) -> None:
    """A reason or an explanation that is HTML is printed, not obeyed."""
    fact = replace(PLANNED, reason=Name(HOSTILE), explanation=Text(HOSTILE))
    await shown.stage.happen(event(SYD, fact))
    reference = {"reference": "v2", "region": "syd"}
    for page in (
        await shown.get("/decisions"),
        await shown.get("/decisions/r-1"),
        await shown.get(f"/images/{WEB}", **reference),
    ):
        assert page.status == 200
        assert "<script>alert" not in page.html
        assert escape('<script>alert("x")', quote=True).replace("&quot;", "&#34;") in (
            page.html
        )


FIELDS = (
    ("/search", "q"),
    ("/decisions", "repository"),
    ("/decisions", "region"),
    ("/decisions", "status"),
    ("/decisions", "page"),
    ("/estimate", "image"),
    ("/estimate", "in"),
    ("/estimate", "platform"),
    ("/estimate", "as_of"),
    ("/what-if", "image"),
    ("/what-if", "down"),
    ("/what-if", "deny"),
    ("/what-if", "rule"),
    ("/what-if", "patience"),
    (f"/images/{WEB}", "reference"),
    (f"/images/{WEB}", "as_of"),
    (f"/images/{WEB}", "page"),
)


@pytest.mark.parametrize("value", [HOSTILE, "\x00\x1b[31m", "x" * 1_500, "\u202e"])
async def test_a_hostile_field_is_refused_by_its_name(
    shown: ConsoleStage, value: str
) -> None:
    """400 with the field, the remedy, and nothing of it that a browser would obey."""
    for path, field in FIELDS:
        page = await shown.get(path, **{field: value})
        assert page.status == 400, (path, field, page.text)
        assert f"problem-{field}" in page.html, (path, field)
        assert "<script>alert" not in page.html, (path, field)


async def test_a_region_or_platform_that_is_none_is_told_beside_the_image(
    shown: ConsoleStage,
) -> None:
    """The image is shown all the same; of what has one platform any will do."""
    for query, status in (
        ("region=%3Cb%3E", 400),
        ("region=mars", 400),
        ("region=syd&platform=%3Cb%3E", 400),
        ("region=syd&platform=linux/s390x/v0", 200),
    ):
        page = await shown.get(f"/images/{WEB}?reference=v2&{query}")
        assert page.status == status, query
        assert "Where it is" in page.text


REFUSED = {
    "/images/Acme/Web": 400,
    "/images/nobody/knows": 404,
    "/images/acme/web?reference=v99": 404,
    f"/images/acme/web?reference=sha256:{'9' * 64}": 404,
    "/images/acme/web?page=2": 400,
    "/decisions/r-99": 404,
    "/decisions/%3Cscript%3E": 404,
    "/decisions/" + "x" * 300: 404,
    "/decisions?region=mars": 400,
    "/decisions?repository=nobody/knows": 400,
    "/decisions?status=planned&status=failed": 400,
    "/estimate?image=acme/web": 400,
    "/estimate?image=acme/web:v1&image=acme/web:v2": 400,
    "/estimate?image=a:1+b:1+c:1+d:1+e:1": 400,
    "/estimate?image=acme/web:v99": 400,
    "/what-if?image=nobody/knows&down=iad": 400,
    "/search?q=" + "x" * QUERY_LENGTH_MAX: 400,
}


async def test_what_cannot_be_answered_has_its_status(shown: ConsoleStage) -> None:
    """A page that says what it was and what to do; never a stack trace."""
    for path, status in REFUSED.items():
        page = await shown.get(path)
        assert page.status == status, (path, page.text)
        assert 'role="alert"' in page.html, path
        assert "Traceback" not in page.html, path


async def test_an_empty_log_has_pages(shown: ConsoleStage) -> None:
    """Before anything happened each page says so."""
    shown.stage.view.replace(State(), "memory-2", restored=False)
    for path in ("/search?q=acme", "/decisions", "/estimate", "/what-if"):
        page = await shown.get(path)
        assert page.status == 200, path
    assert "Nothing was decided yet" in (await shown.get("/decisions")).text


# The past.


async def test_the_past_is_refused_where_the_service_keeps_none(
    shown: ConsoleStage,
) -> None:
    """And no field asks for it."""
    page = await shown.get(f"/images/{WEB}", reference="v2", as_of="3")
    assert page.status == 400
    assert "answers about now alone" in page.text
    assert 'name="as_of"' not in (await shown.get("/estimate")).html


async def test_a_page_about_the_past_shows_what_was_then(shown: ConsoleStage) -> None:
    """The state of the message that was asked for, and that it is not now."""
    asked_for: list[str] = []
    then = View(lambda: START_NS)
    then.replace(folded(*release("v1")), "memory-1", restored=False)

    @asynccontextmanager
    async def past(text: str) -> AsyncIterator[View]:
        asked_for.append(text)
        yield then

    async with console_client(replace(shown.site, past=past)) as client:
        console = replace(shown, client=client)
        query = {"reference": "v1", "region": "syd", "as_of": "2"}
        page = await console.get(f"/images/{WEB}", **query)
        assert page.status == 200
        assert "This is how it was after message 2" in page.text
        assert [row[0] for row in page.table("By region")] == ["iad"]
        assert "data-live" not in page.html
        links = page.links()
        assert f"/images/{WEB}?reference=v1&region=syd" in links  # how it is now
        assert "/estimate?image=acme%2Fweb%3Av1&as_of=2" in links
        estimate = {"image": "acme/web:v1", "in": "syd", "as_of": "2h ago"}
        page = await console.get("/estimate", **estimate)
        assert "This is how it was after message 2" in page.text
        assert page.table("Waits for acme/web:v1")
        tags = await console.get(f"/images/{WEB}", as_of="2")
        assert [row[0] for row in tags.table("Tags")] == ["v1"]
        newer = await console.get(f"/images/{WEB}", reference="v2", as_of="2")
        assert newer.status == 404
        assert 'name="as_of"' in (await console.get("/estimate")).html
    assert asked_for == ["2", "2h ago", "2", "2"]
