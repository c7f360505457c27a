"""What tools/deploy ships says nothing that the program does not know, nor systemd."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import rich_click as click
import yaml

from placement.cli.main import COMMANDS, load_command, main
from placement.config import Config, load_config
from placement.config.errors import keys_of

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "tools" / "deploy"
PAGES: Final = [ROOT / "docs" / name for name in ("operations.md", "upgrading.md")]
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS: Final = sorted(
    path
    for path in (DEPLOY / "kubernetes").rglob("*.yaml")
    if path.parent.name != "scheduler-extender"  # a file of kube-scheduler's own
)
EXPOSURE_MAX: Final = 20
"""Tenths of what `systemd-analyze security` calls it; 100: a unit without any guard."""
KUBERNETES: Final = "1.34"
TYPED: Final = re.compile(
    r"^ExecStart=\S+/placement (.+)$"
    r"|^\$ placement (.+)$"
    r"|^\$ podman run .* placement (agent .+)$"
    r"|-- placement (.+)$"
    r"|[`\"]placement ([a-z][^`\"]*)[`\"]",
    re.MULTILINE,
)


def words(path: Path) -> str:
    """Return a path as it is named in messages."""
    return str(path.relative_to(ROOT))


def commands(text: str) -> Iterator[list[str]]:
    """Yield each ``placement ...`` that is to be typed or run, word by word."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for found in TYPED.finditer(joined):
        said = next(part for part in found.groups() if part is not None)
        yield shlex.split(said.partition("   #")[0])


def check(command: list[str]) -> None:
    """Fail unless the program has this command, with all of its flags."""
    assert command[0] in COMMANDS, f"there is no placement {command[0]}"
    found = load_command(command[0])
    rest = command[1:]
    if isinstance(found, click.Group):
        assert rest[0] in found.commands, f"there is no placement {command[:2]}"
        found, rest = found.commands[rest[0]], rest[1:]
    known = {name for each in found.params for name in each.opts}
    known |= {name for each in main.params for name in each.opts}
    for word in rest:
        flag = word.partition("=")[0]
        if flag.startswith("-") and len(flag) > 1:
            assert flag in known, f"{' '.join(command)}: there is no {flag}"


@pytest.mark.parametrize(
    "path",
    [*(path for path in sorted(DEPLOY.rglob("*")) if path.is_file()), *PAGES],
    ids=words,
)
def test_commands_and_variables_are_the_programs(path: Path) -> None:
    """In units, manifests, configurations, each folder's README, and our pages."""
    text = path.read_text()
    known = {f"PLACEMENT_{key.replace('.', '__').upper()}" for key in keys_of(Config)}

    if path.suffix in {".md", ".service"}:
        for command in commands(text):
            check(command)
    if path.suffix != ".md":
        for name in re.findall(r"\bPLACEMENT_[A-Z0-9_]+", text):
            assert name in known or name == "PLACEMENT_", f"{name} is no key"


def test_every_folder_says_how_to_use_it() -> None:
    """A README each, beside what has been there."""
    folders = {"systemd", "container", "kubernetes", "nats"}

    assert {path.parent.name for path in DEPLOY.glob("*/README.md")} >= folders


@pytest.mark.parametrize("path", UNITS, ids=words)
def test_unit_is_one_that_systemd_knows_and_calls_safe(
    path: Path, tmp_path: Path
) -> None:
    """Every directive; and an exposure as low as of what serves the network at all."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd's own checker is not installed: apt-get install systemd")
    unit = tmp_path / path.name
    program = str(Path(sys.executable).with_name("placement"))
    unit.write_text(path.read_text().replace("/opt/placement/bin/placement", program))

    verified = analyzed("verify", "--man=no", "--recursive-errors=no", str(unit))
    rated = analyzed(
        "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(unit)
    )

    assert verified.returncode == 0, verified.stderr
    assert path.name not in verified.stderr, verified.stderr
    assert rated.returncode == 0, rated.stdout[-400:]


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what systemd-analyze says."""
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


def test_container_file_names_what_is_there() -> None:
    """What it copies, what it runs, and that its user is not root."""
    text = (DEPLOY / "container" / "Containerfile").read_text()
    joined = re.sub(r"\\\n\s*", " ", text)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", joined, re.MULTILINE)
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}

    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        assert source in allowed, f"{source} is kept out by .containerignore"
    health = re.search(r"HEALTHCHECK .*CMD \[(.+)\]", joined)
    start = re.search(r"^CMD \[(.+)\]", joined, re.MULTILINE)
    assert health is not None
    assert start is not None
    check(re.findall(r'"([^"]+)"', health[1])[1:])
    check(re.findall(r'"([^"]+)"', start[1]))
    last = joined.rpartition("FROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    assert "ADD " not in joined


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a manifest."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def require_known(document: Any) -> None:  # noqa: ANN401 - as YAML has it
    """Raise unless it is by Kubernetes' own schemas."""
    from kubernetes_validate.utils import (  # noqa: PLC0415 - takes seconds
        validate,
    )

    validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=words)
def test_manifest_is_one_that_kubernetes_knows(path: Path) -> None:
    """By its own schemas, strictly; what kustomize and operators add has none there."""
    for document in documents(path):
        if "k8s.io" not in document["apiVersion"] and "/" in document["apiVersion"]:
            group = document["apiVersion"].partition("/")[0]
            if group not in {"apps", "policy"}:
                continue
        if "kustomize" in document["apiVersion"] or path.name == "probes.yaml":
            continue
        require_known(document)


@pytest.mark.parametrize("folder", ["kubernetes", "kubernetes/plaintext"])
def test_configuration_of_pods_is_the_programs(folder: str) -> None:
    """Each key is known, and the whole of it is possible."""
    for file in sorted((DEPLOY / folder).glob("*.toml")):
        found = load_config(file)

        assert tomllib.loads(file.read_text())
        assert found.nats.url.startswith("tls://")


def test_pods_run_what_the_program_has_and_mount_what_it_reads() -> None:
    """Arguments, ports, probes, files: all of them as the configuration says."""
    for name, ports in (("service", {7450, 7452}), ("agent", {7451})):
        config = tomllib.loads((DEPLOY / "kubernetes" / f"{name}.toml").read_text())
        [workload] = [
            each
            for each in documents(DEPLOY / "kubernetes" / f"{name}.yaml")
            if each["kind"] == "StatefulSet"
        ]
        pod = workload["spec"]["template"]["spec"]
        [container] = pod["containers"]
        check(container["args"])
        listened = {port["containerPort"] for port in container["ports"]}
        mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
        for path in re.findall(
            r'"(/(?:etc|var)/[^"]+)"', str(config).replace("'", '"')
        ):
            assert any(path.startswith(mount) for mount in mounted), path
        assert listened == ports
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert pod["securityContext"]["runAsNonRoot"]


@pytest.mark.parametrize("components", [(), ("plaintext", "prometheus-operator")])
def test_kustomization_builds(tmp_path: Path, components: tuple[str, ...]) -> None:
    """With its components, too; what comes out is still what Kubernetes knows."""
    if not shutil.which("kubectl"):
        pytest.skip(
            "kubectl, whose kustomize builds them, is not installed: Debian has none"
        )
    copied = tmp_path / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", copied)
    file = copied / "kustomization.yaml"
    if components:
        listed = "".join(f"  - {name}\n" for name in components)
        file.write_text(f"{file.read_text()}components:\n{listed}")

    built = subprocess.run(
        ["kubectl", "kustomize", str(copied)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode == 0, built.stderr
    found = [each for each in yaml.safe_load_all(built.stdout) if each]
    kinds = {each["kind"] for each in found}
    assert ("ServiceMonitor" in kinds) == bool(components)
    for each in found:
        if each["kind"] != "ServiceMonitor":
            require_known(each)
    [service] = [
        each
        for each in found
        if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "placement"
    ]
    probe = service["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    assert ("grpc" in probe) == bool(components)
