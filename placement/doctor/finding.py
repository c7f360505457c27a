"""What a look at one thing comes to: a verdict, what was found, and the remedy."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a thing is."""

    OK = "OK"
    WARN = "WARN"
    """It works, and will not for long, or not as well as it should."""
    FAIL = "FAIL"
    SKIPPED = "SKIPPED"
    """It was not looked at; what was found is the reason."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    found: str
    remedy: str = ""
    """What to do, in a sentence; empty where nothing is to be done."""


def ok(found: str) -> Finding:
    """Return that all is well, and what was found."""
    return Finding(Verdict.OK, found)


def warn(found: str, remedy: str) -> Finding:
    """Return what was found that will not be well for long, and the *remedy*."""
    return Finding(Verdict.WARN, found, remedy)


def fail(found: str, remedy: str) -> Finding:
    """Return what was found wrong, and the *remedy*."""
    return Finding(Verdict.FAIL, found, remedy)


def skipped(reason: str) -> Finding:
    """Return why a thing was not looked at."""
    return Finding(Verdict.SKIPPED, reason)
