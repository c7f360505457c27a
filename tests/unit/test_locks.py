"""What is installed is what was locked: versions, hashes, every platform of ours."""

import json
import platform
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from tools.locked import ROOT, Pin, closure, pins, project, run_requirements
from tools.locking import (
    DEV_LOCK,
    DOCS_LOCK,
    LOCKS,
    PLATFORMS,
    RUN_LOCK,
    LockError,
    Platform,
    annotated,
    platforms_of,
)

HERE = Platform(sys.version_info[:2], platform.machine())


def asked(lock: str) -> list[str]:
    """Return the requirements that *lock* answers."""
    needed = run_requirements()
    return (
        needed if lock == RUN_LOCK else needed + project()["dependency-groups"]["dev"]
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_its_hashes_and_a_file_for_each_platform(lock: str) -> None:
    """Nothing is installed that nobody hashed, and nothing but nkeys is built."""
    full = "wheels for " + " ".join(each.name for each in PLATFORMS)
    built = []
    for pin in pins(lock):
        here = " ".join(each.name for each in PLATFORMS if pin.on(each))
        assert len(pin.hashes) == len(set(pin.hashes)) > 0, pin.name
        if pin.platforms == "source alone":
            built.append(pin.name)
        elif here:
            assert pin.platforms in {"wheel for any", full, f"wheels for {here}"}, pin
        else:
            assert pin.platforms == "on none of our platforms", pin

    assert built == ([] if lock == DOCS_LOCK else ["nkeys"])


@pytest.mark.parametrize("place", PLATFORMS, ids=lambda each: each.name)
@pytest.mark.parametrize("lock", [RUN_LOCK, DEV_LOCK])
def test_lock_is_all_that_is_asked_for_and_no_more(lock: str, place: Platform) -> None:
    """Each requirement, of ours and of each package, meets one pin that fits."""
    locked: dict[str, Pin] = {}
    for pin in pins(lock):
        if pin.on(place):
            assert pin.name not in locked, f"{pin.name} is pinned twice"
            locked[pin.name] = pin
    needed = set()

    for requirement, by in closure(asked(lock), place):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        needed.add(name)
        found = locked.get(name)
        assert found, f"{by} needs {requirement}, which is not locked"
        assert requirement.specifier.contains(found.version, prereleases=True), by

    assert set(locked) == needed


def test_service_runs_on_what_the_gate_tested() -> None:
    """The lock for running is a part of the one for developing, to the last hash."""
    assert set(pins(RUN_LOCK)) < set(pins(DEV_LOCK))


def test_what_is_installed_here_is_what_is_locked() -> None:
    """tools/setup was run, and nobody installed beside it."""
    wrong = [
        f"{pin.name} {pin.version}"
        for pin in pins(DEV_LOCK)
        if pin.on(HERE) and version(pin.name) != pin.version
    ]

    assert wrong == []


def test_tools_that_build_are_locked_too() -> None:
    """A build without isolation finds what build-system asks for, in that version."""
    locked = {pin.name: pin.version for pin in pins(DEV_LOCK)}

    for requirement, _ in closure(project()["build-system"]["requires"], HERE):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert requirement.specifier.contains(locked[name]), requirement


def test_setup_installs_by_hash_and_builds_by_what_is_locked() -> None:
    """Each command that installs asks for hashes, or takes nothing but the project."""
    lines = (ROOT / "tools" / "setup").read_text().replace("\\\n", " ").splitlines()
    installs = [
        line for line in lines if re.search(r"with_\w+ install|pip install", line)
    ]

    assert len(installs) >= 3
    for line in installs:
        assert "--no-deps" in line
        assert "--require-hashes" in line or "--editable ." in line
    assert sum("--no-build-isolation" in line for line in lines) == 2
    assert sum("npm ci" in line and "--ignore-scripts" in line for line in lines) == 1
    assert not any("npm install" in line for line in lines)


def test_locks_say_nothing_of_where_packages_come_from() -> None:
    """An address belongs to the machine that installs, not to what it installs."""
    for path in (
        *(ROOT / lock for lock in LOCKS),
        ROOT / "tools/npm/package-lock.json",
    ):
        assert "://" not in path.read_text(), path


def test_what_npm_brings_is_held_against_its_hash() -> None:
    """Every file that npm may fetch has a SHA-512, and one exact version was asked."""
    folder = ROOT / "tools" / "npm"
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    wanted = json.loads((folder / "package.json").read_text())["devDependencies"]
    root = packages.pop("")

    assert root["devDependencies"] == wanted
    assert {f"node_modules/{name}" for name in wanted} <= set(packages)
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"]), name


def test_package_without_a_wheel_for_one_platform_is_refused() -> None:
    """tools/lock says which platform would have to build it."""
    wheels = [
        {"url": f"x/fast-1.0-cp3{minor}-cp3{minor}-manylinux_2_28_{machine}.whl"}
        for minor in (11, 12, 13)
        for machine in ("x86_64", "aarch64")
    ]
    whole = {"name": "fast", "version": "1.0", "wheels": wheels}
    names = " ".join(each.name for each in PLATFORMS)

    assert platforms_of(whole) == f"wheels for {names}"
    assert platforms_of(
        whole | {"wheels": [{"url": "x/fast-1.0-py3-none-any.whl"}]}
    ) == ("wheel for any")
    with pytest.raises(LockError, match=r"fast 1\.0 has no wheel for cp313-aarch64"):
        platforms_of(whole | {"wheels": wheels[:-1]})
    newer = [{"url": each["url"].replace("2_28", "2_34")} for each in wheels]
    with pytest.raises(LockError, match="cp311-x86_64"):
        platforms_of(whole | {"wheels": newer})


def test_note_stands_below_its_own_package() -> None:
    """Two versions of one package, for two Pythons, each have their own."""
    lock = (
        "a==1.0 ; python_full_version < '3.12' \\\n    --hash=sha256:00\n"
        "a==2.0 ; python_full_version >= '3.12' \\\n    --hash=sha256:11\n"
    )
    wheel = {"wheels": [{"url": "x/a-1.0-py3-none-any.whl"}]}

    said = annotated(
        lock,
        [
            {"name": "a", "version": "1.0", **wheel},
            {"name": "a", "version": "2.0", "marker": "sys_platform == 'win32'"},
        ],
    )

    assert said.splitlines()[2:4] == ["    --hash=sha256:00", "    # wheel for any"]
    assert said.splitlines()[-1] == "    # on none of our platforms"


@pytest.mark.long
def test_locks_are_what_the_tool_would_write() -> None:
    """tools/lock --check resolves anew, which needs the index of this machine."""
    done = subprocess.run(
        [ROOT / "tools" / "lock", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
