"""What a back-test's options mean: traces, policies, and what is assumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final

from placement.cli.policy_file import policy_text
from placement.core.deciding.guardrails import parse_guardrails
from placement.core.deciding.keep import Keep
from placement.core.errors import InputError
from placement.core.policy import DEFAULT, Policy, parse_policy
from placement.core.topology import Topology, parse_region
from placement.simulation.assumptions import Assumptions
from placement.simulation.backtest import EVERY, MEGABYTE, Setting
from placement.simulation.ledger import Sources
from placement.simulation.score_from import ScoreFrom, parse_score_from
from placement.simulation.scores import POLICIES

CARRIED: Final = ("govuk", "konflux", "phalanx")
SEEDS: Final = ("size1", "size2", "size3")
DELTAS_S: Final = (1.0, 60.0, 300.0)
SHARES: Final = (0.0, 0.8)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for, as it was said."""

    traces: tuple[str, ...]
    score_from: tuple[str, ...]
    policies: tuple[Path, ...]
    json_file: Path | None
    picture: Path | None
    assumptions: Path | None
    delta: float | None
    share: float | None
    size_seed: str | None
    upload: float
    kappa: tuple[float, ...]
    down: tuple[str, ...]
    home: str
    sources: str
    all_starts: bool
    sensitivity: bool
    log: bool


def setting_of(wanted: Wanted, assumptions: Assumptions, topology: Topology) -> Setting:
    """Return what holds for every trace; raises InputError."""
    policies = _policies(wanted)
    traces = [] if wanted.log else list(files_of(wanted.traces))
    wants_frontier = wanted.picture is not None or wanted.json_file is not None
    return Setting(
        assumptions,
        topology,
        policies,
        _score_from(wanted.score_from, traces),
        tuple(parse_region(code, "--down") for code in wanted.down),
        Sources(wanted.sources),
        frontier_of=next(iter(policies)) if wants_frontier else "",
        with_all_starts=wanted.all_starts,
        keeps=_keeps(wanted, policies),
    )


def _policies(wanted: Wanted) -> dict[str, Policy]:
    """Return the policies by name: the files' or the default, and at other kappas."""
    found: dict[str, Policy] = {}
    for file in wanted.policies:
        policy = _policy(file)
        if policy.name in found or policy.name in POLICIES:
            remedy = "give each policy a name of its own, with the key name"
            where = f"--policy {file}: name"
            raise InputError(where, policy.name, remedy)
        found[policy.name] = policy
    found = found or {DEFAULT.name: DEFAULT}
    for policy in list(found.values()):
        for kappa in wanted.kappa:
            name = f"{policy.name} at {kappa:g} MB/s"
            price = kappa * MEGABYTE
            found[name] = replace(policy, name=name, kappa_bytes_per_second=price)
    return found


def _keeps(wanted: Wanted, policies: Mapping[str, Policy]) -> dict[str, Keep]:
    """Return what regions keep under each policy: what its file says of it."""
    found: dict[str, Keep] = {}
    for file in wanted.policies:
        keep = parse_guardrails(policy_text(file), f"--policy {file}").keep
        named = _policy(file).name
        at_other_kappas = (name for name in policies if name.startswith(f"{named} at "))
        found |= dict.fromkeys([named, *at_other_kappas], keep)
    return found


def _policy(file: Path) -> Policy:
    text = policy_text(file)
    policy = parse_policy(text, f"--policy {file}")
    named = "name" in {line.partition("=")[0].strip() for line in text.splitlines()}
    return policy if named else replace(policy, name=file.stem)


def _score_from(said: Sequence[str], traces: Sequence[str]) -> dict[str, ScoreFrom]:
    found = {}
    for text in said:
        name, equals, value = text.rpartition("=")
        if equals and name not in traces:
            remedy = f"name a trace: {', '.join(traces)}"
            raise InputError("--score-from", text, remedy)
        found[name if equals else EVERY] = parse_score_from(value, "--score-from")
    return found


def files_of(said: Sequence[str]) -> dict[str, Path]:
    """Return the file of each trace by its name: those given, or the carried cuts."""
    if not said:
        carried = Path(str(files("placement").joinpath("data/traces")))
        return {name: carried / f"{name}.csv.gz" for name in CARRIED}
    found: dict[str, Path] = {}
    for text in said:
        name, equals, file = text.partition("=")
        if not equals or not name or not file:
            remedy = "give NAME=FILE, such as --trace mine=deploys.csv"
            raise InputError("--trace", text, remedy)
        if name in found:
            raise InputError("--trace", text, "give each trace a name of its own")
        if not Path(file).is_file():
            raise InputError("--trace", text, "name a file that is there")
        found[name] = Path(file)
    return found


def sensitivity_of(assumptions: Assumptions) -> dict[str, Assumptions]:
    """Return what else may be assumed, by its name."""
    cases = {f"sizes {seed}": assumptions.varied(seed=seed) for seed in SEEDS}
    cases |= {
        f"delta {delta:g} s": assumptions.varied(delta_s=delta)
        for delta in DELTAS_S
        if delta != assumptions.delta_s
    }
    cases |= {
        f"layer share {share:g}": assumptions.varied(layer_share=share)
        for share in SHARES
        if share != assumptions.layer_share
    }
    return cases
