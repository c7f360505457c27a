"""What all tests share: the option that writes scenarios anew."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rewrite``."""
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write what scenarios answer now into them, instead of comparing",
    )
