"""Laws of policy documents, over any document and any catalogue."""

from hypothesis import given
from hypothesis import strategies as st

from placement.core.deciding.guardrails import (
    NUMBER_LIMITS,
    WHOLE_LIMITS,
    parse_guardrails,
)
from placement.core.deciding.ruling import parse_ruling, ruling_in_force
from placement.core.errors import PolicyInvalidError
from placement.core.event import Document, Name, PolicyChanged
from placement.core.oci import Repository
from placement.core.policy import GUARDRAIL_KEYS, LIMITS
from placement.core.residency import Residency, ResidencyRule
from placement.core.topology import Topology
from tests.builders import AMS, START_NS, TOPOLOGY, event, folded
from tests.strategies import examples, topologies

WORDS = st.sampled_from(
    [
        *GUARDRAIL_KEYS,
        *LIMITS,
        *WHOLE_LIMITS,
        *NUMBER_LIMITS,
        "name",
        "rule",
        "links",
        "organizations",
        "storage_bytes",
        "repositories",
        "allow",
        "deny",
        '"iad:syd"',
        "syd",
    ]
)
HUGE = "0x" + "f" * 5_000
"""More digits than Python writes as text."""
SCALARS = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(["true", "1979-05-27", "07:32:00", "[[[]]]", "[", "{}", '"', HUGE]),
    st.sampled_from(['"eu"', '"acme/*"', '"iad:syd"', '"decide"', "[]", "1e400"]),
    st.text(max_size=8).map(lambda text: f"'{text}'"),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]"),
        st.tuples(WORDS, inner).map(lambda pair: f"{{{pair[0]} = {pair[1]}}}"),
    ),
    max_leaves=4,
)
LINES = st.one_of(
    st.tuples(WORDS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    WORDS.map(lambda word: f"[{word}]"),
    WORDS.map(lambda word: f"[[{word}]]"),
    st.tuples(WORDS, WORDS).map(lambda pair: f"[{pair[0]}.{pair[1]}]"),
    st.text(max_size=12),
)
TRUE = st.lists(
    st.sampled_from(
        [
            *(f"{key} = {least}" for key, (least, _) in LIMITS.items()),
            'mode = "observe"',
            "holdout_fraction = 1",
            "limits = {min_copies = 3}",
            'residency = [{repositories = ["*"], deny = ["syd"]}]',
        ]
    ),
    unique=True,
    max_size=6,
)
DOCUMENTS = st.one_of(st.lists(LINES, max_size=6), TRUE).map("\n".join)

NAMES = st.sampled_from([*TOPOLOGY.regions, "eu", "mars"])
SOME = st.lists(NAMES, max_size=3).map(tuple)
PATTERNS = st.sampled_from(["*", "acme/*", "acme/web", "api", "ac/*"])
RULES = st.builds(
    ResidencyRule, st.lists(PATTERNS, min_size=1, max_size=2).map(tuple), SOME, SOME
)
RESIDENCIES = st.lists(RULES, max_size=4).map(tuple).map(Residency)
REPOSITORIES = st.sampled_from(["acme/web", "acme/x/y", "api", "acme"]).map(Repository)


@examples(300)
@given(DOCUMENTS)
def test_document_is_parsed_or_refused_with_its_reason(text: str) -> None:
    """Nothing else is raised for any text, and a refusal names a field of it."""
    for parse in (parse_guardrails, parse_ruling):
        try:
            parse(text)
        except PolicyInvalidError as error:
            assert error.field.split(".")[0].split("[")[0] == "policy"  # noqa: PT017 - the law is about the error
            assert error.remedy  # noqa: PT017 - the law is about the error


@examples(100)
@given(DOCUMENTS)
def test_some_policy_is_always_in_force(text: str) -> None:
    """Whatever was folded: the order's own one, or what held before with its name."""
    text = text.replace("\0", "")
    state = folded(event(AMS, PolicyChanged(Name("drawn"), Document(text))))

    ruling = ruling_in_force(state, START_NS)

    assert ruling.refused == (() if readable(text) else ("drawn",))
    assert (ruling.policy.name == "drawn") == readable(text)


def readable(text: str) -> bool:
    """Say whether *text* can be parsed."""
    try:
        parse_ruling(text)
    except PolicyInvalidError:
        return False
    return True


@examples(300)
@given(RESIDENCIES, topologies(), REPOSITORIES)
def test_nothing_is_permitted_outside_the_rules(
    residency: Residency, topology: Topology, repository: Repository
) -> None:
    """Each rule about a repository allows and does not deny what is permitted."""
    permitted = residency.permitted(topology, repository)

    assert all(topology.stores(region) for region in permitted)
    for rule in residency.rules:
        if rule.governs(repository):
            named = [set(map(topology.regions_named, rule.allow))]
            allowed = {code for codes in named[0] for code in codes}
            denied = {c for name in rule.deny for c in topology.regions_named(name)}
            assert not rule.allow or permitted <= allowed
            assert not permitted & denied


@examples(150)
@given(RESIDENCIES, RULES, topologies(), REPOSITORIES)
def test_one_more_rule_never_permits_more(
    residency: Residency,
    rule: ResidencyRule,
    topology: Topology,
    repository: Repository,
) -> None:
    """So an operator may add one without reading the others, in any order."""
    before = residency.permitted(topology, repository)

    after = Residency((*residency.rules, rule)).permitted(topology, repository)

    assert after <= before
    assert after == Residency((rule, *residency.rules)).permitted(topology, repository)
