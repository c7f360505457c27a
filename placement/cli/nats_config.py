"""``placement nats-config``: who may do what in NATS, as a server's configuration."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.session import (
    Session,
    config_option,
    key_option,
    output_option,
    pass_session,
)
from placement.config import load_topology
from placement.core.errors import InputError
from placement.nats_authority.configuration import configuration
from placement.nats_authority.credentials import Credentials, Proof
from placement.nats_authority.users import Wanted, users
from placement.private_files import write_private

FILE: Final = "placement-accounts.conf"
SECRETS: Final = "secrets"
ACCOUNT: Final = "PLACEMENT"
TRUST_DOMAIN: Final = "placement"
_ACCOUNT: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_DOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,253}[a-z0-9])?")
_SUBJECT: Final = re.compile(r"(?!placement\.|_)[A-Za-z0-9][A-Za-z0-9_.{}*>-]{0,127}")


@click.command("nats-config")
@click.option(
    "--to",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default="placement-nats",
    show_default=True,
    metavar="DIRECTORY",
    help="Where to write the configuration, and the secrets that are missing.",
)
@click.option(
    "--auth",
    type=click.Choice([str(proof) for proof in Proof]),
    default=str(Proof.NKEY),
    show_default=True,
    help="How users prove who they are.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="NAME",
    help=f"An account; again for each shard or tenant [default: {ACCOUNT}].",
)
@click.option(
    "--trust-domain",
    default=TRUST_DOMAIN,
    show_default=True,
    metavar="NAME",
    help="Of certificates: spiffe://NAME/region/syd/agent.",
)
@click.option(
    "--zot-subject",
    default="",
    metavar="SUBJECT",
    help="Where zot registries publish, {region} for each one's own; agents hear it.",
)
@click.option(
    "--domain",
    default="",
    metavar="NAME",
    help="JetStream's domain of the servers, where leaf nodes reach them by it.",
)
@key_option("--regions", "regions_file")
@key_option("--stream", "nats.stream")
@config_option
@output_option
@pass_session
def nats_config(  # noqa: PLR0913, PLR0917 - one for each option
    session: Session,
    /,
    directory: Path,
    auth: str,
    accounts: tuple[str, ...],
    trust_domain: str,
    zot_subject: str,
    domain: str,
) -> None:
    """Write who may do what in NATS, for a server to include.

    A nats-server includes the file that this writes. Each region's agents may publish
    that region's events, and take its work; services append and read; analysts read;
    operators may do everything. Nobody else may delete, purge or change the stream.

    Secrets go into files of their own, for their owner only, and are never printed.
    Those that exist stay: to replace one, remove its file. How to set up a server with
    it: docs/nats.md.
    """
    named = _checked(accounts or (ACCOUNT,), trust_domain, zot_subject)
    if domain and not _ACCOUNT.fullmatch(domain.upper()):
        raise InputError("--domain", domain, "give 1 to 64 of a-z 0-9 and _")
    _check_proof(Proof(auth), named)
    found = session.config
    topology = load_topology(found)
    wanted = Wanted(topology, found.nats.stream, named, zot_subject, domain)
    credentials = Credentials(Proof(auth), directory / SECRETS, trust_domain)
    everybody = list(users(wanted))
    written = configuration((user, credentials.entry(user)) for user in everybody)
    directory.mkdir(parents=True, exist_ok=True)
    write_private(directory / FILE, written)
    files = {user: credentials.file(user) for user in everybody}
    answer = {
        "file": str(directory / FILE),
        "auth": auth,
        "stream": found.nats.stream,
        "users": [
            {
                "user": user.name,
                "account": user.account,
                "role": str(user.role),
                "region": user.region,
                "secret_file": str(files[user]) if files[user] else None,
                "certificate_name": credentials.certificate_name(user) or None,
            }
            for user in everybody
        ],
        "unused_secret_files": sorted(
            str(path)
            for path in (directory / SECRETS).glob("*.*")
            if path not in files.values()
        ),
    }
    output.emit(session, answer, _lines)


def _checked(
    accounts: tuple[str, ...], trust_domain: str, zot_subject: str
) -> tuple[str, ...]:
    """Return *accounts*; raises InputError for what a configuration cannot hold."""
    for account in accounts:
        if not _ACCOUNT.fullmatch(account):
            remedy = "give 1 to 64 of A-Z 0-9 and _, a letter first"
            raise InputError("--account", account, remedy)
    if len(set(accounts)) != len(accounts):
        raise InputError("--account", accounts, "name each account once")
    if not _DOMAIN.fullmatch(trust_domain):
        remedy = "give a name such as placement.example.com"
        raise InputError("--trust-domain", trust_domain, remedy)
    if zot_subject and not _SUBJECT.fullmatch(zot_subject):
        remedy = "give a subject of its own, such as zot.{region}"
        raise InputError("--zot-subject", zot_subject, remedy)
    return accounts


def _check_proof(proof: Proof, accounts: Sequence[str]) -> None:
    """Raise InputError where a server could not tell users of *accounts* apart.

    A certificate names a role and a region, and a server knows it by that name alone:
    one that has it twice loads no such configuration.
    """
    if proof is Proof.CERTIFICATE and len(accounts) > 1:
        remedy = (
            "name one account: a certificate names a role and no account; with several "
            "give --auth nkey or password"
        )
        raise InputError("--account", ", ".join(accounts), remedy)


def _lines(answer: Answer) -> Iterator[RenderableType]:
    yield output.table(
        ("user", "account", "role", "region", "proves it by"),
        (
            (
                user["user"],
                user["account"],
                user["role"],
                user["region"] or "-",
                user["secret_file"] or user["certificate_name"],
            )
            for user in answer["users"]
        ),
    )
    for path in answer["unused_secret_files"]:
        yield Text(f"warning: {path} is nobody's any more", style="yellow")
    yield Text(f"written: {answer['file']}; include it in the server's configuration")
