"""Region expressions: codes, areas, aliases and any."""

from dataclasses import replace

import pytest

from placement.core.candidates import parse_candidates
from placement.core.errors import CandidatesInvalidError
from placement.core.topology import Topology
from tests.builders import AMS, FRA, IAD, LHR, SCL, SYD, TOPOLOGY

AREAS = {AMS: "eu", FRA: "eu", LHR: "eu", IAD: "na", SYD: "apac", SCL: "sa"}
NAMED = Topology(
    {code: replace(one, area=AREAS[code]) for code, one in TOPOLOGY.regions.items()},
    IAD,
    {"americas": (IAD, SCL), "eu": (IAD,)},
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("lhr", [LHR]),
        ("lhr,eu", [LHR, AMS, FRA, IAD]),
        ("syd,lhr,syd", [SYD, LHR]),
        (" SYD , Apac", [SYD]),
        ("americas", [IAD, SCL]),
        ("any", [AMS, FRA, IAD, LHR, SCL, SYD]),
        ("syd,any", [SYD, AMS, FRA, IAD, LHR, SCL]),
        ("", [AMS, FRA, IAD, LHR, SCL, SYD]),
    ],
)
def test_expression_names_regions(expression: str, expected: list[str]) -> None:
    """Each once, in the order of the expression, and of the code within one name."""
    assert list(parse_candidates(NAMED, expression)) == expected


@pytest.mark.parametrize("expression", ["nowhere", "lhr,,syd", "lhr,", "eu syd", ","])
def test_expression_that_names_nothing_is_refused(expression: str) -> None:
    """With the words that would have been understood."""
    with pytest.raises(CandidatesInvalidError) as caught:
        parse_candidates(NAMED, expression, "in")

    assert str(caught.value).startswith("in: ")
    assert "any, or one of: americas, apac, eu, na, sa" in str(caught.value)
