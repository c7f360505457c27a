"""What all tests share: the option that writes scenarios anew."""

import pytest
import structlog


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rewrite``."""
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write what scenarios answer now into them, instead of comparing",
    )


@pytest.fixture(autouse=True)
def fresh_logging() -> None:
    """Let no test log as a command that another one ran in this process was told to."""
    structlog.reset_defaults()
