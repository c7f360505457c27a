"""``placement completion``: what completes commands, options and regions in a shell.

click asks the program itself at every press of the tab key, so it must answer quickly:
regions are read of the catalogue's file alone, without the configuration around it.
"""

import tomllib
from pathlib import Path
from typing import Final

import rich_click as click
from click.shell_completion import CompletionItem, get_completion_class
from click.types import StringParamType

from placement.cli.session import Session
from placement.unconfigured import catalogue_file

SHELLS: Final = ("bash", "zsh", "fish")
VARIABLE: Final = "_PLACEMENT_COMPLETE"
"""Which click looks for, as the scripts set it."""
SHIPPED: Final = Path(__file__).parents[1] / "data" / "regions.toml"
ANY: Final = "any"
ONE: Final = "REGION"
SEVERAL: Final = "REGIONS"
"""How options and arguments call their value that take one region, or an expression."""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what completes commands in a shell.

    bash: `source <(placement completion bash)` in ~/.bashrc;
    zsh: the same with zsh, in ~/.zshrc, after compinit;
    fish: `placement completion fish > ~/.config/fish/completions/placement.fish`.
    """
    found = get_completion_class(shell)
    assert found is not None, "click knows each of SHELLS"
    root = ctx.find_root().command
    click.echo(found(root, {}, "placement", VARIABLE).source())


class RegionName(StringParamType):
    """A text for the command, and a code of the catalogue for whoever presses tab."""

    def __init__(self, *, several: bool) -> None:
        """Complete one code, or the last of *several* with commas between."""
        self._several = several

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what *incomplete* may become; nothing if there is no catalogue."""
        del param
        session = ctx.find_object(Session) or Session()
        file = catalogue_file(session.config_file, session.overrides) or SHIPPED
        codes, others = names_in(file)
        before, comma, last = incomplete.rpartition(",")
        if not self._several:
            before, comma, last, others = "", "", incomplete, {}
        named = {**codes, **others}
        return [
            CompletionItem(f"{before}{comma}{name}", help=named[name])
            for name in named
            if name.startswith(last)
        ]


def names_in(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the codes of a catalogue, then its areas and aliases, each with a name."""
    try:
        told = tomllib.loads(file.read_text("utf-8"))
        regions, aliases = told["regions"], told.get("aliases", {})
        codes = {code: str(one.get("name", "")) for code, one in regions.items()}
        areas = sorted({str(one.get("area", "")) for one in regions.values()} - {""})
    except (OSError, ValueError, KeyError, AttributeError):
        return {}, {}
    others = {name: f"{name}: an area" for name in areas}
    others |= {name: ", ".join(map(str, aliases[name])) for name in aliases}
    return codes, {**others, ANY: "every region"}


def complete_regions(command: click.Command) -> None:
    """Let the options and arguments of *command* that take regions complete them."""
    for param in command.params:
        named = param.metavar
        if named in {ONE, SEVERAL} and param.type is click.STRING:
            param.type = RegionName(several=named == SEVERAL)
    for inner in getattr(command, "commands", {}).values():
        complete_regions(inner)
