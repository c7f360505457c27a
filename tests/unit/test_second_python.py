"""The same log folds to the same fingerprint under another Python, where there is one.

Core and wire are run from this tree with this environment's packages. Those that are
compiled for this Python alone have to be done without: protobuf runs in pure Python.
"""

import json
import os
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from shutil import which

import pytest

from tests.golden_logs import FOLDER, read_log

ROOT = Path(__file__).parents[2]
PATH = FOLDER / "3-every-subject.jsonl"
TIMEOUT_SECONDS = 60
FOLD = """
import runpy, sys
sys.path.append(sys.argv.pop(1))  # after its own: numpy is compiled for each version
runpy.run_module("tests.fold_log", run_name="__main__")
"""


@cache
def other_pythons() -> tuple[tuple[str, Path], ...]:
    """Return the installed Pythons that can fold and are not of this version.

    That is, of 3.11 and newer, and with a numpy of their own.
    """
    versions = [f"3.{minor}" for minor in range(11, 20)]
    found: dict[str, Path] = {}
    for version in versions:
        installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
        on_path = which(f"python{version}")
        candidates = [*installed, *([Path(on_path)] if on_path else [])]
        for python in candidates:
            if version_of(python) == version and has_numpy(python):
                found.setdefault(version, python)
    found.pop(f"3.{sys.version_info.minor}", None)
    return tuple(found.items())


def version_of(python: Path) -> str:
    """Return the version that *python* says it is; empty when it does not run."""
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        said = run(python, "-c", script)
    except OSError:
        return ""
    return said.stdout.strip()


def has_numpy(python: Path) -> bool:
    """Say whether *python* has numpy, which is compiled for each version by itself."""
    isolated = run(python, "-I", "-c", "import numpy")
    return isolated.returncode == 0


def folded_by(python: Path) -> subprocess.CompletedProcess[str]:
    """Fold the log with *python*, its own packages and, for the rest, with ours."""
    return run(python, "-c", FOLD, sysconfig.get_paths()["purelib"], str(PATH))


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run *python* with this tree."""
    return subprocess.run(
        [str(python), *arguments],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )


def test_other_pythons_fold_the_same() -> None:
    """Nothing in the fold depends on the version of Python."""
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python of 3.11 or newer with numpy is installed here")
    expected, _ = read_log(PATH)

    said = {version: folded_by(python) for version, python in pythons}

    failed = {version: done.stderr for version, done in said.items() if done.returncode}
    assert failed == {}
    assert {
        version: json.loads(done.stdout)["fingerprint"]
        for version, done in said.items()
    } == dict.fromkeys(said, expected.fingerprint)


def test_protobuf_in_pure_python_folds_the_same() -> None:
    """Nor on which of protobuf's two implementations reads the bytes."""
    expected, _ = read_log(PATH)

    done = folded_by(Path(sys.executable))

    assert done.stderr == ""
    assert json.loads(done.stdout)["fingerprint"] == expected.fingerprint
