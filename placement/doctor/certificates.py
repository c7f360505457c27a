"""Looks at certificates by a handshake with themselves, in memory: chain, key, names.

The parties of it are two objects of this process: no socket is opened, and what the
handshake accepts is what real peers accept.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from placement.api.authority.identity import IdentityUnknownError, identity_of
from placement.api.certificate_times import expiry_seconds
from placement.doctor.finding import Finding, fail, ok, skipped, warn
from placement.doctor.site import Site

DAY_SECONDS: Final = 86_400
WARN_DAYS: Final = 30
ROUNDS_MAX: Final = 20
"""Messages each way; a handshake takes two or three."""
SERVICE: Final = "service"
RENEW: Final = "put a renewed certificate in its place; it is read without a restart"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate of ours, with its key and who is to have signed it."""

    key_name: str
    """The key of the configuration, without ``cert_file``."""
    cert_file: Path
    key_file: Path | None
    authorities: Path | None
    """None: nobody says, so the chain is not tried."""
    ours_to: str = ""
    """To whom we show it when we connect; empty: those who connect are shown it."""


def pairs(site: Site) -> list[Pair]:
    """Return what the configuration names."""
    config = site.config
    found = []
    for name, section, authorities, ours_to in (
        ("tls", config.tls, config.client.ca_file, ""),
        ("client", config.client, config.tls.client_ca_file, SERVICE),
        ("nats", config.nats, None, "broker"),
        ("agent.router", config.agent.router, None, ""),
    ):
        if section.cert_file is not None:
            own = section.cert_file, section.key_file
            found.append(Pair(name, *own, authorities, ours_to))
    return found


async def certificates(site: Site) -> Sequence[Finding]:
    """Look at each pair, and at each file of authorities."""
    found = []
    domain = site.config.tls.trust_domain
    for pair in pairs(site):
        found += await asyncio.to_thread(_pair, pair, domain)
    for key, path in (
        ("tls.client_ca_file", site.config.tls.client_ca_file),
        ("client.ca_file", site.config.client.ca_file),
        ("nats.ca_file", site.config.nats.ca_file),
        ("agent.registry.ca_file", site.config.agent.registry.ca_file),
    ):
        if path is not None:
            found.append(await asyncio.to_thread(_authority, key, path))
    return found or [skipped("the configuration names no certificate")]


def _authority(key: str, path: Path) -> Finding:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(path)
        left = _left_days(path)
    except (OSError, ssl.SSLError) as error:
        remedy = "give a PEM file of authorities that our user can read"
        return fail(f"{key}: {path}: {_reason(error)}", remedy)
    return _by_days(f"{key}: {path}", left)


def _pair(pair: Pair, domain: str) -> list[Finding]:
    where = f"{pair.key_name}.cert_file: {pair.cert_file}"
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        for side in (server, client):
            side.load_cert_chain(pair.cert_file, pair.key_file, lambda: "")
        left = _left_days(pair.cert_file)
    except (OSError, ssl.SSLError) as error:
        remedy = "give a PEM certificate chain, and its plain PEM key in key_file"
        return [fail(f"{where}: {_reason(error)}", remedy)]
    found = [_by_days(where, left)]
    if left <= 0:
        return found  # no handshake would say more
    try:
        judge, judged = (server, client) if pair.ours_to else (client, server)
        told = _handshake(judge, judged, pair.authorities or pair.cert_file)
    except (OSError, ssl.SSLError) as error:
        signed = f"have it signed by one of {pair.authorities}, with its whole chain"
        found.append(fail(f"{where}: {_reason(error)}", signed))
        return found
    chain = "chain and key fit" if pair.authorities else "the key fits"
    found.append(ok(f"{where}: {chain}, {told['version']}"))
    if pair.ours_to == SERVICE and domain:
        found.append(_named(where, told["certificate"], domain))
    return found


def _named(where: str, certificate: dict[str, Any], domain: str) -> Finding:
    """Say who we are to the service by our certificate's names."""
    names = certificate.get("subjectAltName", ())
    uris = tuple(text.encode() for kind, text in names if kind == "URI")
    dns = tuple(text.encode() for kind, text in names if kind == "DNS")
    try:
        identity = identity_of(domain, uris, dns)
    except IdentityUnknownError as error:
        remedy = f"name a role in it, such as spiffe://{domain}/operator"
        return fail(f"{where}: {error}", f"{remedy}: docs/authority.md has all forms")
    return ok(f"{where}: we are {identity.name}")


def _handshake(
    judge: ssl.SSLContext, judged: ssl.SSLContext, authorities: Path
) -> dict[str, Any]:
    """Return version, and certificate of who is *judged*; raises SSLError."""
    judge.load_verify_locations(authorities)
    # The certificate may be its own authority, where nobody says who else is.
    judge.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    serves = judged.protocol is ssl.PROTOCOL_TLS_SERVER
    judged.verify_mode = ssl.CERT_NONE
    judge.verify_mode = ssl.CERT_REQUIRED
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = judge.wrap_bio(one, other, server_side=not serves)
    there = judged.wrap_bio(other, one, server_side=serves)
    left = [here, there]
    for _ in range(ROUNDS_MAX):
        for side in list(left):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            left.remove(side)
    return {"version": here.version(), "certificate": here.getpeercert() or {}}


def _left_days(path: Path) -> float:
    end_s = expiry_seconds(path.read_bytes())
    if end_s is None:
        message = "no certificate in it can be read"
        raise ssl.SSLError(message)
    return (end_s - time.time()) / DAY_SECONDS


def _by_days(where: str, left: float) -> Finding:
    if left <= 0:
        return fail(f"{where} ran out {-left:.1f} days ago", RENEW)
    if left < WARN_DAYS:
        return warn(f"{where} runs out in {left:.1f} days", RENEW)
    return ok(f"{where} holds for {left:.0f} days")


def _reason(error: Exception) -> str:
    for name in ("verify_message", "reason", "strerror"):
        text = getattr(error, name, None)
        if text:
            return str(text)
    return str(error)
