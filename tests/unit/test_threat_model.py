"""docs/threat-model.md is honest: each threat has its faults and tests that exist."""

import re

import pytest

from tests.named_tests import ROOT, TEST, missing_tests, table_rows

DOCUMENT = (ROOT / "docs" / "threat-model.md").read_text()
THREATS = table_rows(DOCUMENT, r"T\d+")
BOUNDARIES = table_rows(DOCUMENT, r"B\d+")
ACCEPTED = DOCUMENT.partition("## Risks that are accepted")[2]
STRIDE = "STRIDE"


def test_threats_and_boundaries_are_numbered_in_order() -> None:
    """None forgotten, none twice."""
    assert [row[0] for row in THREATS] == [f"T{n + 1}" for n in range(len(THREATS))]
    assert [row[0] for row in BOUNDARIES] == [
        f"B{n + 1}" for n in range(len(BOUNDARIES))
    ]


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[0])
def test_threat_names_its_kind_boundary_faults_and_tests(row: list[str]) -> None:
    """A threat without a test is an opinion."""
    _, kind, boundary, threat, answer, faults, shown_by = row
    known = {each[0] for each in table_rows(read("docs/faults.md"), r"F\d+")}

    assert kind in set(STRIDE)
    assert boundary in {each[0] for each in BOUNDARIES}
    assert threat
    assert answer
    assert faults
    assert set(faults.split(", ")) <= known
    named = [name for _, name in TEST.findall(shown_by)]
    assert named
    assert all(named), "a whole module shows nothing in particular"
    assert missing_tests(shown_by) == []


def read(path: str) -> str:
    """Return a document."""
    return (ROOT / path).read_text()


def test_every_kind_and_boundary_was_thought_of() -> None:
    """Each letter of STRIDE and each boundary has a threat."""
    assert {row[1] for row in THREATS} == set(STRIDE)
    assert {row[2] for row in THREATS} == {row[0] for row in BOUNDARIES}


def test_accepted_risks_are_about_threats_that_there_are() -> None:
    """A risk that is accepted says which threat is left, and what bounds it."""
    rows = [line.strip("| ").split(" | ") for line in ACCEPTED.splitlines()]
    risks = [row for row in rows if len(row) == 3 and re.match(r"T\d", row[1])]

    assert len(risks) == ACCEPTED.count("\n|") - 2
    for _, about, bound in risks:
        assert set(about.split(", ")) <= {row[0] for row in THREATS}
        assert bound


def test_security_policy_leads_here_and_back() -> None:
    """Who reports finds what is known, and who reads it finds how to report."""
    assert "docs/threat-model.md" in read("SECURITY.md")
    assert "SECURITY.md" in DOCUMENT
    assert "SECURITY.md" in read("README.md")
