"""What an agent builds to learn of machines: posted starts, readers, and the count."""

import random
import ssl
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx

from placement.agent.receiver import STARTS
from placement.agent.reporting import Report
from placement.agent.starts.catalogue import Check, checks, starts
from placement.agent.starts.counting import MachineCounter
from placement.agent.starts.images import parse_image
from placement.agent.starts.kubernetes_reader import KubernetesReader
from placement.agent.starts.nomad_reader import NomadReader
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Find
from placement.agent.starts.streams import Api, ApiSettings
from placement.agent.starts.telling import Teller
from placement.agent.supervision import Part
from placement.agent.translators import Translate, in_time
from placement.agent_app.settings import PUBLISHER
from placement.config import read_secret
from placement.config.agent_keys import StartsConfig
from placement.core.topology import Region, parse_region


def start_settings(chosen: StartsConfig, region: Region) -> StartSettings:
    """Return how schedulers' words are to be read; raises InputError."""
    return StartSettings(
        region=region,
        publisher=PUBLISHER,
        region_label=chosen.region_label,
        regions={
            name: parse_region(code, f"agent.starts.regions.{name}")
            for name, code in chosen.regions.items()
        },
        registries=chosen.registries,
        images={
            name: parse_image(text, f"agent.starts.images.{name}")
            for name, text in chosen.images.items()
        },
    )


def start_checks(settings: StartSettings) -> dict[str, Check]:
    """Return what is looked at before a scheduler's body is taken, by feed."""
    return {f"{STARTS}{name}": check for name, check in checks(settings).items()}


def start_feeds(settings: StartSettings, find: Find) -> dict[str, Translate]:
    """Return the translation of all that schedulers post, by feed."""
    known = starts(settings, find)
    return {f"{STARTS}{name}": in_time(feed) for name, feed in known.items()}


def start_parts(
    chosen: StartsConfig,
    settings: StartSettings,
    report: Report,
    find: Find,
    stack: AsyncExitStack,
) -> list[Part]:
    """Return what reads schedulers and counts machines, as far as any is named."""
    teller = Teller(settings, report, find, random.random)
    readers: dict[str, KubernetesReader | NomadReader] = {}
    if chosen.kubernetes_url:
        api = _api(
            ApiSettings(
                url=chosen.kubernetes_url,
                token=_token(
                    chosen.kubernetes_token_file, "agent.starts.kubernetes_token_file"
                ),
            ),
            chosen.kubernetes_ca_file,
            stack,
        )
        readers["kubernetes"] = KubernetesReader(api, teller, time.time_ns)
    if chosen.nomad_url:
        api = _api(
            ApiSettings(
                url=chosen.nomad_url,
                token=_token(chosen.nomad_token_file, "agent.starts.nomad_token_file"),
                header="X-Nomad-Token",
                scheme="",
            ),
            None,
            stack,
        )
        readers["nomad"] = NomadReader(api, teller, time.time_ns)
    parts = [Part(name, reader.run) for name, reader in readers.items()]
    if readers and chosen.counts:
        listers = [reader.machines for reader in readers.values()]
        counter = MachineCounter(listers, teller, time.time_ns, chosen.count_seconds)
        parts.append(Part("machine_count", counter.run))
    return parts


def _api(settings: ApiSettings, ca_file: Path | None, stack: AsyncExitStack) -> Api:
    """Return a scheduler's API; *stack* closes its connections."""
    verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
    http = httpx.AsyncClient(verify=verify, trust_env=False)
    stack.push_async_callback(http.aclose)
    return Api(settings, http)


def _token(file: Path | None, field_name: str) -> partial[str] | None:
    """Return what reads a token anew each time; it must be there now, too."""
    if file is None:
        return None
    read_secret(file, field_name)
    return partial(read_secret, file, field_name)
