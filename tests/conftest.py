"""What all tests share: the option that writes scenarios anew, and what laws do."""

import gc
import logging
import os

import pytest
import structlog
from hypothesis import settings

from tests.figures import SEEDS_RUN

settings.register_profile(
    "machines that are busy",
    deadline=None,
    derandomize=not os.environ.get("PLACEMENT_LONG"),
    print_blob=True,
)
settings.load_profile("machines that are busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rewrite``."""
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write what scenarios answer now into them, instead of comparing",
    )


def pytest_collection_finish() -> None:
    """Let no later collection of garbage look at all tests: there are thousands."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many seeds of the simulator were run: as many as there was time for."""
    found = [
        told
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, told in getattr(report, "user_properties", ())
        if name == SEEDS_RUN
    ]
    if found:
        count, seconds = (sum(each) for each in zip(*found, strict=True))
        terminalreporter.write_line(
            f"simulator: {count:,} seeds in {seconds:.0f} s of processor time"
        )


@pytest.fixture(autouse=True)
def fresh_logging() -> None:
    """Let no test log as a command that another one ran in this process was told to.

    What is logged is shown with a failure; it is no part of what a command prints,
    whose service may run in the same process.
    """
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())
    logging.getLogger("placement").setLevel(logging.INFO)
