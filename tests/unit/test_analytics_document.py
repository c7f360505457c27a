"""docs/analytics.md tells the columns and the answers as they are."""

from tests.analytics_page import PAGE, rewritten


def test_page_is_true() -> None:
    """`python -m tests.analytics_page` would write the very same."""
    text = PAGE.read_text("utf-8")

    assert rewritten(text) == text
