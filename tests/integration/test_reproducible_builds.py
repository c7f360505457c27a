"""What is released can be made again, byte for byte, by whoever doubts it."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.figures import tell

ROOT = Path(__file__).parents[2]
STUBS = Path("placement", "v1")
EPOCH = 1_795_428_000
DEADLINE_SECONDS = 110


def tracked() -> list[str]:
    """Return the files of this tree that belong to it, committed or not yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"not a clone, so what belongs to it is not known: {done.stderr}")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def built(source: Path, names: list[str], seed: str, umask: int) -> dict[str, Path]:
    """Copy *names* to *source*, build there, and return what came of it, by kind."""
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
        (source / name).chmod((ROOT / name).stat().st_mode & ~umask & 0o777)
    out = source / "dist"
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", out],
        cwd=source,
        env=os.environ
        | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": str(EPOCH)}
        | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob("*.whl")
    (archive,) = out.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": archive}


@pytest.fixture(scope="module")
def builds(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, Path], dict[str, Path]]]:
    """Yield two builds of this tree: other folders, orders, umasks and hash seeds."""
    names = tracked()
    folder = tmp_path_factory.mktemp("builds")
    first = built(folder / "one", names, "1", 0o022)
    again = built(folder / "another" / "place", names[::-1], "2", 0o077)
    yield first, again
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_two_builds_are_equal(
    builds: tuple[dict[str, Path], dict[str, Path]], kind: str
) -> None:
    """Nothing of where, when and as whom it was built is in what is released."""
    hashes = {sha256(build[kind].read_bytes()).hexdigest() for build in builds}

    tell(f"two builds of the {kind}", hashes=len(hashes))
    assert len(hashes) == 1


def test_stubs_are_the_same_wherever_they_are_generated(
    builds: tuple[dict[str, Path], dict[str, Path]],
) -> None:
    """The wheel's stubs are those of this tree, so no stale ones can be released."""
    with zipfile.ZipFile(builds[0]["wheel"]) as wheel:
        prefix = f"{STUBS.as_posix()}/"
        packed = {
            name.removeprefix(prefix): wheel.read(name)
            for name in wheel.namelist()
            if name.startswith(prefix)
        }

    here = {
        path.name: path.read_bytes()
        for path in (ROOT / STUBS).iterdir()
        if path.suffix in {".py", ".pyi"}
    }

    assert packed == here
    assert len(packed) > len(list((ROOT / "protos").rglob("*.proto")))


def test_source_archive_holds_what_it_takes_to_build_and_check(
    builds: tuple[dict[str, Path], dict[str, Path]],
) -> None:
    """Protos, locks, tools and tests; no stubs and nothing of the machine."""
    with tarfile.open(builds[0]["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    needed = {"requirements.lock", "requirements-dev.lock", "tools/setup", "LICENSE"}
    assert needed | {"protos/placement/v1/events.proto"} <= names
    assert not any(name.startswith((".venv", "placement/v1", ".ci")) for name in names)
