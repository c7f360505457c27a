"""Compile protos/placement/v1 into placement/v1: a command and the build hook.

    python tools/protogen.py                            regenerate what has changed
    python tools/protogen.py --descriptor-image FILE    write what buf compares with

The protos' package is `placement.v1`, so protoc's absolute imports are right as they
are and nothing is rewritten. The result is ignored by git: it cannot be stale.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("placement", "v1")
STAMP = ".stamp"
INIT = '"""Messages and services of `placement.v1`; generated from protos/."""\n'


class ProtoError(Exception):
    """A proto does not compile, or a part of the compiler is missing."""


class ProtogenHook(BuildHookInterface[BuilderConfig]):
    """Generate the stubs before hatchling collects the files of a build."""

    def initialize(self, version: str, build_data: dict[str, object]) -> None:  # noqa: ARG002 - hatchling's signature
        """Bring placement/v1 up to date; raises ProtoError."""
        generate(Path(self.root))


def generate(root: Path) -> bool:
    """Bring placement/v1 up to date and return whether anything had changed.

    Raises ProtoError, and then leaves what was there before.
    """
    protos = sources(root)
    package = root / PACKAGE
    stamp = package / STAMP
    wanted = fingerprint(root, protos)
    if stamp.is_file() and stamp.read_text() == wanted:
        return False
    package.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".protogen-") as folder:
        if protos:
            protoc(root, outputs(folder), protos)
        made = Path(folder) / PACKAGE
        made.mkdir(parents=True, exist_ok=True)
        (made / "__init__.py").write_text(INIT)
        install(made, package)
    stamp.write_text(wanted)
    return True


def descriptor_image(root: Path, target: Path) -> None:
    """Write all protos, comments included, to *target* as one FileDescriptorSet.

    Raises ProtoError.
    """
    protos = sources(root)
    if not protos:
        message = f"no protos in protos/{PACKAGE}: nothing to describe"
        raise ProtoError(message)
    options = ["--include_imports", "--include_source_info"]
    protoc(root, [*options, f"--descriptor_set_out={target.resolve()}"], protos)


def sources(root: Path) -> list[Path]:
    """Return the protos of the package, sorted."""
    return sorted((root / "protos" / PACKAGE).glob("*.proto"))


def fingerprint(root: Path, protos: Sequence[Path]) -> str:
    """Return a hash of all that the result depends on."""
    inputs = hashlib.sha256()
    for path in [Path(__file__), *protos]:
        name = path.relative_to(root).as_posix()
        inputs.update(f"{name} {path.stat().st_size}\n".encode())
        inputs.update(path.read_bytes())
    for generator in ("grpcio-tools", "mypy-protobuf"):
        inputs.update(f"{generator} {version(generator)}\n".encode())
    return inputs.hexdigest()


def outputs(folder: str) -> list[str]:
    """Return the options that make protoc write code and types into *folder*."""
    return [
        f"--plugin=protoc-gen-mypy={plugin('protoc-gen-mypy')}",
        f"--plugin=protoc-gen-mypy_grpc={plugin('protoc-gen-mypy_grpc')}",
        f"--python_out={folder}",
        f"--grpc_python_out={folder}",
        f"--mypy_out=quiet:{folder}",
        f"--mypy_grpc_out=quiet:{folder}",
    ]


def plugin(name: str) -> str:
    """Return the path of a protoc plugin: this environment's, else one on PATH."""
    folders = [sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        message = f"{name} not found: run tools/setup, which installs mypy-protobuf"
        raise ProtoError(message)
    return found


def protoc(root: Path, options: Sequence[str], protos: Sequence[Path]) -> None:
    """Run protoc over *protos*; raises ProtoError with what it said."""
    folder = root / "protos"
    names = [path.relative_to(folder).as_posix() for path in protos]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}"]
    done = subprocess.run(
        [*command, *options, *names], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        message = f"the protos do not compile\n{done.stderr.strip()}"
        raise ProtoError(message)


def install(made: Path, package: Path) -> None:
    """Move the files of *made* into *package*, each at once, and drop all others."""
    names = {path.name for path in made.iterdir()}
    for path in made.iterdir():
        path.replace(package / path.name)
    for path in package.iterdir():
        if path.is_file() and path.name not in names:
            path.unlink()


def main() -> None:
    """Do what the command line says; exit 1 with a sentence where it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="tools/protogen.py", description="Compile protos/placement/v1."
    )
    parser.add_argument(
        "--descriptor-image",
        type=Path,
        metavar="FILE",
        help="write a FileDescriptorSet instead of code: "
        "protos/released.binpb is the last release that buf compares with",
    )
    arguments = parser.parse_args()
    try:
        if arguments.descriptor_image:
            descriptor_image(ROOT, arguments.descriptor_image)
            print(f"protogen: wrote {arguments.descriptor_image}")
        elif generate(ROOT):
            count = len(sources(ROOT))
            print(f"protogen: placement/v1 made from {count} protos")
    except ProtoError as error:
        sys.exit(f"protogen: {error}")


if __name__ == "__main__":
    main()
