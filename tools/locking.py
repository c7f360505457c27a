"""Write the locks from pyproject.toml: every package with its version and hashes.

    tools/lock                 write them anew, keeping the versions that still fit
    tools/lock --upgrade       the same with the newest versions
    tools/lock --check         write nothing; exit 1 where they are old

requirements.lock is what a service runs on, every extra included;
requirements-dev.lock is that and what the gate needs, in the same versions;
docs/site/requirements.lock is what tools/docs makes the site with, and nothing else.
None names where packages come from: that is the machine's own affair. Below each
package stands for which of our platforms it has a wheel.
"""

import argparse
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT: Final = Path(__file__).resolve().parent.parent
RUN_LOCK: Final = "requirements.lock"
DEV_LOCK: Final = "requirements-dev.lock"
DOCS_LOCK: Final = "docs/site/requirements.lock"
LOCKS: Final = (RUN_LOCK, DEV_LOCK, DOCS_LOCK)

PYTHONS: Final = ((3, 11), (3, 12), (3, 13))
MACHINES: Final = ("x86_64", "aarch64")
GLIBC_MINOR_MAX: Final = 28
"""A wheel may ask for glibc 2.28 at most: what Debian 10 and RHEL 8 had."""
SOURCE_ONLY: Final = frozenset({"nkeys"})
"""Pure Python that is published as source alone; setuptools builds it, locked too."""

COMPILE: Final = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header"),
)
HEADER: Final = "# Made by tools/lock from pyproject.toml. Do not edit: run it again.\n"


class LockError(Exception):
    """The locks cannot be made, or are not what they should be."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One Python on one kind of Linux machine."""

    python: tuple[int, int]
    machine: str

    @property
    def name(self) -> str:
        """As it is written into a lock."""
        return f"cp{self.python[0]}{self.python[1]}-{self.machine}"

    @property
    def environment(self) -> dict[str, str]:
        """What markers ask about it."""
        version = f"{self.python[0]}.{self.python[1]}"
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{version}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{version}.0",
            "python_version": version,
            "sys_platform": "linux",
            "extra": "",
        }

    def tags(self) -> frozenset[Tag]:
        """Return the tags of the wheels that run there."""
        glibc = [
            f"manylinux_2_{minor}_{self.machine}"
            for minor in range(GLIBC_MINOR_MAX, 4, -1)
        ]
        older = ("manylinux2014", "manylinux2010", "manylinux1")
        names = [*glibc, *(f"{each}_{self.machine}" for each in older)]
        names.append(f"linux_{self.machine}")
        interpreter = f"cp{self.python[0]}{self.python[1]}"
        return frozenset(cpython_tags(self.python, platforms=names)) | frozenset(
            compatible_tags(self.python, interpreter, names)
        )


PLATFORMS: Final = tuple(
    Platform(python, machine) for python in PYTHONS for machine in MACHINES
)


def write(folder: Path, *, upgrade: bool) -> None:
    """Write the locks into *folder*, which may hold those of before.

    Raises LockError, and then leaves what was there.
    """
    with tempfile.TemporaryDirectory(prefix="placement-lock-") as name:
        made = Path(name)
        for lock in LOCKS:
            (made / lock).parent.mkdir(parents=True, exist_ok=True)
            if (folder / lock).exists() and not upgrade:
                (made / lock).write_text((folder / lock).read_text())
        ours = ("--all-extras", str(ROOT / "pyproject.toml"))
        compile_lock(made / RUN_LOCK, ours)
        same = ("--constraints", str(made / RUN_LOCK))
        compile_lock(made / DEV_LOCK, ("--group", "dev", *same, *ours))
        compile_lock(made / DOCS_LOCK, ("--group", "docs"))
        for lock in LOCKS:
            temporary = folder / f"{lock}.new"
            temporary.write_text((made / lock).read_text())
            temporary.replace(folder / lock)


def compile_lock(target: Path, options: Sequence[str]) -> None:
    """Write one lock to *target*; raises LockError."""
    listing = target.with_name("pylock.toml")
    uv(*COMPILE, *options, "--output-file", str(target))
    # The same resolution once more, this time with the names of all files.
    held = ("--constraints", str(target))
    form = ("--format", "pylock.toml", "--output-file", str(listing))
    uv(*COMPILE, *options, *held, *form)
    packages = tomllib.loads(listing.read_text())["packages"]
    target.write_text(annotated(target.read_text(), packages))
    listing.unlink()


def annotated(lock: str, packages: Iterable[dict[str, Any]]) -> str:
    """Return *lock* with a line below each package that names its platforms.

    Raises LockError for one that would have to be built, and is not known for it.
    """
    said: dict[tuple[str, str], str] = {
        (canonicalize_name(package["name"]), package["version"]): platforms_of(package)
        for package in packages
    }
    return HEADER + "\n".join(annotated_lines(lock, said)) + "\n"


def annotated_lines(lock: str, said: dict[tuple[str, str], str]) -> Iterator[str]:
    """Yield the lines of *lock*, and what is *said* of each package after its own."""
    pending = ""
    for line in lock.splitlines():
        if line.startswith(("#", "    #")):
            continue
        if not line.startswith(" "):
            if pending:
                yield pending
            name, _, rest = line.partition("==")
            version = rest.split()[0]
            pending = f"    # {said[canonicalize_name(name), version]}"
        yield line
    yield pending


def platforms_of(package: dict[str, Any]) -> str:
    """Return for which of our platforms *package* has a wheel; raises LockError."""
    marker = package.get("marker")
    asked = [
        platform
        for platform in PLATFORMS
        if not marker or Marker(marker).evaluate(platform.environment)
    ]
    if not asked:
        return "on none of our platforms"
    wheels = [tags_of(wheel) for wheel in package.get("wheels", ())]
    if any(tag.platform == "any" and tag.abi == "none" for w in wheels for tag in w):
        return "wheel for any"
    fitting = [each for each in asked if any(each.tags() & wheel for wheel in wheels)]
    if fitting == asked:
        return f"wheels for {' '.join(each.name for each in asked)}"
    if package["name"] not in SOURCE_ONLY:
        missing = sorted({each.name for each in asked} - {e.name for e in fitting})
        message = (
            f"{package['name']} {package['version']} has no wheel for "
            f"{', '.join(missing)}: choose another version of it"
        )
        raise LockError(message)
    return "source alone"


def tags_of(wheel: dict[str, Any]) -> frozenset[Tag]:
    """Return the tags that a wheel's file name carries."""
    name = wheel.get("name") or wheel["url"].rpartition("/")[2]
    return parse_wheel_filename(name.replace("%2B", "+"))[3]


def uv(*arguments: str) -> None:
    """Run uv in the root; raises LockError with what it said."""
    program = Path(sysconfig.get_path("scripts")) / "uv"
    done = subprocess.run(
        [str(program), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        message = f"uv {' '.join(arguments[:2])} failed\n{done.stderr.strip()}"
        raise LockError(message)


def check() -> None:
    """Raise LockError where the locks are not what would be written now."""
    with tempfile.TemporaryDirectory(prefix="placement-lock-") as name:
        folder = Path(name)
        for lock in LOCKS:
            (folder / lock).parent.mkdir(parents=True, exist_ok=True)
            (folder / lock).write_text((ROOT / lock).read_text())
        write(folder, upgrade=False)
        stale = [
            lock
            for lock in LOCKS
            if (folder / lock).read_text() != (ROOT / lock).read_text()
        ]
    if stale:
        message = (
            f"not what pyproject.toml asks for: {', '.join(stale)}: run tools/lock"
        )
        raise LockError(message)


def main() -> None:
    """Do what the command line says; exit 1 with a sentence where it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="tools/lock", description="Write the locks from pyproject.toml."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--upgrade", action="store_true", help="take the newest versions that fit"
    )
    what.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where they are old"
    )
    arguments = parser.parse_args()
    try:
        if arguments.check:
            check()
            print("lock: all are what pyproject.toml asks for")
        else:
            write(ROOT, upgrade=arguments.upgrade)
            print(f"lock: wrote {', '.join(LOCKS)}")
    except LockError as error:
        sys.exit(f"lock: {error}")


if __name__ == "__main__":
    main()
